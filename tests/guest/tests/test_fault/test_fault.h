/* What the files of this test share. */
#pragma once
#include "tests/guest/fixtures/testing/testing.h"

/* The section of the live cell that holds function or datum `name`; NULL: there is none. */
struct arena_section *test_fault_section(const char *cell, const char *name);

void test_fault_pointers(const struct testing *test);
void test_fault_circle(const struct testing *test);
void test_fault_mark(const struct testing *test);
