/* Frames and pages: nothing is handed out twice, and protection holds: writing text, executing data
 * and reading behind a mapping fault. */
#include "cells/core/cpu/cpu.h"
#include "cells/core/exception/exception.h"
#include "cells/core/frame/frame.h"
#include "cells/core/page/page.h"
#include "cells/core/vector/vector.h"
#include "cells/lib/string/string.h"
#include "cells/task/task/task.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_pages", KERNEL, 1);

#define RUNS      32
#define WRITE_LEN 3 /* bytes of the instruction in can_write */

static volatile uint64_t faults, fault_address;
static bool running_data;
static const char constant[] = "read-only";

static void on_fault(struct trap_frame *frame)
{
    uint64_t address;

    __asm__ volatile("mov %%cr2, %0" : "=r"(address));
    fault_address = address;
    faults++;
    if (running_data) {
        frame->rip = *(uint64_t *)frame->rsp;
        frame->rsp += 8;
    } else {
        frame->rip += WRITE_LEN;
    }
}

static bool can_write(const volatile void *at)
{
    uint64_t before = faults;

    running_data = false;
    __asm__ volatile("movb $0x5a, (%0)" ::"D"(at) : "memory");
    return faults == before;
}

static bool can_run(void *at)
{
    uint64_t before = faults;
    void (*function)(void) = (void (*)(void))at;

    running_data = true;
    function();
    return faults == before;
}

static void frames(const struct testing *test)
{
    uint64_t phys[RUNS];
    size_t before = frame_free_count(), taken = 0;

    for (size_t i = 0; i < RUNS; i++) {
        testing_need(test, frame_alloc(i + 1, &phys[i]) == ERR_OK && phys[i] % FRAME_BYTES == 0);
        taken += i + 1;
        memset(page_direct(phys[i]), (int)i + 1, (i + 1) * FRAME_BYTES);
    }
    testing_need(test, frame_free_count() == before - taken);
    for (size_t i = 0; i < RUNS; i++) {
        const uint8_t *bytes = page_direct(phys[i]);
        testing_need(test, bytes[0] == i + 1 && bytes[(i + 1) * FRAME_BYTES - 1] == i + 1);
        frame_free(phys[i], i + 1);
    }
    testing_need(test, frame_free_count() == before);
    uint64_t none = 1;
    testing_need(test, frame_alloc(frame_total_count() + 1, &none) == ERR_NOMEM && none == 1);
    testing_ok(test, "runs of frames are apart, and all come back");
}

static void free_frame(uint64_t phys)
{
    frame_free(phys, 1);
}

static void freed_twice(const struct testing *test)
{
    uint64_t phys;

    testing_need(test, frame_alloc(3, &phys) == ERR_OK);
    frame_free(phys + FRAME_BYTES, 1);
    OWN(task) struct task *task = task_spawn("victim", free_frame, phys + FRAME_BYTES, NULL);
    testing_need(test, task && task_join(MOVE(task), NULL) == JOIN_FAILED);
    frame_free(phys, 1);
    frame_free(phys + 2 * FRAME_BYTES, 1);
    testing_ok(test, "a frame is not freed twice");
}

static void protection(const struct testing *test)
{
    OWN(mapped_pages) struct mapped_pages *mp = page_map(2 * FRAME_BYTES, PAGE_WRITE);
    testing_need(test, mp);
    uint8_t *at = page_start(mp);

    testing_need(test, vector_bind(EXCEPTION_PF, on_fault) == ERR_OK);
    testing_need(test, !can_write((const void *)protection));
    testing_need(test, !can_write((const void *)frame_alloc));
    testing_need(test, !can_write(constant) && fault_address == (uint64_t)constant);
    testing_ok(test, "text and constants, of a cell and of the nano_core, are not written");
    testing_need(test, can_write(at) && can_write(at + 2 * FRAME_BYTES - 1));
    testing_need(test, !can_write(at + 2 * FRAME_BYTES));
    testing_ok(test, "a guard page follows each mapping");
    at[0] = 0xc3; /* ret */
    testing_need(test, !can_run(at) && !can_run(page_direct(page_phys(mp))));
    testing_ok(test, "data is not run, by no alias");
    page_protect(mp, PAGE_READ);
    testing_need(test, !can_write(at) && at[0] == 0xc3);
    page_protect(mp, PAGE_EXECUTE);
    testing_need(test, !can_write(at) && can_run(at));
    page_protect(mp, PAGE_WRITE);
    testing_need(test, can_write(at));
    testing_ok(test, "protection changes take effect at once");
    mapped_pages_put(MOVE(mp));
    testing_need(test, !can_write(at) && !page_find((uint64_t)at));
    testing_ok(test, "what is unmapped is gone");
    testing_need(test, vector_bind(EXCEPTION_PF, NULL) == ERR_OK);
}

static void mappings(const struct testing *test)
{
    struct mapped_pages *held[RUNS];

    for (size_t i = 0; i < RUNS; i++) {
        held[i] = page_map((i + 1) * 1000, PAGE_WRITE);
        testing_need(test, held[i] && page_bytes(held[i]) >= (i + 1) * 1000);
        uint64_t phys;
        testing_need(test, page_translate((uint64_t)page_start(held[i]) + 100, &phys) == ERR_OK);
        testing_need(test, phys == page_phys(held[i]) + 100 && page_find((uint64_t)page_start(held[i])) == held[i]);
        testing_need(test, *(uint64_t *)page_start(held[i]) == 0);
        memset(page_start(held[i]), (int)i + 1, page_bytes(held[i]));
    }
    for (size_t i = 0; i < RUNS; i++) {
        uint64_t phys;
        testing_need(test, page_translate((uint64_t)page_start(held[i]) + page_bytes(held[i]), &phys) == ERR_RANGE);
    }
    for (size_t i = 0; i < RUNS; i++) {
        const uint8_t *bytes = page_start(held[i]);
        testing_need(test, bytes[0] == i + 1 && bytes[page_bytes(held[i]) - 1] == i + 1);
        mapped_pages_put(held[i]);
    }
}

static int test_pages_main(int argc, char **argv)
{
    struct testing test = testing_begin("test_pages");

    (void)argc;
    (void)argv;
    mappings(&test);
    test = testing_begin("test_pages");
    frames(&test);
    mappings(&test);
    testing_ok(&test, "mappings are zeroed, contiguous and apart");
    freed_twice(&test);
    protection(&test);
    testing_end(&test);
}
MAIN(test_pages_main);
