/* The unwinder proven against that of GCC's own library: for each instruction of each function of each cell, a frame
 * that is made up is stepped over by both, to the same caller, and both enter the same landing pad. */
#include "cells/core/arena/arena.h"
#include "cells/core/loader/loader.h"
#include "cells/core/page/page.h"
#include "cells/recover/unwind/dwarf.h"
#include "tests/hosted/libgcc.h"
#include "tests/hosted/loaded.h"
#include "tests/hosted/mapped_cell.h"
#include <capstone/capstone.h>
#include <check.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>

Suite *suite_hosted_unwind(void);

void __register_frame(void *table);
void __deregister_frame(void *table);

/* What was compared. */
static struct {
    unsigned cells, functions, instructions, calls, signal_frames, outermost, expressions, pads, arguments, no_pads,
        entries;
} count;

/* ---- frames that are made up ---- */

#define WORDS      0x10000
#define RSP_WORD   0x4000
#define RBP_WORD   0x6000
#define TARGET     0x2000 /* words point to this one and the next 0x8000, each to another one */
#define TARGET_MAX 0x8000

static uint64_t memory[WORDS] __attribute__((aligned(16)));
static const struct dwarf_slice stack = {(const uint8_t *)memory, sizeof memory, (uint64_t)memory};

static void setup(void)
{
    for (size_t i = 0; i < WORDS; i++)
        memory[i] = (uint64_t)&memory[TARGET + i * 40503 % TARGET_MAX];
}

/* All registers differ and point into the stack: expressions may read it by any. */
static struct dwarf_registers registers_at(uint64_t ip)
{
    struct dwarf_registers registers;

    for (size_t i = 0; i < DWARF_REGISTERS; i++)
        registers.value[i] = (uint64_t)&memory[RSP_WORD + 0x1000 + 0x40 * i];
    registers.value[DWARF_RSP] = (uint64_t)&memory[RSP_WORD];
    registers.value[DWARF_RBP] = (uint64_t)&memory[RBP_WORD];
    registers.value[DWARF_RIP] = ip;
    return registers;
}

/* ---- one instruction ---- */

static struct dwarf_slice slice_of(const struct mapped_section *s)
{
    return (struct dwarf_slice){s->data, s->bytes, (uint64_t)s->data};
}

static void compare_step(const char *path, const struct dwarf_function *function, uint64_t ip)
{
    struct dwarf_registers registers = registers_at(ip), caller = registers;
    struct libgcc_caller other = {};
    struct dwarf_row row;
    uint64_t cfa;

    ck_assert_msg(dwarf_row_at(function, ip, &row) == ERR_OK, "%s at %lx: no row", path, ip);
    other.read_rsp = row.rule[DWARF_RSP].how != DWARF_SAME;
    enum dwarf_step step = dwarf_step(&row, &stack, &caller, &cfa);
    libgcc_step(&registers, &other);
    ck_assert_msg(other.known, "%s at %lx: libgcc has no entry", path, ip);
    ck_assert_msg((other.ip == 0) == (step == STEP_OUTERMOST), "%s at %lx: is it outermost", path, ip);
    count.signal_frames += function->signal;
    count.outermost += step == STEP_OUTERMOST;
    count.expressions += row.cfa_expression.bytes > 0;
    if (step == STEP_OUTERMOST)
        return;
    ck_assert_msg(step == STEP_DONE && cfa == other.cfa, "%s at %lx: CFA %lx, not %lx", path, ip, cfa, other.cfa);
    ck_assert_msg(caller.value[DWARF_RIP] == other.ip, "%s at %lx: return address", path, ip);
    ck_assert_msg(function->signal == other.exact, "%s at %lx: is it a signal frame", path, ip);
    if (!other.read_rsp)
        other.registers.value[DWARF_RSP] = other.cfa;
    for (unsigned i = 0; i < DWARF_RIP; i++)
        ck_assert_msg(caller.value[i] == other.registers.value[i], "%s at %lx: register %u is %lx, not %lx", path, ip,
                      i, caller.value[i], other.registers.value[i]);
}

/* The section of the cell that an address is in. */
static const struct mapped_section *section_of(const struct mapped_cell *cell, uint64_t address)
{
    for (size_t i = 0; i < array_size(cell->section); i++)
        if (cell->section[i].data && address - (uint64_t)cell->section[i].data < cell->section[i].bytes)
            return &cell->section[i];
    return NULL;
}

static void compare_pad(const char *path, const struct mapped_cell *cell, const struct dwarf_function *function,
                        uint64_t ip)
{
    struct dwarf_registers registers = registers_at(ip), at_pad;
    const struct mapped_section *except = section_of(cell, function->lsda);
    struct dwarf_pad pad, nearest;
    const void *exception;
    struct dwarf_row row;

    ck_assert_msg(except, "%s at %lx: its landing pads are nowhere", path, ip);
    struct dwarf_slice lsda = slice_of(except);
    lsda.bytes -= function->lsda - lsda.virt;
    lsda.data += function->lsda - lsda.virt;
    lsda.virt = function->lsda;
    ck_assert_int_eq(dwarf_pad_find(&lsda, function, ip, false, &pad), ERR_OK);
    ck_assert_int_eq(dwarf_pad_find(&lsda, function, ip, true, &nearest), ERR_OK);
    bool entered = libgcc_enter_pad(&registers, &at_pad, &exception);
    ck_assert_msg(entered == (pad.address != 0), "%s at %lx: has it a landing pad", path, ip);
    count.pads += entered;
    count.no_pads += !entered;
    if (!entered)
        return;
    ck_assert_msg(pad.address == at_pad.value[DWARF_RIP] && nearest.address == pad.address && !nearest.nearest,
                  "%s at %lx: landing pad %lx, not %lx", path, ip, pad.address, at_pad.value[DWARF_RIP]);
    ck_assert_int_eq(dwarf_row_at(function, ip, &row), ERR_OK);
    registers.value[DWARF_RSP] += row.args_bytes;
    count.arguments += row.args_bytes > 0;
    ck_assert_ptr_eq((const void *)at_pad.value[DWARF_RAX], exception);
    for (unsigned i = DWARF_RBX; i < DWARF_RIP;
         i++) /* the pad runs in its own frame; others hold what it does not read */
        if (i == DWARF_RBX || i == DWARF_RBP || i == DWARF_RSP || i >= 12)
            ck_assert_msg(at_pad.value[i] == registers.value[i], "%s at %lx: register %u at the pad", path, ip, i);
}

/* ---- one cell ---- */

static void compare_instruction(const char *path, const struct mapped_cell *cell, const struct mapped_section *text,
                                const cs_insn *insn)
{
    const struct dwarf_slice eh_frame = slice_of(cell->eh_frame);
    struct dwarf_function function, direct;
    struct libgcc_caller other = {};

    if (dwarf_find(&eh_frame, insn->address, &function)) {
        const struct dwarf_registers registers = registers_at(insn->address);
        libgcc_step(&registers, &other);
        ck_assert_msg(!other.known, "%s at %lx: libgcc has an entry", path, insn->address);
        return;
    }
    ck_assert_msg(insn->id, "%s at %lx: cannot be disassembled", path, insn->address);
    if (text->entry && dwarf_find_at(&eh_frame, text->entry - 1, insn->address, &direct) == ERR_OK) {
        ck_assert_msg(direct.program.data == function.program.data, "%s at %lx: two entries", path, insn->address);
        count.entries++;
    }
    count.functions += insn->address == function.start;
    count.instructions++;
    count.calls += insn->id == X86_INS_CALL;
    compare_step(path, &function, insn->address);
    if (function.lsda)
        compare_pad(path, cell, &function, insn->address);
}

static void compare_cell(const char *path, csh disassembler)
{
    static struct mapped_cell cell;
    cs_insn *insn = cs_malloc(disassembler);

    mapped_cell_open(&cell, path);
    ck_assert_msg(cell.eh_frame, "%s: no unwind table", path);
    __register_frame(cell.eh_frame->data);
    for (size_t i = 0; i < array_size(cell.section); i++) {
        const struct mapped_section *s = &cell.section[i];
        const uint8_t *code = s->data;
        uint64_t address = (uint64_t)code;
        size_t left = s->text ? s->bytes : 0;
        while (left && cs_disasm_iter(disassembler, &code, &left, &address, insn))
            compare_instruction(path, &cell, s, insn);
    }
    __deregister_frame(cell.eh_frame->data);
    mapped_cell_close(&cell);
    cs_free(insn, 1);
    count.cells++;
}

START_TEST(every_frame_is_that_of_libgcc)
{
    csh disassembler;
    glob_t objects;

    ck_assert_int_eq(cs_open(CS_ARCH_X86, CS_MODE_64, &disassembler), CS_ERR_OK);
    ck_assert_int_eq(cs_option(disassembler, CS_OPT_SKIPDATA, CS_OPT_ON), CS_ERR_OK); /* .multiboot is no code */
    ck_assert_int_eq(glob("build/cells/*.o", 0, NULL, &objects), 0);
    for (size_t i = 0; i < objects.gl_pathc; i++)
        compare_cell(objects.gl_pathv[i], disassembler);
    globfree(&objects);
    cs_close(&disassembler);
    printf("  unwound as by libgcc: %u cells, %u functions, %u instructions, %u of them calls, %u in signal frames, %u "
           "in outermost frames, %u with expressions; %u enter a landing pad, %u of them with arguments on the stack, "
           "%u of such functions none; %u entries "
           "found directly\n",
           count.cells, count.functions, count.instructions, count.calls, count.signal_frames, count.outermost,
           count.expressions, count.pads, count.arguments, count.no_pads, count.entries);
    ck_assert(count.cells > 100 && count.functions > 1200 && count.instructions > 80000 && count.calls > 8000);
    ck_assert(count.signal_frames > 30 && count.outermost > 20 && count.arguments > 10);
    ck_assert(count.pads > 10000 && count.no_pads > 10000);
    ck_assert_uint_gt(count.entries, count.instructions / 100 * 99);
}
END_TEST

/* ---- as the loader leaves it ---- */

static const char *const loaded[] = {"channel", "shell", "unwind", "scheduler", "task"};

START_TEST(the_loader_says_where_entries_are)
{
    struct report report;
    struct cell_ref cell;
    unsigned sections = 0;

    loaded_boot();
    ck_assert_msg(loader_load(loaded[_i], &cell, &report) == LOAD_OK, "%s", report.text);
    const struct arena_section *table = arena_section(arena_cell(cell)->eh_frame_section);
    const struct dwarf_slice eh_frame = {page_direct(table->phys), table->bytes, table->virt};
    for_each_section_of (i, cell) {
        const struct arena_section *s = arena_section(i);
        struct dwarf_function function;
        if (s->kind != SECTION_TEXT || dwarf_find(&eh_frame, s->virt, &function))
            continue;
        ck_assert_msg(dwarf_find_at(&eh_frame, s->unwind_entry - 1, s->virt, &function) == ERR_OK, "%s: %s", loaded[_i],
                      arena_string(s->name));
        ck_assert_uint_eq(function.start, s->virt);
        ck_assert_int_eq(dwarf_find_at(&eh_frame, s->unwind_entry - 1, s->virt + function.bytes, &function),
                         ERR_NOT_FOUND);
        sections++;
    }
    ck_assert_uint_gt(sections, 1);
}
END_TEST

Suite *suite_hosted_unwind(void)
{
    Suite *s = suite_create("hosted unwind");
    TCase *t = tcase_create("against libgcc");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, every_frame_is_that_of_libgcc);
    suite_add_tcase(s, t);
    t = tcase_create("loaded");
    tcase_add_loop_test(t, the_loader_says_where_entries_are, 0, array_size(loaded));
    suite_add_tcase(s, t);
    return s;
}
