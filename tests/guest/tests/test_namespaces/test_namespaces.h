/* What the files of this test share: the figure's objects, and how namespaces with them are made, changed and run. */
#pragma once
#include "cells/core/arena/arena.h"
#include "cells/core/report/report.h"
#include "tests/guest/fixtures/testing/testing.h"

struct task;

#define WAIT_NS 5000000

#define OBJECT(name) extern const uint8_t object_##name[], object_##name##_end[]
OBJECT(figure_a);
OBJECT(figure_a_v2);
OBJECT(figure_b);
OBJECT(figure_b_v2);
OBJECT(figure_c);
OBJECT(figure_c_v2);
OBJECT(figure_c_v3);
OBJECT(figure_c_v4);
OBJECT(figure_c_v5);
OBJECT(figure_once);

extern struct report report; /* of the last change */

struct namespace_ref branch(const struct testing *test, struct namespace_ref parent, const char *name);
uint64_t place_of(struct namespace_ref namespace_, const char *symbol);
bool is_shared(struct namespace_ref a, struct namespace_ref b, const char *symbol);
struct task *start(const struct testing *test, struct namespace_ref namespace_, const char *slot, const char *turns);
int32_t outcome(const struct testing *test, struct task *taken);
int32_t run(const struct testing *test, struct namespace_ref namespace_);
void remove(const struct testing *test, struct namespace_ref namespace_);
void forget(void); /* what the history keeps */
enum err change_bytes(struct namespace_ref namespace_, const void *data, size_t bytes, unsigned flags);

#define CHANGE(namespace_, object, flags)                                                                              \
    change_bytes(namespace_, object_##object, (size_t)(object_##object##_end - object_##object), flags)

/* part.c: a set of which a namespace holds some and inherits others, swapped while its tasks run. */
void held_in_part(const struct testing *test);
/* back.c: cells of a namespace that are given up for the parent's, and lacked, while its tasks run. */
void taken_back(const struct testing *test);

/* many.c: namespaces that come and go, and their frames. */
void many_come_and_go(const struct testing *test);
