/* Tables that follow the machine's RAM: as many made-up cells as cells=N says, ten edges each, are loaded, found by
 * name and run; one is swapped; 100 namespaces are made. What a load costs must not depend on how many cells there are:
 * judged by the records that are read. With stay=1 all of it stays, for the host to look at. */
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/loader/loader.h"
#include "cells/evolve/namespace/namespace.h"
#include "cells/evolve/reap/reap.h"
#include "cells/evolve/swap/swap.h"
#include "cells/host/log/log.h"
#include "cells/lib/format/format.h"
#include "cells/lib/string/string.h"
#include "cells/task/scheduler/scheduler.h"
#include "guest/abi/elf.h"
#include "guest/abi/note.h"
#include "guest/abi/object.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_scale", KERNEL, 1);

#define CELLS_DEFAULT 2000
#define NEEDED        10
#define NAMESPACES    100
#define FIRST         100 /* cells whose loading is compared with that of the last ones */
#define WAIT_NS       5000000
#define CALL_BYTES    5

static const struct testing *test;
static struct report report;
static unsigned cells;

/* ---- objects ---- */

enum { NONE, CALLER, LEAF, RELA, NOTES, SYMTAB, STRTAB, NAMES, SECTIONS };

static struct {
    uint8_t bytes[16384];
    size_t used;
    char names[4096];
    size_t names_used;
} file;

static uint32_t add_name(const char *format, unsigned number)
{
    size_t at = file.names_used;

    file.names_used += format_print(file.names + at, sizeof file.names - at, format, number) + 1;
    return (uint32_t)at;
}

static void *add_bytes(size_t bytes, struct elf_section *ret_section)
{
    void *at = file.bytes + file.used;

    testing_need(test, file.used + bytes + 8 < sizeof file.bytes);
    ret_section->offset = file.used;
    ret_section->size = bytes;
    file.used = (file.used + bytes + 7) & ~7ul;
    return at;
}

static uint8_t *add_note(uint8_t *at, uint32_t type, const void *data, size_t bytes)
{
    const struct elf_note note = {.name_bytes = sizeof NOTE_OWNER, .bytes = (uint32_t)bytes, .type = type};

    memcpy(at, &note, sizeof note);
    memcpy(at + sizeof note, NOTE_OWNER, sizeof NOTE_OWNER);
    memcpy(at + sizeof note + 8, data, bytes);
    return at + sizeof note + 8 + bytes;
}

static void add_notes(unsigned cell, unsigned needs, uint32_t version, struct elf_section *section)
{
    struct note_cell note = {.abi = NOTE_ABI, .version = version, .kind = CELL_KERNEL};
    struct note_symbol export[2] = {{1, ACCESS_APPLICATION, 7, 9}, {2, ACCESS_APPLICATION, 7, 9}}, import[NEEDED];
    uint8_t *at =
        add_bytes(3 * (sizeof(struct elf_note) + 8) + sizeof note + sizeof export + needs * sizeof *import, section);

    format_print(note.name, sizeof note.name, "c%u", cell);
    at = add_note(at, NOTE_CELL, &note, sizeof note);
    at = add_note(at, NOTE_EXPORT, export, sizeof export);
    for (unsigned i = 0; i < needs; i++)
        import[i] = (struct note_symbol){.symbol = 3 + i, .type_hash = 7};
    add_note(at, NOTE_IMPORT, import, needs * sizeof *import);
}

/* caller: xor eax, eax; a call of each leaf that it needs; ret. leaf: add eax, `version`; ret. */
static void add_code(unsigned needs, uint32_t version, struct elf_section *s)
{
    uint8_t *caller = add_bytes(2 + needs * CALL_BYTES + 1, &s[CALLER]), *leaf = add_bytes(16, &s[LEAF]);
    struct elf_rela *rela = add_bytes(needs * sizeof *rela, &s[RELA]);

    caller[0] = 0x31, caller[1] = 0xc0;
    for (unsigned i = 0; i < needs; i++) {
        caller[2 + i * CALL_BYTES] = 0xe8;
        rela[i] = (struct elf_rela){2 + i * CALL_BYTES + 1, R_X86_64_PLT32, 3 + i, -4};
    }
    caller[2 + needs * CALL_BYTES] = 0xc3;
    leaf[0] = 0x83, leaf[1] = 0xc0, leaf[2] = (uint8_t)version, leaf[3] = 0xc3;
}

static void add_symbols(unsigned cell, const unsigned *need, unsigned needs, struct elf_section *s)
{
    struct elf_symbol *symbol = add_bytes((3 + needs) * sizeof *symbol, &s[SYMTAB]);
    const uint8_t function = ELF_GLOBAL << 4 | ELF_FUNCTION, nothing = ELF_GLOBAL << 4 | ELF_NOTYPE;

    symbol[1] = (struct elf_symbol){add_name("s%u_caller", cell), function, 0, CALLER, 0, s[CALLER].size};
    symbol[2] = (struct elf_symbol){add_name("s%u_leaf", cell), function, 0, LEAF, 0, 4};
    for (unsigned i = 0; i < needs; i++)
        symbol[3 + i] = (struct elf_symbol){add_name("s%u_leaf", need[i]), nothing, 0, 0, 0, 0};
}

static void make_object(unsigned cell, const unsigned *need, unsigned needs, uint32_t version)
{
    static const char *const name[SECTIONS] = {"",           ".text.caller", ".text.leaf", ".rela.text.caller",
                                               NOTE_SECTION, ".symtab",      ".strtab",    ".shstrtab"};
    struct elf_section s[SECTIONS] = {};
    struct elf_header *h = (void *)file.bytes;

    memset(&file, 0, sizeof file);
    file.used = sizeof *h;
    file.names_used = 1;
    s[CALLER] = s[LEAF] = (struct elf_section){.type = ELF_PROGBITS, .flags = ELF_ALLOC | ELF_EXECUTE, .align = 16};
    s[RELA] =
        (struct elf_section){.type = ELF_RELA, .link = SYMTAB, .info = CALLER, .entry_bytes = sizeof(struct elf_rela)};
    s[NOTES] = (struct elf_section){.type = ELF_NOTE, .align = 4};
    s[SYMTAB] =
        (struct elf_section){.type = ELF_SYMTAB, .link = STRTAB, .info = 1, .entry_bytes = sizeof(struct elf_symbol)};
    s[STRTAB].type = s[NAMES].type = ELF_STRTAB;
    add_code(needs, version, s);
    add_notes(cell, needs, version, &s[NOTES]);
    add_symbols(cell, need, needs, s);
    for (unsigned i = 1; i < SECTIONS; i++)
        s[i].name = add_name(name[i], 0);
    memcpy(add_bytes(file.names_used, &s[STRTAB]), file.names, file.names_used);
    s[NAMES].offset = s[STRTAB].offset, s[NAMES].size = s[STRTAB].size;
    *h = (struct elf_header){.ident = {0x7f, 'E', 'L', 'F', ELF_CLASS_64, ELF_LITTLE_ENDIAN, ELF_VERSION},
                             .type = ELF_TYPE_RELOCATABLE,
                             .machine = ELF_MACHINE_X86_64,
                             .version = ELF_VERSION,
                             .header_bytes = sizeof *h,
                             .section_bytes = sizeof *s,
                             .sections = SECTIONS,
                             .names = NAMES,
                             .section_offset = file.used};
    struct elf_section table;
    memcpy(add_bytes(sizeof s, &table), s, sizeof s);
    h->flags = object_seal(file.bytes, file.used);
}

/* ---- cells ---- */

static void must(enum err e, const char *what, unsigned cell)
{
    if (e) {
        log_warn("%s c%u: %s: %s", what, cell, err_text(e), report.text);
        testing_fail(test, what, __FILE_NAME__, __LINE__);
    }
}

/* Ten of the cells before it, spread over them. */
static unsigned choose(unsigned cell, unsigned need[NEEDED])
{
    if (cell < NEEDED)
        return 0;
    for (unsigned i = 0; i < NEEDED; i++)
        need[i] = (unsigned)((uint64_t)cell * i / NEEDED) + (cell * 2654435761u >> 7) % (cell / NEEDED);
    return NEEDED;
}

static struct object_ref keep(unsigned cell, uint32_t version)
{
    unsigned need[NEEDED], needs = choose(cell, need);
    struct object_ref object;

    make_object(cell, need, needs, version);
    must(lifecycle_keep_object(file.bytes, file.used, &object, &report), "keeping", cell);
    return object;
}

static void load(unsigned cell)
{
    GUARD(loader) locked = loader_hold();
    struct object_ref object = keep(cell, 1);
    const struct loader_input input = {.namespace_ = NAMESPACE_ROOT, .object = &object, .objects = 1};
    struct cell_ref made;

    must(loader_stage(&input, &made, &report), "loading", cell);
    lifecycle_publish(made);
    must(loader_initialize(made, &report), "initializing", cell);
}

static struct cell_ref find(struct namespace_ref namespace_, unsigned cell)
{
    char name[32];

    format_print(name, sizeof name, "c%u", cell);
    return arena_cell_find(namespace_, name);
}

/* What its caller returns: how much its leaves add. */
static unsigned run(unsigned cell)
{
    char name[32];
    uint64_t address;

    format_print(name, sizeof name, "s%u_caller", cell);
    must(lifecycle_symbol(name, &address), "no symbol of", cell);
    return ((unsigned (*)(void))address)();
}

static uint64_t visits(void)
{
    return arena_header()->counter[COUNTER_visits];
}

/* Returns how many records were read. */
static uint64_t load_cells(unsigned from, unsigned to)
{
    uint64_t before = visits();

    for (unsigned i = from; i < to; i++)
        load(i);
    return visits() - before;
}

static void all_are_loaded(void)
{
    load_cells(0, FIRST);
    uint64_t first = load_cells(FIRST, 2 * FIRST);
    load_cells(2 * FIRST, cells - FIRST);
    uint64_t last = load_cells(cells - FIRST, cells);
    log_info("test_scale: %u cells: %lu records read for the second hundred, %lu for the last", cells, first, last);
    testing_need(test, last < 2 * first);
    for (unsigned i = 0; i < cells; i++)
        testing_need(test, find(NAMESPACE_ROOT, i).index && run(i) == (i < NEEDED ? 0 : NEEDED));
    testing_ok(test, "all cells are loaded and found by name, and run; none costs more than those before it");
}

static void wait_until_reaped(void)
{
    testing_need(test, testing_await(!reap_replaced()));
}

static void one_is_swapped(void)
{
    unsigned user = cells - 1, need[NEEDED];

    choose(user, need);
    struct cell_ref old = find(NAMESPACE_ROOT, need[4]);
    char name[32];
    format_print(name, sizeof name, "c%u", need[4]);
    must(swap_cell(NAMESPACE_ROOT, name, keep(need[4], 3), 0, &report), "swapping", need[4]);
    testing_need(test, !same(find(NAMESPACE_ROOT, need[4]), old) && run(user) == NEEDED + 2);
    wait_until_reaped();
    testing_ok(test, "one of them is swapped, and its users use the new one");
}

static void namespaces_are_made(void)
{
    struct namespace_ref made[NAMESPACES];
    char name[32];

    for (unsigned i = 0; i < NAMESPACES; i++) {
        format_print(name, sizeof name, "n%u", i);
        must(namespace_branch(NAMESPACE_ROOT, name, NULL, &made[i], &report), "a namespace without", i);
        testing_need(test, same(find(made[i], cells - 1), find(NAMESPACE_ROOT, cells - 1)));
    }
    struct object_ref object = keep(cells - 1, 5);
    must(namespace_change(made[NAMESPACES / 2], &object, 1, 0, &report), "changing", cells - 1);
    for (unsigned i = 0; i < NAMESPACES; i++)
        testing_need(test, same(find(made[i], cells - 1), find(NAMESPACE_ROOT, cells - 1)) == (i != NAMESPACES / 2));
    testing_ok(test, "100 namespaces are made, and one of them has a cell of its own");
    if (testing_times("stay", 0))
        return;
    for (unsigned i = 0; i < NAMESPACES; i++)
        must(namespace_remove(made[i], &report), "removing a namespace without", i);
    while (namespace_reap())
        scheduler_sleep_ns(WAIT_NS);
}

static _Noreturn void stay(void)
{
    log_info("TEST test_scale: stays");
    for (;;)
        scheduler_sleep_ns(1000 * (uint64_t)WAIT_NS);
}

static int test_scale_main(int, char **)
{
    struct testing begun = testing_begin("test_scale");
    struct testing_records before = testing_records();

    test = &begun;
    cells = testing_times("cells", CELLS_DEFAULT);
    all_are_loaded();
    one_is_swapped();
    namespaces_are_made();
    if (testing_times("stay", 0))
        stay();
    while (cells-- > 0)
        testing_need(test, !lifecycle_unload(find(NAMESPACE_ROOT, cells)));
    struct testing_records after = testing_records();
    testing_need(test, after.cells == before.cells && after.edges == before.edges && after.symbols == before.symbols);
    testing_need(test, after.sections == before.sections);
    testing_need(test,
                 after.strings <= before.strings + after.objects - before.objects); /* the history keeps objects */
    testing_ok(test, "all of it is gone again");
    testing_end(test);
}
MAIN(test_scale_main);
