/* ELF64 as cells need it (System V ABI, x86-64 supplement): layouts, numbers, and what follows from a number. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, program_offset, section_offset;
    uint32_t flags;
    uint16_t header_bytes, program_bytes, programs, section_bytes, sections, names;
};
_Static_assert(sizeof(struct elf_header) == 64);

struct elf_section {
    uint32_t name, type;
    uint64_t flags, address, offset, size;
    uint32_t link, info;
    uint64_t align, entry_bytes;
};
_Static_assert(sizeof(struct elf_section) == 64);

struct elf_symbol {
    uint32_t name;
    uint8_t info, other;
    uint16_t section;
    uint64_t value, size;
};
_Static_assert(sizeof(struct elf_symbol) == 24);

struct elf_rela {
    uint64_t offset;
    uint32_t type, symbol;
    int64_t addend;
};
_Static_assert(sizeof(struct elf_rela) == 24);

struct elf_note {
    uint32_t name_bytes, bytes, type;
};

enum { ELF_CLASS_64 = 2, ELF_LITTLE_ENDIAN = 1, ELF_VERSION = 1, ELF_MACHINE_X86_64 = 62 };
enum { ELF_TYPE_RELOCATABLE = 1 };
enum { ELF_PROGBITS = 1, ELF_SYMTAB = 2, ELF_STRTAB = 3, ELF_RELA = 4, ELF_NOTE = 7, ELF_NOBITS = 8, ELF_REL = 9 };
enum { ELF_WRITE = 1, ELF_ALLOC = 2, ELF_EXECUTE = 4, ELF_TLS = 0x400 };
enum { ELF_UNDEFINED = 0, ELF_RESERVED = 0xff00, ELF_ABSOLUTE = 0xfff1 };
enum { ELF_LOCAL = 0, ELF_GLOBAL = 1, ELF_WEAK = 2 };
enum { ELF_NOTYPE = 0, ELF_OBJECT = 1, ELF_FUNCTION = 2, ELF_SECTION_SYMBOL = 3 };
/* The relocations that the loader knows: name, number, bytes of the field, whether its value is relative. */
#define ELF_RELOCATIONS(X)                                                                                             \
    X(64, 1, 8, false)                                                                                                 \
    X(PC32, 2, 4, true)                                                                                                \
    X(PLT32, 4, 4, true)                                                                                               \
    X(32, 10, 4, false)                                                                                                \
    X(32S, 11, 4, false)                                                                                               \
    X(PC64, 24, 8, true)

#ifndef R_X86_64_NONE /* a host program may have them from <elf.h> */
enum {
    R_X86_64_NONE = 0,
#define X(name, number, bytes, relative) R_X86_64_##name = number,
    ELF_RELOCATIONS(X)
#undef X
};
#endif

/* The size of the relocated field; 0: a type that the loader does not know. */
static inline size_t relocation_bytes(uint32_t type)
{
    switch (type) {
#define X(name, number, bytes, relative)                                                                               \
    case number:                                                                                                       \
        return bytes;
        ELF_RELOCATIONS(X)
#undef X
    default:
        return 0;
    }
}

typedef uint64_t __attribute__((aligned(1), may_alias)) any_uint64;
typedef uint32_t __attribute__((aligned(1), may_alias)) any_uint32;

/* Writes so many bytes of the value, 4 or 8, in one store: another CPU may read them meanwhile. */
static inline __attribute__((always_inline)) void relocation_write(void *at, uint64_t value, size_t bytes)
{
    if (bytes == 8)
        *(volatile any_uint64 *)at = value;
    else
        *(volatile any_uint32 *)at = (uint32_t)value;
}

/* Whether the field holds the distance to the target, not its address. */
static inline bool relocation_is_relative(uint32_t type)
{
    switch (type) {
#define X(name, number, bytes, relative)                                                                               \
    case number:                                                                                                       \
        return relative;
        ELF_RELOCATIONS(X)
#undef X
    default:
        return false;
    }
}

/* What a field of this type at address `place` holds when it refers to `target`, addend included. */
static inline uint64_t relocation_value(uint32_t type, uint64_t target, uint64_t place)
{
    return relocation_is_relative(type) ? target - place : target;
}

/* Whether a field of this type can hold `value`. */
static inline bool relocation_fits(uint32_t type, uint64_t value)
{
    switch (type) {
    case R_X86_64_PC32:
    case R_X86_64_PLT32:
    case R_X86_64_32S:
        return (int64_t)value == (int32_t)value;
    case R_X86_64_32:
        return value == (uint32_t)value;
    default:
        return true;
    }
}
