/* The types and rules that rules.c collects and rules_note.c writes. Private to these two. */
#pragma once
#include "cells/tool/elf_out.h"
#include "cells/tool/field.h"
#include "cells/tool/rules.h"
#include "guest/abi/note.h"

#define VALUES_MAX 512 /* of an enumeration; one that has more has no rule but the lowest and highest */

enum node_use {
    USE_OWN,     /* what others may refer to by its tag */
    USE_HELD,    /* another cell's, held by value */
    USE_FOREIGN, /* another cell's, behind a pointer */
};

struct rule {
    struct note_rule note; /* without target and name, where they are below */
    size_t target;         /* node */
    const char *name;
};

struct ruled {
    Dwarf_Die die;    /* but for sections */
    uint32_t section; /* 0: it is none */
    const char *name; /* of the section */
    enum node_use use;
    uint64_t tag, layout;
    uint32_t bytes;
    struct rule *rule;
    size_t rules, capacity;
    bool wanted, numbered, judged, useful;
    uint32_t number;
};

struct rules {
    const struct tags *tags;
    struct ruled *node;
    size_t nodes, capacity;
    struct note_values *values;
    size_t value_count, value_capacity;
    size_t *order; /* the wanted nodes, by their numbers */
    size_t numbers;
    struct strings names;
    bool failed;
};
