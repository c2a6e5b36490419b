/* Object files as a whole: the hash by which one is identified, and the seal that shows that no byte of it has changed
 * since `cell make` wrote it. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "guest/abi/elf.h"
#include "guest/abi/hash.h"

#define OBJECT_NAME_MAX   127       /* characters of a section's or symbol's name */
#define OBJECT_OWN_MAX    122       /* of a section that may have relocations: theirs are ".rela" and its name */
#define OBJECT_REGION_MAX 0x1000000 /* bytes of one kind of section */
#define OBJECT_ALIGN_MAX  4096      /* of a section */

/* How many characters of a member's or file's name are the name of its cell: without a last "_vN", N a number, or
 * "_avx2", by which other versions and builds of a cell are called. */
static inline size_t object_cell_name(const char *name, size_t length)
{
    static const char avx2[] = "_avx2";
    const size_t suffix = sizeof avx2 - 1;
    size_t digits = 0;

    if (length > suffix && __builtin_memcmp(name + length - suffix, avx2, suffix) == 0)
        return length - suffix;
    while (digits < length && name[length - digits - 1] >= '0' && name[length - digits - 1] <= '9')
        digits++;
    if (digits && length > digits + 2 && name[length - digits - 1] == 'v' && name[length - digits - 2] == '_')
        return length - digits - 2;
    return length;
}

/* Continues a hash, which begins as the number of all bytes. Only the last part may have a number of bytes that is no
 * multiple of 8. */
static inline uint64_t object_hash_add(uint64_t hash, const void *data, size_t bytes)
{
    const uint8_t *p = data;
    size_t words = bytes & ~(size_t)7;

    return hash_rest(hash_words(hash, p, words), p + words, bytes - words);
}

/* The hash of an object file. */
static inline uint64_t object_hash(const void *data, size_t bytes)
{
    return object_hash_add(bytes, data, bytes);
}

/* What the field `flags` of the file's ELF header must hold, which says nothing else on x86-64: a hash of the whole
 * file but for this field. Never 0. Needs a whole header. */
static inline uint32_t object_seal(const void *data, size_t bytes)
{
    const size_t before = offsetof(struct elf_header, flags), after = before + sizeof(uint32_t);
    uint64_t hash = object_hash_add(bytes, data, before);
    uint32_t seal = (uint32_t)object_hash_add(hash, (const uint8_t *)data + after, bytes - after);

    return seal ? seal : 1;
}
