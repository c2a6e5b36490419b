/* What the files of this test share. */
#pragma once
#include "guest/abi/arena.h"
#include "tests/guest/fixtures/testing/testing.h"

/* The section of the live cell that holds function or datum `name`; NULL: there is none. */
struct arena_section *test_fault_section(const char *cell, const char *name);

/* Whether a task that calls entry(argument) fails. */
bool test_fault_fails(void (*entry)(uint64_t), uint64_t argument);
uint64_t test_fault_counter(enum arena_counter which);
/* Waits until no recent fault is open: recovery closes those of interrupt handlers only now and then. Returns whether
 * the newest has been recovered from. */
#define TEST_FAULT_AT_ONCE 6 /* faults that count as recent */
bool test_fault_settled(void);

void test_fault_pointers(const struct testing *test);
void test_fault_circle(const struct testing *test);
void test_fault_mark(const struct testing *test);
void test_fault_lock_list(const struct testing *test);
void test_fault_lock_own(const struct testing *test);
void test_fault_damaged_entry(const struct testing *test);
void test_fault_nested_in_handler(const struct testing *test);
void test_fault_late_interrupt(const struct testing *test);
void test_fault_parked(const struct testing *test);
void test_fault_return_address(const struct testing *test);
void test_fault_own_text(const struct testing *test);
void test_fault_path(const struct testing *test);
void test_fault_task_fields(const struct testing *test);
void test_fault_stuck_teardown(const struct testing *test);
void test_fault_import(const struct testing *test);
void test_fault_foundation_first(const struct testing *test);
void test_fault_heap(const struct testing *test);
void test_fault_caller(const struct testing *test);
void test_fault_lost_task(const struct testing *test);
void test_fault_last_waiter(const struct testing *test);
