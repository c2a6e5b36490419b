/* Incidents: what has become of each fault, from the bit that was flipped to the end of its recovery. Model only: lines
 * of text with a style, made from a view. The newest one shows itself. */
#pragma once
#include "introspect/view.h"
#include "tui/canvas.h"

enum { INCIDENT_LINES = 14, INCIDENT_TEXT = 320, INCIDENT_STAYS_MS = 15000 };

struct incident_line {
    enum style style;
    char text[INCIDENT_TEXT];
};

struct incident_story {
    char title[INCIDENT_TEXT]; /* "incident 2 of 5: invalid opcode in channel" */
    char state[64];            /* "recovered in 214 us" */
    enum style style;          /* of the state */
    struct incident_line line[INCIDENT_LINES];
    int lines;
};

struct incidents {
    bool begun;      /* a view was seen: what it had is history */
    bool is_open;    /* the strip shows one */
    uint64_t newest; /* sequence number of the newest fault that was seen; 0: none */
    uint64_t shown;  /* and of the one that is shown; 0: none */
    int64_t opened_ms;
    char cause[INCIDENT_TEXT];                   /* what the last injection from here has said */
    uint64_t before;                             /* the newest fault at that time */
    char at[INCIDENT_TEXT], from[INCIDENT_TEXT]; /* of the one shown, with lines of the source; "" : not known */
    uint64_t told;                               /* the one that `at` and `from` are of */
};

/* Looks for faults that are new, and opens the strip for them. Damage that is found while another fault has just been
 * shown does not take its place. */
void incidents_look(struct incidents *incidents, const struct view *view, int64_t now_ms);
/* Shows the newest one; closes the strip if it is open. */
void incidents_toggle(struct incidents *incidents);
/* Shows the one before (-1) or behind (1) the one that is shown. */
void incidents_step(struct incidents *incidents, const struct view *view, int by);
/* An injection from here begins. */
void incidents_begin_cause(struct incidents *incidents);
/* It has been made, and said this. */
void incidents_set_cause(struct incidents *incidents, const char *said);
/* Takes places with lines of the source from what `delias faults SEQ` has said. */
void incidents_tell(struct incidents *incidents, uint64_t seq, const char *said);
/* False: there is none. */
bool incidents_story(const struct incidents *incidents, const struct view *view, struct incident_story *ret_story);
/* Whether a fault is over, in whatever way. */
bool incidents_is_over(const struct view *view, uint64_t seq);
