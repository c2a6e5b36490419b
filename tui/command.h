/* Runs this program's own verbs as a child in the background, so that what a key does is what the shown command does
 * and the screen never waits for the guest. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#define COMMAND_WORDS      12
#define COMMAND_WORD_BYTES 800
#define COMMAND_SAID_BYTES (48 << 10)

struct command {
    char word[COMMAND_WORDS][COMMAND_WORD_BYTES]; /* word[0] is the verb */
    int words;
    int pid;                       /* > 0 while it runs */
    int output;                    /* pipe of its standard output and error */
    char file[COMMAND_WORD_BYTES]; /* that standard output replaces; "": it goes to the pipe */
    char said[COMMAND_SAID_BYTES]; /* what it printed; what is too much is left out, and that is said */
    size_t said_bytes;
    bool said_more;
    int status; /* exit status, once it has ended */
};

/* Adds a word; what is too long is cut, what is too many left out. */
void command_add(struct command *command, const char *word);
/* "delias swap m a=b.o", quoted where a shell would need it. */
void command_text(const struct command *command, char *ret_text, size_t bytes);
bool command_start(struct command *command); /* false: it could not be started, and `said` tells why */
bool command_poll(struct command *command);  /* true once, when it has ended */
/* The last line of what it printed, into `ret_line`; and how many lines there are. */
size_t command_last_line(const struct command *command, char *ret_line, size_t bytes);
/* Ends the child, if it runs. */
void command_stop(struct command *command);
