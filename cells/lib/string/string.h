/* Bytes and C strings: what GCC calls on its own, and the few functions that all cells use. */
#pragma once
#include "cells/cell.h"

void *memcpy(void *to, const void *from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

size_t string_length(const char *text);
bool string_equal(const char *a, const char *b);
bool string_starts(const char *text, const char *prefix);
/* Copies and cuts; always ends with NUL and pads with NULs. */
void string_copy(char *to, const char *from, size_t bytes);
