/* See strike.h. Places are kept by section and offset, as cells are reloaded at other addresses. Text is written by its
 * physical address: what executes it sees that at once. */
#include "tests/guest/tests/test_faults_fs/strike.h"
#include "cells/core/arena/arena.h"
#include "cells/core/boot/boot.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/exception/exception.h"
#include "cells/core/page/page.h"
#include "cells/core/vector/vector.h"
#include "cells/lib/string/string.h"
#include "cells/task/task/task.h"

#define RFLAGS_TRAP        (1ull << 8)
#define RFLAGS_RESUME      (1ull << 16)
#define DR7_EXECUTE        1    /* the instruction at the address in DR0 */
#define BAD_OPCODE         0x06 /* no instruction in 64-bit mode */
#define PLACES             8192
#define SECTIONS           256
#define INSTRUCTION_LENGTH 15

const char *const strike_names[STRIKE_MODELS] = {
    [STRIKE_FLIP] = "flip", [STRIKE_OVERWRITE] = "overwrite64", [STRIKE_SKIP] = "skip", [STRIKE_TRAP] = "trap"};

static struct traced_section {
    char cell[32], name[64];
} sections[SECTIONS];

/* An instruction; a table that is searched by the address that it had when it was traced. */
static struct place {
    uint64_t at; /* 0: none */
    uint16_t section, offset;
    uint16_t kinds; /* a bit for each */
    uint8_t bytes;  /* 0: not known, since each time something else followed */
} places[PLACES];

static struct {
    bool traces, steps;
    unsigned kind;
    uint32_t task; /* id of the victim, or of who is traced */
    struct place *last;
} state;

static struct strike *prepared;
static char only[32]; /* the cell of which instructions are struck; empty: any */

static uint16_t section_number(struct section_ref section)
{
    const struct arena_section *s = arena_section(section);
    const char *cell = arena_string(arena_cell(s->cell)->name), *name = arena_string(s->name);
    uint16_t i = 1;

    for (; i < SECTIONS && sections[i].cell[0]; i++)
        if (string_equal(sections[i].cell, cell) && string_equal(sections[i].name, name))
            return i;
    if (i == SECTIONS)
        return 0;
    string_copy(sections[i].cell, cell, sizeof sections[i].cell);
    string_copy(sections[i].name, name, sizeof sections[i].name);
    return i;
}

/* The place of an address; NULL: it is in this cell or in none, or there is no room. */
static struct place *place_of(uint64_t at)
{
    for (uint64_t i = at * 0x9e3779b97f4a7c15 >> 51, left = PLACES; left; i++, left--) {
        struct place *p = &places[i % PLACES];
        if (p->at == at)
            return p;
        if (p->at)
            continue;
        struct section_ref section = arena_section_at(at);
        if (!section.index || same(arena_section(section)->cell, arena_cell_at((uint64_t)place_of)))
            return NULL;
        uint16_t number = section_number(section);
        if (!number)
            return NULL;
        *p = (struct place){.at = at, .section = number, .offset = (uint16_t)(at - arena_section(section)->virt)};
        return p;
    }
    return NULL;
}

/* One step: `frame` is about to execute another instruction. */
static void trace(struct trap_frame *frame)
{
    uint64_t length = state.last ? frame->rip - state.last->at : 0;

    if (length > 0 && length <= INSTRUCTION_LENGTH && (!state.last->bytes || length < state.last->bytes))
        state.last->bytes = (uint8_t)length;
    state.last = place_of(frame->rip);
    if (state.last)
        state.last->kinds |= (uint16_t)(1u << state.kind);
    if (!state.steps)
        frame->rflags &= ~RFLAGS_TRAP;
}

static void watch(uint64_t at, uint64_t control)
{
    __asm__ volatile("mov %0, %%dr0; mov %1, %%dr7" ::"r"(at), "r"(control));
}

static void write_text(const struct arena_section *s, uint32_t offset, uint64_t bits, size_t bytes)
{
    volatile uint8_t *text = (volatile uint8_t *)page_direct(s->phys) + offset;

    for (size_t i = 0; i < bytes && offset + i < s->bytes; i++)
        text[i] = (uint8_t)(bits >> 8 * i);
}

static void strike(struct trap_frame *frame)
{
    const struct arena_section *s = arena_section(arena_section_at(frame->rip));
    uint64_t bit = prepared->bits % (8 * prepared->bytes);
    const uint8_t *text = (const uint8_t *)page_direct(s->phys) + prepared->offset;

    if (prepared->model == STRIKE_SKIP)
        frame->rip += prepared->bytes;
    else if (prepared->model == STRIKE_FLIP)
        write_text(s, prepared->offset + (uint32_t)bit / 8, text[bit / 8] ^ 1u << bit % 8, 1);
    else if (prepared->model == STRIKE_OVERWRITE)
        write_text(s, prepared->offset, prepared->bits, 8);
    else
        write_text(s, prepared->offset, BAD_OPCODE, 1);
}

static void at_debug(struct trap_frame *frame)
{
    if (frame->rflags & RFLAGS_TRAP) {
        trace(frame);
        return;
    }
    frame->rflags |= RFLAGS_RESUME;
    if (!prepared || prepared->done || frame->rip != prepared->at || cpu_task()->id != state.task || --prepared->left)
        return;
    prepared->done = true;
    watch(0, 0);
    strike(frame);
}

void strike_trace(bool traces, unsigned kind)
{
    state.traces = traces;
    state.kind = kind;
}

static bool is_of(const struct place *place, unsigned kind)
{
    return place->at && (kind == UINT32_MAX || place->kinds & 1u << kind) &&
           (!only[0] || string_equal(sections[place->section].cell, only));
}

unsigned strike_places(unsigned kind)
{
    unsigned count = 0;

    for (size_t i = 0; i < PLACES; i++)
        count += is_of(&places[i], kind);
    return count;
}

enum err strike_prepare(struct strike *strike, uint64_t drawn)
{
    unsigned count = strike_places(strike->kind);
    const struct place *place = places;

    if (!count)
        return ERR_NOT_FOUND;
    for (drawn %= count;; place++)
        if (is_of(place, strike->kind) && !drawn--)
            break;
    const struct traced_section *from = &sections[place->section];
    strike->cell = from->cell;
    strike->section = from->name;
    strike->offset = place->offset;
    strike->bytes = place->bytes ? place->bytes : 2; /* a jump that was always taken */
    strike->done = false;
    for_each_section_of (i, arena_cell_find(NAMESPACE_ROOT, from->cell))
        if (string_equal(arena_string(arena_section(i)->name), from->name)) {
            strike->at = arena_section(i)->virt + place->offset;
            prepared = strike;
            return ERR_OK;
        }
    return ERR_NOT_FOUND;
}

void strike_arm(void)
{
    state.task = cpu_task()->id;
    if (state.traces) {
        state.last = NULL;
        state.steps = true;
        __asm__ volatile("pushfq; orq %0, (%%rsp); popfq" ::"i"(RFLAGS_TRAP) : "memory", "cc");
    } else if (prepared && !prepared->done) {
        watch(prepared->at, DR7_EXECUTE);
    }
}

/* The next step is the last. */
void strike_disarm(void)
{
    __atomic_store_n(&state.steps, false, __ATOMIC_SEQ_CST);
    watch(0, 0);
}

enum err strike_init(void)
{
    (void)boot_option("cell", only, sizeof only);
    return vector_bind(EXCEPTION_DEBUG, at_debug);
}
