/* The boot, in order: what loading the first cell takes. Everything else is a cell, started by cell `start`. */
#include "cells/cell.h"
#include "cells/kernel/archive/archive.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/boot/boot.h"
#include "cells/kernel/boot/image.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/frame/frame.h"
#include "cells/kernel/loader/loader.h"
#include "cells/kernel/page/page.h"
#include "cells/kernel/panic/panic.h"
#include "cells/lib/string/string.h"

CELL("nano_core", KERNEL, 1);

#define BUILD_ID_OFFSET 16 /* behind the header of the ELF note */

_Noreturn void main(unsigned entry, uint64_t phys);

static void need(enum err e, const char *what)
{
    if (e == ERR_OK)
        return;
    panic_print(what);
    panic_print(": ");
    panic_halt(err_text(e));
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
    need(cpu_init(0, 0), "cpu");
    need(boot_error, "boot information");
    need(frame_init(), "frames");
    need(page_init(), "page tables");
    arena_init();
    describe_boot();
    open_archive();
    need(loader_init(), "loader");
    run_first_cell();
    panic_halt("the first cell returned");
}
