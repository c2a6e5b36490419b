/* Allocations of cells within the hosted build that the stand-in is not asked for: the linker has these called in their
 * place (HOSTED_WRAP), where one file calls another. */
#include "cells/core/arena/arena.h"
#include "cells/memory/heap/heap.h"
#include "tests/hosted/stand_in.h"

void *__real_heap_alloc(size_t bytes);
void *__wrap_heap_alloc(size_t bytes);
uint32_t __real_arena_new(enum arena_table table);
uint32_t __wrap_arena_new(enum arena_table table);
uint32_t __real_arena_new_named(enum arena_table table, const char *name);
uint32_t __wrap_arena_new_named(enum arena_table table, const char *name);
uint32_t __real_string_intern(const char *text);
uint32_t __wrap_string_intern(const char *text);

void *__wrap_heap_alloc(size_t bytes)
{
    return stand_in_fails() ? NULL : __real_heap_alloc(bytes);
}

uint32_t __wrap_arena_new(enum arena_table table)
{
    return stand_in_fails() ? 0 : __real_arena_new(table);
}

uint32_t __wrap_arena_new_named(enum arena_table table, const char *name)
{
    return stand_in_fails() ? 0 : __real_arena_new_named(table, name);
}

uint32_t __wrap_string_intern(const char *text)
{
    return stand_in_fails() ? 0 : __real_string_intern(text);
}
