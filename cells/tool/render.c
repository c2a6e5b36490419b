/* See render.h. A declaration is written as C nests it: the part before the name, the name, the part after it. */
#include "cells/tool/render.h"
#include "cells/tool/die.h"
#include "cells/tool/tags.h"
#include "introspect/base/own.h"
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

static void write_declaration(struct render *r, Dwarf_Die *holder, const char *name);

static void write_new_line(struct render *r)
{
    fprintf(r->out, "\n%*s", 4 * r->indent, "");
}

static void write_members(struct render *r, Dwarf_Die *type)
{
    Dwarf_Die child;

    fputs(" {", r->out);
    r->indent++;
    if (dwarf_child(type, &child) == 0)
        do {
            uint64_t bits = die_number(&child, DW_AT_bit_size, 0);

            if (dwarf_tag(&child) == DW_TAG_enumerator) {
                write_new_line(r);
                fprintf(r->out, "%s = %" PRId64 ",", dwarf_diename(&child) ?: "",
                        (int64_t)die_number(&child, DW_AT_const_value, 0));
            } else if (dwarf_tag(&child) == DW_TAG_member) {
                write_new_line(r);
                write_declaration(r, &child, dwarf_diename(&child) ?: "");
                if (bits)
                    fprintf(r->out, " : %" PRIu64, bits);
                fputc(';', r->out);
            }
        } while (dwarf_siblingof(&child, &child) == 0);
    r->indent--;
    write_new_line(r);
    fputc('}', r->out);
}

static void write_tagged(struct render *r, Dwarf_Die *type)
{
    int kind = dwarf_tag(type);
    const char *tag = dwarf_diename(type);
    bool body = r->body || !tag;

    r->body = false;
    fputs(kind == DW_TAG_structure_type ? "struct" : kind == DW_TAG_union_type ? "union" : "enum", r->out);
    if (tag)
        fprintf(r->out, " %s", tag);
    if (body && !die_flag(type, DW_AT_declaration))
        write_members(r, type);
}

static bool needs_brackets(Dwarf_Die *pointer)
{
    Dwarf_Die target;

    return die_type(pointer, &target) &&
           (dwarf_tag(&target) == DW_TAG_array_type || dwarf_tag(&target) == DW_TAG_subroutine_type);
}

static void write_parameters(struct render *r, Dwarf_Die *function)
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
                write_declaration(r, &child, dwarf_diename(&child) ?: "");
            } else
                continue;
            between = ", ";
        } while (dwarf_siblingof(&child, &child) == 0);
    fputs(*between ? ")" : "void)", r->out);
}

static void write_dimensions(struct render *r, Dwarf_Die *array)
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

/* Writes the part before the name. True: it ended with a star or bracket, and no space must follow. */
static bool write_before_name(struct render *r, Dwarf_Die *holder)
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
        write_before_name(r, &type);
        fputs(words, r->out);
        tight = true;
    } else if (words) {
        fputs(words, r->out);
        tight = write_before_name(r, &type);
    } else if (kind == DW_TAG_pointer_type) {
        r->body = false;
        if (!write_before_name(r, &type))
            fputc(' ', r->out);
        fputs(needs_brackets(&type) ? "(*" : "*", r->out);
        tight = true;
    } else if (kind == DW_TAG_array_type || kind == DW_TAG_subroutine_type) {
        tight = write_before_name(r, &type);
    } else if (tags_has(&type)) {
        write_tagged(r, &type);
    } else {
        fputs(dwarf_diename(&type) ?: "?", r->out);
    }
    r->depth--;
    return tight;
}

static void write_after_name(struct render *r, Dwarf_Die *holder)
{
    Dwarf_Die type;

    if (!die_type(holder, &type) || r->depth == DEPTH_MAX)
        return;
    r->depth++;
    int kind = dwarf_tag(&type);
    if (kind == DW_TAG_pointer_type && needs_brackets(&type))
        fputc(')', r->out);
    if (kind == DW_TAG_array_type)
        write_dimensions(r, &type);
    if (kind == DW_TAG_subroutine_type)
        write_parameters(r, &type);
    if (kind == DW_TAG_pointer_type || kind == DW_TAG_array_type || kind == DW_TAG_subroutine_type || qualifier(kind))
        write_after_name(r, &type);
    r->depth--;
}

static void write_declaration(struct render *r, Dwarf_Die *holder, const char *name)
{
    bool tight = write_before_name(r, holder);

    if (!tight && *name)
        fputc(' ', r->out);
    fputs(name, r->out);
    write_after_name(r, holder);
}

/* Closes the text and gives it away; NULL: out of memory. */
static char *finish_text(struct render *r, char **text)
{
    return fclose(r->out) == 0 ? MOVE(*text) : NULL;
}

char *render_type(Dwarf_Die *holder, const char *name)
{
    OWN(memory) char *text = NULL;
    size_t bytes;
    struct render r = {.out = open_memstream(&text, &bytes)};

    if (!r.out)
        return NULL;
    write_declaration(&r, holder, name);
    return finish_text(&r, &text);
}

char *render_symbol(Dwarf_Die *die)
{
    OWN(memory) char *text = NULL;
    size_t bytes;
    struct render r = {.out = open_memstream(&text, &bytes), .body = true};

    if (!r.out)
        return NULL;
    if (dwarf_tag(die) == DW_TAG_subprogram) {
        r.body = false;
        if (!write_before_name(&r, die))
            fputc(' ', r.out);
        fputs(dwarf_diename(die) ?: "", r.out);
        write_parameters(&r, die);
        write_after_name(&r, die);
    } else {
        write_declaration(&r, die, dwarf_diename(die) ?: "");
    }
    return finish_text(&r, &text);
}
