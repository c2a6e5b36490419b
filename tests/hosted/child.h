/* A child of the root for tests of namespaces, with the cells of figure 8.1 in the root. */
#pragma once
#include "cells/core/arena/arena.h"
#include "cells/core/report/report.h"
#include "tests/hosted/craft.h"
#include "tests/hosted/stand_in.h"

extern struct report report; /* of the last change */
extern struct namespace_ref child;
extern struct stand_in_use child_before; /* what was in use before the child was made */

/* The fixture: removes the child, unless a test has set it to none, and then nothing but child_before is in use. */
void child_setup(void);
void child_teardown(void);
/* Says that what is in use now is to stay. */
void child_keep(void);

/* Fails the test unless the tables are sound, and as much is in use as is expected. */
void check_use(const struct stand_in_use *expected);
/* From a cell of the namespace an edge refers to what that has by the name; from any other, never to the namespace's.
 * */
void check_ways(struct namespace_ref namespace_);

/* namespace_change of the child to the object in a file. */
enum err change(const char *path, unsigned flags);
/* Loads a made-up cell into that namespace alone. */
enum err load_into(struct namespace_ref namespace_, const struct craft *craft);

/* The cell that the namespace has, which must be there. */
struct cell_ref in(struct namespace_ref namespace_, const char *name);
bool is_own(struct namespace_ref namespace_, const char *name);
uint32_t version_of(struct namespace_ref namespace_, const char *name);
