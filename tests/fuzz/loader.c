/* Fuzz target: any bytes as an object file, for the loader on the real image with the real archive. What it takes is
 * linked and taken back; no frame, mapping or record may be left behind. Run from the root of the repository.
 *
 * sources: tests/hosted/stand_in.c cells/kernel/arena/arena.c cells/kernel/archive/archive.c
 * sources: cells/kernel/arena/find.c cells/kernel/arena/index.c cells/kernel/arena/strings.c
 * sources: cells/kernel/loader/bind.c cells/kernel/loader/discard.c cells/kernel/loader/index.c
 * sources: cells/kernel/loader/keep.c cells/kernel/loader/loader.c cells/kernel/loader/nano_core.c
 * sources: cells/kernel/loader/object.c cells/kernel/loader/place.c cells/kernel/loader/pointers.c
 * sources: cells/kernel/loader/relocate.c
 * seeds: build/cells/channel_v2.o build/cells/checksum.o build/cells/format.o build/cells/shell.o build/cells/exception.o
 */
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/loader/loader.h"
#include "cells/kernel/panic/panic.h"
#include "tests/hosted/stand_in.h"
#include <stdio.h>
#include <stdlib.h>

#define ROOT 1

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static struct stand_in_use baseline;

static void boot(void)
{
    uint32_t cell;

    stand_in_start();
    if (!stand_in_boot("build/delias.elf", "build/cells.archive") || loader_load("channel", &cell, NULL)) {
        fprintf(stderr, "loader: cannot boot build/delias.elf with build/cells.archive; run `make all` first: %s\n",
                stand_in.printed);
        exit(1);
    }
    baseline = stand_in_use();
}

static void stage_and_unstage(const uint8_t *data, size_t bytes)
{
    uint32_t object, cell;

    if (loader_keep_object(data, bytes, &object, NULL))
        return;
    uint32_t old = arena_cell_find(ROOT, arena_string(arena_object(object)->name));
    const struct loader_order order = {
        .namespace_ = ROOT, .object = &object, .objects = 1, .old = &old, .olds = old != 0};
    if (!loader_stage(&order, &cell, NULL))
        loader_unstage(&cell, 1);
    loader_drop_object(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static bool booted;
    char name[32];

    if (!booted)
        boot();
    booted = true;
    /* in the fuzzer's own block first, where each byte read beyond its end is seen */
    if (loader_check_object(data, bytes, name, NULL))
        return 0;
    stage_and_unstage(data, bytes);
    struct stand_in_use now = stand_in_use();
    assert(stand_in_same_use(&now, &baseline));
    return 0;
}
