/* See watchdog.h. The arena is the guest's: all of it is copied once and checked before it is used. */
#include "vmm/watchdog.h"
#include "guest/abi/arena.h"
#include "guest/abi/layout.h"
#include "vmm/log.h"

enum { LOOK_MS = 500, NMI_MS = 50, FAULTS = 8 };

static bool has_nmis(const struct watchdog *watchdog)
{
    return watchdog->still_ms >= watchdog->limit_ms / 2;
}

int watchdog_wait_ms(const struct watchdog *watchdog)
{
    return !watchdog->limit_ms ? -1 : has_nmis(watchdog) ? NMI_MS : LOOK_MS;
}

/* The guest's arena. False: there is none that we know. */
static bool read_header(const struct ram *ram, struct arena_header *ret_header)
{
    return ram_read(ram, gpa(LAYOUT_ARENA_PHYS), ret_header, sizeof *ret_header) == ERR_OK &&
           ret_header->magic == ARENA_MAGIC && ret_header->version == ARENA_VERSION;
}

void watchdog_begin(struct watchdog *watchdog)
{
    watchdog->ticks = watchdog->still_ms = watchdog->looked_ms = 0;
}

enum watchdog_step watchdog_look(struct watchdog *watchdog, const struct ram *ram, uint64_t now_ms)
{
    uint64_t most = 2 * (uint64_t)watchdog_wait_ms(watchdog), passed = now_ms - watchdog->looked_ms;
    struct arena_header header;

    if (!watchdog->limit_ms || !read_header(ram, &header))
        return WATCHDOG_NOTHING;
    uint64_t ticks = header.counter[COUNTER_ticks];
    if (ticks != watchdog->ticks || !ticks || !watchdog->looked_ms)
        watchdog->still_ms = 0;
    else
        watchdog->still_ms += passed < most ? passed : most;
    watchdog->ticks = ticks;
    watchdog->looked_ms = now_ms;
    if (watchdog->still_ms >= watchdog->limit_ms) {
        watchdog_begin(watchdog);
        return WATCHDOG_RESET;
    }
    return has_nmis(watchdog) ? WATCHDOG_NMI : WATCHDOG_NOTHING;
}

/* ---- its faults ---- */

/* The guest's text, with nothing in it that a terminal obeys. */
static void clean(char *text, size_t bytes)
{
    for (size_t i = 0; i + 1 < bytes && text[i]; i++)
        if (text[i] < ' ' || text[i] > '~')
            text[i] = '?';
    text[bytes - 1] = '\0';
}

static void print_fault(struct arena_fault *fault)
{
    clean(fault->message, sizeof fault->message);
    clean(fault->cell_name, sizeof fault->cell_name);
    clean(fault->symbol, sizeof fault->symbol);
    clean(fault->task_name, sizeof fault->task_name);
    vmm_say("fault %llu, at %llu ms on CPU %u: %s in %s:%s, task %s%s", (unsigned long long)fault->seq,
            (unsigned long long)fault->time_ns / 1000000, fault->cpu, fault->message,
            *fault->cell_name ? fault->cell_name : "no cell", fault->symbol, fault->task_name,
            fault->outcome == FAULT_OUTCOME_OPEN ? ", not recovered from" : "");
}

void watchdog_print_faults(const struct ram *ram)
{
    struct arena_header header;
    struct arena_fault fault;

    if (!read_header(ram, &header) || header.table[ARENA_FAULTS].record_bytes != sizeof fault)
        return;
    uint64_t newest = header.fault_seq, at = LAYOUT_ARENA_PHYS + header.table[ARENA_FAULTS].offset;
    for (uint64_t seq = newest > FAULTS ? newest - FAULTS + 1 : 1; seq <= newest && seq; seq++) {
        uint64_t index = arena_ring_index(seq, ARENA_FAULTS_MAX);
        if (ram_read(ram, gpa(at + index * sizeof fault), &fault, sizeof fault) == ERR_OK && fault.seq == seq)
            print_fault(&fault);
    }
}
