/* One side of the proxy: a socket that packets come from and go to. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "introspect/base/rsp.h"

struct peer {
    int fd;    /* borrowed; blocks, and gives up after a while when it is written to */
    bool gone; /* nothing comes any more, or what was sent is not taken */
    struct rsp_reader reader;
    size_t at, used;
    char input[4096];
    size_t last_bytes;
    char last[RSP_BODY_MAX + RSP_FRAME]; /* packet, to be sent again when that is asked for */
};

/* Whether bytes were received that have not been looked at. */
bool peer_has_input(const struct peer *peer);
/* Receives what has come; call it when poll says that something has. */
void peer_receive(struct peer *peer);
/* The next item of what was received; RSP_NOTHING: there is none yet. Answers by itself what is about single packets:
 * acknowledges, asks again for what is broken, sends again. */
enum rsp_item peer_next(struct peer *peer);
/* Waits for a packet, at most `ms`. False: none came. */
bool peer_wait(struct peer *peer, int ms);

void peer_send(struct peer *peer, const char *body, size_t bytes);
void peer_say(struct peer *peer, const char *body); /* a string */
void peer_interrupt(struct peer *peer);
