/* What is built on the view: live memory, verification against the truth, disassembly, requests. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "introspect/base/ram_map.h"
#include "introspect/request.h"
#include "tests/limits.h"
#include "tests/unit/arena_build.h"

static uint8_t *ram;

static void setup(void)
{
    ram = build_ram();
}

static void teardown(void)
{
    free(ram);
}

static struct view *take(void)
{
    enum err e;
    struct view *v = view_take(ram, BUILD_RAM, &e);

    ck_assert_msg(v != NULL, "no view: %s", err_text(e));
    return v;
}

static uint64_t *page_entry(unsigned level, uint64_t virt)
{
    uint64_t table = BUILD_PAGES_PHYS + (4 - level) * 4096ull;

    return (uint64_t *)(ram + table) + (virt >> (12 + 9 * (level - 1)) & 511);
}

/* ---- live memory ---- */

START_TEST(pages_are_walked)
{
    uint64_t virt = LAYOUT_PAGES_VIRT + (1ull << 30), phys = 0;
    unsigned flags = 0;
    struct view *v = take();

    ck_assert_int_eq(read_walk(v, virt + 0x123, &phys, &flags), ERR_OK);
    ck_assert_uint_eq(phys, BUILD_ALPHA_PHYS + 0x123);
    ck_assert_uint_eq(flags, READ_PAGE_WRITE | READ_PAGE_EXECUTE);
    *page_entry(4, virt) &= ~2ull; /* one level without write is enough */
    *page_entry(1, virt) |= 1ull << 63;
    ck_assert_int_eq(read_walk(v, virt, &phys, &flags), ERR_OK);
    ck_assert_uint_eq(flags, 0);
    ck_assert_int_eq(read_walk(v, virt + 4096, &phys, NULL), ERR_RANGE);
    *page_entry(2, virt) = 0x400000 | 0x83; /* a 2 MiB page */
    ck_assert_int_eq(read_walk(v, virt + 0x12345, &phys, NULL), ERR_OK);
    ck_assert_uint_eq(phys, 0x412345);
    *page_entry(3, virt) = 0x40000000 | 0x83; /* 1 GiB, outside of RAM */
    ck_assert_int_eq(read_walk(v, virt + 5, &phys, NULL), ERR_OK);
    ck_assert_uint_eq(phys, 0x40000005);
    ck_assert_int_eq(read_translate(v, virt + 5, &phys), ERR_RANGE);
    *page_entry(4, virt) = UINT64_MAX;
    ck_assert_int_eq(read_walk(v, virt, &phys, NULL), ERR_RANGE);
    view_free(v);
}
END_TEST

static void map_alpha(uint64_t virt, unsigned page, uint64_t phys, uint64_t flags)
{
    *(page_entry(1, virt) + page) = phys | flags | 1;
}

START_TEST(pages_that_hold_a_section)
{
    uint64_t virt = LAYOUT_PAGES_VIRT + (1ull << 30);
    struct view *v = take();
    struct read_pages p;

    map_alpha(virt, 1, BUILD_ALPHA_PHYS + 4096, 2);
    p = read_pages(v, virt + 0xff0, 0x20); /* across the boundary of two pages */
    ck_assert_uint_eq(p.first, virt);
    ck_assert_uint_eq(p.pages, 2);
    ck_assert_uint_eq(p.phys, BUILD_ALPHA_PHYS);
    ck_assert_str_eq(read_permissions(&p), "rwx");
    map_alpha(virt, 1, BUILD_ALPHA_PHYS + 4096, 1ull << 63); /* both allow only what each allows */
    p = read_pages(v, virt + 0xff0, 0x20);
    ck_assert_str_eq(read_permissions(&p), "r--");
    ck_assert_uint_eq(read_pages(v, virt + 0xff0, 0x10).pages, 1);
    map_alpha(virt, 1, BUILD_BETA_PHYS, 2); /* not behind the first one */
    ck_assert(!read_pages(v, virt, 0x1001).mapped);
    p = read_pages(v, virt + 0x1000, 0x1001); /* the second is not mapped */
    ck_assert_str_eq(read_permissions(&p), "none");
    ck_assert_uint_eq(p.phys, BUILD_BETA_PHYS);
    p = read_pages(v, virt, 0);
    ck_assert_str_eq(read_permissions(&p), "none");
    ck_assert(!read_pages(v, virt, UINT32_MAX).mapped);
    ck_assert(!read_pages(v, UINT64_MAX, UINT32_MAX).mapped);
    view_free(v);
}
END_TEST

START_TEST(references_are_counted)
{
    struct view *v = take();
    struct references alpha = references_of(v, build_alpha), beta = references_of(v, build_beta);

    ck_assert_uint_eq(alpha.out, 1);
    ck_assert_uint_eq(alpha.in, 0);
    ck_assert_uint_eq(alpha.inside, 1); /* to its own read-only data */
    ck_assert_uint_eq(alpha.tasks, 1);
    ck_assert_uint_eq(alpha.object_cells, 1);
    ck_assert_uint_eq(alpha.holders, 0);
    ck_assert_uint_eq(beta.out, 0);
    ck_assert_uint_eq(beta.in, 1);
    ck_assert_uint_eq(beta.holders, 1);
    ck_assert_uint_eq(beta.object_cells, 0);
    ck_assert_uint_eq(references_of(v, (struct cell_ref){77}).in, 0);
    view_free(v);
}
END_TEST

START_TEST(sections_and_stacks_without_page_tables)
{
    struct view *v = take();
    char text[BUILD_RODATA_BYTES];
    uint8_t two_pages[8192];
    size_t done;
    uint64_t phys;

    ck_assert_int_eq(read_virt(v, BUILD_ALPHA_VIRT + 0x1000, text, sizeof text, NULL), ERR_OK);
    ck_assert_str_eq(text, "what alpha says");
    ck_assert_int_eq(read_translate(v, BUILD_STACK_VIRT + 9, &phys), ERR_OK);
    ck_assert_uint_eq(phys, BUILD_STACK_PHYS + 9);
    ck_assert_int_eq(read_virt(v, BUILD_STACK_VIRT + BUILD_STACK_BYTES - 100, two_pages, sizeof two_pages, &done),
                     ERR_RANGE);
    ck_assert_uint_eq(done, 100);
    view_free(v);
}
END_TEST

/* Leaves the instruction that starts at the offset that stands in the line. */
static void find_line(const struct disasm_line *line, void *context)
{
    struct disasm_line *wanted = context;

    if (line->offset == wanted->offset)
        *wanted = *line;
}

START_TEST(instructions_name_their_targets)
{
    struct view *v = take();
    struct disasm_line call = {.offset = BUILD_CALL - 1};

    ck_assert_int_eq(disasm_section(v, build_alpha_text, find_line, &call), ERR_OK);
    ck_assert_str_eq(call.mnemonic, "call");
    ck_assert_str_eq(call.target, "beta:beta_run");
    ck_assert_int_eq(disasm_section(v, build_alpha_rodata, find_line, &call), ERR_INVALID);
    view_free(v);
}
END_TEST

START_TEST(an_instruction_may_have_two_targets)
{
    static const uint8_t store[] = {0x48, 0xc7, 0x04, 0x25, 0, 0, 0, 0, 0, 0, 0, 0}; /* movq $imm32, disp32 */
    struct arena_edge *load = build_record(ram, ARENA_EDGES, BUILD_EDGE_LOAD);
    struct disasm_line line = {.offset = BUILD_CALL - 4};

    memset(ram + BUILD_ALPHA_PHYS, 0x90, BUILD_TEXT_BYTES);
    memcpy(ram + BUILD_ALPHA_PHYS + line.offset, store, sizeof store);
    load->offset = BUILD_CALL + 4;
    build_seal(ram, ARENA_EDGES, BUILD_EDGE_LOAD);
    struct view *v = take();

    ck_assert_int_eq(disasm_section(v, build_alpha_text, find_line, &line), ERR_OK);
    ck_assert_uint_eq(line.bytes, sizeof store);
    ck_assert_uint_eq(line.edge.index, BUILD_EDGE_CALL);
    ck_assert_str_eq(line.target, "beta:beta_run, alpha:.rodata.words+0x4");
    view_free(v);
}
END_TEST

/* ---- verification ---- */

static struct verify_report verify(const char *kernel, const char *archive)
{
    struct verify_report report;

    ck_assert_int_eq(verify_run(ram, BUILD_RAM, &(struct verify_scope){.kernel = kernel, .archive = archive}, &report),
                     ERR_OK);
    return report;
}

START_TEST(another_kernel_is_not_compared_with)
{
    static const uint8_t note[16 + 20] = {4, 0, 0, 0, 20, 0, 0, 0, 3, 0, 0, 0, 'G', 'N', 'U', 0, 0xa1};
    char path[] = "/tmp/delias-kernel-XXXXXX";
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, note, sizeof note), sizeof note);
    struct verify_report r = verify(path, NULL);
    ck_assert_ptr_nonnull(strstr(r.skipped[0].why, "another build"));
    verify_done(&r);
    memcpy(build_header(ram)->build_id, note + 16, 20);
    r = verify(path, NULL);
    ck_assert_ptr_null(strstr(r.skipped[0].why, "another build"));
    verify_done(&r);
    close(fd);
    unlink(path);
}
END_TEST

START_TEST(a_sound_cell_does_not_differ)
{
    struct verify_report r = verify(NULL, NULL);

    ck_assert_uint_eq(r.differing_count, 0);
    ck_assert_uint_eq(r.sections, 2);
    ck_assert_uint_eq(r.bytes, BUILD_TEXT_BYTES + BUILD_RODATA_BYTES);
    ck_assert_uint_eq(r.skipped_count, 1); /* beta is of the image, and no kernel file was given */
    verify_done(&r);
}
END_TEST

/* Each byte of text and read-only data, relocated ones included. */
START_TEST(a_flipped_byte_is_named)
{
    for (uint32_t i = 0; i < BUILD_TEXT_BYTES + BUILD_RODATA_BYTES; i++) {
        bool text = i < BUILD_TEXT_BYTES;
        uint32_t offset = text ? i : i - BUILD_TEXT_BYTES;
        uint8_t *byte = ram + BUILD_ALPHA_PHYS + (text ? 0 : 0x1000) + offset;

        *byte ^= 0x10;
        struct verify_report r = verify(NULL, NULL);
        ck_assert_uint_eq(r.differing_count, 1);
        ck_assert_str_eq(r.differing->cell, "alpha");
        ck_assert_str_eq(r.differing->section, text ? ".text.alpha_run" : ".rodata.words");
        ck_assert_uint_eq(r.differing->offset, offset);
        ck_assert_uint_eq(r.differing->found, *byte);
        ck_assert_uint_eq(r.differing->expected, *byte ^ 0x10);
        verify_done(&r);
        *byte ^= 0x10;
    }
}
END_TEST

/* A cell that is freed loses its edges before its memory. */
START_TEST(a_cell_that_is_being_freed_is_not_compared)
{
    struct arena_cell *alpha = build_record(ram, ARENA_CELLS, BUILD_ALPHA);
    const uint32_t edges = build_header(ram)->table[ARENA_EDGES].used;

    for (uint32_t i = 1; i < edges; i++)
        memset(build_record(ram, ARENA_EDGES, i), 0, sizeof(struct arena_edge));
    for (uint32_t i = 1; i < build_header(ram)->table[ARENA_SECTIONS].used; i++) {
        struct arena_section *s = build_record(ram, ARENA_SECTIONS, i);
        s->first_out.index = s->first_in.index = s->outgoing = s->incoming = 0;
    }
    struct verify_report r = verify(NULL, NULL);
    ck_assert_uint_gt(r.differing_count, 0);
    verify_done(&r);
    alpha->state = CELL_OLD;
    r = verify(NULL, NULL);
    ck_assert_uint_eq(r.differing_count, 0);
    verify_done(&r);
}
END_TEST

static bool ends; /* atomic */

/* Flips one byte after the other, in data that should not change, but for the first one. */
static void *flip_bytes(void *)
{
    for (uint32_t i = 1; !__atomic_load_n(&ends, __ATOMIC_ACQUIRE); i = i % (BUILD_RODATA_BYTES - 1) + 1) {
        uint8_t *byte = ram + BUILD_ALPHA_PHYS + 0x1000 + i;
        __atomic_fetch_xor(byte, 0x10, __ATOMIC_RELAXED);
        usleep(1000);
        __atomic_fetch_xor(byte, 0x10, __ATOMIC_RELAXED);
    }
    return NULL;
}

/* While the guest is in a change its bytes need not fit the tables. */
START_TEST(what_does_not_differ_each_time_is_no_damage)
{
    pthread_t thread;

    ram[BUILD_ALPHA_PHYS] ^= 0x10; /* damage */
    build_header(ram)->generation |= 1;
    ends = false;
    ck_assert_int_eq(pthread_create(&thread, NULL, flip_bytes, NULL), 0);
    struct verify_report r = verify(NULL, NULL);
    for (int i = 0; r.differing_count != 1 && i < 100; i++) { /* the thread may have had no time meanwhile */
        verify_done(&r);
        r = verify(NULL, NULL);
    }
    __atomic_store_n(&ends, true, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    ck_assert(r.changing);
    ck_assert_uint_eq(r.differing_count, 1);
    ck_assert_str_eq(r.differing->section, ".text.alpha_run");
    ck_assert_uint_eq(r.differing->offset, 0);
    verify_done(&r);
}
END_TEST

/* A closed gate is no damage; but what is beside it is, and what is there in place of the call. */
START_TEST(a_closed_gate_does_not_differ)
{
    struct arena_section *s = build_record(ram, ARENA_SECTIONS, BUILD_ALPHA_TEXT);
    uint8_t *text = ram + BUILD_ALPHA_PHYS;

    s->gate = 1;
    text[0] = ARENA_GATE_CALL;
    for (unsigned i = 1; i < ARENA_GATE_BYTES; i++)
        text[i] ^= 0x55;
    struct verify_report r = verify(NULL, NULL);
    ck_assert_uint_eq(r.differing_count, 0);
    verify_done(&r);

    text[ARENA_GATE_BYTES] ^= 1;
    r = verify(NULL, NULL);
    ck_assert_uint_eq(r.differing_count, 1);
    ck_assert_uint_eq(r.differing->offset, ARENA_GATE_BYTES);
    verify_done(&r);

    text[ARENA_GATE_BYTES] ^= 1;
    text[0] = 0x90;
    r = verify(NULL, NULL);
    ck_assert_uint_gt(r.differing_count, 1);
    verify_done(&r);
}
END_TEST

/* No byte outside of the section is touched, wherever the record says that a gate is. */
START_TEST(a_gate_behind_its_section_hides_nothing)
{
    static const uint32_t gates[] = {BUILD_TEXT_BYTES - ARENA_GATE_BYTES + 2, BUILD_TEXT_BYTES, BUILD_TEXT_BYTES + 1,
                                     UINT32_MAX};
    struct arena_section *s = build_record(ram, ARENA_SECTIONS, BUILD_ALPHA_TEXT);

    ram[BUILD_ALPHA_PHYS + BUILD_TEXT_BYTES - 1] ^= 1;
    for (size_t i = 0; i < sizeof gates / sizeof *gates; i++) {
        s->gate = gates[i];
        struct verify_report r = verify(NULL, NULL);
        ck_assert_uint_eq(r.differing_count, 1);
        verify_done(&r);
    }
}
END_TEST

/* What a damaged edge says about bytes is no truth: the arena's damage is reported elsewhere. */
START_TEST(a_damaged_edge_blames_no_text)
{
    ((struct arena_edge *)build_record(ram, ARENA_EDGES, BUILD_EDGE_CALL))->addend ^= 0x100;
    struct verify_report r = verify(NULL, NULL);
    ck_assert_uint_eq(r.differing_count, 0);
    verify_done(&r);
}
END_TEST

/* A cpio archive with one member before, and alpha.o. */
static void write_archive(const char *path, const uint8_t *object, size_t bytes)
{
    FILE *f = fopen(path, "w");
    static const char zeros[8];

    if (!f)
        abort();
    for (int member = 0; member < 2; member++) {
        const char *name = member ? "alpha.o" : "other.o";
        size_t size = member ? bytes : 5,
               name_bytes = strlen(name) + 1 + (member ? 6 : 0); /* padded: aligns the data */

        fprintf(f, "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x", 0, 0100644, 0, 0, 1, 0, size, 0, 0,
                0, 0, name_bytes, 0);
        fwrite(name, 1, strlen(name) + 1, f);
        fwrite(zeros, 1, name_bytes - strlen(name) - 1, f);
        fwrite(zeros, 1, (4 - (110 + name_bytes) % 4) % 4, f);
        fwrite(member ? object : (const uint8_t *)"other", 1, size, f);
        fwrite(zeros, 1, (4 - size % 4) % 4, f);
    }
    fclose(f);
}

START_TEST(a_damaged_object_falls_back_on_the_archive)
{
    char path[] = "/tmp/delias-unit-XXXXXX";
    const struct arena_object *o = build_record(ram, ARENA_OBJECTS, 1);
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    close(fd);
    write_archive(path, ram + BUILD_OBJECT_PHYS, o->bytes);
    ram[BUILD_OBJECT_PHYS + 70] ^= 1;
    struct verify_report r = verify(NULL, path);
    ck_assert_uint_eq(r.differing_count, 1);
    ck_assert_str_eq(r.differing->section, "object");
    ck_assert_uint_eq(r.differing->offset, 70);
    ck_assert_uint_eq(r.sections, 2); /* compared with the archive's */
    verify_done(&r);

    r = verify(NULL, NULL); /* without it nothing can be said */
    ck_assert_uint_eq(r.differing_count, 0);
    ck_assert_uint_eq(r.sections, 0);
    ck_assert_uint_eq(r.skipped_count, 2);
    verify_done(&r);
    unlink(path);
}
END_TEST

static void write_image(const char *path, const uint8_t *text)
{
    Elf64_Ehdr header = {.e_type = ET_EXEC,
                         .e_machine = EM_X86_64,
                         .e_phoff = sizeof header,
                         .e_phentsize = sizeof(Elf64_Phdr),
                         .e_phnum = 1};
    Elf64_Phdr segment = {.p_type = PT_LOAD,
                          .p_offset = sizeof header + sizeof segment,
                          .p_vaddr = BUILD_BETA_VIRT,
                          .p_filesz = BUILD_TEXT_BYTES / 2,
                          .p_memsz = BUILD_TEXT_BYTES};
    FILE *f = fopen(path, "w");

    if (!f)
        abort();
    memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    fwrite(&header, sizeof header, 1, f);
    fwrite(&segment, sizeof segment, 1, f);
    fwrite(text, 1, BUILD_TEXT_BYTES / 2, f);
    fclose(f);
}

START_TEST(the_nano_core_against_its_image)
{
    char path[] = "/tmp/delias-unit-XXXXXX";
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    close(fd);
    memset(ram + BUILD_BETA_PHYS, 0x90, BUILD_TEXT_BYTES / 2);
    write_image(path, ram + BUILD_BETA_PHYS);
    ram[BUILD_BETA_PHYS + 3] = 0xcc;
    ram[BUILD_BETA_PHYS + BUILD_TEXT_BYTES - 1] = 1; /* behind the file's part: zero is right */
    struct verify_report r = verify(path, NULL);
    ck_assert_uint_eq(r.sections, 3);
    ck_assert_uint_eq(r.differing_count, 2);
    ck_assert_str_eq(r.differing[0].cell, "beta");
    ck_assert_uint_eq(r.differing[0].offset, 3);
    ck_assert_uint_eq(r.differing[0].expected, 0x90);
    ck_assert_uint_eq(r.differing[1].expected, 0);
    verify_done(&r);
    unlink(path);
}
END_TEST

/* ---- requests ---- */

static atomic_bool serving;
static struct arena_completion answer;

/* A guest that answers each request with `answer`. */
static void *serve(void *unused)
{
    struct arena_header *header = build_header(ram);

    while (serving) {
        uint64_t done = header->completion_seq;

        if (__atomic_load_n(&header->request_seq, __ATOMIC_ACQUIRE) > done) {
            struct arena_completion *to =
                build_record(ram, ARENA_COMPLETIONS, arena_ring_index(done + 1, ARENA_COMPLETIONS_MAX));
            *to = answer;
            __atomic_store_n(&to->seq, done + 1, __ATOMIC_RELEASE);
            __atomic_store_n(&header->completion_seq, done + 1, __ATOMIC_RELEASE);
        }
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    }
    return unused;
}

START_TEST(requests_are_answered)
{
    pthread_t guest;
    struct arena_completion c;
    struct request r = {.kind = REQUEST_SWAP, .target = "alpha", .mailbox = "object", .mailbox_bytes = 6};

    answer = (struct arena_completion){.error = ERR_MISSING_SYMBOL, .phases = 1000, .detail = "alpha\033_run"};
    memset(answer.phase[0].name, 'p', sizeof answer.phase[0].name);
    serving = true;
    ck_assert_int_eq(pthread_create(&guest, NULL, serve, NULL), 0);
    for (uint64_t i = 1; i <= 40; i++) { /* more than the ring holds */
        ck_assert_int_eq(request_post(ram, BUILD_RAM, &r, (int)limit_seconds(WAIT_SECONDS) * 1000, NULL, &c), ERR_OK);
        ck_assert_uint_eq(c.seq, i);
        ck_assert_uint_eq(c.error, ERR_MISSING_SYMBOL);
        ck_assert_uint_eq(c.phases, ARENA_PHASES);
        ck_assert_str_eq(c.detail, "alpha?_run");
        ck_assert_uint_eq(strlen(c.phase[0].name), sizeof c.phase[0].name - 1);
    }
    serving = false;
    pthread_join(guest, NULL);
    const struct arena_request *last = build_record(ram, ARENA_REQUESTS, 40 % (ARENA_REQUESTS_MAX - 1) + 1);
    ck_assert_uint_eq(last->seq, 40);
    ck_assert_uint_eq(last->mailbox_bytes, 6);
    ck_assert_str_eq(last->target, "alpha");
    ck_assert_mem_eq(build_record(ram, ARENA_MAILBOX, 0), "object", 6);
}
END_TEST

START_TEST(plans_are_not_believed)
{
    struct plan_item *mail = build_record(ram, ARENA_MAILBOX, 0), *items = NULL;
    uint32_t room = (uint32_t)(request_room(ram, BUILD_RAM) / sizeof *mail);
    struct arena_completion c = {.items = room};

    memset(mail, 0xff, room * sizeof *mail);
    ck_assert_int_eq(request_plan(ram, BUILD_RAM, &c, &items), ERR_OK);
    for (uint32_t i = 0; i < room; i += room / 7) {
        ck_assert_uint_eq(strlen(items[i].cell), sizeof items[i].cell - 1);
        ck_assert_uint_eq(strspn(items[i].to, "?"), sizeof items[i].to - 1);
        ck_assert_str_eq(name_plan_section_treatment(items[i].treatment), "?");
    }
    free(items);
    c.items = 1;
    *mail = (struct plan_item){.kind = PLAN_CELL, .cell = "alpha", .name = "\033[2J"};
    ck_assert_int_eq(request_plan(ram, BUILD_RAM, &c, &items), ERR_OK);
    ck_assert_str_eq(items->cell, "alpha");
    ck_assert_str_eq(items->name, "?[2J");
    free(items);
    c.items = room + 1;
    ck_assert_int_eq(request_plan(ram, BUILD_RAM, &c, &items), ERR_CORRUPT);
    c.items = UINT32_MAX;
    ck_assert_int_eq(request_plan(ram, BUILD_RAM, &c, &items), ERR_CORRUPT);
    build_header(ram)->table[ARENA_MAILBOX].offset = BUILD_RAM - LAYOUT_ARENA_PHYS;
    c.items = 1;
    ck_assert_int_eq(request_plan(ram, BUILD_RAM, &c, &items), ERR_CORRUPT);
    c.items = 0;
    ck_assert_int_eq(request_plan(ram, BUILD_RAM, &c, &items), ERR_OK);
    free(items);
}
END_TEST

static bool not_alive(void *context)
{
    return context != NULL;
}

START_TEST(requests_never_wait_for_ever)
{
    struct request ping = {.kind = REQUEST_PING};
    struct arena_completion c;

    const struct request_caller dead = {.is_alive = not_alive};
    ck_assert_int_eq(request_post(ram, BUILD_RAM, &ping, 50, &dead, &c), ERR_NOT_RUNNING);
    build_header(ram)->request_seq = 0;
    ck_assert_int_eq(request_post(ram, BUILD_RAM, &ping, 50, NULL, &c), ERR_TIMEOUT);
    ck_assert_int_eq(request_post(ram, BUILD_RAM, &ping, 50, NULL, &c), ERR_BUSY);
    build_header(ram)->request_seq = 0;
    build_header(ram)->completion_seq = 9;
    ck_assert_int_eq(request_post(ram, BUILD_RAM, &ping, 50, NULL, &c), ERR_PROTOCOL);
    build_header(ram)->request_seq = UINT64_MAX;
    ck_assert_int_eq(request_post(ram, BUILD_RAM, &ping, 50, NULL, &c), ERR_PROTOCOL);
}
END_TEST

START_TEST(requests_of_who_has_lost_the_lock)
{
    static const char object[60000] = "object"; /* in four parts */
    struct request load = {.kind = REQUEST_LOAD, .mailbox = object, .mailbox_bytes = sizeof object};
    struct arena_completion c;
    uint64_t holder = 2;
    uint32_t state = FENCE_IDLE;
    const struct request_caller caller = {.fence = {&holder, 1, &state}};
    const struct request ping = {.kind = REQUEST_PING};
    uint32_t first = arena_ring_index(1, build_header(ram)->table[ARENA_REQUESTS].capacity);
    const struct arena_request *record = build_record(ram, ARENA_REQUESTS, first);
    uint8_t *mail = build_record(ram, ARENA_MAILBOX, 0);

    ck_assert_uint_gt(request_room(ram, BUILD_RAM), sizeof object);
    *mail = 'x';
    ck_assert_int_eq(request_post(ram, BUILD_RAM, &load, 50, &caller, &c), ERR_CLOSED);
    ck_assert_int_eq(*mail, 'x');
    ck_assert_int_eq(request_post(ram, BUILD_RAM, &ping, 50, &caller, &c), ERR_CLOSED);
    ck_assert_uint_eq(record->seq, 0);
    ck_assert_uint_eq(build_header(ram)->request_seq, 0);
    holder = 1;
    ck_assert_int_eq(request_post(ram, BUILD_RAM, &load, 50, &caller, &c), ERR_TIMEOUT);
    ck_assert_int_eq(memcmp(mail, object, sizeof object), 0);
    ck_assert_uint_eq(build_header(ram)->request_seq, 1);
    ck_assert_uint_eq(state, FENCE_IDLE);
}
END_TEST

START_TEST(requests_fit)
{
    struct request big = {.kind = REQUEST_LOAD, .mailbox = ram, .mailbox_bytes = request_room(ram, BUILD_RAM) + 1};
    struct request named = {.kind = REQUEST_SPAWN, .target = "a_name_that_is_longer_than_31_bytes"};
    struct arena_completion c;

    ck_assert_int_eq(request_post(ram, BUILD_RAM, &big, 50, NULL, &c), ERR_RANGE);
    ck_assert_int_eq(request_post(ram, BUILD_RAM, &named, 50, NULL, &c), ERR_INVALID);
    build_header(ram)->table[ARENA_MAILBOX].offset = BUILD_RAM - LAYOUT_ARENA_PHYS;
    ck_assert_uint_eq(request_room(ram, BUILD_RAM), 0);
    ck_assert_int_eq(request_post(ram, BUILD_RAM, &named, 50, NULL, &c), ERR_CORRUPT);
    ck_assert_uint_eq(build_header(ram)->request_seq, 0);
}
END_TEST

/* ---- archives ---- */

static size_t put_member(uint8_t *to, const char *name, size_t bytes)
{
    size_t name_bytes = strlen(name) + 1, data = (110 + name_bytes + 3) & ~(size_t)3;

    memset(to, '0', 110);
    memcpy(to, "070701", 6);
    sprintf((char *)to + 54, "%08zx", bytes);
    sprintf((char *)to + 94, "%08zx", name_bytes);
    to[62] = to[102] = '0'; /* where sprintf has put its NUL */
    memcpy(to + 110, name, name_bytes);
    memset(to + data, 'x', bytes);
    return data + bytes;
}

/* Whatever end of it is missing, no member is found that is not whole. */
START_TEST(cut_archives)
{
    uint8_t whole[512] = {0};
    size_t first = (put_member(whole, "first.o", 30) + 3) & ~(size_t)3;
    size_t end = first + put_member(whole + first, "last.o", 21);

    for (size_t bytes = 0; bytes <= end; bytes++) {
        struct pristine archive = {.data = malloc(bytes ? bytes : 1), .bytes = bytes};
        const uint8_t *data;
        size_t found;

        ck_assert_ptr_nonnull(archive.data);
        memcpy(archive.data, whole, bytes);
        ck_assert_int_eq(pristine_member(&archive, "last", &data, &found), bytes == end);
        if (bytes == end)
            ck_assert(found == 21 && data == archive.data + end - 21);
        ck_assert_int_eq(pristine_member(&archive, "first", &data, &found), bytes >= first - 2);
        ck_assert(!pristine_member(&archive, "firs", &data, &found) && !pristine_member(&archive, "", &data, &found));
        free(archive.data);
    }
}
END_TEST

/* ---- memory above 4 GiB ---- */

START_TEST(parts_of_memory)
{
    const uint64_t gib = 1 << 30, end = ram_map_end(6 * gib);

    ck_assert_uint_eq(ram_map_end(64 << 20), 64 << 20);
    ck_assert_uint_eq(ram_map_end(2 * gib), 2 * gib);
    ck_assert_uint_eq(end, 8 * gib);
    ck_assert_uint_eq(ram_map_bytes(end), 6 * gib);
    ck_assert_uint_eq(ram_map_bytes(64 << 20), 64 << 20);
    ck_assert_uint_eq(ram_map_offset(2 * gib - 1), 2 * gib - 1);
    ck_assert_uint_eq(ram_map_offset(4 * gib), 2 * gib);
    ck_assert_uint_eq(ram_map_offset(8 * gib - 1), 6 * gib - 1);
    ck_assert(ram_map_has(end, 2 * gib - 8, 8) && !ram_map_has(end, 2 * gib - 8, 9));
    ck_assert(!ram_map_has(end, 3 * gib, 1) && !ram_map_has(end, 4 * gib - 1, 2) &&
              !ram_map_has(end, 3 * gib, 2 * gib));
    ck_assert(ram_map_has(end, 4 * gib, 4 * gib) && !ram_map_has(end, 4 * gib, 4 * gib + 1));
    ck_assert(!ram_map_has(end, UINT64_MAX, 2) && !ram_map_has(64 << 20, 4 * gib, 1));
}
END_TEST

/* The arena of the other tests in 3 GiB of RAM, with the text of alpha at `phys`. */
static uint8_t *build_high(uint64_t phys)
{
    uint64_t end = ram_map_end(UINT64_C(3) << 30);
    uint8_t *high = mmap(NULL, end, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    ck_assert_ptr_ne(high, MAP_FAILED);
    memcpy(high, ram, BUILD_RAM);
    struct arena_section *text = build_record(high, ARENA_SECTIONS, BUILD_ALPHA_TEXT);
    text->phys = phys;
    build_seal(high, ARENA_SECTIONS, BUILD_ALPHA_TEXT);
    memcpy(high + phys, ram + BUILD_ALPHA_PHYS, BUILD_TEXT_BYTES);
    memset(high + BUILD_ALPHA_PHYS, 0xcc, BUILD_TEXT_BYTES);
    return high;
}

START_TEST(a_section_above_the_hole)
{
    const uint64_t phys = RAM_MAP_HIGH_AT + 0x3000, end = ram_map_end(UINT64_C(3) << 30);
    uint8_t *high = build_high(phys), read[4];
    struct verify_report r;
    enum err e;

    ck_assert_int_eq(verify_run(high, end, &(struct verify_scope){0}, &r), ERR_OK);
    ck_assert_uint_eq(r.differing_count, 0);
    ck_assert_uint_eq(r.bytes, BUILD_TEXT_BYTES + BUILD_RODATA_BYTES);
    verify_done(&r);
    high[phys + 3] ^= 1;
    ck_assert_int_eq(verify_run(high, end, &(struct verify_scope){0}, &r), ERR_OK);
    ck_assert_uint_eq(r.differing_count, 1);
    ck_assert_uint_eq(r.differing[0].offset, 3);
    verify_done(&r);
    struct view *v = view_take(high, end, &e);
    ck_assert_ptr_nonnull(v);
    ck_assert_uint_eq(view_damage_count(v), 0);
    ck_assert_int_eq(read_virt(v, BUILD_ALPHA_VIRT, read, sizeof read, NULL), ERR_OK);
    ck_assert_int_eq(memcmp(read, high + phys, sizeof read), 0);
    ck_assert_int_eq(read_phys(v, end - 4, read, 4), ERR_OK);
    ck_assert_int_eq(read_phys(v, end - 3, read, 4), ERR_RANGE);
    ck_assert_int_eq(read_phys(v, RAM_MAP_LOW_MAX - 3, read, 4), ERR_RANGE);
    ck_assert_int_eq(read_phys(v, RAM_MAP_HIGH_AT - 1, read, 1), ERR_RANGE);
    view_free(v);
    munmap(high, end);
}
END_TEST

/* In the hole there is nothing to read, and no table to write requests to. */
START_TEST(what_lies_in_the_hole_is_damage)
{
    const uint64_t end = ram_map_end(UINT64_C(3) << 30);
    uint8_t *high = build_high(RAM_MAP_LOW_MAX + 0x3000);
    struct layout layout;
    enum err e;

    struct view *v = view_take(high, end, &e);
    ck_assert_ptr_nonnull(v);
    ck_assert_uint_eq(view_damage_count(v), 1);
    ck_assert_ptr_nonnull(strstr(view_damage(v, 0)->text, "outside of memory"));
    view_free(v);
    build_header(high)->table[ARENA_MAILBOX].offset = (uint32_t)RAM_MAP_LOW_MAX;
    ck_assert_int_eq(layout_read(high, end, &layout), ERR_OK);
    ck_assert_uint_eq(layout.bad_tables, 1u << ARENA_MAILBOX);
    munmap(high, end);
}
END_TEST

Suite *suite_introspect(void);
Suite *suite_introspect(void)
{
    Suite *s = suite_create("introspect");
    TCase *tc = tcase_create("introspect");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, pages_are_walked);
    tcase_add_test(tc, pages_that_hold_a_section);
    tcase_add_test(tc, references_are_counted);
    tcase_add_test(tc, sections_and_stacks_without_page_tables);
    tcase_add_test(tc, instructions_name_their_targets);
    tcase_add_test(tc, an_instruction_may_have_two_targets);
    tcase_add_test(tc, another_kernel_is_not_compared_with);
    tcase_add_test(tc, a_sound_cell_does_not_differ);
    tcase_add_test(tc, a_flipped_byte_is_named);
    tcase_add_test(tc, a_closed_gate_does_not_differ);
    tcase_add_test(tc, a_cell_that_is_being_freed_is_not_compared);
    tcase_add_test(tc, what_does_not_differ_each_time_is_no_damage);
    tcase_add_test(tc, a_gate_behind_its_section_hides_nothing);
    tcase_add_test(tc, a_damaged_edge_blames_no_text);
    tcase_add_test(tc, a_damaged_object_falls_back_on_the_archive);
    tcase_add_test(tc, the_nano_core_against_its_image);
    tcase_add_test(tc, requests_are_answered);
    tcase_add_test(tc, plans_are_not_believed);
    tcase_add_test(tc, requests_never_wait_for_ever);
    tcase_add_test(tc, requests_fit);
    tcase_add_test(tc, requests_of_who_has_lost_the_lock);
    tcase_add_test(tc, cut_archives);
    tcase_add_test(tc, parts_of_memory);
    tcase_add_test(tc, a_section_above_the_hole);
    tcase_add_test(tc, what_lies_in_the_hole_is_damage);
    suite_add_tcase(s, tc);
    return s;
}
