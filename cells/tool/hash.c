/* See hash.h. */
#include "cells/tool/hash.h"
#include "cells/tool/die.h"
#include "cells/tool/field.h"
#include "cells/tool/list.h"
#include "guest/abi/fnv.h"
#include <dwarf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "introspect/base/own.h"

#define DEPTH_MAX 64         /* of nested types; what is deeper is not understood */
#define STEPS_MAX (1u << 20) /* types that are written: those without a tag are written again wherever they are */

/* Named types that pointers refer to, in the order in which they were met. */
struct reach {
    const struct tags *tags;
    Dwarf_Die *type;
    size_t types, capacity;
    bool failed;
};

static void reach_done(struct reach *reach)
{
    free(reach->type);
}

struct text {
    uint64_t hash;
    unsigned depth, steps;
    bool open_array;         /* the next array is that of a variable */
    bool unknown;            /* some part of the type is not there, or not understood */
    const struct tags *tags; /* where a declared type is defined; NULL: not looked for */
    struct reach *reach;     /* NULL: targets of pointers do not count */
};

enum { IS_CONST = 1, IS_VOLATILE = 2, IS_ATOMIC = 4 };

static void put_words(struct text *t, const char *words)
{
    static const uint8_t end_of_word = 0xff; /* "ab" "c" is not "a" "bc" */

    t->hash = fnv_add(t->hash, words, strlen(words));
    t->hash = fnv_add(t->hash, &end_of_word, 1);
}

static void put_digits(struct text *t, uint64_t value)
{
    char digits[24];

    snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
    put_words(t, digits);
}

static void put_type(struct text *t, Dwarf_Die *holder, bool strip, bool behind);
static void put_qualified(struct text *t, Dwarf_Die *holder, unsigned qualifiers, bool strip, bool behind);

static void put_member(struct text *t, Dwarf_Die *member, bool behind)
{
    uint64_t bit = 0, bits = 0;

    t->unknown |= !die_member_bit(member, &bit, &bits);
    put_words(t, dwarf_diename(member) ?: "-");
    put_digits(t, bit);
    put_digits(t, bits);
    put_type(t, member, false, behind);
}

/* Values below zero say that an enumeration is signed; without one it is unsigned, unless its type is said. */
static void put_sign(struct text *t, Dwarf_Die *type, bool negative)
{
    if (dwarf_tag(type) == DW_TAG_enumeration_type && !negative && field_number(type) == NUMBER_SIGNED)
        put_words(t, "signed");
}

static void put_layout(struct text *t, Dwarf_Die *type, bool behind)
{
    bool negative = false;
    Dwarf_Die child;

    put_digits(t, die_number(type, DW_AT_byte_size, 0));
    if (dwarf_child(type, &child) != 0)
        return;
    do {
        switch (dwarf_tag(&child)) {
        case DW_TAG_member:
            put_member(t, &child, behind);
            break;
        case DW_TAG_enumerator:
            put_words(t, dwarf_diename(&child) ?: "-");
            put_digits(t, die_number(&child, DW_AT_const_value, 0));
            negative |= (int64_t)die_number(&child, DW_AT_const_value, 0) < 0;
            break;
        case DW_TAG_inheritance:
        case DW_TAG_variant_part:
            t->unknown = true;
            break;
        default:
            break;
        }
    } while (dwarf_siblingof(&child, &child) == 0);
    put_sign(t, type, negative);
}

/* `extern int table[]` is the same variable as `int table[8]`: the first dimension of a variable does not count. The
 * qualifiers of an array are those of its elements. */
static void put_array(struct text *t, Dwarf_Die *type, unsigned qualifiers, bool behind)
{
    Dwarf_Die child;
    bool counts = !t->open_array;

    t->open_array = false;
    put_words(t, die_flag(type, DW_AT_GNU_vector) ? "vector" : "array");
    if (dwarf_child(type, &child) == 0)
        do {
            if (counts)
                put_digits(t, die_elements(&child));
            counts = true;
        } while (dwarf_siblingof(&child, &child) == 0);
    put_qualified(t, type, qualifiers, false, behind);
}

static void put_signature(struct text *t, Dwarf_Die *function, bool behind)
{
    uint64_t convention = die_number(function, DW_AT_calling_convention, DW_CC_normal);
    Dwarf_Die child;

    put_words(t, die_has_prototype(function) ? "function" : "function without prototype");
    if (convention >= DW_CC_lo_user)
        put_digits(t, convention);
    put_type(t, function, true, behind);
    if (dwarf_child(function, &child) == 0)
        do {
            if (dwarf_tag(&child) == DW_TAG_formal_parameter)
                put_type(t, &child, true, behind);
            else if (dwarf_tag(&child) == DW_TAG_unspecified_parameters)
                put_words(t, "...");
        } while (dwarf_siblingof(&child, &child) == 0);
    put_words(t, "end");
}

static void put_function(struct text *t, Dwarf_Die *function, bool behind)
{
    struct reach *reach = t->reach;

    t->reach = NULL;
    put_signature(t, function, behind);
    t->reach = reach;
}

/* Files, and blocks, may have different types of one tag. */
static bool is_same_tagged(Dwarf_Die *a, Dwarf_Die *b)
{
    return dwarf_tag(a) == dwarf_tag(b) && strcmp(dwarf_diename(a), dwarf_diename(b)) == 0 &&
           (dwarf_dieoffset(a) == dwarf_dieoffset(b) || hash_layout(a) == hash_layout(b));
}

static void add_reached(struct reach *reach, const Dwarf_Die *tagged)
{
    Dwarf_Die definition = *tagged, *type = &definition;

    (void)tags_define(reach->tags, type);
    for (size_t i = 0; i < reach->types; i++)
        if (is_same_tagged(&reach->type[i], type))
            return;
    Dwarf_Die *room = list_room(reach->type, reach->types, &reach->capacity, sizeof *room);
    if (!room) {
        reach->failed = true;
        return;
    }
    reach->type = room;
    room[reach->types++] = *type;
}

/* Whether the layout of a type that is held by value can be written. */
static bool is_defined(struct text *t, Dwarf_Die *type)
{
    bool defined = t->tags ? tags_define(t->tags, type) : !die_flag(type, DW_AT_declaration);

    t->unknown |= !defined;
    return defined;
}

/* Writes a structure, union or enumeration: `behind` a pointer only its tag, if it has one. */
static void put_tag(struct text *t, Dwarf_Die *type, const char *what, bool behind)
{
    const char *tag = dwarf_diename(type);

    t->open_array = false;
    put_words(t, what);
    put_words(t, tag ?: "-");
    if (!tag || (!behind && is_defined(t, type)))
        put_layout(t, type, behind);
    else if (behind && t->reach)
        add_reached(t->reach, type);
}

/* What encoding and size do not tell: nothing says how many bits a _BitInt(N) has, and there are two floating-point
 * types of 16 bytes. */
static void put_kind(struct text *t, Dwarf_Die *type)
{
    const char *name = dwarf_diename(type) ?: "";

    t->unknown |= strstr(name, "BitInt") || strstr(name, "ExtInt");
    if (strstr(name, "loat128"))
        put_words(t, "128");
}

static void put_base(struct text *t, Dwarf_Die *type)
{
    put_kind(t, type);
    put_words(t, "base");
    put_digits(t, die_number(type, DW_AT_encoding, 0));
    put_digits(t, die_number(type, DW_AT_byte_size, 0));
}

static void put_pointer(struct text *t, Dwarf_Die *pointer)
{
    t->open_array = false;
    put_words(t, "*");
    put_type(t, pointer, false, true);
}

static void put_peeled(struct text *t, Dwarf_Die *type, bool behind)
{
    switch (dwarf_tag(type)) {
    case DW_TAG_base_type:
        put_base(t, type);
        break;
    case DW_TAG_pointer_type:
        put_pointer(t, type);
        break;
    case DW_TAG_structure_type:
        put_tag(t, type, "struct", behind);
        break;
    case DW_TAG_union_type:
        put_tag(t, type, "union", behind);
        break;
    case DW_TAG_enumeration_type:
        put_tag(t, type, "enum", behind);
        break;
    case DW_TAG_subroutine_type:
        put_function(t, type, behind);
        break;
    default:
        t->unknown = true;
        break;
    }
}

static void put_qualifiers(struct text *t, unsigned qualifiers)
{
    if (qualifiers & IS_CONST)
        put_words(t, "const");
    if (qualifiers & IS_VOLATILE)
        put_words(t, "volatile");
    if (qualifiers & IS_ATOMIC)
        put_words(t, "atomic");
}

/* Finds what `holder` names behind typedefs and qualifiers; compilers order the latter in different ways. False: void,
 * or nothing that is understood. */
static bool peel(struct text *t, Dwarf_Die holder, unsigned *qualifiers, Dwarf_Die *ret_type)
{
    for (unsigned i = 0; i < PEEL_MAX; i++) {
        if (!die_type(&holder, ret_type)) {
            t->unknown |= !die_is_void(&holder);
            return false;
        }
        switch (dwarf_tag(ret_type)) {
        case DW_TAG_const_type:
            *qualifiers |= IS_CONST;
            break;
        case DW_TAG_volatile_type:
            *qualifiers |= IS_VOLATILE;
            break;
        case DW_TAG_atomic_type:
            *qualifiers |= IS_ATOMIC;
            break;
        case DW_TAG_typedef:
        case DW_TAG_restrict_type:
            break;
        default:
            return true;
        }
        holder = *ret_type;
    }
    t->unknown = true;
    return false;
}

static void put_qualified(struct text *t, Dwarf_Die *holder, unsigned qualifiers, bool strip, bool behind)
{
    bool is_type, is_array;
    Dwarf_Die type;

    is_type = peel(t, *holder, &qualifiers, &type);
    is_array = is_type && dwarf_tag(&type) == DW_TAG_array_type;
    if (strip)
        qualifiers &= IS_ATOMIC;
    if (!is_array)
        put_qualifiers(t, qualifiers);
    if (!is_type) {
        put_words(t, "void");
        return;
    }
    if (t->depth == DEPTH_MAX || t->steps++ >= STEPS_MAX) {
        t->unknown = true;
        return;
    }
    t->depth++;
    if (is_array)
        put_array(t, &type, qualifiers, behind);
    else
        put_peeled(t, &type, behind);
    t->depth--;
}

/* Writes the type that `holder` (a variable, member, parameter, pointer, function result) names. */
static void put_type(struct text *t, Dwarf_Die *holder, bool strip, bool behind)
{
    put_qualified(t, holder, 0, strip, behind);
}

static struct text text_begin(const struct tags *tags, struct reach *reach)
{
    return (struct text){.hash = FNV_START, .tags = tags, .reach = reach};
}

static uint64_t text_end(const struct text *t)
{
    if (t->unknown)
        return 0;
    return t->hash ? t->hash : 1;
}

uint64_t hash_variable(Dwarf_Die *variable, const struct tags *tags)
{
    struct text t = text_begin(tags, NULL);

    put_words(&t, "variable");
    t.open_array = true;
    put_type(&t, variable, false, false);
    return text_end(&t);
}

/* Writing a type may add to the types that are reached. */
static void put_reached(struct text *t)
{
    for (size_t i = 0; i < t->reach->types; i++) {
        Dwarf_Die type = t->reach->type[i];

        put_words(t, "behind");
        put_digits(t, (uint64_t)dwarf_tag(&type));
        put_words(t, dwarf_diename(&type));
        if (tags_define(t->reach->tags, &type))
            put_layout(t, &type, false);
    }
}

/* Ends a text and returns its hash; 0: no memory, or a type that is not understood. */
static uint64_t text_finish(struct text *t)
{
    bool failed = false;

    if (t->reach) {
        put_reached(t);
        failed = t->reach->failed;
    }
    return failed ? 0 : text_end(t);
}

uint64_t hash_function(Dwarf_Die *function, const struct tags *tags)
{
    CLOSED_BY(reach_done) struct reach reach = {.tags = tags};
    struct text t = text_begin(tags, tags ? &reach : NULL);

    put_signature(&t, function, false);
    return text_finish(&t);
}

uint64_t hash_type(Dwarf_Die *holder, const struct tags *tags)
{
    CLOSED_BY(reach_done) struct reach reach = {.tags = tags};
    struct text t = text_begin(tags, tags ? &reach : NULL);

    put_type(&t, holder, false, false);
    return text_finish(&t);
}

uint64_t hash_tag(Dwarf_Die *type)
{
    struct text t = text_begin(NULL, NULL);

    put_digits(&t, (uint64_t)dwarf_tag(type));
    put_words(&t, dwarf_diename(type) ?: "");
    return text_end(&t);
}

uint64_t hash_layout(Dwarf_Die *type)
{
    struct text t = text_begin(NULL, NULL);

    put_layout(&t, type, false);
    return text_end(&t);
}

uint64_t hash_behind(Dwarf_Die *pointer, const struct tags *tags)
{
    CLOSED_BY(reach_done) struct reach reach = {.tags = tags};
    struct text t = text_begin(tags, &reach);

    put_type(&t, pointer, false, true);
    return text_finish(&t);
}

/* What compilers call without a declaration, in the words above. */
static const struct {
    const char *name, *type;
} made_by_compilers[] = {
    {"memcpy", "function * void * void * const void base 7 8 end"},
    {"memmove", "function * void * void * const void base 7 8 end"},
    {"memset", "function * void * void base 5 4 base 7 8 end"},
    {"memcmp", "function base 5 4 * const void * const void base 7 8 end"},
    {"_Unwind_Resume", "function void end"},
    {"__gcc_personality_v0", "function void end"},
};

uint64_t hash_of_compiler(const char *name)
{
    struct text t = text_begin(NULL, NULL);
    char words[96];

    for (size_t i = 0; i < sizeof made_by_compilers / sizeof *made_by_compilers; i++) {
        if (strcmp(made_by_compilers[i].name, name) != 0)
            continue;
        snprintf(words, sizeof words, "%s", made_by_compilers[i].type);
        for (char *rest = words, *word; (word = strsep(&rest, " ")) != NULL;)
            put_words(&t, word);
        return text_end(&t);
    }
    return 0;
}

uint64_t hash_data(const struct datum *data, size_t count, bool named, const struct tags *tags, bool deep)
{
    CLOSED_BY(reach_done) struct reach reach = {.tags = tags};
    struct text t = text_begin(tags, deep ? &reach : NULL);

    for (size_t i = 0; i < count; i++) {
        Dwarf_Die die = data[i].die;

        put_digits(&t, data[i].offset);
        if (!named)
            put_words(&t, data[i].identity);
        if (data[i].file)
            put_words(&t, data[i].file);
        if (data[i].form)
            put_digits(&t, data[i].form);
        if (data[i].salt)
            put_digits(&t, data[i].salt);
        put_type(&t, &die, false, false);
    }
    return text_finish(&t);
}
