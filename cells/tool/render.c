/* See render.h. A declaration is written as C nests it: what comes before the name, the name, what comes behind. */
#include "cells/tool/render.h"
#include "cells/tool/die.h"
#include "cells/tool/tags.h"
#include <dwarf.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define DEPTH_MAX 32 /* of nested types */

struct render {
    FILE *out;
    unsigned depth;
    bool body; /* the outermost structure is written out though it has a tag */
    unsigned indent;
};

static void declare(struct render *r, Dwarf_Die *holder, const char *name);

static void new_line(struct render *r)
{
    fprintf(r->out, "\n%*s", 4 * r->indent, "");
}

static void put_members(struct render *r, Dwarf_Die *type)
{
    Dwarf_Die child;

    fputs(" {", r->out);
    r->indent++;
    if (dwarf_child(type, &child) == 0)
        do {
            uint64_t bits = die_number(&child, DW_AT_bit_size, 0);

            if (dwarf_tag(&child) == DW_TAG_enumerator) {
                new_line(r);
                fprintf(r->out, "%s = %" PRId64 ",", dwarf_diename(&child) ?: "",
                        (int64_t)die_number(&child, DW_AT_const_value, 0));
            } else if (dwarf_tag(&child) == DW_TAG_member) {
                new_line(r);
                declare(r, &child, dwarf_diename(&child) ?: "");
                if (bits)
                    fprintf(r->out, " : %" PRIu64, bits);
                fputc(';', r->out);
            }
        } while (dwarf_siblingof(&child, &child) == 0);
    r->indent--;
    new_line(r);
    fputc('}', r->out);
}

static void put_tagged(struct render *r, Dwarf_Die *type)
{
    int kind = dwarf_tag(type);
    const char *tag = dwarf_diename(type);
    bool body = r->body || !tag;

    r->body = false;
    fputs(kind == DW_TAG_structure_type ? "struct" : kind == DW_TAG_union_type ? "union" : "enum", r->out);
    if (tag)
        fprintf(r->out, " %s", tag);
    if (body && !die_flag(type, DW_AT_declaration))
        put_members(r, type);
}

static bool needs_brackets(Dwarf_Die *pointer)
{
    Dwarf_Die target;

    return die_type(pointer, &target) &&
           (dwarf_tag(&target) == DW_TAG_array_type || dwarf_tag(&target) == DW_TAG_subroutine_type);
}

static void put_parameters(struct render *r, Dwarf_Die *function)
{
    const char *between = "";
    Dwarf_Die child;

    fputc('(', r->out);
    if (dwarf_child(function, &child) == 0)
        do {
            if (dwarf_tag(&child) == DW_TAG_unspecified_parameters)
                fprintf(r->out, "%s...", between);
            else if (dwarf_tag(&child) == DW_TAG_formal_parameter) {
                fputs(between, r->out);
                declare(r, &child, dwarf_diename(&child) ?: "");
            } else
                continue;
            between = ", ";
        } while (dwarf_siblingof(&child, &child) == 0);
    fputs(*between ? ")" : "void)", r->out);
}

static void put_dimensions(struct render *r, Dwarf_Die *array)
{
    Dwarf_Die child;

    if (dwarf_child(array, &child) == 0)
        do {
            uint64_t n = die_elements(&child);

            fputc('[', r->out);
            if (n)
                fprintf(r->out, "%" PRIu64, n);
            fputc(']', r->out);
        } while (dwarf_siblingof(&child, &child) == 0);
}

static const char *qualifier(int kind)
{
    switch (kind) {
    case DW_TAG_const_type:
        return "const ";
    case DW_TAG_volatile_type:
        return "volatile ";
    case DW_TAG_restrict_type:
        return "restrict ";
    case DW_TAG_atomic_type:
        return "_Atomic ";
    default:
        return NULL;
    }
}

/* Up to the name; true: it ended with a star or bracket, so that no space must follow. */
static bool put_before(struct render *r, Dwarf_Die *holder)
{
    Dwarf_Die type, target;
    bool tight = false;

    if (!die_type(holder, &type)) {
        fputs("void", r->out);
        return false;
    }
    if (r->depth == DEPTH_MAX) {
        fputs("...", r->out);
        return false;
    }
    r->depth++;
    int kind = dwarf_tag(&type);
    const char *words = qualifier(kind);
    if (words && die_type(&type, &target) && dwarf_tag(&target) == DW_TAG_pointer_type) {
        put_before(r, &type);
        fputs(words, r->out);
        tight = true;
    } else if (words) {
        fputs(words, r->out);
        tight = put_before(r, &type);
    } else if (kind == DW_TAG_pointer_type) {
        r->body = false;
        if (!put_before(r, &type))
            fputc(' ', r->out);
        fputs(needs_brackets(&type) ? "(*" : "*", r->out);
        tight = true;
    } else if (kind == DW_TAG_array_type || kind == DW_TAG_subroutine_type) {
        tight = put_before(r, &type);
    } else if (tags_has(&type)) {
        put_tagged(r, &type);
    } else {
        fputs(dwarf_diename(&type) ?: "?", r->out);
    }
    r->depth--;
    return tight;
}

static void put_behind(struct render *r, Dwarf_Die *holder)
{
    Dwarf_Die type;

    if (!die_type(holder, &type) || r->depth == DEPTH_MAX)
        return;
    r->depth++;
    int kind = dwarf_tag(&type);
    if (kind == DW_TAG_pointer_type && needs_brackets(&type))
        fputc(')', r->out);
    if (kind == DW_TAG_array_type)
        put_dimensions(r, &type);
    if (kind == DW_TAG_subroutine_type)
        put_parameters(r, &type);
    if (kind == DW_TAG_pointer_type || kind == DW_TAG_array_type || kind == DW_TAG_subroutine_type || qualifier(kind))
        put_behind(r, &type);
    r->depth--;
}

static void declare(struct render *r, Dwarf_Die *holder, const char *name)
{
    bool tight = put_before(r, holder);

    if (!tight && *name)
        fputc(' ', r->out);
    fputs(name, r->out);
    put_behind(r, holder);
}

static char *finish(struct render *r, char **text)
{
    if (fclose(r->out) == 0)
        return *text;
    free(*text);
    return NULL;
}

char *render_type(Dwarf_Die *holder, const char *name)
{
    char *text = NULL;
    size_t bytes;
    struct render r = {.out = open_memstream(&text, &bytes)};

    if (!r.out)
        return NULL;
    declare(&r, holder, name);
    return finish(&r, &text);
}

char *render_symbol(Dwarf_Die *die)
{
    char *text = NULL;
    size_t bytes;
    struct render r = {.out = open_memstream(&text, &bytes), .body = true};

    if (!r.out)
        return NULL;
    if (dwarf_tag(die) == DW_TAG_subprogram) {
        r.body = false;
        if (!put_before(&r, die))
            fputc(' ', r.out);
        fputs(dwarf_diename(die) ?: "", r.out);
        put_parameters(&r, die);
        put_behind(&r, die);
    } else {
        declare(&r, die, dwarf_diename(die) ?: "");
    }
    return finish(&r, &text);
}
