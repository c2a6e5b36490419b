/* See pack.h. Order of work: choose sections, then symbols, then number them, then write. */
#include "cells/tool/pack.h"
#include "cells/tool/datum.h"
#include "cells/tool/graph.h"
#include "cells/tool/limits.h"
#include "cells/tool/rules.h"
#include "cells/tool/section_name.h"
#include "cells/tool/untyped.h"
#include "cells/tool/elf_out.h"
#include <stdlib.h>
#include <string.h>

struct pack {
    const struct elf_file *in;
    const struct packing *packing;
    const struct declaration *declaration;
    const struct types *types;
    bool *keep;       /* by input section */
    size_t *section;  /* input section -> output section */
    bool *wanted;     /* by input symbol */
    uint32_t *number; /* input symbol -> output symbol */
    Elf64_Sym *table; /* the output's */
    size_t symbols, locals;
    struct strings strings;
    struct section_names names;
    size_t role[ROLES]; /* input symbol or 0 */
    uint8_t *datum;     /* by input section: enum note_datum */
    size_t *export;     /* input symbol, by index in declaration->export */
    uint8_t *note;
    size_t note_bytes;
    Elf64_Rela **relocations; /* by input section, owned */
    enum err error;
    size_t rela; /* being walked */
    size_t filled;
};

static bool is_defined(const GElf_Sym *sym)
{
    return sym->st_shndx != SHN_UNDEF;
}

static bool in_kept_section(const struct pack *p, const GElf_Sym *sym)
{
    return sym->st_shndx != SHN_UNDEF && sym->st_shndx < SHN_LORESERVE && p->keep[sym->st_shndx];
}

static bool is_rela_of_kept(const struct pack *p, size_t i)
{
    const GElf_Shdr *h = &p->in->section[i].header;

    return h->sh_type == SHT_RELA && h->sh_info < p->in->sections && p->keep[h->sh_info];
}

static enum err choose_sections(struct pack *p)
{
    for (size_t i = 1; i < p->in->sections; i++) {
        const GElf_Shdr *h = &p->in->section[i].header;

        if (h->sh_type == SHT_RELA || h->sh_type == SHT_SYMTAB || h->sh_type == SHT_STRTAB)
            continue;
        if (h->sh_type == SHT_REL)
            return complain(ERR_BAD_RELOCATION, p->in->path, "section %s: relocations without addend",
                            p->in->section[i].name);
        enum err e = p->packing->section(p->in, i, &p->keep[i]);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

static bool want_target(void *context, const GElf_Rela *relocation)
{
    struct pack *p = context;
    size_t s = GELF_R_SYM(relocation->r_info);

    if (s >= p->in->symbols) {
        p->error = complain(ERR_CORRUPT, p->in->path, "section %s: a relocation to symbol %zu, which does not exist",
                            p->in->section[p->rela].name, s);
        return false;
    }
    const struct symbol *symbol = &p->in->symbol[s];
    if (is_defined(&symbol->sym) && symbol->sym.st_shndx < SHN_LORESERVE && !p->keep[symbol->sym.st_shndx]) {
        p->error = complain(ERR_BAD_RELOCATION, p->in->path, "section %s refers to section %s, which is left out",
                            p->in->section[p->rela].name, p->in->section[symbol->sym.st_shndx].name);
        return false;
    }
    if (p->packing->relocation)
        p->error = p->packing->relocation(p->in, p->rela, relocation);
    p->wanted[s] = s != 0;
    return p->error == ERR_OK;
}

static enum err want_relocated(struct pack *p)
{
    for (size_t i = 1; i < p->in->sections; i++)
        if (is_rela_of_kept(p, i)) {
            p->rela = i;
            if (!elf_file_relocations(p->in, i, want_target, p))
                return p->error;
        }
    return ERR_OK;
}

/* Nothing in the object refers to such a function but the text that `cell make` reads. */
static enum err lacks_function(const struct pack *p, const char *role, const char *name)
{
    return complain(
        ERR_NOT_FOUND, p->in->path,
        "%s %s: not defined here, or left out by the compiler: clang does not keep a static function that is "
        "declared as `used` after its definition; declare it, and say what it is, before that",
        role, name);
}

/* Finds the defined symbol `name`; `what` is its role in messages. */
static enum err find_defined(struct pack *p, const char *name, bool global, const char *what, size_t *ret_symbol)
{
    size_t found = 0;
    bool is_local = false;

    for (size_t i = 1; i < p->in->symbols; i++) {
        const GElf_Sym *sym = &p->in->symbol[i].sym;

        if (!in_kept_section(p, sym) || GELF_ST_TYPE(sym->st_info) == STT_SECTION ||
            strcmp(p->in->symbol[i].name, name) != 0)
            continue;
        if (global && GELF_ST_BIND(sym->st_info) == STB_LOCAL) {
            is_local = true;
            continue;
        }
        if (found)
            return complain(ERR_EXISTS, p->in->path, "%s %s: two functions of that name", what, name);
        found = i;
    }
    if (!found && is_local)
        return complain(ERR_NO_ACCESS, p->in->path, "%s %s: it is static", what, name);
    if (!found)
        return global ? complain(ERR_NOT_FOUND, p->in->path, "%s %s: not defined here", what, name)
                      : lacks_function(p, what, name);
    *ret_symbol = found;
    return ERR_OK;
}

static enum err want_declared(struct pack *p)
{
    enum err e = ERR_OK;

    for (size_t i = 0; i < p->declaration->exports && e == ERR_OK; i++) {
        e = find_defined(p, p->declaration->export[i].symbol, true, "export", &p->export[i]);
        p->wanted[p->export[i]] = e == ERR_OK;
    }
    for (enum declared_role r = 0; r < ROLES && e == ERR_OK; r++)
        if (p->declaration->role[r]) {
            e = find_defined(p, p->declaration->role[r], false, declaration_role[r], &p->role[r]);
            p->wanted[p->role[r]] = e == ERR_OK;
        }
    p->wanted[0] = false;
    return e;
}

/* Functions and data keep their names, exported or not: for people who look at faults. */
static enum err want_named(struct pack *p)
{
    for (size_t i = 1; i < p->in->symbols; i++) {
        const struct symbol *s = &p->in->symbol[i];
        unsigned type = GELF_ST_TYPE(s->sym.st_info);

        if (s->sym.st_shndx == SHN_COMMON)
            return complain(ERR_UNSUPPORTED, p->in->path, "%s is a common symbol; compile with -fno-common", s->name);
        if (in_kept_section(p, &s->sym) && (type == STT_FUNC || type == STT_OBJECT))
            p->wanted[i] = true;
        if (p->wanted[i] && !is_defined(&s->sym) && strlen(s->name) >= NOTE_SYMBOL_BYTES)
            return complain(ERR_RANGE, p->in->path, "imported symbol %s: longer than %d characters", s->name,
                            NOTE_SYMBOL_BYTES - 1);
    }
    return ERR_OK;
}

static bool is_exported(const struct pack *p, size_t symbol)
{
    for (size_t i = 0; i < p->declaration->exports; i++)
        if (p->export[i] == symbol)
            return true;
    return false;
}

static void number_symbol(struct pack *p, size_t i, unsigned bind)
{
    const struct symbol *s = &p->in->symbol[i];
    Elf64_Sym *out = &p->table[p->symbols];
    unsigned type = GELF_ST_TYPE(s->sym.st_info);

    *out = s->sym;
    out->st_name = type == STT_SECTION ? 0 : strings_add(&p->strings, s->name);
    out->st_info = GELF_ST_INFO(bind, type);
    out->st_other = STV_DEFAULT;
    if (s->sym.st_shndx < SHN_LORESERVE)
        out->st_shndx = (Elf64_Half)p->section[s->sym.st_shndx];
    p->number[i] = (uint32_t)p->symbols++;
}

/* Locals come first in a symbol table. */
static void number_symbols(struct pack *p)
{
    p->symbols = 1;
    for (size_t i = 1; i < p->in->symbols; i++)
        if (p->wanted[i] && is_defined(&p->in->symbol[i].sym) && !is_exported(p, i))
            number_symbol(p, i, STB_LOCAL);
    p->locals = p->symbols;
    for (size_t i = 1; i < p->in->symbols; i++)
        if (p->wanted[i] && is_exported(p, i))
            number_symbol(p, i, STB_GLOBAL);
        else if (p->wanted[i] && !is_defined(&p->in->symbol[i].sym))
            number_symbol(p, i, GELF_ST_BIND(p->in->symbol[i].sym.st_info));
}

static void put_note(struct pack *p, enum note_type type, const void *data, size_t bytes)
{
    const Elf64_Nhdr header = {.n_namesz = sizeof NOTE_OWNER, .n_descsz = (Elf64_Word)bytes, .n_type = type};
    uint8_t *at = p->note + p->note_bytes;

    memcpy(at, &header, sizeof header);
    memcpy(at + sizeof header, NOTE_OWNER, sizeof NOTE_OWNER);
    if (bytes)
        memcpy(at + sizeof header + 8, data, bytes);
    p->note_bytes += sizeof header + 8 + bytes;
}
_Static_assert(sizeof NOTE_OWNER <= 8 && sizeof NOTE_OWNER > 4, "the owner takes eight bytes in the file");

static void note_cell(struct pack *p)
{
    struct note_cell cell = {.abi = NOTE_ABI,
                             .version = p->declaration->version,
                             .kind = p->declaration->kind,
                             .flags = p->declaration->flags};

    memcpy(cell.name, p->declaration->name, sizeof cell.name);
    cell.init = p->number[p->role[ROLE_INIT]];
    cell.main = p->number[p->role[ROLE_MAIN]];
    cell.transfer = p->number[p->role[ROLE_TRANSFER]];
    cell.done = p->number[p->role[ROLE_DONE]];
    put_note(p, NOTE_CELL, &cell, sizeof cell);
}

static int by_symbol(const void *a, const void *b)
{
    const struct note_symbol *x = a, *y = b;

    return (x->symbol > y->symbol) - (x->symbol < y->symbol);
}

static enum err note_export(const struct pack *p, size_t export, struct note_symbol *ret_note)
{
    const struct declared_export *said = &p->declaration->export[export];
    struct types_of type = types_hash(p->types, said->symbol);

    *ret_note = (struct note_symbol){
        .symbol = p->number[p->export[export]], .access = said->access, .type_hash = type.hash, .deep_hash = type.deep};
    return p->packing->untyped ? ERR_OK : untyped_export(p->in, said->symbol, type.known);
}

static enum err note_import(const struct pack *p, size_t symbol, struct note_symbol *ret_note)
{
    const char *name = p->in->symbol[symbol].name;
    struct types_of type = types_hash(p->types, name);

    *ret_note = (struct note_symbol){.symbol = p->number[symbol], .type_hash = type.hash};
    return p->packing->untyped ? ERR_OK : untyped_import(p->in, name, type.known);
}

/* In the order of the symbols, in which the loader looks for them. */
static enum err note_symbols(struct pack *p, struct note_symbol *list)
{
    enum err e = ERR_OK;
    size_t n = 0;

    for (size_t i = 0; i < p->declaration->exports && e == ERR_OK; i++)
        e = note_export(p, i, &list[n++]);
    qsort(list, n, sizeof *list, by_symbol);
    put_note(p, NOTE_EXPORT, list, n * sizeof *list);
    n = 0;
    for (size_t i = 1; i < p->in->symbols && e == ERR_OK; i++)
        if (p->wanted[i] && !is_defined(&p->in->symbol[i].sym))
            e = note_import(p, i, &list[n++]);
    qsort(list, n, sizeof *list, by_symbol);
    put_note(p, NOTE_IMPORT, list, n * sizeof *list);
    return e;
}

static bool is_static_data(const struct pack *p, size_t section)
{
    const GElf_Shdr *h = &p->in->section[section].header;

    return p->keep[section] && h->sh_flags & SHF_WRITE && h->sh_size > 0;
}

static enum err hash_section_data(const struct pack *p, size_t section, struct note_data *note)
{
    const GElf_Shdr *h = &p->in->section[section].header;
    size_t count;
    const struct datum *data = types_data(p->types, section, h->sh_size, h->sh_addralign, &count);
    bool named = data && identity_is_name(p->names.name[section], data, count);

    if (data) {
        note->type_hash = hash_data(data, count, named, types_tags(p->types), false);
        note->deep_hash = hash_data(data, count, named, types_tags(p->types), true);
    }
    if (note->type_hash && note->deep_hash)
        return ERR_OK;
    note->type_hash = note->deep_hash = 0;
    return p->packing->untyped ? ERR_OK : untyped_data(p->in, section, data, count);
}

static enum err hash_section_function(const struct pack *p, size_t section, struct note_data *note)
{
    const char *name = section_function(p->in, section);
    struct described function;

    if (name && types_function(p->types, section, 0, name, &function)) {
        note->type_hash = hash_function(&function.die, NULL);
        note->deep_hash = hash_function(&function.die, types_tags(p->types));
    }
    if (!note->type_hash || !note->deep_hash)
        note->type_hash = note->deep_hash = 0;
    return p->packing->untyped ? ERR_OK : untyped_functions(p->in, p->types, section);
}

/* In the order of the sections, which is the same in the input and the output. */
static enum err note_data(struct pack *p, struct note_data *list)
{
    enum err e = ERR_OK;
    size_t n = 0;

    for (size_t i = 1; i < p->in->sections && e == ERR_OK; i++) {
        struct note_data note = {.section = (uint32_t)p->section[i]};

        if (is_static_data(p, i)) {
            e = hash_section_data(p, i, &note);
            note.datum = p->datum[i];
            list[n++] = note;
        } else if (p->keep[i] && p->in->section[i].header.sh_flags & SHF_EXECINSTR) {
            e = hash_section_function(p, i, &note);
            if (note.type_hash)
                list[n++] = note;
        }
    }
    put_note(p, NOTE_DATA, list, n * sizeof *list);
    return e;
}

/* The contents of the note on pointers to functions. False: no memory. */
static bool make_graph(const struct pack *p, void **ret_note, size_t *ret_bytes)
{
    OWN(graph) struct graph *graph = graph_new(p->types);

    for (size_t i = 1; graph && i < p->in->sections; i++) {
        const struct section *s = &p->in->section[i];
        size_t count;
        if (!is_static_data(p, i))
            continue;
        const struct datum *data = types_data(p->types, i, s->header.sh_size, s->header.sh_addralign, &count);
        if (data)
            graph_add(graph, p->names.name[i], (uint32_t)p->section[i], s->header.sh_size, data, count);
    }
    return graph && graph_note(graph, ret_note, ret_bytes);
}

/* The contents of the note on what data must be: *ret_note NULL: there is none, as for cells of the foundation and
 * the core, whose data nobody replaces. */
static enum err make_rules(const struct pack *p, void **ret_note, size_t *ret_bytes)
{
    OWN(rules) struct rules *rules = rules_new(p->types);
    Dwarf_Die function;

    *ret_bytes = 0;
    if (p->declaration->flags & (NOTE_FOUNDATION | NOTE_CORE) || p->packing->untyped)
        return ERR_OK;
    for (size_t i = 1; rules && i < p->in->sections; i++) {
        const struct section *s = &p->in->section[i];
        size_t count;
        const struct datum *data = is_static_data(p, i) ? types_listed(p->types, i, &count) : NULL;
        if (data)
            rules_add(rules, p->names.name[i], (uint32_t)p->section[i], s->header.sh_size, data, count);
    }
    for (size_t i = 0; rules && i < p->declaration->exports; i++)
        if (types_find(p->types, p->declaration->export[i].symbol, &function))
            rules_add_function(rules, &function);
    enum err e = rules ? rules_add_invariants(rules, p->declaration, p->in->path) : ERR_NOMEM;
    if (e == ERR_OK && !rules_note(rules, ret_note, ret_bytes))
        e = ERR_NOMEM;
    return e == ERR_NOMEM ? complain(e, p->in->path, "out of memory") : e;
}

static enum err make_notes(struct pack *p)
{
    OWN(memory) struct note_symbol *symbols = calloc(p->symbols, sizeof *symbols);
    OWN(memory) struct note_data *data = calloc(p->in->sections, sizeof *data);
    OWN(memory) void *pointers = NULL, *rules = NULL;
    size_t pointer_bytes, rule_bytes;

    if (!symbols || !data || !make_graph(p, &pointers, &pointer_bytes))
        return complain(ERR_NOMEM, p->in->path, "out of memory");
    enum err e = make_rules(p, &rules, &rule_bytes);
    if (e != ERR_OK)
        return e;
    p->note = calloc(1, 6 * (sizeof(Elf64_Nhdr) + 8) + rule_bytes + 4 + sizeof(struct note_cell) +
                            p->symbols * sizeof *symbols + p->in->sections * sizeof *data + pointer_bytes);
    if (!p->note)
        return complain(ERR_NOMEM, p->in->path, "out of memory");
    note_cell(p);
    e = note_symbols(p, symbols);
    if (e == ERR_OK)
        e = note_data(p, data);
    if (pointers)
        put_note(p, NOTE_POINTERS, pointers, pointer_bytes);
    if (rules)
        put_note(p, NOTE_RULES, rules, rule_bytes);
    return e;
}

static bool copy_relocation(void *context, const GElf_Rela *relocation)
{
    struct pack *p = context;
    Elf64_Rela *out = &p->relocations[p->rela][p->filled++];

    *out = *relocation;
    out->r_info = GELF_R_INFO((uint64_t)p->number[GELF_R_SYM(relocation->r_info)], GELF_R_TYPE(relocation->r_info));
    return true;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak" /* they are in `p` */
static enum err copy_relocations(struct pack *p)
{
    for (size_t i = 1; i < p->in->sections; i++) {
        if (!is_rela_of_kept(p, i) || p->in->section[i].bytes < sizeof(Elf64_Rela))
            continue;
        p->relocations[i] = malloc(p->in->section[i].bytes);
        if (!p->relocations[i])
            return complain(ERR_NOMEM, p->in->path, "out of memory");
        p->rela = i;
        p->filled = 0;
        if (!elf_file_relocations(p->in, i, copy_relocation, p))
            return p->error;
    }
    return ERR_OK;
}
#pragma GCC diagnostic pop

/* What has no bytes but is referred to, as a structure without members is, gets one that nobody writes, so that it has
 * an address. */
static void write_section(struct elf_out *out, const char *name, const struct section *s)
{
    static const uint8_t byte = 0xcc; /* where it is code, a trap */
    GElf_Shdr header = s->header;

    header.sh_flags &= ~(GElf_Xword)SHF_GROUP;
    if (header.sh_size == 0) {
        header.sh_type = SHT_PROGBITS;
        header.sh_flags &= ~(GElf_Xword)SHF_WRITE;
    }
    elf_out_section(out, name, &header, header.sh_size ? s->data : &byte, header.sh_size ? s->bytes : 1);
}

static void write_relocations(struct pack *p, struct elf_out *out, size_t symtab)
{
    for (size_t i = 1; i < p->in->sections; i++) {
        const struct section *s = &p->in->section[i];
        const GElf_Shdr header = {
            .sh_type = SHT_RELA, .sh_flags = SHF_INFO_LINK, .sh_addralign = 8, .sh_entsize = sizeof(Elf64_Rela)};

        if (!p->relocations[i])
            continue;
        CLOSED_BY(names_done) struct names made = {0};
        const char *name = names_join(&made, ".rela", p->names.name[s->header.sh_info], "");
        size_t index =
            elf_out_section(out, name, &header, p->relocations[i], s->bytes / sizeof(Elf64_Rela) * sizeof(Elf64_Rela));
        elf_out_link(out, index, symtab, p->section[s->header.sh_info]);
    }
}

/* Output order: kept sections, notes, relocations, symbols, names. The first part must agree with number_sections. */
static enum err write_all(struct pack *p, const char *path)
{
    const GElf_Shdr note = {.sh_type = SHT_NOTE, .sh_addralign = 4};
    const GElf_Shdr places = {.sh_type = SHT_PROGBITS, .sh_addralign = 8};
    const GElf_Shdr symtab = {.sh_type = SHT_SYMTAB, .sh_addralign = 8, .sh_entsize = sizeof(Elf64_Sym)};
    const GElf_Shdr strtab = {.sh_type = SHT_STRTAB, .sh_addralign = 1};
    struct elf_out *out = elf_out_new(path, p->in->header.e_type, p->in->header.e_entry);

    if (!out)
        return ERR_IO;
    for (size_t i = 1; i < p->in->sections; i++)
        if (p->keep[i])
            write_section(out, p->names.name[i], &p->in->section[i]);
    elf_out_section(out, NOTE_SECTION, &note, p->note, p->note_bytes);
    if (p->packing->places)
        elf_out_section(out, NOTE_IMAGE, &places, p->packing->places, p->packing->places_bytes);
    size_t symbols = elf_out_section(out, ".symtab", &symtab, p->table, p->symbols * sizeof *p->table);
    size_t names =
        elf_out_section(out, ".strtab", &strtab, p->strings.text ?: "", p->strings.bytes ?: 1); /* the empty name */
    elf_out_link(out, symbols, names, p->locals);
    write_relocations(p, out, symbols);
    return elf_out_finish(out);
}

static void number_sections(struct pack *p)
{
    size_t next = 1;

    for (size_t i = 1; i < p->in->sections; i++)
        if (p->keep[i])
            p->section[i] = next++;
}

static enum err choose_parts(struct pack *p)
{
    enum err e = choose_sections(p);

    if (e == ERR_OK)
        e = want_relocated(p);
    if (e == ERR_OK)
        e = datum_mark(p->in, p->declaration, p->keep, p->datum);
    if (e == ERR_OK)
        e = want_declared(p);
    if (e == ERR_OK)
        e = want_named(p);
    if (e != ERR_OK || p->packing->untyped)
        return e;
    const struct kept kept = {.in = p->in,
                              .section = p->keep,
                              .symbol = p->wanted,
                              .export = p->export,
                              .role = p->role,
                              .exports = p->declaration->exports};
    return limits_check(&kept);
}

static enum err pack_all(struct pack *p, const char *out)
{
    enum err e = choose_parts(p);

    if (e != ERR_OK)
        return e;
    number_sections(p);
    number_symbols(p);
    if (p->strings.failed)
        return complain(ERR_NOMEM, p->in->path, "out of memory");
    e = section_names_make(&p->names, p->in, p->types);
    if (e == ERR_OK)
        e = make_notes(p);
    if (e == ERR_OK)
        e = copy_relocations(p);
    return e == ERR_OK ? write_all(p, out) : e;
}

static void pack_done(struct pack *p)
{
    for (size_t i = 0; p->relocations && i < p->in->sections; i++)
        free(p->relocations[i]);
    free(p->relocations);
    free(p->datum);
    free(p->export);
    free(p->table);
    free(p->number);
    free(p->wanted);
    free(p->section);
    free(p->keep);
    strings_done(&p->strings);
    section_names_done(&p->names);
    free(p->note);
}

enum err pack_object(const struct elf_file *in, const struct packing *packing, const struct declaration *declaration,
                     const struct types *types, const char *out)
{
    CLOSED_BY(pack_done)
    struct pack p = {
        .in = in,
        .packing = packing,
        .declaration = declaration,
        .types = types,
        .keep = calloc(in->sections, sizeof *p.keep),
        .section = calloc(in->sections, sizeof *p.section),
        .wanted = calloc(in->symbols + 1, sizeof *p.wanted),
        .number = calloc(in->symbols + 1, sizeof *p.number),
        .table = calloc(in->symbols + 1, sizeof *p.table),
        .datum = calloc(in->sections, sizeof *p.datum),
        .export = calloc(declaration->exports + 1, sizeof *p.export),
        .relocations = calloc(in->sections, sizeof *p.relocations),
    };

    if (!p.keep || !p.section || !p.wanted || !p.number || !p.table || !p.datum || !p.export || !p.relocations)
        return complain(ERR_NOMEM, in->path, "out of memory");
    return pack_all(&p, out);
}
