/* Bytes and C strings: the functions that GCC calls on its own, and those that all cells use. From any context. */
#pragma once
#include "cells/cell.h"

/* As in the C standard. */
void *memcpy(void *to, const void *from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

/* Strings end with NUL. The length leaves it out. string_starts: whether `text` begins with `prefix`. */
size_t string_length(const char *text);
bool string_equal(const char *a, const char *b);
bool string_starts(const char *text, const char *prefix);
/* Copies `from` into the `bytes` bytes at `to`: cut, always ended by NUL, padded with NULs. */
void string_copy(char *to, const char *from, size_t bytes);
