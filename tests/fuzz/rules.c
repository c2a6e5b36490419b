/* Fuzz target: any bytes as a note of what data must be, and as the data. A note that is taken is walked, from its last
 * type; words of the data that begin with 0xab are made pointers into the data.
 *
 * sources: tests/hosted/stand_in.c cells
 */
#include "cells/core/page/page.h"
#include "cells/recover/check/inside.h"
#include "tests/hosted/stand_in.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define DATA_BYTES 4096u

static struct walk walk;
static struct check_finding findings[4];
static uint8_t *memory;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak" /* kept for ever */
static void boot(void)
{
    stand_in_start();
    if (!stand_in_boot("build/delias.elf", "build/cells.archive")) {
        fprintf(stderr, "rules: cannot boot build/delias.elf with build/cells.archive; run `make all` first: %s\n",
                stand_in.printed);
        exit(1);
    }
    memory = page_start(page_map(DATA_BYTES, PAGE_WRITE));
}
#pragma GCC diagnostic pop

static void fill(const uint8_t *data, size_t bytes)
{
    memset(memory, 0, DATA_BYTES);
    memcpy(memory, data, bytes < DATA_BYTES ? bytes : DATA_BYTES);
    for (uint64_t *word = (uint64_t *)memory; word < (uint64_t *)(memory + DATA_BYTES); word++)
        if (*word >> 56 == 0xab)
            *word = (uint64_t)memory + *word % DATA_BYTES;
}

static void walk_data(void)
{
    uint16_t last = (uint16_t)(walk.note[0].head->types - 1);

    walk.notes = 1;
    walk.finding = findings;
    walk.max = 4;
    walk_begin(&walk);
    if (walk.note[0].type[last].bytes <= DATA_BYTES)
        walk_add(&walk, 0, last, (uint64_t)memory);
    walk_run(&walk);
    if (walk.steps > STEPS_MAX + DEPTH_MAX || walk.objects > OBJECTS_MAX)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    uint16_t note_bytes;

    if (!memory)
        boot();
    if (bytes < sizeof note_bytes)
        return 0;
    memcpy(&note_bytes, data, sizeof note_bytes);
    data += sizeof note_bytes;
    bytes -= sizeof note_bytes;
    if (note_bytes > bytes)
        note_bytes = (uint16_t)bytes;
    void *note = malloc(note_bytes + !note_bytes); /* of its size, so that the sanitizer sees each byte beyond it */
    if (!note)
        abort();
    memcpy(note, data, note_bytes);
    fill(data + note_bytes, bytes - note_bytes);
    if (rules_open(note, note_bytes, &walk.note[0]) && walk.note[0].head->types)
        walk_data();
    free(note);
    return 0;
}
