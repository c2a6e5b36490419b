/* See points.h. */
#include "debugger/points.h"
#include <string.h>

static size_t find_point(const struct points *p, const char *text)
{
    size_t i = 0;

    while (i < p->count && strcmp(p->point[i], text) != 0)
        i++;
    return i;
}

bool points_refuse(const struct points *p, const char *body)
{
    if (body[0] != 'Z')
        return false;
    return strlen(body) > POINT_BYTES || (p->count == POINTS_MAX && find_point(p, body + 1) == p->count);
}

void points_note(struct points *p, const char *body)
{
    if (body[0] != 'Z' && body[0] != 'z')
        return;
    size_t i = find_point(p, body + 1);
    if (body[0] == 'Z' && i == p->count && p->count < POINTS_MAX && strlen(body) <= POINT_BYTES)
        strcpy(p->point[p->count++], body + 1);
    else if (body[0] == 'z' && i < p->count)
        memcpy(p->point[i], p->point[--p->count], POINT_BYTES);
}
