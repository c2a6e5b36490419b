/* A small arena in made-up guest memory, for tests of what reads arenas: two cells, alpha loaded from an object and
 * beta, which alpha calls; what a reader could ask of a view, all at once. Damage is done by the tests. */
#pragma once
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include "guest/abi/arena.h"
#include "guest/abi/object.h"
#include "guest/abi/layout.h"
#include "guest/abi/note.h"
#include "introspect/disasm.h"
#include "introspect/layout.h"
#include "introspect/name.h"
#include "introspect/pristine.h"
#include "introspect/qualified.h"
#include "introspect/read.h"
#include "introspect/reference.h"
#include "introspect/request.h"
#include "introspect/table.h"
#include "introspect/verify.h"

enum {
    BUILD_RAM = 10 << 20,
    BUILD_OBJECT_PHYS = 0x800000,
    BUILD_ALPHA_PHYS = 0x810000, /* text; read-only data one page on */
    BUILD_BETA_PHYS = 0x820000,
    BUILD_STACK_PHYS = 0x830000,
    BUILD_STACK_BYTES = 0x4000,
    BUILD_PAGES_PHYS = 0x840000, /* four levels of page tables */
    BUILD_TEXT_BYTES = 48,
    BUILD_RODATA_BYTES = 16,
    BUILD_CALL = 5, /* offsets of the two relocations in alpha's text */
    BUILD_LOAD = 13,
    BUILD_FAULTS = 3,
    BUILD_EVENTS = 5,
};
#define BUILD_ALPHA_VIRT (LAYOUT_CELL_VIRT + 0x1000)
#define BUILD_BETA_VIRT  (LAYOUT_CELL_VIRT + 0x8000)
#define BUILD_STACK_VIRT LAYOUT_PAGES_VIRT

/* indices in the tables, and references by them */
enum { BUILD_ALPHA = 1, BUILD_BETA = 2 };
enum { BUILD_ALPHA_TEXT = 1, BUILD_ALPHA_RODATA = 2, BUILD_BETA_TEXT = 3 };
enum { BUILD_EDGE_CALL = 1, BUILD_EDGE_LOAD = 2 };
static const struct cell_ref build_alpha = {BUILD_ALPHA}, build_beta = {BUILD_BETA};
static const struct section_ref build_alpha_text = {BUILD_ALPHA_TEXT}, build_alpha_rodata = {BUILD_ALPHA_RODATA},
                                build_beta_text = {BUILD_BETA_TEXT};

static inline struct arena_header *build_header(uint8_t *ram)
{
    return (struct arena_header *)(ram + LAYOUT_ARENA_PHYS);
}

static inline void *build_record(uint8_t *ram, enum arena_table table, uint32_t index)
{
    return ram + LAYOUT_ARENA_PHYS + build_header(ram)->table[table].offset +
           (size_t)index * layout_rules[table].record_bytes;
}

static inline void build_seal(uint8_t *ram, enum arena_table table, uint32_t index)
{
    uint8_t *record = build_record(ram, table, index);
    uint32_t check = arena_check(record + 4, layout_rules[table].stable_bytes - 4);

    memcpy(record, &check, sizeof check);
}

static inline uint32_t build_string(uint8_t *ram, const char *text)
{
    struct arena_table_desc *desc = &build_header(ram)->table[ARENA_STRINGS];
    uint32_t offset = desc->used;

    memcpy(build_record(ram, ARENA_STRINGS, offset), text, strlen(text) + 1);
    desc->used += (uint32_t)strlen(text) + 1;
    return offset;
}

static inline void build_tables(uint8_t *ram)
{
    static const uint32_t capacity[ARENA_TABLES] = {ARENA_NAMESPACES_BASE,
                                                    ARENA_OBJECTS_BASE,
                                                    ARENA_CELLS_BASE,
                                                    64,
                                                    64,
                                                    64,
                                                    16,
                                                    ARENA_CPUS_MAX,
                                                    ARENA_FAULTS_MAX,
                                                    9,
                                                    ARENA_REQUESTS_MAX,
                                                    ARENA_COMPLETIONS_MAX,
                                                    9,
                                                    17,
                                                    4096,
                                                    65536};
    struct arena_header *header = build_header(ram);
    uint32_t offset = 4096;

    header->magic = ARENA_MAGIC;
    header->version = ARENA_VERSION;
    header->header_bytes = sizeof *header;
    header->arena_bytes = LAYOUT_ARENA_BYTES;
    header->page_root = BUILD_PAGES_PHYS;
    header->ram_bytes = BUILD_RAM;
    header->ready = 1;
    header->counter[COUNTER_rounds] = 42;
    for (unsigned t = 0; t < ARENA_TABLES; t++) {
        header->table[t] = (struct arena_table_desc){
            offset, layout_rules[t].record_bytes, layout_rules[t].stable_bytes, capacity[t], 1, 0, 1, 0};
        offset = (offset + capacity[t] * layout_rules[t].record_bytes + 63) & ~63u;
    }
}

/* Gives out the next record of a table. */
static inline void *build_new(uint8_t *ram, enum arena_table table)
{
    build_header(ram)->table[table].in_use++;
    return build_record(ram, table, build_header(ram)->table[table].used++);
}

/* An ELF object whose sections 1 and 2 are alpha's text and read-only data. */
static inline size_t build_object(uint8_t *to)
{
    enum {
        TEXT_AT = sizeof(Elf64_Ehdr),
        RODATA_AT = TEXT_AT + BUILD_TEXT_BYTES,
        HEADERS_AT = RODATA_AT + BUILD_RODATA_BYTES
    };
    Elf64_Ehdr header = {.e_type = ET_REL,
                         .e_machine = EM_X86_64,
                         .e_shoff = HEADERS_AT,
                         .e_shentsize = sizeof(Elf64_Shdr),
                         .e_shnum = 3};
    Elf64_Shdr sections[3] = {
        {0},
        {.sh_type = SHT_PROGBITS, .sh_offset = TEXT_AT, .sh_size = BUILD_TEXT_BYTES},
        {.sh_type = SHT_PROGBITS, .sh_offset = RODATA_AT, .sh_size = BUILD_RODATA_BYTES},
    };

    memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    memcpy(to, &header, sizeof header);
    memset(to + TEXT_AT, 0x90, BUILD_TEXT_BYTES);
    to[TEXT_AT + BUILD_CALL - 1] = 0xe8;
    memcpy(to + TEXT_AT + BUILD_LOAD - 4, "\x48\x8b\x04\x25", 4);
    memset(to + TEXT_AT + BUILD_CALL, 0, 4);
    memset(to + TEXT_AT + BUILD_LOAD, 0, 4);
    memcpy(to + RODATA_AT, "what alpha says", BUILD_RODATA_BYTES);
    memcpy(to + HEADERS_AT, sections, sizeof sections);
    return HEADERS_AT + sizeof sections;
}

/* What the loader does: copies the sections, writes the two relocations. */
static inline void build_load(uint8_t *ram)
{
    const uint8_t *object = ram + BUILD_OBJECT_PHYS + sizeof(Elf64_Ehdr);
    uint32_t call = (uint32_t)(BUILD_BETA_VIRT - 4 - (BUILD_ALPHA_VIRT + BUILD_CALL));
    uint32_t load = (uint32_t)(BUILD_ALPHA_VIRT + 0x1000 + 5);

    memcpy(ram + BUILD_ALPHA_PHYS, object, BUILD_TEXT_BYTES);
    memcpy(ram + BUILD_ALPHA_PHYS + 0x1000, object + BUILD_TEXT_BYTES, BUILD_RODATA_BYTES);
    memcpy(ram + BUILD_ALPHA_PHYS + BUILD_CALL, &call, 4);
    memcpy(ram + BUILD_ALPHA_PHYS + BUILD_LOAD, &load, 4);
}

static inline void build_cells(uint8_t *ram)
{
    struct arena_namespace *root = build_new(ram, ARENA_NAMESPACES);
    struct arena_object *object = build_new(ram, ARENA_OBJECTS);
    struct arena_cell *alpha = build_new(ram, ARENA_CELLS), *beta = build_new(ram, ARENA_CELLS);

    root->name = build_string(ram, "root");
    build_seal(ram, ARENA_NAMESPACES, 1);
    object->name = build_string(ram, "alpha");
    object->phys = BUILD_OBJECT_PHYS;
    object->bytes = (uint32_t)build_object(ram + BUILD_OBJECT_PHYS);
    object->hash = object_hash(ram + BUILD_OBJECT_PHYS, object->bytes);
    object->cells = 1;
    build_seal(ram, ARENA_OBJECTS, 1);
    *alpha = (struct arena_cell){.name = object->name,
                                 .version = 1,
                                 .kind = CELL_KERNEL,
                                 .namespace_ = {1},
                                 .object = {1},
                                 .first_section = {BUILD_ALPHA_TEXT},
                                 .sections = 2,
                                 .first_symbol = {1},
                                 .text_virt = BUILD_ALPHA_VIRT,
                                 .text_phys = BUILD_ALPHA_PHYS,
                                 .rodata_virt = BUILD_ALPHA_VIRT + 0x1000,
                                 .rodata_phys = BUILD_ALPHA_PHYS + 0x1000,
                                 .text_bytes = BUILD_TEXT_BYTES,
                                 .rodata_bytes = BUILD_RODATA_BYTES,
                                 .state = CELL_LIVE};
    *beta = (struct arena_cell){.name = build_string(ram, "beta"),
                                .version = 3,
                                .kind = CELL_DRIVER,
                                .namespace_ = {1},
                                .first_section = {BUILD_BETA_TEXT},
                                .sections = 1,
                                .first_symbol = {2},
                                .text_virt = BUILD_BETA_VIRT,
                                .text_phys = BUILD_BETA_PHYS,
                                .text_bytes = BUILD_TEXT_BYTES,
                                .state = CELL_LIVE,
                                .holders = 1};
    build_seal(ram, ARENA_CELLS, BUILD_ALPHA);
    build_seal(ram, ARENA_CELLS, BUILD_BETA);
}

static inline void build_sections(uint8_t *ram)
{
    struct arena_section *text = build_new(ram, ARENA_SECTIONS), *rodata = build_new(ram, ARENA_SECTIONS),
                         *other = build_new(ram, ARENA_SECTIONS);

    *text = (struct arena_section){.name = build_string(ram, ".text.alpha_run"),
                                   .cell = {BUILD_ALPHA},
                                   .kind = SECTION_TEXT,
                                   .object_index = 1,
                                   .virt = BUILD_ALPHA_VIRT,
                                   .phys = BUILD_ALPHA_PHYS,
                                   .bytes = BUILD_TEXT_BYTES,
                                   .align = 16,
                                   .next_in_cell = {BUILD_ALPHA_RODATA},
                                   .first_out = {BUILD_EDGE_CALL},
                                   .outgoing = 2};
    *rodata = (struct arena_section){.name = build_string(ram, ".rodata.words"),
                                     .cell = {BUILD_ALPHA},
                                     .kind = SECTION_RODATA,
                                     .object_index = 2,
                                     .virt = BUILD_ALPHA_VIRT + 0x1000,
                                     .phys = BUILD_ALPHA_PHYS + 0x1000,
                                     .bytes = BUILD_RODATA_BYTES,
                                     .align = 1,
                                     .first_in = {BUILD_EDGE_LOAD},
                                     .incoming = 1};
    *other = (struct arena_section){.name = build_string(ram, ".text.beta_run"),
                                    .cell = {BUILD_BETA},
                                    .kind = SECTION_TEXT,
                                    .virt = BUILD_BETA_VIRT,
                                    .phys = BUILD_BETA_PHYS,
                                    .bytes = BUILD_TEXT_BYTES,
                                    .align = 16,
                                    .first_in = {BUILD_EDGE_CALL},
                                    .incoming = 1};
    for (uint32_t i = 1; i <= 3; i++)
        build_seal(ram, ARENA_SECTIONS, i);
}

static inline void build_edges(uint8_t *ram)
{
    struct arena_symbol *run = build_new(ram, ARENA_SYMBOLS), *beta = build_new(ram, ARENA_SYMBOLS);
    struct arena_edge *call = build_new(ram, ARENA_EDGES), *load = build_new(ram, ARENA_EDGES);

    *run = (struct arena_symbol){.name = build_string(ram, "alpha_run"),
                                 .section = {BUILD_ALPHA_TEXT},
                                 .bytes = BUILD_TEXT_BYTES,
                                 .type_hash = 0xa,
                                 .access = ACCESS_LIBRARY,
                                 .namespace_ = {1}};
    *beta = (struct arena_symbol){.name = build_string(ram, "beta_run"),
                                  .section = {BUILD_BETA_TEXT},
                                  .offset = 0,
                                  .bytes = 16,
                                  .type_hash = 0xb,
                                  .access = ACCESS_KERNEL,
                                  .namespace_ = {1}};
    *call = (struct arena_edge){.from = {BUILD_ALPHA_TEXT},
                                .to = {BUILD_BETA_TEXT},
                                .offset = BUILD_CALL,
                                .type = R_X86_64_PLT32,
                                .addend = -4,
                                .symbol = {2},
                                .next_out = {BUILD_EDGE_LOAD}};
    *load = (struct arena_edge){.from = {BUILD_ALPHA_TEXT},
                                .to = {BUILD_ALPHA_RODATA},
                                .offset = BUILD_LOAD,
                                .type = R_X86_64_32S,
                                .addend = 1,
                                .target = 4,
                                .prev_out = {BUILD_EDGE_CALL}};
    for (uint32_t i = 1; i <= 2; i++) {
        build_seal(ram, ARENA_SYMBOLS, i);
        build_seal(ram, ARENA_EDGES, i);
    }
}

static inline void build_tasks(uint8_t *ram)
{
    struct arena_task *task = build_new(ram, ARENA_TASKS);
    struct arena_cpu *cpu = build_new(ram, ARENA_CPUS);

    *task = (struct arena_task){.id = 7,
                                .name = "worker",
                                .entry_section = {BUILD_ALPHA_TEXT},
                                .stack_virt = BUILD_STACK_VIRT,
                                .stack_phys = BUILD_STACK_PHYS,
                                .stack_bytes = BUILD_STACK_BYTES,
                                .namespace_ = {1},
                                .state = TASK_RUNNING,
                                .restarts = 2};
    *cpu = (struct arena_cpu){.online = 1, .current_task = {1}};
    build_seal(ram, ARENA_TASKS, 1);
    build_seal(ram, ARENA_CPUS, 1);
}

static inline void build_rings(uint8_t *ram)
{
    struct arena_header *header = build_header(ram);

    for (uint64_t seq = 1; seq <= BUILD_FAULTS; seq++) {
        struct arena_fault *f = build_record(ram, ARENA_FAULTS, arena_ring_index(seq, ARENA_FAULTS_MAX));
        *f = (struct arena_fault){.kind = FAULT_EXCEPTION,
                                  .seq = seq,
                                  .vector = 14,
                                  .task = {1},
                                  .cell = {BUILD_ALPHA},
                                  .section = {BUILD_ALPHA_TEXT},
                                  .ip = BUILD_ALPHA_VIRT + seq,
                                  .task_name = "worker",
                                  .cell_name = "alpha",
                                  .symbol = "alpha_run"};
    }
    for (uint64_t seq = 8; seq < 8 + BUILD_EVENTS; seq++) { /* a ring of 8 that has wrapped */
        struct arena_event *e = build_record(ram, ARENA_EVENTS, (uint32_t)(seq % 8) + 1);
        *e = (struct arena_event){.seq = seq, .kind = EVENT_LOG, .text = "a line"};
    }
    header->fault_seq = BUILD_FAULTS;
    header->event_seq = 7 + BUILD_EVENTS;
}

/* Page tables that map the first 4 KiB of LAYOUT_PAGES_VIRT + 1 GiB to alpha's text. */
static inline void build_pages(uint8_t *ram)
{
    uint64_t virt = LAYOUT_PAGES_VIRT + (1ull << 30), phys = BUILD_PAGES_PHYS;

    for (unsigned shift = 39; shift >= 12; shift -= 9, phys += 4096) {
        uint64_t entry = (shift == 12 ? BUILD_ALPHA_PHYS : phys + 4096) | 3;
        memcpy(ram + phys + (virt >> shift & 511) * 8, &entry, 8);
    }
}

/* BUILD_RAM bytes of guest memory; free() them. */
static inline uint8_t *build_ram(void)
{
    uint8_t *ram = calloc(1, BUILD_RAM);

    if (!ram)
        abort();
    build_tables(ram);
    build_cells(ram);
    build_sections(ram);
    build_edges(ram);
    build_tasks(ram);
    build_rings(ram);
    build_pages(ram);
    build_load(ram);
    return ram;
}

/* ---- asking for everything ---- */

static inline void build_count_line(const struct disasm_line *line, void *context)
{
    *(size_t *)context += strlen(line->operands) + strlen(line->target);
}

/* How many records of a list are sound. */
#define BUILD_ASK_LIST(v, list, table)                                                                                 \
    ({                                                                                                                 \
        __typeof__(list) list_ = (list);                                                                               \
        size_t sum_ = 0;                                                                                               \
        for (size_t n_ = 0; n_ < list_.count; n_++)                                                                    \
            sum_ += view_is_sound(v, table, list_.item[n_].index);                                                     \
        sum_;                                                                                                          \
    })

static inline size_t build_ask_sections(const struct view *v)
{
    size_t sum = 0;
    char text[96];

    view_each_section (section, v) {
        const struct arena_section *s = view_section(v, section);
        uint64_t phys;

        sum += strlen(view_section_name(v, section)) + strlen(view_cell_name(v, s->cell));
        sum += BUILD_ASK_LIST(v, view_edges_out(v, section), ARENA_EDGES);
        sum += BUILD_ASK_LIST(v, view_edges_in(v, section), ARENA_EDGES);
        sum += BUILD_ASK_LIST(v, view_symbols_in(v, section), ARENA_SYMBOLS);
        sum += view_section_at(v, s->virt + s->bytes / 2).index;
        view_describe(v, s->virt + s->bytes / 2, text, sizeof text);
        sum += strlen(text) + (read_translate(v, s->virt, &phys) == ERR_OK);
        struct read_pages pages = read_pages(v, s->virt, s->bytes);
        sum += pages.pages + strlen(read_permissions(&pages));
        if (disasm_section(v, section, build_count_line, &sum))
            sum++;
    }
    return sum;
}

static inline size_t build_ask_cells(const struct view *v)
{
    size_t sum = 0;

    view_each_cell (cell, v) {
        sum += BUILD_ASK_LIST(v, view_sections_of(v, cell), ARENA_SECTIONS);
        sum += BUILD_ASK_LIST(v, view_symbols_of(v, cell), ARENA_SYMBOLS);
        sum += references_of(v, cell).inside + view_dependencies(v, cell, NULL, 0) + view_dependents(v, cell, NULL, 0) +
               view_tasks_in(v, cell);
        sum += view_find_section(v, cell, "alpha_run").index;
        sum += strlen(view_namespace_name(v, view_cell(v, cell)->namespace_));
    }
    view_each_edge (edge, v)
        sum += strlen(view_section_name(v, view_edge(v, edge)->to)) + strlen(name_relocation(view_edge(v, edge)->type));
    view_each_symbol (symbol, v)
        sum +=
            strlen(view_string(v, view_symbol(v, symbol)->name)) + strlen(name_access(view_symbol(v, symbol)->access));
    struct qualified_text said;
    struct symbol_ref symbol = {};
    sum += (size_t)qualified_symbol(v, "beta_run", &symbol, &said) + symbol.index + strlen(said.text);
    return sum + view_find_cell(v, NAMESPACE_ROOT, "beta").index + view_find_namespace(v, "root").index;
}

static inline size_t build_ask_plan(const struct view *v, const struct arena_completion *c)
{
    struct plan_item *items = NULL;
    size_t bytes, sum = 0;
    const uint8_t *ram = view_ram(v, &bytes);

    if (request_plan(ram, bytes, c, &items) == ERR_OK)
        for (uint32_t i = 0; i < c->items; i++)
            sum += strlen(items[i].cell) + strlen(items[i].name) + strlen(items[i].to_cell) + strlen(items[i].to);
    free(items);
    return sum;
}

/* Uses every accessor on every record; the sum is of no interest, but for the optimizer. */
static inline size_t build_ask_record(const struct view *v, const struct column *columns, size_t record)
{
    struct column_value value;
    struct table_layout layout;
    char line[512];
    size_t n = 0;

    for (const struct column *c = columns; c->key; c++) {
        c->read(v, record, &value);
        n += c->kind == COLUMN_TEXT ? strlen(value.text) : value.number != 0;
    }
    table_lay_out(columns, 300, &layout);
    table_screen_line(columns, &layout, v, record, line, sizeof line);
    return n + strlen(line);
}

/* Every column of every record. */
static inline size_t build_ask_tables(const struct view *v)
{
    static const struct {
        const struct column *columns;
        enum arena_table table;
    } tables[] = {{table_namespaces, ARENA_NAMESPACES}, {table_cells, ARENA_CELLS}, {table_sections, ARENA_SECTIONS},
                  {table_symbols, ARENA_SYMBOLS},       {table_edges, ARENA_EDGES}, {table_needs, ARENA_EDGES},
                  {table_needed_by, ARENA_EDGES},       {table_tasks, ARENA_TASKS}};
    size_t n = 0;

    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (uint32_t i = 0; (i = view_next(v, tables[t].table, i));)
            n += build_ask_record(v, tables[t].columns, i);
    for (size_t i = 0; view_fault(v, i); i++)
        n += build_ask_record(v, table_faults, i);
    for (size_t i = 0; view_event(v, i); i++)
        n += build_ask_record(v, table_events, i);
    for (size_t i = 0; view_swap(v, i); i++)
        n += build_ask_record(v, table_swaps, i);
    for (size_t i = 0; i < COUNTERS; i++)
        n += build_ask_record(v, table_counters, i);
    return n;
}

static inline size_t build_ask_all(const struct view *v)
{
    size_t sum = build_ask_cells(v) + build_ask_sections(v) + build_ask_tables(v);
    struct verify_report report;
    uint8_t bytes[300];
    uint64_t phys;

    view_each_task (task, v) {
        const struct arena_task *t = view_task(v, task);
        sum += strlen(t->name) + strlen(name_task_state(t->state)) + view_find_task(v, t->name).index;
        sum += read_virt(v, t->stack_virt, bytes, sizeof bytes, NULL) == ERR_OK;
    }
    for (uint32_t i = 0; (i = view_next(v, ARENA_CPUS, i));)
        sum += view_task(v, view_cpu(v, i)->current_task) != NULL;
    for (size_t n = 0; view_completion(v, n); n++)
        sum += strlen(view_completion(v, n)->detail) + view_completion(v, n)->phases +
               build_ask_plan(v, view_completion(v, n));
    for (size_t n = 0; view_damage(v, n); n++)
        sum += strlen(view_damage(v, n)->text);
    sum += read_walk(v, LAYOUT_PAGES_VIRT + (1ull << 30), &phys, NULL) == ERR_OK;
    if (!verify_view(v, &(struct verify_scope){.only = NULL}, &report)) {
        sum += report.differing_count + report.skipped_count;
        verify_done(&report);
    }
    return sum;
}
