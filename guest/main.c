/* The boot, in order: what loading the first cell takes. Everything else is a cell, started by cell `start`. */
#include "cells/cell.h"
#include "cells/kernel/archive/archive.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/boot/boot.h"
#include "cells/kernel/boot/image.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/exception/exception.h"
#include "cells/kernel/frame/frame.h"
#include "cells/kernel/loader/loader.h"
#include "cells/kernel/page/page.h"
#include "cells/kernel/panic/panic.h"
#include "cells/lib/string/string.h"
#include "guest/abi/layout.h"

CELL("nano_core", KERNEL, 1);

#define BUILD_ID_OFFSET   16 /* behind the header of the ELF note */
#define EARLY_STACK_BYTES 4096

_Noreturn void main(unsigned entry, uint64_t phys);

static void need(enum err e, const char *what)
{
    if (e == ERR_OK)
        return;
    panic_print(what);
    panic_print(": ");
    panic_halt(err_text(e));
}

/* Until pages can be mapped; all that is left here goes with the image. */
static uint8_t early_cpu[CPU_AREA_BYTES] __attribute__((aligned(16)));
static uint8_t early_fault_stack[EARLY_STACK_BYTES] __attribute__((aligned(16)));
static uint8_t early_idt[EXCEPTION_TABLE_BYTES] __attribute__((aligned(16)));

static void start_cpu(void)
{
    cpu_init_early(early_cpu, early_fault_stack + sizeof early_fault_stack);
    exception_init(early_idt);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak" /* the IDT is kept for ever */
/* What the CPU points to goes to where it stays. */
static enum err settle_cpu(void)
{
    struct mapped_pages *idt = page_map(EXCEPTION_TABLE_BYTES, PAGE_WRITE);

    if (!idt)
        return ERR_NOMEM;
    exception_init(page_start(idt));
    return cpu_settle();
}
#pragma GCC diagnostic pop

static enum err map_memory(void)
{
    const struct page_part image[] = {
        {image_text_start, image_text_end, PAGE_EXECUTE},
        {image_rodata_start, image_rodata_end, PAGE_READ},
        {image_data_start, image_data_end, PAGE_WRITE},
    };

    return page_init(image, array_size(image));
}

/* What the host reads about this boot. */
static void describe_boot(void)
{
    struct arena_header *header = arena_header();
    const struct boot_info *boot = boot_get();

    header->page_root = page_root();
    header->boot_tsc = boot->entry_tsc;
    memcpy(header->build_id, image_build_id + BUILD_ID_OFFSET, sizeof header->build_id);
    for (unsigned i = 0; i < boot->ranges; i++)
        if (boot->range[i].usable)
            header->ram_bytes += boot->range[i].bytes;
    frame_publish();
}

static void open_archive(void)
{
    const struct boot_info *boot = boot_get();

    if (!boot->archive_bytes)
        panic_halt("no archive of cells: give cells.archive as initrd, or as the first module");
    need(archive_open(page_direct(boot->archive_phys), boot->archive_bytes, boot->archive_phys), "archive");
}

/* Loads the first cell with all it needs, and runs it on this stack. */
static void run_first_cell(void)
{
    char name[32] = "start";
    static struct loader_detail detail;
    uint32_t cell;

    boot_option("start", name, sizeof name);
    enum err e = loader_load(name, &cell, &detail);
    if (e != ERR_OK) {
        panic_print(name);
        panic_print(": ");
        panic_print(detail.text);
        panic_print("\n");
        need(e, "cannot load the first cell");
    }
    if (!arena_header()->first_cell_tsc)
        arena_header()->first_cell_tsc = cpu_tsc();
    if (!arena_cell(cell)->main_section)
        panic_halt("the first cell has no MAIN function");
    char *argv[] = {name, NULL};
    int (*run)(int, char **) = (void *)arena_section(arena_cell(cell)->main_section)->virt;
    (void)run(1, argv);
}

void main(unsigned entry, uint64_t phys)
{
    panic_init();
    enum err boot_error = boot_init(entry, phys);
    start_cpu();
    need(boot_error, "boot information");
    need(frame_init((uint64_t)image_data_end - LAYOUT_IMAGE_VIRT), "frames");
    need(map_memory(), "page tables");
    need(settle_cpu(), "cpu");
    arena_init();
    describe_boot();
    open_archive();
    need(loader_init(), "loader");
    run_first_cell();
    panic_halt("the first cell returned");
}
