/* See pack.h. Order of work: choose sections, then symbols, then number them, then write. */
#include "cells/tool/pack.h"
#include "cells/tool/graph.h"
#include "cells/tool/out.h"
#include <stdlib.h>
#include <string.h>

struct pack {
    const struct object *in;
    const struct packing *packing;
    const struct say *say;
    const struct types *types;
    bool *keep;       /* by input section */
    size_t *section;  /* input section -> output section */
    bool *wanted;     /* by input symbol */
    uint32_t *number; /* input symbol -> output symbol */
    Elf64_Sym *table; /* the output's */
    size_t symbols, locals;
    struct strings strings;
    size_t role[SAY_ROLES]; /* input symbol or 0 */
    size_t *export;         /* input symbol, by index in say->export */
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
            if (!object_relocations(p->in, i, want_target, p))
                return p->error;
        }
    return ERR_OK;
}

/* The defined symbol `name`. `what` is for the message. */
static enum err find_symbol(struct pack *p, const char *name, bool global, const char *what, size_t *ret_symbol)
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
        return complain(ERR_NOT_FOUND, p->in->path, "%s %s: not defined here", what, name);
    *ret_symbol = found;
    return ERR_OK;
}

static enum err want_said(struct pack *p)
{
    enum err e = ERR_OK;

    for (size_t i = 0; i < p->say->exports && e == ERR_OK; i++) {
        e = find_symbol(p, p->say->export[i].symbol, true, "export", &p->export[i]);
        p->wanted[p->export[i]] = e == ERR_OK;
    }
    for (enum say_role r = 0; r < SAY_ROLES && e == ERR_OK; r++)
        if (p->say->role[r]) {
            e = find_symbol(p, p->say->role[r], false, say_role_name[r], &p->role[r]);
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
    for (size_t i = 0; i < p->say->exports; i++)
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
    struct note_cell cell = {.abi = NOTE_ABI, .version = p->say->version, .kind = p->say->kind, .flags = p->say->flags};

    memcpy(cell.name, p->say->name, sizeof cell.name);
    cell.init = p->number[p->role[SAY_INIT]];
    cell.main = p->number[p->role[SAY_MAIN]];
    cell.transfer = p->number[p->role[SAY_TRANSFER]];
    cell.done = p->number[p->role[SAY_DONE]];
    put_note(p, NOTE_CELL, &cell, sizeof cell);
}

static int by_symbol(const void *a, const void *b)
{
    const struct note_symbol *x = a, *y = b;

    return (x->symbol > y->symbol) - (x->symbol < y->symbol);
}

/* In the order of the symbols, in which the loader looks for them. */
static void note_symbols(struct pack *p, struct note_symbol *list)
{
    size_t n = 0;

    for (size_t i = 0; i < p->say->exports; i++)
        list[n++] = (struct note_symbol){.symbol = p->number[p->export[i]],
                                         .access = p->say->export[i].access,
                                         .type_hash = types_hash(p->types, p->say->export[i].symbol),
                                         .deep_hash = types_deep_hash(p->types, p->say->export[i].symbol)};
    qsort(list, n, sizeof *list, by_symbol);
    put_note(p, NOTE_EXPORT, list, n * sizeof *list);
    n = 0;
    for (size_t i = 1; i < p->in->symbols; i++)
        if (p->wanted[i] && !is_defined(&p->in->symbol[i].sym))
            list[n++] =
                (struct note_symbol){.symbol = p->number[i], .type_hash = types_hash(p->types, p->in->symbol[i].name)};
    qsort(list, n, sizeof *list, by_symbol);
    put_note(p, NOTE_IMPORT, list, n * sizeof *list);
}

static bool is_static_data(const struct pack *p, size_t section)
{
    const GElf_Shdr *h = &p->in->section[section].header;

    return p->keep[section] && h->sh_flags & SHF_WRITE && h->sh_size > 0;
}

/* False: no memory. */
static bool hash_section_data(const struct pack *p, size_t section, struct note_data *note)
{
    const GElf_Shdr *h = &p->in->section[section].header;
    size_t count;
    const struct datum *data = types_data(p->types, section, h->sh_size, h->sh_addralign, &count);

    if (!data)
        return true;
    note->type_hash = hash_data(data, count, NULL);
    note->deep_hash = hash_data(data, count, types_tags(p->types));
    return note->type_hash && note->deep_hash;
}

/* The function that the section consists of; NULL: it is none, or several. */
static const char *function_of(const struct pack *p, size_t section)
{
    const char *found = NULL;

    for (size_t i = 1; i < p->in->symbols; i++) {
        const GElf_Sym *sym = &p->in->symbol[i].sym;
        if (sym->st_shndx != section || GELF_ST_TYPE(sym->st_info) != STT_FUNC)
            continue;
        if (found || sym->st_value != 0)
            return NULL;
        found = p->in->symbol[i].name;
    }
    return found;
}

static bool hash_section_function(const struct pack *p, size_t section, struct note_data *note)
{
    const char *name = function_of(p, section);
    Dwarf_Die die;

    if (!name || !types_function(p->types, section, name, &die))
        return true;
    note->type_hash = hash_function(&die, NULL);
    note->deep_hash = hash_function(&die, types_tags(p->types));
    return note->type_hash && note->deep_hash;
}

/* In the order of the sections, since both files have the same. */
static bool note_data(struct pack *p, struct note_data *list)
{
    bool failed = false;
    size_t n = 0;

    for (size_t i = 1; i < p->in->sections; i++) {
        struct note_data note = {.section = (uint32_t)p->section[i]};

        if (is_static_data(p, i)) {
            failed |= !hash_section_data(p, i, &note);
            list[n++] = note;
        } else if (p->keep[i] && p->in->section[i].header.sh_flags & SHF_EXECINSTR) {
            failed |= !hash_section_function(p, i, &note);
            if (note.type_hash)
                list[n++] = note;
        }
    }
    put_note(p, NOTE_DATA, list, n * sizeof *list);
    return !failed;
}

/* The contents of the note on pointers to functions. False: no memory. */
static bool make_graph(const struct pack *p, void **ret_note, size_t *ret_bytes)
{
    struct graph *graph = graph_new(p->types);

    for (size_t i = 1; graph && i < p->in->sections; i++) {
        const struct section *s = &p->in->section[i];
        size_t count;
        if (!is_static_data(p, i))
            continue;
        const struct datum *data = types_data(p->types, i, s->header.sh_size, s->header.sh_addralign, &count);
        if (data)
            graph_add(graph, s->name, (uint32_t)p->section[i], s->header.sh_size, data, count);
    }
    bool done = graph && graph_note(graph, ret_note, ret_bytes);
    graph_free(graph);
    return done;
}

static enum err make_notes(struct pack *p)
{
    struct note_symbol *symbols = calloc(p->symbols, sizeof *symbols);
    struct note_data *data = calloc(p->in->sections, sizeof *data);
    void *pointers = NULL;
    size_t pointer_bytes;
    bool done = symbols && data && make_graph(p, &pointers, &pointer_bytes);

    if (done)
        p->note = calloc(1, 5 * (sizeof(Elf64_Nhdr) + 8) + sizeof(struct note_cell) + p->symbols * sizeof *symbols +
                                p->in->sections * sizeof *data + pointer_bytes);
    if (p->note) {
        note_cell(p);
        note_symbols(p, symbols);
        done = note_data(p, data);
        if (pointers)
            put_note(p, NOTE_POINTERS, pointers, pointer_bytes);
    }
    done &= p->note != NULL;
    free(pointers);
    free(data);
    free(symbols);
    return done ? ERR_OK : complain(ERR_NOMEM, p->in->path, "out of memory");
}

static bool copy_relocation(void *context, const GElf_Rela *relocation)
{
    struct pack *p = context;
    Elf64_Rela *out = &p->relocations[p->rela][p->filled++];

    *out = *relocation;
    out->r_info = GELF_R_INFO((uint64_t)p->number[GELF_R_SYM(relocation->r_info)], GELF_R_TYPE(relocation->r_info));
    return true;
}

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
        if (!object_relocations(p->in, i, copy_relocation, p))
            return p->error;
    }
    return ERR_OK;
}

static void write_section(struct out *out, const struct section *s)
{
    GElf_Shdr header = s->header;

    header.sh_flags &= ~(GElf_Xword)SHF_GROUP;
    out_section(out, s->name, &header, s->data, s->bytes);
}

static void write_relocations(struct pack *p, struct out *out, size_t symtab)
{
    for (size_t i = 1; i < p->in->sections; i++) {
        const struct section *s = &p->in->section[i];
        const GElf_Shdr header = {
            .sh_type = SHT_RELA, .sh_flags = SHF_INFO_LINK, .sh_addralign = 8, .sh_entsize = sizeof(Elf64_Rela)};

        if (!p->relocations[i])
            continue;
        size_t index =
            out_section(out, s->name, &header, p->relocations[i], s->bytes / sizeof(Elf64_Rela) * sizeof(Elf64_Rela));
        out_link(out, index, symtab, p->section[s->header.sh_info]);
    }
}

/* Output order: kept sections, notes, relocations, symbols, names. The first part must agree with number_sections. */
static enum err write_all(struct pack *p, const char *path)
{
    const GElf_Shdr note = {.sh_type = SHT_NOTE, .sh_addralign = 4};
    const GElf_Shdr places = {.sh_type = SHT_PROGBITS, .sh_addralign = 8};
    const GElf_Shdr symtab = {.sh_type = SHT_SYMTAB, .sh_addralign = 8, .sh_entsize = sizeof(Elf64_Sym)};
    const GElf_Shdr strtab = {.sh_type = SHT_STRTAB, .sh_addralign = 1};
    struct out *out = out_new(path, p->in->header.e_type, p->in->header.e_entry);

    if (!out)
        return ERR_IO;
    for (size_t i = 1; i < p->in->sections; i++)
        if (p->keep[i])
            write_section(out, &p->in->section[i]);
    out_section(out, NOTE_SECTION, &note, p->note, p->note_bytes);
    if (p->packing->places)
        out_section(out, NOTE_IMAGE, &places, p->packing->places, p->packing->places_bytes);
    size_t symbols = out_section(out, ".symtab", &symtab, p->table, p->symbols * sizeof *p->table);
    size_t names =
        out_section(out, ".strtab", &strtab, p->strings.text ?: "", p->strings.bytes ?: 1); /* the empty name */
    out_link(out, symbols, names, p->locals);
    write_relocations(p, out, symbols);
    return out_finish(out);
}

static void number_sections(struct pack *p)
{
    size_t next = 1;

    for (size_t i = 1; i < p->in->sections; i++)
        if (p->keep[i])
            p->section[i] = next++;
}

static enum err choose(struct pack *p)
{
    enum err e = choose_sections(p);

    if (e == ERR_OK)
        e = want_relocated(p);
    if (e == ERR_OK)
        e = want_said(p);
    if (e == ERR_OK)
        e = want_named(p);
    return e;
}

static enum err pack_in(struct pack *p, const char *out)
{
    enum err e = choose(p);

    if (e != ERR_OK)
        return e;
    number_sections(p);
    number_symbols(p);
    if (p->strings.failed)
        return complain(ERR_NOMEM, p->in->path, "out of memory");
    e = make_notes(p);
    if (e == ERR_OK)
        e = copy_relocations(p);
    return e == ERR_OK ? write_all(p, out) : e;
}

enum err pack(const struct object *in, const struct packing *packing, const struct say *say, const struct types *types,
              const char *out)
{
    struct pack p = {
        .in = in,
        .packing = packing,
        .say = say,
        .types = types,
        .keep = calloc(in->sections, sizeof *p.keep),
        .section = calloc(in->sections, sizeof *p.section),
        .wanted = calloc(in->symbols + 1, sizeof *p.wanted),
        .number = calloc(in->symbols + 1, sizeof *p.number),
        .table = calloc(in->symbols + 1, sizeof *p.table),
        .export = calloc(say->exports + 1, sizeof *p.export),
        .relocations = calloc(in->sections, sizeof *p.relocations),
    };
    enum err e = p.keep && p.section && p.wanted && p.number && p.table && p.export && p.relocations
                     ? pack_in(&p, out)
                     : complain(ERR_NOMEM, in->path, "out of memory");

    for (size_t i = 0; p.relocations && i < in->sections; i++)
        free(p.relocations[i]);
    free(p.relocations);
    free(p.export);
    free(p.table);
    free(p.number);
    free(p.wanted);
    free(p.section);
    free(p.keep);
    free(p.strings.text);
    free(p.note);
    return e;
}
