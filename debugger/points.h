/* The points that a client has set and not taken back, as "TYPE,ADDRESS,KIND": so that they can be taken back when it
 * has gone away. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum { POINTS_MAX = 512, POINT_BYTES = 64 };

struct points {
    size_t count;
    char point[POINTS_MAX][POINT_BYTES];
};

/* Whether a packet sets a point that cannot be kept: there are too many, or it is too long. */
bool points_refuse(const struct points *points, const char *body);
/* A packet was answered with OK: keeps what it sets, forgets what it takes back. */
void points_note(struct points *points, const char *body);
