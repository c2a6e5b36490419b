/* Where the entry stub of a vector is: plain numbers, for assembly too. */
#pragma once

#define EXCEPTION_STUB_BYTES 4
#define EXCEPTION_HOP_BYTES  16 /* behind each 32 stubs */

#define EXCEPTION_ENTRIES_MAX 4  /* entries of exceptions in a row without a handler reached */
#define EXCEPTION_CPU_TOP     48 /* offsets in struct cpu, which exception.c asserts */
#define EXCEPTION_CPU_ENTRIES 40
