/* The boot, in order: what loading the first cell takes. Read main() at the end first; cell `start` continues. */
#include "cells/cell.h"
#include "cells/core/archive/archive.h"
#include "cells/core/arena/arena.h"
#include "cells/core/boot/boot.h"
#include "cells/core/boot/image.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/exception/exception.h"
#include "cells/core/frame/frame.h"
#include "cells/core/loader/loader.h"
#include "cells/core/page/page.h"
#include "cells/core/panic/panic.h"
#include "cells/core/report/report.h"
#include "cells/lib/string/string.h"
#include "guest/abi/layout.h"

CELL("nano_core", KERNEL, 1);

#define BUILD_ID_OFFSET   16 /* after the header of the ELF note */
#define EARLY_STACK_BYTES 4096

_Noreturn void main(unsigned entry, uint64_t phys);

static void halt_unless_ok(enum err e, const char *what)
{
    if (e == ERR_OK)
        return;
    panic_print(what);
    panic_print(": ");
    panic_halt(report_error_text(e));
}

/* Used until pages can be mapped. Freed with the image. */
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
/* Moves the tables that the CPU's registers point to into pages of their own, which no swap moves. */
static enum err move_cpu_tables(void)
{
    struct mapped_pages *idt = page_map(EXCEPTION_TABLE_BYTES, PAGE_WRITE);

    if (!idt)
        return ERR_NOMEM;
    exception_init(page_start(idt));
    return cpu_move_tables();
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

/* Fills in what the host reads about this boot. */
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
    halt_unless_ok(archive_open(page_direct(boot->archive_phys), boot->archive_bytes, boot->archive_phys), "archive");
}

/* Loads the first cell with all it needs, and runs it on this stack. */
static void run_first_cell(void)
{
    char name[32] = "start";
    static struct report report;
    struct cell_ref cell;

    boot_option("start", name, sizeof name);
    if (loader_load(name, &cell, &report)) {
        panic_print(name);
        panic_print(": ");
        panic_print(report.text);
        panic_print("\n");
        halt_unless_ok(report.error, "cannot load the first cell");
    }
    if (!arena_header()->first_cell_tsc)
        arena_header()->first_cell_tsc = cpu_tsc();
    if (!arena_cell(cell)->main_section.index)
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
    halt_unless_ok(boot_error, "boot information");
    halt_unless_ok(frame_init((uint64_t)image_data_end - LAYOUT_IMAGE_VIRT), "frames");
    halt_unless_ok(map_memory(), "page tables");
    halt_unless_ok(move_cpu_tables(), "cpu");
    arena_init();
    describe_boot();
    open_archive();
    halt_unless_ok(loader_init(), "loader");
    run_first_cell();
    panic_halt("the first cell returned");
}
