/* Cells: a checksum says whether anything has changed since all was last found right; then the sealed hash of each
 * section decides (mend.h). */
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/cpu/crc32.h"
#include "cells/core/loader/loader.h"
#include "cells/core/page/page.h"
#include "cells/host/log/log.h"
#include "cells/lib/string/string.h"
#include "cells/memory/state_db/state_db.h"
#include "cells/recover/mend/mend.h"
#include "cells/recover/mend_second/mend_second.h"
#include "cells/recover/scrub/inside.h"
#include "cells/task/park/park.h"
#include "guest/abi/elf.h"

#define SLOW          6 /* times as many instructions for a checksum as with crc32 */
#define STEP_SECTIONS 256
#define REST_PASSES   16 /* after a repair that has failed */

static uint32_t *rest; /* for each cell, by its index: passes for which it is left alone */
static uint32_t capacity;
SET_ONCE(rest);
SET_ONCE(capacity);
static uint32_t cell_at, section_at;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak" /* kept for ever */
enum err cells_init(void)
{
    capacity = arena_header()->table[ARENA_CELLS].capacity;
    OWN(mapped_pages) struct mapped_pages *pages = page_map(capacity * sizeof *rest, PAGE_WRITE | PAGE_OPAQUE);
    if (!pages)
        return ERR_NOMEM;
    rest = page_start(MOVE(pages));
    return ERR_OK;
}
#pragma GCC diagnostic pop

struct section_ref scrub_section(const char *cell, const char *section)
{
    struct cell_ref found = arena_cell_find(NAMESPACE_ROOT, cell);
    struct section_ref none = NO_SECTION;

    if (!found.index)
        return none;
    for_each_section_of (s, found)
        if (string_equal(arena_string(arena_section(s)->name), section))
            return s;
    return none;
}

/* ---- sections ---- */

/* Loads, swaps and reloads are not under way here: what differs now is damage. True: it is right now. */
static bool put_right(struct section_ref section, struct mend_found *ret_found)
{
    GUARD(loader) locked = loader_hold();

    if (!mend_is_damaged(section))
        return true;
    GUARD(park) parked = park_all();
    return mend_section(section, ret_found);
}

/* False: it is damaged and stays so. */
static bool scrub_section_of(struct section_ref section)
{
    struct mend_found found = {0};
    const struct arena_section *s = arena_section(section);

    if (!put_right(section, &found))
        return false;
    if (found.count)
        scrub_report(
            (struct fault_damage){
                .cell = s->cell, .section = section, .offset = found.offset, .address = s->virt + found.offset},
            found.count, "bytes");
    return true;
}

/* Compares each section with its hash, and puts it right. */
static void scrub_sections(struct cell_ref cell)
{
    uint32_t left = arena_cell(cell)->sections;

    for (struct section_ref i = arena_cell(cell)->first_section; left && arena_sound(i);
         i = arena_section(i)->next_in_cell, left--) {
        if (!mend_is_damaged(i) || scrub_section_of(i))
            continue;
        if (rest[cell.index] == 0)
            log_warn("scrub: %s:%s is damaged, and so is its object", arena_string(arena_cell(cell)->name),
                     arena_string(arena_section(i)->name));
        rest[cell.index] = REST_PASSES;
    }
}

static bool is_loaded(const struct arena_cell *c)
{
    return c->check && (c->state == CELL_LIVE || c->state == CELL_OLD);
}

static uint32_t scrub_cell(struct cell_ref cell)
{
    const struct arena_cell *c = arena_cell(cell);
    uint32_t bytes = c->text_bytes + c->rodata_bytes;

    if (!is_loaded(c))
        return 16;
    if (rest[cell.index] > 1) { /* the last one is left, so that the next failure is not said again */
        rest[cell.index]--;
        return 16;
    }
    if (mend_is_whole(cell))
        return (has_crc32() ? bytes / 8 : bytes / 8 * SLOW) + 32;
    if (mend_find_damage(cell).index)
        scrub_sections(cell);
    else if (mend_is_whole(cell))
        rest[cell.index] = 0;
    return bytes;
}

/* The mender is compared by the second one. */
static void scrub_mender(void)
{
    struct cell_ref mender = arena_cell_at((uint64_t)mend_cell);
    unsigned mended = 0;

    if (mend_second_is_first_right())
        return;
    {
        GUARD(loader) locked = loader_hold();
        GUARD(park) parked = park_all();
        mended = mend_second_first();
    }
    if (mended)
        scrub_report((struct fault_damage){.cell = mender, .place = "mend"}, mended, "sections");
}

uint32_t scrub_cells(void)
{
    uint32_t used = arena_header()->table[ARENA_CELLS].used;

    if (++cell_at >= used || cell_at >= capacity) {
        scrub_mender();
        cell_at = 0;
        return 0;
    }
    return scrub_cell((struct cell_ref){cell_at});
}

/* ---- bound pointers ---- */

/* A copy of the edge, which may be freed meanwhile, says where its target is. */
static bool is_pointer_wrong(const struct arena_section *s, struct edge_ref edge)
{
    struct arena_edge e = *arena_edge(edge);

    return arena_sound(e.to) && e.type == R_X86_64_64 && e.offset <= s->bytes && s->bytes - e.offset >= 8 &&
           *(const uint64_t *)((const uint8_t *)page_direct(s->phys) + e.offset) !=
               arena_edge_target(&e, arena_section(e.to));
}

static bool put_pointers_right(struct section_ref section, struct mend_found *ret_found)
{
    GUARD(loader) locked = loader_hold();
    GUARD(arena) held = arena_change(); /* nobody binds or redirects meanwhile */

    return mend_section(section, ret_found);
}

/* Only binding writes a pointer into a section that starts as zeros, and each of its edges is one. */
static void scrub_bound(struct section_ref section)
{
    const struct arena_section *s = arena_section(section);
    struct mend_found found = {0};
    uint32_t left = s->outgoing;
    bool wrong = false;

    for (struct edge_ref i = s->first_out; left && arena_sound(i); i = arena_edge(i)->next_out, left--)
        wrong |= is_pointer_wrong(s, i);
    if (wrong && put_pointers_right(section, &found) && found.count)
        scrub_report(
            (struct fault_damage){
                .cell = s->cell, .section = section, .offset = found.offset, .address = s->virt + found.offset},
            found.count, "pointers");
}

/* ---- data that are set once ---- */

/* The section's record may be another one's as soon as it is looked at without the lock: each of these looks again. */
static void put_copy_right(struct section_ref section)
{
    GUARD(loader) locked = loader_hold();

    (void)state_db_keep(section); /* without room there is none */
    state_db_note(section);
    state_db_renew(section);
}

/* One that is due gets its first copy; later ones are compared. */
static void scrub_set_once(struct section_ref section)
{
    bool has_copy = arena_section(section)->copy_phys;

    if (has_copy && mend_is_damaged(section))
        (void)scrub_section_of(section);
    else if (has_copy ? !state_db_is_noted(section) || state_db_needs_renewal(section) : state_db_is_due(section))
        put_copy_right(section);
}

/* ---- both ---- */

static void scrub_datum(struct section_ref section)
{
    const struct arena_section *s = arena_section(section);

    if (s->kind == SECTION_BSS && s->first_out.index && arena_sound(section))
        scrub_bound(section);
    else if (s->datum == DATUM_SET_ONCE && arena_sound(section))
        scrub_set_once(section);
}

static void sweep_copies(void)
{
    GUARD(loader) locked = loader_hold();

    state_db_sweep();
}

void scrub_copy_data(void)
{
    state_db_keep_all();
    sweep_copies();
}

uint32_t scrub_data(void)
{
    uint32_t used = arena_header()->table[ARENA_SECTIONS].used;

    for (unsigned i = 0; i < STEP_SECTIONS; i++) {
        if (++section_at >= used) {
            section_at = 0;
            sweep_copies();
            return 0;
        }
        scrub_datum((struct section_ref){section_at});
    }
    return STEP_SECTIONS * 8;
}
