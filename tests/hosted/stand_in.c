/* See stand_in.h. Page tables, other CPUs and interrupts are left out. */
#include "tests/hosted/stand_in.h"
#include "cells/core/archive/archive.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/frame/frame.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/loader/loader.h"
#include "cells/core/lock/lock.h"
#include "cells/core/page/page.h"
#include "cells/core/panic/panic.h"
#include "cells/lib/string/string.h"
#include "cells/task/task/task.h"
#include "guest/abi/layout.h"
#include <asm/prctl.h>
#include <elf.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

/* RAM: the arena, modules, and as many frames as cells may need. */
#define MODULE_PHYS  (LAYOUT_ARENA_PHYS + (uint64_t)LAYOUT_ARENA_BYTES)
#define FRAMES_START ((MODULE_PHYS + (8ul << 20)) / FRAME_BYTES)
#define FRAMES       (ARENA_CELLS_BASE > 8192 / 6 ? ARENA_CELLS_BASE * 6ul : 8192ul)
#define FRAMES_END   (FRAMES_START + FRAMES)
#define RAM_BYTES    (FRAMES_END * FRAME_BYTES)

struct mapped_pages {
    uint64_t virt, phys;
    size_t bytes;
    unsigned flags;
};

struct stand_in stand_in;

static uint8_t *ram;
static uint8_t frame_used[FRAMES_END];
static size_t lowest_free;                      /* no frame below it is */
static struct mapped_pages mapping[FRAMES_END]; /* by first frame */
static uint64_t next_module;
static struct cpu cpu;
static struct sigaction before;

/* ---- panic, lock, cpu, string ---- */

void panic(const char *message)
{
    fprintf(stderr, "panic: %s\n", message);
    abort();
}

void panic_print(const char *text)
{
    size_t used = strlen(stand_in.printed);

    snprintf(stand_in.printed + used, sizeof stand_in.printed - used, "%s", text);
}

struct lock_guard lock_take(struct lock *lock)
{
    assert(!lock_held(lock));
    lock->holder = 1;
    return (struct lock_guard){.lock = lock};
}

void lock_guard_end(struct lock_guard *guard)
{
    if (guard->lock)
        guard->lock->holder = 0;
    guard->lock = NULL;
}

bool lock_held(const struct lock *lock)
{
    return lock->holder == 1;
}

struct cpu *cpu_get(unsigned index)
{
    return index ? NULL : &cpu;
}

/* The only tasks are those that a test makes. */
void task_each(void (*)(struct task *, void *), void *)
{
}

uint64_t cpu_ns(void)
{
    struct timespec t;

    if (stand_in.clock_ns)
        return stand_in.clock_ns += 1000;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

size_t string_length(const char *text)
{
    return strlen(text);
}

bool string_equal(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

bool string_starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

void string_copy(char *to, const char *from, size_t bytes)
{
    snprintf(to, bytes, "%s", from);
}

/* ---- frames ---- */

bool stand_in_fails(void)
{
    return ++stand_in.allocations == stand_in.fail_at;
}

enum err frame_alloc(size_t frames, uint64_t *ret_phys)
{
    size_t run = 0;

    if (stand_in_fails())
        return ERR_NOMEM;
    while (lowest_free < FRAMES_END && frame_used[lowest_free])
        lowest_free++;
    for (size_t f = lowest_free; frames && f < FRAMES_END; f++) {
        run = frame_used[f] ? 0 : run + 1;
        if (run < frames)
            continue;
        memset(frame_used + f + 1 - frames, 1, frames);
        memset(ram + (f + 1 - frames) * FRAME_BYTES, 0xa5, frames * FRAME_BYTES);
        stand_in.frames_used += frames;
        *ret_phys = (f + 1 - frames) * FRAME_BYTES;
        return ERR_OK;
    }
    return ERR_NOMEM;
}

size_t frame_free_count(void)
{
    return FRAMES - stand_in.frames_used;
}

size_t frame_total_count(void)
{
    return FRAMES;
}

void frame_free(uint64_t phys, size_t frames)
{
    assert(phys % FRAME_BYTES == 0);
    for (size_t f = phys / FRAME_BYTES; f < phys / FRAME_BYTES + frames; f++) {
        assert(f >= FRAMES_START && f < FRAMES_END && frame_used[f]);
        frame_used[f] = 0;
    }
    if (phys / FRAME_BYTES < lowest_free)
        lowest_free = phys / FRAME_BYTES;
    stand_in.frames_used -= frames;
}

/* ---- mappings ---- */

void *page_direct(uint64_t phys)
{
    assert(phys < RAM_BYTES);
    return ram + phys;
}

/* Twice as far apart as the frames are, which leaves room for a guard page behind each mapping. */
static uint64_t virt_of(uint64_t phys)
{
    return LAYOUT_CELL_VIRT + 2 * (phys - FRAMES_START * FRAME_BYTES);
}
_Static_assert(2 * FRAMES * FRAME_BYTES <= LAYOUT_CELL_END - LAYOUT_CELL_VIRT);

/* The mapping that begins at the frame of `virt` or before it; NULL: none. */
static struct mapped_pages *mapping_below(uint64_t virt)
{
    if (virt - LAYOUT_CELL_VIRT >= 2 * FRAMES * FRAME_BYTES)
        return NULL;
    for (size_t f = FRAMES_START + (virt - LAYOUT_CELL_VIRT) / (2 * FRAME_BYTES); f >= FRAMES_START; f--)
        if (mapping[f].bytes)
            return &mapping[f];
    return NULL;
}

static struct mapped_pages *map(size_t bytes, unsigned flags)
{
    size_t whole = (bytes + FRAME_BYTES - 1) & -FRAME_BYTES;
    uint64_t phys;

    assert(!(flags & PAGE_WRITE && flags & PAGE_EXECUTE));
    if (frame_alloc(whole / FRAME_BYTES, &phys))
        return NULL;
    memset(page_direct(phys), 0, whole);
    struct mapped_pages *mp = &mapping[phys / FRAME_BYTES];
    *mp = (struct mapped_pages){.virt = virt_of(phys), .phys = phys, .bytes = whole, .flags = flags};
    stand_in.mappings++;
    return mp;
}

/* Devices are memory; the handle tells the test where. */
struct mapped_pages *page_map(size_t bytes, unsigned flags)
{
    return map(bytes, flags);
}

struct mapped_pages *page_map_device(uint64_t, size_t bytes, unsigned flags)
{
    return map(bytes, flags);
}

void mapped_pages_put(struct mapped_pages *mp)
{
    if (!mp)
        return;
    assert(mp->bytes);
    frame_free(mp->phys, mp->bytes / FRAME_BYTES);
    mp->bytes = 0;
    stand_in.mappings--;
}

void *page_start(const struct mapped_pages *mp)
{
    if (!(mp->flags & PAGE_CELL))
        return page_direct(mp->phys); /* plain memory, which its owner may use at once */
    return (void *)(uintptr_t)mp->virt;
}

uint64_t page_phys(const struct mapped_pages *mp)
{
    return mp->phys;
}

size_t page_bytes(const struct mapped_pages *mp)
{
    return mp->bytes;
}

struct mapped_pages *page_find(uint64_t virt)
{
    struct mapped_pages *mp = mapping_below(virt);

    return mp && mp->virt == virt ? mp : NULL;
}

void page_each(void (*visit)(struct mapped_pages *mp, void *context), void *context)
{
    for (size_t i = 0; i < array_size(mapping); i++)
        if (mapping[i].bytes && mapping[i].flags & PAGE_WRITE)
            visit(&mapping[i], context);
}

enum err page_translate(uint64_t virt, uint64_t *ret_phys)
{
    const struct mapped_pages *mp = mapping_below(virt);
    const uint64_t starts[] = {(uint64_t)(uintptr_t)ram, LAYOUT_DIRECT_VIRT, LAYOUT_IMAGE_VIRT};

    if (mp && virt - mp->virt < mp->bytes) {
        *ret_phys = mp->phys + (virt - mp->virt);
        return ERR_OK;
    }
    for (size_t i = 0; i < array_size(starts); i++)
        if (virt - starts[i] < RAM_BYTES) {
            *ret_phys = virt - starts[i];
            return ERR_OK;
        }
    return ERR_RANGE;
}

unsigned stand_in_flags(uint64_t virt)
{
    const struct mapped_pages *mp = mapping_below(virt);

    return mp && virt - mp->virt < mp->bytes ? mp->flags : ~0u;
}

/* ---- the machine ---- */

/* Executes `in` or `out` of a byte, which a process may not; false: it is another instruction. */
static bool access_port(greg_t *r)
{
    const uint8_t *code = (const uint8_t *)(uintptr_t)r[REG_RIP];
    bool known = (*code & 0xf5) == 0xe4, immediate = !(*code & 8), out = *code & 2;
    uint16_t port = known && immediate ? code[1] : (uint16_t)r[REG_RDX];

    if (!known || !stand_in.port)
        return false;
    uint8_t value = stand_in.port(port, out, (uint8_t)r[REG_RAX]);
    if (!out)
        r[REG_RAX] = (r[REG_RAX] & ~0xffll) | value;
    r[REG_RIP] += immediate ? 2 : 1;
    return true;
}

/* A jump to a guest address: logs it and returns at once. Anything else is a mistake of the cell under test. */
static void on_fault(int signal_number, siginfo_t *info, void *context)
{
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    uint64_t rip = (uint64_t)r[REG_RIP];

    if (rip < LAYOUT_CELL_VIRT || rip >= LAYOUT_CELL_END) {
        if (!info->si_addr && access_port(r))
            return;
        fprintf(stderr, "fault at %p, address %p\n", (void *)(uintptr_t)rip, info->si_addr);
        sigaction(signal_number, &before, NULL); /* faults again, and is reported by the sanitizer */
        return;
    }
    assert(stand_in_flags(rip) != ~0u && stand_in_flags(rip) & PAGE_EXECUTE);
    assert(stand_in.calls < STAND_IN_CALLS);
    stand_in.call[stand_in.calls++] = rip;
    r[REG_RIP] = *(greg_t *)(uintptr_t)r[REG_RSP];
    r[REG_RSP] += 8;
    r[REG_RAX] = stand_in.call_result;
}

void stand_in_start(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};

    if (!ram) {
        ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert(ram != MAP_FAILED);
        sigaction(SIGSEGV, &action, &before);
    }
    cpu.self = &cpu;
    syscall(SYS_arch_prctl, ARCH_SET_GS, &cpu);
    memset(&stand_in, 0, sizeof stand_in);
    memset(frame_used, 0, sizeof frame_used);
    memset(mapping, 0, sizeof mapping);
    lowest_free = FRAMES_START;
    next_module = MODULE_PHYS;
    assert(arena_plan(0) <= ARENA_TABLES_ROOM);
    arena_place(LAYOUT_TABLES_PHYS);
    arena_init();
}

void *stand_in_module(size_t bytes, uint64_t *ret_phys)
{
    assert(next_module + bytes <= FRAMES_START * FRAME_BYTES);
    *ret_phys = next_module;
    next_module = (next_module + bytes + FRAME_BYTES - 1) & -FRAME_BYTES;
    return page_direct(*ret_phys);
}

size_t stand_in_records(enum arena_table table)
{
    const struct arena_table_desc *desc = &arena_header()->table[table];
    const uint8_t *record = arena_record(table, 1);
    size_t count = 0;

    for (uint32_t i = 1; i < desc->used; i++, record += desc->record_bytes)
        count += *(const uint32_t *)record != 0;
    return count;
}

struct stand_in_use stand_in_use(void)
{
    struct stand_in_use use = {.frames = stand_in.frames_used,
                               .mappings = stand_in.mappings,
                               .strings = arena_header()->counter[COUNTER_strings],
                               .heap_blocks = arena_header()->counter[COUNTER_heap_blocks],
                               .heap_bytes = arena_header()->counter[COUNTER_heap_bytes]};

    for (enum arena_table t = ARENA_NAMESPACES; t <= ARENA_EDGES; t++)
        use.records[t] = stand_in_records(t);
    return use;
}

bool stand_in_same_use(const struct stand_in_use *a, const struct stand_in_use *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

const char *stand_in_difference(const struct stand_in_use *a, const struct stand_in_use *b)
{
    static const char *const name[] = {"frames",  "mappings", "namespaces", "objects",     "cells",     "sections",
                                       "symbols", "edges",    "strings",    "heap blocks", "heap bytes"};
    static char text[64];
    const size_t *x = (const size_t *)a, *y = (const size_t *)b;

    _Static_assert(sizeof *a == sizeof name / sizeof *name * sizeof(size_t));
    for (size_t i = 0; i < sizeof name / sizeof *name; i++)
        if (x[i] != y[i]) {
            snprintf(text, sizeof text, "%zu %s, then %zu", x[i], name[i], y[i]);
            return text;
        }
    return NULL;
}

uint8_t *stand_in_file(const char *path, size_t *ret_bytes)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc(16 << 20);
    size_t bytes = f && data ? fread(data, 1, 16 << 20, f) : 0;

    if (f)
        fclose(f);
    if (!f || !data) {
        free(data);
        return NULL;
    }
    *ret_bytes = bytes;
    return data;
}

struct object_ref stand_in_keep(const char *path)
{
    size_t bytes;
    uint8_t *data = stand_in_file(path, &bytes);
    struct object_ref object = {};

    if (data)
        (void)lifecycle_keep_object(data, bytes, &object, NULL);
    else
        fprintf(stderr, "%s cannot be read\n", path);
    free(data);
    return object;
}

/* What a boot loader does, and the build identity, which the image's entry would have recorded. */
static bool load_image(const uint8_t *image, size_t bytes)
{
    Elf64_Ehdr header;

    if (bytes < sizeof header)
        return false;
    memcpy(&header, image, sizeof header);
    for (int i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr p;
        memcpy(&p, image + header.e_phoff + (size_t)i * sizeof p, sizeof p);
        if (p.p_type == PT_LOAD && p.p_paddr + p.p_filesz <= RAM_BYTES)
            memcpy(ram + p.p_paddr, image + p.p_offset, p.p_filesz);
        if (p.p_type != PT_NOTE)
            continue;
        const uint8_t *id = memmem(image + p.p_offset, p.p_filesz, "\4\0\0\0\24\0\0\0\3\0\0\0GNU", 16);
        if (id)
            memcpy(arena_header()->build_id, id + 16, sizeof arena_header()->build_id);
    }
    return true;
}

bool stand_in_boot_with(const char *image_path, const uint8_t *archive, size_t archive_bytes)
{
    size_t image_bytes = 0;
    uint8_t *image = stand_in_file(image_path, &image_bytes);
    bool done = false;
    uint64_t phys;

    if (image && archive && load_image(image, image_bytes)) {
        void *module = stand_in_module(archive_bytes, &phys);
        memcpy(module, archive, archive_bytes);
        done = !archive_open(module, archive_bytes, phys) && !loader_init();
    }
    free(image);
    return done;
}

bool stand_in_boot(const char *image_path, const char *archive_path)
{
    size_t bytes = 0;
    uint8_t *archive = stand_in_file(archive_path, &bytes);
    bool done = stand_in_boot_with(image_path, archive, bytes);

    free(archive);
    return done;
}
