/* What the files of this folder share: a debugger, and the proxy while a client is served. */
#pragma once
#include "debugger/debugger.h"
#include "debugger/libraries.h"
#include "debugger/peer.h"
#include "debugger/points.h"

struct debugger {
    struct machine *machine;
    uint8_t *ram; /* mapped */
    size_t ram_bytes;
    struct builds *builds;       /* owned */
    struct libraries *libraries; /* owned */
};

enum { TARGET_MAX = 64 << 10 };

struct proxy {
    struct debugger *debugger;
    const volatile sig_atomic_t *stop;
    struct peer client, stub;
    struct points points;
    bool ended;          /* the client has detached, or the machine is no more */
    bool detached;       /* the client has, and is to be answered when the machine is left */
    bool ran;            /* the machine ran before */
    bool running;        /* it runs now */
    bool steps;          /* it was told to step */
    bool watches;        /* the stub stops at what announces a swap */
    bool interrupted;    /* we have interrupted it */
    bool asked;          /* the client has */
    bool untold;         /* the list of libraries has changed, and the client does not know */
    uint64_t generation; /* of the arena at the last look */
    char resume[256];    /* the packet that has let it run */
    size_t target_bytes;
    char target[TARGET_MAX]; /* target.xml */
};

/* attach.c */

/* Attaches to the machine. Fails as debugger_serve does. */
enum err proxy_attach(struct proxy *proxy);
/* Has the machine stop at what announces a swap. */
void proxy_watch(struct proxy *proxy);
/* Removes all breakpoints and watchpoints: the client's, and the one of proxy_watch. The machine stands still. */
void proxy_take_back(struct proxy *proxy);
/* Takes back all that stops the machine, leaves the stub, and lets the machine go if it ran. */
void proxy_detach(struct proxy *proxy);

/* look.c */

/* Looks whether other cells are loaded: sets `untold`. The guest may be running. */
void proxy_look(struct proxy *proxy);
/* Whether there is something new to look at. */
bool proxy_is_stale(const struct proxy *proxy);

/* Where the guest writes before a swap takes effect. */
uint64_t proxy_watched(void);

/* client.c */

/* Answers a packet of the client, in client.reader; the machine stands still. */
void proxy_answer(struct proxy *proxy);
