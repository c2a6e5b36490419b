/* Fuzz target: any bytes as an object file, for the loader on the real image with the real archive. What it takes is
 * linked and unloaded again; no frame, mapping or record may be left behind. Run from the root of the repository.
 *
 * sources: tests/hosted/stand_in.c cells/kernel/arena/arena.c cells/kernel/archive/archive.c
 * sources: cells/kernel/loader/bind.c cells/kernel/loader/discard.c cells/kernel/loader/index.c
 * sources: cells/kernel/loader/keep.c cells/kernel/loader/loader.c cells/kernel/loader/nano_core.c
 * sources: cells/kernel/loader/object.c cells/kernel/loader/place.c cells/kernel/loader/relocate.c
 * seeds: build/cells/channel_v2.o build/cells/checksum.o build/cells/format.o
 */
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/loader/loader.h"
#include "cells/kernel/panic/panic.h"
#include "tests/hosted/stand_in.h"
#include <stdio.h>
#include <stdlib.h>

#define ROOT 1

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static const enum arena_table tables[] = {ARENA_OBJECTS, ARENA_CELLS, ARENA_SECTIONS, ARENA_SYMBOLS, ARENA_EDGES};
#define TABLES (sizeof tables / sizeof *tables)

struct use {
    size_t frames, mappings, records[TABLES];
};

static struct use baseline;

static struct use use_now(void)
{
    struct use use = {.frames = stand_in.frames_used, .mappings = stand_in.mappings};

    for (size_t i = 0; i < TABLES; i++)
        use.records[i] = stand_in_records(tables[i]);
    return use;
}

/* Interned strings stay for ever: a machine lasts until a quarter of their room is left. */
static bool is_worn(void)
{
    return arena_header()->magic != ARENA_MAGIC ||
           arena_header()->table[ARENA_STRINGS].used > ARENA_STRINGS_BYTES / 4 * 3;
}

static void boot(void)
{
    uint32_t cell;

    stand_in_start();
    if (!stand_in_boot("build/delias.elf", "build/cells.archive") || loader_load("channel", &cell, NULL)) {
        fprintf(stderr, "loader: cannot boot build/delias.elf with build/cells.archive; run `make all` first: %s\n",
                stand_in.printed);
        exit(1);
    }
    baseline = use_now();
}

static void load_and_unload(const uint8_t *data, size_t bytes)
{
    uint32_t object, cell;

    if (loader_keep_object(data, bytes, &object, NULL))
        return;
    if (!loader_stage(object, ROOT, &cell, NULL))
        assert(loader_unload(cell) == ERR_OK);
    loader_drop_object(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static bool booted;
    char name[32];

    if (!booted || is_worn())
        boot();
    booted = true;
    /* in the fuzzer's own block first, where each byte read beyond its end is seen */
    if (loader_check_object(data, bytes, name, NULL))
        return 0;
    load_and_unload(data, bytes);
    struct use now = use_now();
    assert(now.frames == baseline.frames && now.mappings == baseline.mappings);
    for (size_t i = 0; i < TABLES; i++)
        assert(now.records[i] == baseline.records[i]);
    return 0;
}
