/* Attacks frames and mapped pages: overlaps, leaks, freed parts, guard pages, and every protection that the image, the
 * direct map and mapped pages promise. */
#include "cells/core/arena/arena.h"
#include "cells/core/boot/boot.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/exception/exception.h"
#include "cells/core/frame/frame.h"
#include "cells/core/page/page.h"
#include "cells/core/vector/vector.h"
#include "tests/guest/check.h"

CELL("test_memory", KERNEL, 1);

#define ROUNDS      500
#define ERROR_WRITE 2
#define ERROR_FETCH 16

static volatile uint64_t fault_error, fault_address, faults;
static uint64_t resume_rip;

static void on_page_fault(struct trap_frame *frame)
{
    uint64_t address;

    __asm__ volatile("mov %%cr2, %0" : "=r"(address));
    faults++;
    fault_error = frame->error_code;
    fault_address = address;
    if (frame->error_code & ERROR_FETCH)
        frame->rsp += 8; /* what the call pushed */
    frame->rip = resume_rip;
}

enum attempt { READ, WRITE, FETCH };

/* True when the attempt at `address` faults there. */
static bool faults_at(enum attempt attempt, uint64_t address)
{
    uint64_t before = faults;

    switch (attempt) {
    case READ:
        __asm__ volatile("leaq 1f(%%rip), %%rax; movq %%rax, %0; movb (%1), %%al; 1:"
                         : "=m"(resume_rip)
                         : "r"(address)
                         : "rax", "memory");
        break;
    case WRITE:
        __asm__ volatile("leaq 1f(%%rip), %%rax; movq %%rax, %0; lock orb $0, (%1); 1:"
                         : "=m"(resume_rip)
                         : "r"(address)
                         : "rax", "memory");
        break;
    case FETCH:
        __asm__ volatile("leaq 1f(%%rip), %%rax; movq %%rax, %0; call *%1; 1:"
                         : "=m"(resume_rip)
                         : "r"(address)
                         : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory");
        break;
    }
    return faults == before + 1 && fault_address == address;
}

static void test_frames(void)
{
    size_t before = frame_free_count();
    uint64_t run = 0, other = 0, again;

    CHECK(frame_alloc(0, &run) == ERR_INVALID);
    CHECK(frame_alloc(before + 1, &run) == ERR_NOMEM);
    CHECK(frame_alloc(1000, &run) == ERR_OK && frame_alloc(3, &other) == ERR_OK);
    CHECK(run % FRAME_BYTES == 0 && (other >= run + 1000 * FRAME_BYTES || other + 3 * FRAME_BYTES <= run));
    CHECK(frame_free_count() == before - 1003);
    frame_free(run + 10 * FRAME_BYTES, 980);
    frame_free(run, 10);
    frame_free(run + 990 * FRAME_BYTES, 10);
    CHECK(frame_free_count() == before - 3);
    CHECK(frame_alloc(1000, &again) == ERR_OK);
    frame_free(again, 1000);
    frame_free(other, 3);
    CHECK(frame_free_count() == before);
}

/* By the arena or the archive. */
static bool is_used_otherwise(uint64_t phys)
{
    const struct boot_info *boot = boot_get();

    return phys - LAYOUT_ARENA_PHYS < LAYOUT_ARENA_BYTES || phys - boot->archive_phys < boot->archive_bytes;
}

/* Frees those frames of the chain whose numbers are even, or odd. False: a frame was overwritten. */
static bool free_chain(const uint64_t *chain, unsigned parity)
{
    for (; chain; chain = (const uint64_t *)chain[0]) {
        uint64_t phys = (uint64_t)chain - LAYOUT_DIRECT_VIRT;
        if (!CHECK(chain[1] == ~phys))
            return false;
        if (phys / FRAME_BYTES % 2 == parity)
            frame_free(phys, 1);
    }
    return true;
}

/* As if recovery was running, which may take the last frames. */
static void recover(bool on)
{
    static int recovery;

    cpu_this()->task = on ? (struct task *)&recovery : NULL;
    arena_reserve_user = cpu_task();
}

/* Appends frames to a chain through the frames themselves, which finds any that overlap, until there are no more.
 * Returns how many. */
static size_t take_frames(uint64_t **chain)
{
    size_t taken = 0;

    for (uint64_t phys; frame_alloc(1, &phys) == ERR_OK; taken++) {
        uint64_t *frame = page_direct(phys);
        if (!CHECK(!is_used_otherwise(phys)))
            return taken;
        frame[0] = (uint64_t)*chain;
        frame[1] = ~phys;
        *chain = frame;
    }
    return taken;
}

static void test_every_frame(void)
{
    size_t before = frame_free_count(), reserve = frame_total_count() / FRAME_RESERVE_PART;
    uint64_t *chain = NULL, phys;

    CHECK(take_frames(&chain) == before - reserve && frame_free_count() == reserve);
    recover(true);
    CHECK(take_frames(&chain) == reserve && frame_free_count() == 0);
    recover(false);
    if (!free_chain(chain, 0))
        return;
    CHECK(frame_free_count() > 0 && frame_alloc(2, &phys) == ERR_NOMEM); /* no two of them are side by side */
    (void)free_chain(chain, 1);
    CHECK(frame_free_count() == before);
}

static void test_mapping(size_t bytes, unsigned flags)
{
    OWN(mapped_pages) struct mapped_pages *mp = page_map(bytes, flags);
    uint64_t phys;

    if (!CHECK(mp != NULL))
        return;
    uint64_t start = (uint64_t)page_start(mp), end = start + page_bytes(mp);
    CHECK(page_bytes(mp) >= bytes && page_bytes(mp) < bytes + FRAME_BYTES);
    CHECK(page_find(start) == mp && page_find(start + FRAME_BYTES) != mp);
    CHECK(page_translate(end - 1, &phys) == ERR_OK && phys == page_phys(mp) + page_bytes(mp) - 1);
    CHECK(page_translate(end, &phys) == ERR_RANGE);
    for (uint64_t at = start; at < end; at += 8)
        if (!CHECK(*(volatile uint64_t *)at == 0))
            return;
    if (flags & PAGE_CELL)
        CHECK(start >= LAYOUT_CELL_VIRT && end <= LAYOUT_CELL_END);
    if (flags & PAGE_WRITE)
        *(volatile uint64_t *)start = 0x5a5a5a5a5a5a5a5a; /* must be gone when the frames are given out again */
}

static bool is_refused(size_t bytes)
{
    OWN(mapped_pages) struct mapped_pages *mp = page_map(bytes, PAGE_WRITE);

    return !mp;
}

static void test_leaks(void)
{
    size_t before = 0;

    for (unsigned i = 0; i < 2 * ROUNDS; i++) {
        if (i == ROUNDS)
            before = frame_free_count(); /* tables and handles stay: the first half makes them */
        test_mapping(1 + i % 7 * 5000, i % 2 ? PAGE_WRITE : PAGE_WRITE | PAGE_CELL);
    }
    CHECK(frame_free_count() == before);
    CHECK(is_refused(0) && is_refused(1ul << 40) && is_refused(FRAME_BYTES * (frame_free_count() + 1)));
    CHECK(frame_free_count() == before);
}

static void test_protection(void)
{
    static const uint8_t constant = 0xc3;
    static uint8_t variable = 0xc3; /* ret, if it could be executed */
    OWN(mapped_pages) struct mapped_pages *mp = page_map(2 * FRAME_BYTES, PAGE_WRITE);
    uint64_t start = (uint64_t)page_start(mp);
    uint8_t *alias = page_direct(page_phys(mp));

    CHECK(faults_at(READ, 0) && faults_at(READ, 0x8000) && faults_at(READ, LAYOUT_IMAGE_PHYS));
    CHECK(faults_at(WRITE, (uint64_t)test_frames) && faults_at(WRITE, (uint64_t)frame_alloc));
    CHECK(faults_at(WRITE, (uint64_t)&constant) && faults_at(FETCH, (uint64_t)&constant));
    CHECK(faults_at(FETCH, (uint64_t)&variable) && !faults_at(WRITE, (uint64_t)&variable));
    CHECK(faults_at(READ, start + 2 * FRAME_BYTES));
    *alias = 0xc3;
    CHECK(!faults_at(WRITE, start) && faults_at(FETCH, start) && faults_at(FETCH, (uint64_t)alias));
    page_protect(mp, PAGE_READ);
    CHECK(faults_at(WRITE, start) && !faults_at(READ, start) && faults_at(FETCH, start));
    page_protect(mp, PAGE_EXECUTE);
    CHECK(faults_at(WRITE, start) && !faults_at(FETCH, start));
    mapped_pages_put(MOVE(mp));
    CHECK(faults_at(READ, start));
    CHECK(!faults_at(READ, (uint64_t)alias));
}

static int test_memory(int argc, char **argv)
{
    (void)argc, (void)argv;
    CHECK(vector_bind(EXCEPTION_PF, on_page_fault) == ERR_OK);
    test_frames();
    test_every_frame();
    test_leaks();
    test_protection();
    CHECK(cpu_this()->interrupt_depth == 0 && cpu_this()->lock_depth == 0);
    check_end("test_memory");
}
MAIN(test_memory);
