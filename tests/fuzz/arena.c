/* Fuzz target: what reads guest memory, against arbitrary bytes in it. The input is a list of writes of six bytes
 * (a 32-bit offset, a value, and whether to mend the check word of the record that was hit) over a small sound arena,
 * so that mutations reach beyond the header at once.
 *
 * sources: introspect introspect/base
 */
#include "tests/unit/arena_build.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static uint8_t *ram, *sound;

/* Guest memory from the arena on; what lies below is never looked at. */
enum { WINDOW = BUILD_RAM - LAYOUT_ARENA_PHYS, WRITES_MAX = 64 };

static void mend(uint32_t offset)
{
    for (unsigned t = 0; t <= ARENA_CPUS; t++) {
        const struct arena_table_desc *desc = &build_header(sound)->table[t];
        uint32_t end = desc->offset + desc->capacity * desc->record_bytes;

        if (offset >= desc->offset && offset < end && build_header(ram)->table[t].offset == desc->offset)
            build_seal(ram, t, (offset - desc->offset) / desc->record_bytes);
    }
}

/* Most offsets fall on the header, on used records, and on the bytes of cells. */
static uint32_t place(uint32_t word)
{
    const struct arena_header *header = build_header(sound);
    uint32_t within = word >> 4;
    unsigned kind = word & 15;

    if (kind <= ARENA_CPUS)
        return header->table[kind].offset + within % (header->table[kind].used * header->table[kind].record_bytes);
    if (kind == 8 || kind == 9)
        return header->table[ARENA_FAULTS + kind % 8].offset + within % 2048;
    if (kind == 10)
        return header->table[ARENA_STRINGS].offset + within % 256;
    if (kind <= 12)
        return within % sizeof(struct arena_header);
    if (kind == 13)
        return BUILD_OBJECT_PHYS - LAYOUT_ARENA_PHYS + within % 512;
    if (kind == 14)
        return BUILD_PAGES_PHYS - LAYOUT_ARENA_PHYS + within % 16384;
    return within % WINDOW;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    uint32_t touched[WRITES_MAX];
    size_t writes = bytes / 6 < WRITES_MAX ? bytes / 6 : WRITES_MAX;
    enum err e;

    if (!ram) {
        ram = build_ram();
        sound = build_ram();
    }
    for (size_t n = 0; n < writes; n++) {
        uint32_t word;

        memcpy(&word, data + n * 6, sizeof word);
        touched[n] = place(word);
        ram[LAYOUT_ARENA_PHYS + touched[n]] = data[n * 6 + 4];
        if (data[n * 6 + 5] & 1)
            mend(touched[n]);
    }
    build_header(ram)->generation &= ~1ull; /* waiting finds nothing */
    struct view *view = view_take(ram, BUILD_RAM, &e);
    if (view)
        build_ask_all(view);
    view_free(view);
    memcpy(ram + LAYOUT_ARENA_PHYS, sound + LAYOUT_ARENA_PHYS, 256 * 1024);
    for (size_t n = 0; n < writes; n++)
        ram[LAYOUT_ARENA_PHYS + touched[n]] = sound[LAYOUT_ARENA_PHYS + touched[n]];
    return 0;
}
