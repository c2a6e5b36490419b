/* Fuzz target: any bytes as an object file, for the loader on the real image with the real archive. What it takes is
 * linked and taken back; no frame, mapping or record may be left behind. Run from the root of the repository.
 *
 * sources: tests/hosted/stand_in.c cells
 * seeds: build/cells/channel_v2.o build/cells/checksum.o build/cells/format.o build/cells/shell.o
 * seeds: build/cells/exception.o
 */
#include "cells/core/arena/arena.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/loader/loader.h"
#include "cells/core/panic/panic.h"
#include "guest/abi/object.h"
#include "tests/hosted/stand_in.h"
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static struct stand_in_use baseline;

static void boot(void)
{
    struct cell_ref cell;

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
    struct object_ref object;
    struct cell_ref cell;

    if (lifecycle_keep_object(data, bytes, &object, NULL))
        return;
    struct cell_ref old = arena_cell_find(NAMESPACE_ROOT, arena_string(arena_object(object)->name));
    const struct loader_input input = {
        .namespace_ = NAMESPACE_ROOT, .object = &object, .objects = 1, .old = &old, .olds = old.index != 0};
    if (!loader_stage(&input, &cell, NULL))
        lifecycle_unstage(&cell, 1);
    loader_drop_object(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static bool booted;
    char name[32];

    if (!booted)
        boot();
    booted = true;
    /* in a block of its size first, where each byte read beyond its end is seen; sealed, so that more than the seal is
     * checked */
    uint8_t *file = malloc(bytes ? bytes : 1);
    assert(file);
    memcpy(file, data, bytes);
    if (bytes >= sizeof(struct elf_header)) {
        uint32_t seal = object_seal(file, bytes);
        memcpy(file + offsetof(struct elf_header, flags), &seal, sizeof seal);
    }
    if (!loader_check_object(file, bytes, name, NULL))
        stage_and_unstage(file, bytes);
    free(file);
    struct stand_in_use now = stand_in_use();
    assert(stand_in_same_use(&now, &baseline));
    return 0;
}
