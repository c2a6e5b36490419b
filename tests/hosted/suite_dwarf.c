/* The unwinder's tables: rows of the real image against libdw, a walk up this very process, landing pads, hostile
 * bytes. The unwind cell's other files need a machine. */
#include "cells/recover/unwind/dwarf.h"
#include "tests/hosted/stand_in.h"
#include <check.h>
#include <elfutils/libdw.h>
#include <dwarf.h>
#include <fcntl.h>
#include <gelf.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

Suite *suite_hosted_dwarf(void);

#define IMAGE "build/delias.elf"

static Elf *elf;
static int image;
static struct dwarf_slice eh_frame, except, text;

static struct dwarf_slice find_section(const char *name)
{
    size_t names;
    Elf_Scn *section = NULL;
    GElf_Shdr header;

    ck_assert_int_eq(elf_getshdrstrndx(elf, &names), 0);
    while ((section = elf_nextscn(elf, section))) {
        ck_assert_ptr_nonnull(gelf_getshdr(section, &header));
        if (strcmp(elf_strptr(elf, names, header.sh_name), name) == 0)
            return (struct dwarf_slice){elf_rawdata(section, NULL)->d_buf, header.sh_size, header.sh_addr};
    }
    ck_abort_msg("%s has no section %s", IMAGE, name);
}

static void setup(void)
{
    elf_version(EV_CURRENT);
    image = open(IMAGE, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(image, 0);
    elf = elf_begin(image, ELF_C_READ, NULL);
    ck_assert_ptr_nonnull(elf);
    eh_frame = find_section(".eh_frame");
    except = find_section(".rodata"); /* the image keeps its exception tables there */
    text = find_section(".text");
}

static void teardown(void)
{
    elf_end(elf);
    close(image);
}

/* ---- against libdw ---- */

static void compare_cfa(const struct dwarf_row *row, Dwarf_Frame *frame, uint64_t ip)
{
    Dwarf_Op *ops;
    size_t count;

    ck_assert_int_eq(dwarf_frame_cfa(frame, &ops, &count), 0);
    if (row->cfa_expression.bytes > 0)
        return;
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(ops[0].atom, DW_OP_bregx);
    ck_assert_msg(ops[0].number == row->cfa_register && (int64_t)ops[0].number2 == row->cfa_offset, "CFA at %lx", ip);
}

static void compare_rule(const struct dwarf_row *row, Dwarf_Frame *frame, int reg, uint64_t ip)
{
    const struct dwarf_rule *rule = &row->rule[reg];
    Dwarf_Op memory[3], *ops;
    size_t count;

    ck_assert_int_eq(dwarf_frame_register(frame, reg, memory, &ops, &count), 0);
    if (rule->how == DWARF_OFFSET) {
        int64_t offset = count > 1 ? (int64_t)ops[1].number : 0;
        ck_assert_msg(count >= 1 && ops[0].atom == DW_OP_call_frame_cfa, "register %d at %lx", reg, ip);
        ck_assert_msg(offset == rule->value, "register %d at %lx: %ld, not %ld", reg, ip, rule->value, offset);
    } else if (rule->how == DWARF_UNDEFINED) {
        ck_assert_msg(count == 0 && ops == memory, "register %d at %lx", reg, ip);
    } else if (rule->how == DWARF_SAME && reg != DWARF_RSP && reg != DWARF_RIP) {
        ck_assert_msg(count == 0, "register %d at %lx", reg, ip);
    }
}

START_TEST(rows_are_those_of_libdw)
{
    Dwarf_CFI *cfi = dwarf_getcfi_elf(elf);
    unsigned functions = 0;

    ck_assert_ptr_nonnull(cfi);
    for (uint64_t ip = text.virt; ip < text.virt + text.bytes; ip++) {
        struct dwarf_function function;
        struct dwarf_row row;
        Dwarf_Addr start, end;
        Dwarf_Frame *frame = NULL;
        bool signal, known = dwarf_find(&eh_frame, ip, &function) == ERR_OK;
        ck_assert_msg((dwarf_cfi_addrframe(cfi, ip, &frame) == 0) == known, "entry for %lx", ip);
        if (!known)
            continue;
        functions += ip == function.start;
        ck_assert_int_eq(dwarf_frame_info(frame, &start, &end, &signal), DWARF_RIP);
        ck_assert_int_eq(signal, function.signal);
        ck_assert_int_eq(dwarf_row_at(&function, ip, &row), ERR_OK);
        compare_cfa(&row, frame, ip);
        for (int reg = 0; reg < DWARF_REGISTERS; reg++)
            compare_rule(&row, frame, reg, ip);
        free(frame);
    }
    ck_assert_uint_gt(functions, 100);
    dwarf_cfi_end(cfi);
}
END_TEST

START_TEST(pads_of_the_image_lie_in_their_functions)
{
    unsigned pads = 0, nearest = 0;

    for (uint64_t ip = text.virt; ip < text.virt + text.bytes; ip++) {
        struct dwarf_function function;
        struct dwarf_pad exact, closest;
        if (dwarf_find(&eh_frame, ip, &function) != ERR_OK || !function.lsda)
            continue;
        uint64_t offset = function.lsda - except.virt;
        ck_assert_uint_lt(offset, except.bytes);
        struct dwarf_slice lsda = {except.data + offset, except.bytes - offset, function.lsda};
        ck_assert_int_eq(dwarf_pad_find(&lsda, &function, ip, false, &exact), ERR_OK);
        ck_assert_int_eq(dwarf_pad_find(&lsda, &function, ip, true, &closest), ERR_OK);
        ck_assert(!exact.address || exact.address == closest.address);
        ck_assert(!closest.address || closest.address - function.start < function.bytes);
        pads += exact.address != 0;
        nearest += closest.nearest;
    }
    ck_assert_uint_gt(pads, 0);
    ck_assert_uint_gt(nearest, 0);
}
END_TEST

/* ---- this process ---- */

static struct dwarf_slice own_frames;
static uint64_t returns[3]; /* of innermost(), middle(), guarded() */
static bool walked;

static int find_own_frames(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size;
    (void)context;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type != PT_GNU_EH_FRAME)
            continue;
        const uint8_t *header = (const uint8_t *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
        const uint8_t *start = header + 4 + *(const int32_t *)(const void *)(header + 4), *end = start;
        uint32_t length;
        while (memcpy(&length, end, 4), length)
            end += 4 + length;
        own_frames = (struct dwarf_slice){start, (size_t)(end - start), (uint64_t)start};
        return 1; /* the first one is the program itself */
    }
    return 0;
}

/* Up three frames, by our own means. */
static void walk_up(struct dwarf_registers registers, uint64_t low)
{
    const struct dwarf_slice stack = {(const uint8_t *)low, 4096, low};
    uint64_t cfa, below = 0;

    for (int i = 0; i < 3; i++) {
        uint64_t ip = registers.value[DWARF_RIP] - (i > 0);
        struct dwarf_function function;
        struct dwarf_row row;
        ck_assert_int_eq(dwarf_find(&own_frames, ip, &function), ERR_OK);
        ck_assert_int_eq(dwarf_row_at(&function, ip, &row), ERR_OK);
        ck_assert_int_eq(dwarf_step(&row, &stack, &registers, &cfa), STEP_DONE);
        ck_assert_uint_gt(cfa, below);
        ck_assert_uint_eq(registers.value[DWARF_RIP], returns[i]);
        below = cfa;
    }
    walked = true;
}

static __attribute__((noinline)) int innermost(int n)
{
    struct dwarf_registers here = {0};
    uint64_t *r = here.value;

    returns[0] = (uint64_t)__builtin_return_address(0);
    __asm__ volatile("mov %%rbx, 24(%0); mov %%rbp, 48(%0); mov %%rsp, 56(%0); mov %%r12, 96(%0); mov %%r13, 104(%0);"
                     "mov %%r14, 112(%0); mov %%r15, 120(%0); lea 0(%%rip), %%rcx; mov %%rcx, 128(%0)" ::"a"(r)
                     : "rcx", "memory");
    walk_up(here, here.value[DWARF_RSP]);
    return n + 1;
}

static __attribute__((noinline)) int middle(int n)
{
    returns[1] = (uint64_t)__builtin_return_address(0);
    return innermost(n + 1) + 1;
}

static void release(int *n)
{
    *n = 0;
}

static __attribute__((noinline)) int guarded(int n)
{
    int held __attribute__((cleanup(release))) = n;

    returns[2] = (uint64_t)__builtin_return_address(0);
    return middle(held + 1) + 1;
}

START_TEST(this_process_is_walked_and_its_pad_found)
{
    struct dwarf_function function;
    struct dwarf_pad pad;

    dl_iterate_phdr(find_own_frames, NULL);
    ck_assert_uint_gt(own_frames.bytes, 0);
    ck_assert_int_eq(guarded(1), 6);
    ck_assert(walked);
    uint64_t ip = returns[1] - 1; /* the call of middle() in guarded() */
    ck_assert_int_eq(dwarf_find(&own_frames, ip, &function), ERR_OK);
    ck_assert(function.start == (uint64_t)guarded && function.lsda && function.personality);
    struct dwarf_slice lsda = {(const uint8_t *)function.lsda, 256, function.lsda};
    ck_assert_int_eq(dwarf_pad_find(&lsda, &function, ip, false, &pad), ERR_OK);
    ck_assert(pad.address && !pad.nearest && pad.address - function.start < function.bytes);
}
END_TEST

/* ---- made by hand ---- */

#define TEXT 0x400000

/* A CIE and an FDE for 64 bytes at TEXT, with this program. */
static struct dwarf_slice by_hand(uint8_t *to, const uint8_t *program, size_t bytes)
{
    static const uint8_t cie[] = {20, 0,    0,  0, 0, 0,    0, 0, 1,    'z', 'R', 0,
                                  1,  0x78, 16, 1, 0, 0x0c, 7, 8, 0x90, 1,   0,   0};
    uint32_t length = (uint32_t)(4 + 16 + 1 + bytes), back = sizeof cie + 4;
    uint64_t start = TEXT, size = 64;

    memcpy(to, cie, sizeof cie);
    uint8_t *at = to + sizeof cie;
    memcpy(at, &length, 4);
    memcpy(at + 4, &back, 4);
    memcpy(at + 8, &start, 8);
    memcpy(at + 16, &size, 8);
    at[24] = 0;
    memcpy(at + 25, program, bytes);
    return (struct dwarf_slice){to, sizeof cie + 4 + length, 0x1000};
}

static enum err row_of(const uint8_t *program, size_t bytes, uint64_t offset, struct dwarf_row *ret_row)
{
    static uint8_t table[512];
    struct dwarf_slice slice = by_hand(table, program, bytes);
    struct dwarf_function function;
    enum err e = dwarf_find(&slice, TEXT + offset, &function);

    return e ? e : dwarf_row_at(&function, TEXT + offset, ret_row);
}

#define ROW(offset, ret_row, ...)                                                                                      \
    row_of((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), offset, ret_row)

START_TEST(instructions_do_what_they_say)
{
    struct dwarf_row row;

    /* push rbp; mov rsp, rbp; pop rbp, and back */
    ck_assert_int_eq(ROW(1, &row, 0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6), ERR_OK);
    ck_assert(row.cfa_register == 7 && row.cfa_offset == 16 && row.rule[6].value == -16);
    ck_assert_int_eq(ROW(4, &row, 0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6, 0x0a, 0xc6, 0x0c, 7, 8), ERR_OK);
    ck_assert(row.cfa_register == 7 && row.rule[6].how == DWARF_SAME);
    ck_assert_int_eq(ROW(9, &row, 0x41, 0x86, 2, 0x0a, 0x42, 0xc6, 0x41, 0x0b), ERR_OK);
    ck_assert(row.rule[6].how == DWARF_OFFSET && row.rule[6].value == -16);
    /* wide forms */
    ck_assert_int_eq(ROW(60, &row, 0x02, 20, 0x05, 3, 4, 0x03, 20, 0, 0x11, 12, 0x7f, 0x04, 10, 0, 0, 0, 0x13, 0x7c),
                     ERR_OK);
    ck_assert(row.rule[3].value == -32 && row.rule[12].value == 8 && row.cfa_offset == 32);
    ck_assert_int_eq(ROW(0, &row, 0x07, 16, 0x08, 3, 0x09, 6, 3, 0x14, 7, 0, 0x2e, 8), ERR_OK);
    ck_assert(row.rule[16].how == DWARF_UNDEFINED && row.rule[6].how == DWARF_REGISTER && row.rule[6].value == 3);
    ck_assert(row.rule[7].how == DWARF_VALUE_OFFSET && row.rule[7].value == 0);
    /* what makes no sense */
    ck_assert_int_eq(ROW(0, &row, 0x0b), ERR_CORRUPT);
    ck_assert_int_eq(ROW(0, &row, 0x3f), ERR_CORRUPT);
    ck_assert_int_eq(ROW(0, &row, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a), ERR_CORRUPT);
    ck_assert_int_eq(ROW(0, &row, 0x0c, 7), ERR_CORRUPT);
    ck_assert_int_eq(ROW(64, &row, 0x00), ERR_NOT_FOUND);
}
END_TEST

START_TEST(steps_stay_on_the_stack)
{
    uint64_t memory[8] = {1, 2, 3, 4, 0x1111, 0x2222, 7, 8};
    const struct dwarf_slice stack = {(const uint8_t *)memory, sizeof memory, 0x8000};
    struct dwarf_registers registers = {.value[DWARF_RSP] = 0x8020, .value[DWARF_RBP] = 0x8010};
    struct dwarf_row row;
    uint64_t cfa;

    ck_assert_int_eq(ROW(0, &row, 0x0e, 16, 0x86, 2), ERR_OK);
    ck_assert_int_eq(dwarf_step(&row, &stack, &registers, &cfa), STEP_DONE);
    ck_assert(cfa == 0x8030 && registers.value[DWARF_RIP] == 0x2222 && registers.value[DWARF_RBP] == 0x1111);
    ck_assert(registers.value[DWARF_RSP] == 0x8030);
    /* CFA = the word at rbp + 16 (an expression); rsp restored from the stack */
    registers = (struct dwarf_registers){.value[DWARF_RBP] = 0x8000};
    memory[2] = 0x8028;
    ck_assert_int_eq(ROW(0, &row, 0x0f, 3, 0x76, 16, 0x06, 0x87, 1), ERR_OK);
    ck_assert_int_eq(dwarf_step(&row, &stack, &registers, &cfa), STEP_DONE);
    ck_assert(cfa == 0x8028 && registers.value[DWARF_RIP] == 0x1111 && registers.value[DWARF_RSP] == 0x1111);
    /* a stack pointer off the stack, or not aligned, changes nothing */
    for (uint64_t rsp = 0x8039; rsp < 0x8100; rsp += 5) {
        registers = (struct dwarf_registers){.value[DWARF_RSP] = rsp};
        ck_assert_int_eq(ROW(0, &row, 0x00), ERR_OK);
        ck_assert_int_eq(dwarf_step(&row, &stack, &registers, &cfa), STEP_FAILED);
        ck_assert_uint_eq(registers.value[DWARF_RSP], rsp);
    }
    ck_assert_int_eq(ROW(0, &row, 0x07, 16), ERR_OK);
    ck_assert_int_eq(dwarf_step(&row, &stack, &registers, &cfa), STEP_OUTERMOST);
}
END_TEST

START_TEST(pads_by_hand)
{
    /* 0..8: none; 8..16: pad 48; 24..32: pad 56 */
    static const uint8_t bytes[] = {0xff, 0xff, 1, 12, 0, 8, 0, 0, 8, 8, 48, 0, 24, 8, 56, 0};
    const struct dwarf_slice lsda = {bytes, sizeof bytes, 0};
    const struct dwarf_function function = {.start = TEXT, .bytes = 64};
    static const struct {
        uint64_t offset, pad;
        bool nearest;
    } cases[] = {{0, 0, false},  {7, 0, false},  {8, 48, false},  {15, 48, false}, {16, 48, true},
                 {18, 48, true}, {22, 56, true}, {24, 56, false}, {40, 56, true}};
    struct dwarf_pad pad;

    for (size_t i = 0; i < array_size(cases); i++) {
        ck_assert_int_eq(dwarf_pad_find(&lsda, &function, TEXT + cases[i].offset, true, &pad), ERR_OK);
        ck_assert_uint_eq(pad.address, cases[i].pad ? TEXT + cases[i].pad : 0);
        ck_assert_int_eq(pad.nearest, cases[i].nearest);
        ck_assert_int_eq(dwarf_pad_find(&lsda, &function, TEXT + cases[i].offset, false, &pad), ERR_OK);
        ck_assert_uint_eq(pad.address, cases[i].pad && !cases[i].nearest ? TEXT + cases[i].pad : 0);
    }
    for (size_t cut = 0; cut < sizeof bytes; cut++) {
        uint8_t *exact = malloc(cut + !cut);
        ck_assert_ptr_nonnull(exact);
        memcpy(exact, bytes, cut);
        ck_assert_int_eq(dwarf_pad_find(&(struct dwarf_slice){exact, cut, 0}, &function, TEXT, true, &pad),
                         ERR_CORRUPT);
        free(exact);
    }
}
END_TEST

/* Damaged tables: any answer, but no access outside of them and no endless loop. */
START_TEST(damaged_tables_do_no_harm)
{
    uint64_t memory[64] = {0};
    const struct dwarf_slice stack = {(const uint8_t *)memory, sizeof memory, 0x8000};
    uint8_t *copy = malloc(eh_frame.bytes);

    ck_assert_ptr_nonnull(copy);
    srand(7);
    for (int i = 0; i < 3000; i++) {
        struct dwarf_slice damaged = {copy, 1 + (size_t)rand() % eh_frame.bytes, eh_frame.virt};
        struct dwarf_registers registers = {.value[DWARF_RSP] = 0x8000, .value[DWARF_RBP] = 0x8100};
        struct dwarf_function function;
        struct dwarf_row row;
        uint64_t cfa, ip = text.virt + (size_t)rand() % text.bytes;
        memcpy(copy, eh_frame.data, eh_frame.bytes);
        for (int k = 0; k < 64; k++)
            copy[(size_t)rand() % damaged.bytes] = (uint8_t)rand();
        if (dwarf_find(&damaged, ip, &function) == ERR_OK && dwarf_row_at(&function, ip, &row) == ERR_OK)
            (void)!dwarf_step(&row, &stack, &registers, &cfa);
    }
    free(copy);
}
END_TEST

Suite *suite_hosted_dwarf(void)
{
    Suite *s = suite_create("hosted dwarf");
    TCase *t = tcase_create("tables"), *each = tcase_create("each byte");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, rows_are_those_of_libdw);
    tcase_add_test(t, pads_of_the_image_lie_in_their_functions);
    tcase_add_test(t, this_process_is_walked_and_its_pad_found);
    tcase_add_test(t, instructions_do_what_they_say);
    tcase_add_test(t, steps_stay_on_the_stack);
    tcase_add_test(t, pads_by_hand);
    suite_add_tcase(s, t);
    tcase_add_checked_fixture(each, setup, teardown);
    tcase_add_test(each, damaged_tables_do_no_harm);
    suite_add_tcase(s, each);
    return s;
}
