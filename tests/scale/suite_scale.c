/* More than 10,000 made-up cells with 100,000 edges between them: what a lookup, a load, a swap and an unload cost must
 * depend on what they touch and not on what is loaded. Judged by the records that are looked at, never by time; times
 * go with them to the file that SCALE_ROWS names. Built with the capacities of tests/scale/guest/abi/capacity.h. */
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/edge/edge.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/loader/loader.h"
#include "guest/abi/note.h"
#include "guest/abi/object.h"
#include "tests/hosted/stand_in.h"
#include <check.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Suite *suite_scale(void);

enum { NEEDS = 10, CELLS = 10010, PROBE = CELLS, EDGES_MOST = 4096 };

static struct report report;

/* ---- objects ---- */

enum { NONE, CALLER, LEAF, RELA, NOTE, SYMTAB, STRTAB, NAMES, SECTIONS };

static struct {
    uint8_t bytes[256 * 1024];
    size_t used;
    char names[32 * 1024];
    size_t names_used;
} file;

static Elf64_Word add_name(const char *name)
{
    size_t at = file.names_used;

    strcpy(file.names + at, name);
    file.names_used += strlen(name) + 1;
    return (Elf64_Word)at;
}

static Elf64_Word add_number(const char *letter, unsigned cell, const char *end)
{
    char name[32];

    snprintf(name, sizeof name, "%s%u%s", letter, cell, end);
    return add_name(name);
}

static void *add_bytes(size_t bytes, Elf64_Shdr *ret_section)
{
    void *at = file.bytes + file.used;

    ck_assert_uint_lt(file.used + bytes + 8, sizeof file.bytes);
    ret_section->sh_offset = file.used;
    ret_section->sh_size = bytes;
    file.used = (file.used + bytes + 7) & ~7ul;
    return at;
}

static uint8_t *add_note(uint8_t *at, unsigned type, const void *data, size_t bytes)
{
    const Elf64_Nhdr header = {.n_namesz = sizeof NOTE_OWNER, .n_descsz = (Elf64_Word)bytes, .n_type = type};

    memcpy(at, &header, sizeof header);
    memcpy(at + sizeof header, NOTE_OWNER, sizeof NOTE_OWNER);
    memcpy(at + sizeof header + 8, data, bytes);
    return at + sizeof header + 8 + bytes;
}

static void add_notes(unsigned cell, unsigned needs, Elf64_Shdr *section)
{
    struct note_cell note = {.abi = NOTE_ABI, .version = 1, .kind = CELL_KERNEL};
    struct note_symbol export[2] = {{1, ACCESS_APPLICATION, 7, 9}, {2, ACCESS_APPLICATION, 7, 9}}, import[64];
    uint8_t *at =
        add_bytes(3 * (sizeof(Elf64_Nhdr) + 8) + sizeof note + sizeof export + needs * sizeof *import, section);

    snprintf(note.name, sizeof note.name, "c%u", cell);
    at = add_note(at, NOTE_CELL, &note, sizeof note);
    at = add_note(at, NOTE_EXPORT, export, sizeof export);
    for (unsigned i = 0; i < needs; i++)
        import[i] = (struct note_symbol){.symbol = 3 + i, .type_hash = 7};
    add_note(at, NOTE_IMPORT, import, needs * sizeof *import);
}

/* Function "s<cell>_caller" with `edges` call sites, function "s<cell>_leaf", and the relocations of the call sites. */
static void add_text(unsigned needs, unsigned edges, Elf64_Shdr *s)
{
    s[CALLER] = (Elf64_Shdr){.sh_type = SHT_PROGBITS, .sh_flags = SHF_ALLOC | SHF_EXECINSTR, .sh_addralign = 16};
    s[LEAF] = s[CALLER];
    memset(add_bytes(edges ? edges * 4ul : 16, &s[CALLER]), 0x90, 1);
    memset(add_bytes(16, &s[LEAF]), 0x90, 16);
    s[RELA] = (Elf64_Shdr){.sh_type = SHT_RELA, .sh_link = SYMTAB, .sh_info = CALLER, .sh_entsize = sizeof(Elf64_Rela)};
    Elf64_Rela *rela = add_bytes(edges * sizeof *rela, &s[RELA]);
    for (unsigned i = 0; i < edges; i++)
        rela[i] =
            (Elf64_Rela){.r_offset = i * 4ul, .r_info = ELF64_R_INFO(3 + i % needs, R_X86_64_PLT32), .r_addend = -4};
}

static void add_symbols(unsigned cell, const unsigned *need, unsigned needs, Elf64_Shdr *section)
{
    *section = (Elf64_Shdr){.sh_type = SHT_SYMTAB, .sh_link = STRTAB, .sh_info = 1, .sh_entsize = sizeof(Elf64_Sym)};
    Elf64_Sym *symbol = add_bytes((3 + needs) * sizeof *symbol, section);

    symbol[1] = (Elf64_Sym){add_number("s", cell, "_caller"), ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), 0, CALLER, 0, 4};
    symbol[2] = (Elf64_Sym){add_number("s", cell, "_leaf"), ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), 0, LEAF, 0, 16};
    for (unsigned i = 0; i < needs; i++)
        symbol[3 + i] =
            (Elf64_Sym){add_number("s", need[i], "_leaf"), ELF64_ST_INFO(STB_GLOBAL, STT_NOTYPE), 0, 0, 0, 0};
}

static const Elf64_Ehdr file_header = {
    .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
    .e_type = ET_REL,
    .e_machine = EM_X86_64,
    .e_version = EV_CURRENT,
    .e_ehsize = sizeof(Elf64_Ehdr),
    .e_shentsize = sizeof(Elf64_Shdr),
    .e_shnum = SECTIONS,
    .e_shstrndx = NAMES,
};

/* Cell `cell`, whose function has `edges` relocations by `needs` functions, one of each cell in `need`. */
static size_t make_object(unsigned cell, const unsigned *need, unsigned needs, unsigned edges)
{
    static const char *const name[SECTIONS] = {"",           ".text.caller", ".text.leaf", ".rela.text.caller",
                                               NOTE_SECTION, ".symtab",      ".strtab",    ".shstrtab"};
    Elf64_Shdr s[SECTIONS] = {0}, table;
    Elf64_Ehdr *h = (void *)file.bytes;

    memset(&file, 0, sizeof file);
    file.used = sizeof *h;
    file.names_used = 1;
    add_text(needs, edges, s);
    s[NOTE] = (Elf64_Shdr){.sh_type = SHT_NOTE, .sh_addralign = 4};
    add_notes(cell, needs, &s[NOTE]);
    add_symbols(cell, need, needs, &s[SYMTAB]);
    for (unsigned i = 1; i < SECTIONS; i++)
        s[i].sh_name = add_name(name[i]);
    s[STRTAB].sh_type = s[NAMES].sh_type = SHT_STRTAB;
    memcpy(add_bytes(file.names_used, &s[STRTAB]), file.names, file.names_used);
    s[NAMES].sh_offset = s[STRTAB].sh_offset, s[NAMES].sh_size = s[STRTAB].sh_size;
    *h = file_header;
    h->e_shoff = file.used;
    memcpy(add_bytes(sizeof s, &table), s, sizeof s);
    h->e_flags = object_seal(file.bytes, file.used);
    return file.used;
}

/* ---- what is measured ---- */

struct cost {
    uint64_t visits, ns;
};

static struct cost now(void)
{
    return (struct cost){arena_header()->counter[COUNTER_visits], cpu_ns()};
}

static struct cost since(struct cost before)
{
    struct cost at = now();

    return (struct cost){at.visits - before.visits, at.ns - before.ns};
}

/* Within what is measured: a check of libcheck takes longer than a lookup, even where it holds. */
static void must(enum err err)
{
    if (err)
        ck_abort_msg("%s: %s", err_text(err), report.text);
}

static struct cell_ref stage(size_t bytes, struct cell_ref old)
{
    struct object_ref object;
    struct cell_ref cell;

    must(lifecycle_keep_object(file.bytes, bytes, &object, &report));
    struct loader_input input = {
        .namespace_ = NAMESPACE_ROOT, .object = &object, .objects = 1, .old = &old, .olds = old.index != 0};
    must(loader_stage(&input, &cell, &report));
    return cell;
}

static struct cell_ref load(size_t bytes)
{
    struct cell_ref cell = stage(bytes, NO_CELL);

    lifecycle_publish(cell);
    must(loader_initialize(cell, &report));
    return cell;
}

static struct symbol_ref symbol_of(struct cell_ref cell, uint32_t name)
{
    for_each_symbol_of (symbol, cell)
        if (arena_symbol(symbol)->name == name)
            return symbol;
    ck_abort_msg("no symbol %s", arena_string(name));
}

/* By another copy of the object in `file`. */
static struct cell_ref swap(struct cell_ref old, size_t bytes)
{
    struct cell_ref new = stage(bytes, old);

    for_each_section_of (s, old)
        for_each_edge_to_safely (e, s) {
            struct symbol_ref to = symbol_of(new, arena_symbol(arena_edge(e)->symbol)->name);
            must(edge_redirect(e, arena_symbol(to)->section, arena_symbol(to)->offset, to));
        }
    edge_rehash(new);
    lifecycle_retract(old);
    lifecycle_publish(new);
    must(lifecycle_unload(old));
    return new;
}

/* Cells spread over all that are there. */
static void choose(unsigned cells, unsigned seed, unsigned need[NEEDS])
{
    for (unsigned i = 0; i < NEEDS; i++)
        need[i] = (unsigned)((uint64_t)cells * i / NEEDS) + seed % (cells / NEEDS);
}

struct row {
    struct cost find, miss, at, load, swap, unload;
};

static void write_row(const char *what, unsigned n, const struct row *r)
{
    FILE *f = getenv("SCALE_ROWS") ? fopen(getenv("SCALE_ROWS"), "a") : NULL;

    if (!f)
        return;
    const struct cost *c[] = {&r->find, &r->miss, &r->at, &r->load, &r->swap, &r->unload};
    fprintf(f, "%s\t%u", what, n);
    for (int i = 0; i < 6; i++)
        fprintf(f, "\t%lu\t%lu", (unsigned long)c[i]->visits, (unsigned long)c[i]->ns);
    fprintf(f, "\n");
    fclose(f);
}

static void measure_lookups(unsigned cells, struct row *row)
{
    enum { TIMES = 64 };
    struct section_ref section[TIMES];
    struct symbol_ref found[TIMES];
    uint32_t none = 0;
    char name[TIMES][32];

    for (unsigned i = 0; i < TIMES; i++)
        snprintf(name[i], sizeof name[i], "s%u_leaf", i * (cells / TIMES));
    struct cost before = now();
    for (unsigned i = 0; i < TIMES; i++)
        found[i] = arena_symbol_find(NAMESPACE_ROOT, name[i]);
    row->find = since(before);
    before = now();
    for (unsigned i = 0; i < TIMES; i++) {
        const struct arena_symbol *s = arena_symbol(found[i]);
        section[i] = arena_section_at(arena_section(s->section)->virt + s->offset);
    }
    row->at = since(before);
    for (unsigned i = 0; i < TIMES; i++) {
        ck_assert(same(section[i], arena_symbol(found[i])->section));
        name[i][0] = 'x';
    }
    before = now();
    for (unsigned i = 0; i < TIMES; i++)
        none |= arena_symbol_find(NAMESPACE_ROOT, name[i]).index;
    row->miss = since(before);
    ck_assert_uint_eq(none, 0);
    struct cost *each[] = {&row->find, &row->at, &row->miss};
    for (int i = 0; i < 3; i++)
        each[i]->visits /= TIMES, each[i]->ns /= TIMES;
}

/* A cell with `edges` relocations is loaded, replaced while as many refer to it, and unloaded. */
static struct row measure(unsigned cells, unsigned edges)
{
    unsigned need[NEEDS], user = PROBE + 1, probe = PROBE;
    struct row row;

    measure_lookups(cells, &row);
    choose(cells, 3, need);
    size_t bytes = make_object(probe, need, NEEDS, edges);
    struct cost before = now();
    struct cell_ref cell = load(bytes);
    row.load = since(before);
    struct cell_ref above = load(make_object(user, &probe, 1, edges));
    ck_assert_uint_eq(arena_cell(cell)->holders, edges);
    bytes = make_object(probe, need, NEEDS, edges);
    before = now();
    cell = swap(cell, bytes);
    row.swap = since(before);
    ck_assert_int_eq(lifecycle_unload(cell), ERR_BUSY);
    ck_assert_int_eq(lifecycle_unload(above), ERR_OK);
    before = now();
    must(lifecycle_unload(cell));
    row.unload = since(before);
    return row;
}

static struct cell_ref loaded[CELLS];

/* The first ones need nothing, each later one ten of those before it. */
static void fill(unsigned from, unsigned to)
{
    unsigned need[NEEDS];

    for (unsigned i = from; i < to; i++) {
        bool first = i < NEEDS;
        if (!first)
            choose(i, i * 2654435761u >> 7, need);
        loaded[i] = load(make_object(i, need, first ? 0 : NEEDS, first ? 0 : NEEDS));
    }
}

static void setup(void)
{
    stand_in_start();
    ck_assert_msg(stand_in_boot("build/delias.elf", "build/cells.archive"), "%s", stand_in.printed);
}

static void expect_no_more(const char *what, struct cost small, struct cost large)
{
    ck_assert_msg(large.visits <= small.visits + small.visits / 2 + 16, "%s: %lu records with few cells, %lu with many",
                  what, (unsigned long)small.visits, (unsigned long)large.visits);
}

START_TEST(cost_does_not_grow_with_what_is_loaded)
{
    static const unsigned size[] = {100, 1000, 3000, CELLS};
    struct row row[4];
    struct stand_in_use at_boot = stand_in_use();
    unsigned cells = 0;

    for (int i = 0; i < 4; i++) {
        fill(cells, size[i]);
        cells = size[i];
        struct stand_in_use before = stand_in_use();
        row[i] = measure(cells, NEEDS);
        struct stand_in_use after = stand_in_use();
        ck_assert(stand_in_same_use(&before, &after));
        write_row("cells", cells, &row[i]);
        expect_no_more("lookup of a symbol", row[0].find, row[i].find);
        expect_no_more("lookup of a symbol that is not there", row[0].miss, row[i].miss);
        expect_no_more("lookup of an address", row[0].at, row[i].at);
        expect_no_more("load of a cell", row[0].load, row[i].load);
        expect_no_more("swap of a cell", row[0].swap, row[i].swap);
        expect_no_more("unload of a cell", row[0].unload, row[i].unload);
    }
    ck_assert_uint_ge(stand_in_records(ARENA_EDGES), 100000);
    ck_assert_uint_ge(stand_in_records(ARENA_CELLS), 10000);
    for (unsigned edges = 1, last = 0; edges <= EDGES_MOST; edges *= 8) {
        struct row r = measure(cells, edges);
        write_row("edges", edges, &r);
        ck_assert_uint_gt(r.swap.visits, last); /* by what is touched it does grow, and not faster */
        ck_assert_uint_lt(r.swap.visits, row[3].swap.visits + 64ul * edges);
        ck_assert_uint_lt(r.load.visits, row[3].load.visits + 64ul * edges);
        ck_assert_uint_lt(r.unload.visits, row[3].unload.visits + 64ul * edges);
        last = (unsigned)r.swap.visits;
    }
    while (cells-- > 0)
        ck_assert_int_eq(lifecycle_unload(loaded[cells]), ERR_OK);
    struct stand_in_use at_end = stand_in_use();
    ck_assert(stand_in_same_use(&at_boot, &at_end));
}
END_TEST

Suite *suite_scale(void)
{
    Suite *s = suite_create("scale");
    TCase *t = tcase_create("scale");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, cost_does_not_grow_with_what_is_loaded);
    suite_add_tcase(s, t);
    return s;
}
