/* See frame.h. One bit per frame, and a summary bit per word of these bits. Memory below 1 MiB and above 64 GiB is not
 * used. A single frame is the lowest free one; the search for a run continues where the last run ended.
 * Invariant: a summary bit is set exactly when its word is not 0; free_frames is the number of set bits. */
#include "cells/core/frame/frame.h"
#include "cells/core/arena/arena.h"
#include "cells/core/boot/boot.h"
#include "cells/core/lock/lock.h"
#include "cells/core/panic/panic.h"
#include "cells/lib/string/string.h"
#include "guest/abi/layout.h"

CELL("frame", KERNEL, 1);
CORE();
EXPORT(frame_init, KERNEL);
EXPORT(frame_publish, KERNEL);
EXPORT(frame_alloc, LIBRARY);
EXPORT(frame_free, LIBRARY);
EXPORT(frame_recount, KERNEL);
EXPORT(frame_free_count, LIBRARY);
EXPORT(frame_total_count, LIBRARY);

#define LOW_LIMIT   0x100000ul /* firmware, boot sectors, the application processors' entry */
#define HIGH_LIMIT  0x1000000000ul
#define EARLY_LIMIT 0x100000000ul /* the early direct map ends here */
#define WORD_FRAMES 64

static struct lock frame_lock;
static uint64_t *map GUARDED_BY(frame_lock);     /* a set bit is a free frame */
static uint64_t *summary GUARDED_BY(frame_lock); /* a set bit is a word of the map that is not 0 */
static size_t words GUARDED_BY(frame_lock);      /* of the map */
static size_t free_frames GUARDED_BY(frame_lock);
static size_t total_frames;
static size_t lowest_word GUARDED_BY(frame_lock); /* no free frame in a word below */
static size_t run_hint GUARDED_BY(frame_lock);    /* frame at which the search for a run starts */
SET_ONCE(map);
SET_ONCE(summary);
SET_ONCE(words);
SET_ONCE(total_frames);

struct span {
    uint64_t start, end;
};

static void publish_count(void) NEEDS(frame_lock)
{
    uint64_t *counter = arena_header()->counter;

    counter[COUNTER_frames_free] = free_frames;
    counter[COUNTER_frames_total] = total_frames;
}

static void set_word(size_t word, uint64_t value) NEEDS(frame_lock)
{
    map[word] = value;
    if (value)
        summary[word / 64] |= 1ull << word % 64;
    else
        summary[word / 64] &= ~(1ull << word % 64);
}

/* Puts the summary right as well. */
static size_t count_free(void) NEEDS(frame_lock)
{
    size_t free = 0;

    for (size_t i = 0; i < words; i++) {
        set_word(i, map[i]);
        for (uint64_t rest = map[i]; rest; rest &= rest - 1)
            free++;
    }
    return free;
}

/* Mask of the frames [frame, end) that are in the word of `frame`. */
static uint64_t word_mask(size_t frame, size_t end)
{
    size_t bit = frame % WORD_FRAMES, n = end - frame;

    if (n > WORD_FRAMES - bit)
        n = WORD_FRAMES - bit;
    return (n == WORD_FRAMES ? ~0ull : (1ull << n) - 1) << bit;
}

static void mark(size_t frame, size_t frames, bool free) NEEDS(frame_lock)
{
    size_t end = frame + frames;

    for (size_t at = frame; at < end; at = (at / WORD_FRAMES + 1) * WORD_FRAMES) {
        uint64_t mask = word_mask(at, end), old = map[at / WORD_FRAMES];
        set_word(at / WORD_FRAMES, free ? old | mask : old & ~mask);
    }
}

/* The first word at or after `word` that has a free frame; `words` when there is none. */
static size_t next_word(size_t word) NEEDS(frame_lock)
{
    while (word < words) {
        uint64_t rest = summary[word / 64] >> word % 64;
        if (rest)
            return word + (size_t)__builtin_ctzll(rest);
        word = (word / 64 + 1) * 64;
    }
    return words;
}

/* The first run of `frames` free frames that starts in [from, to); SIZE_MAX when there is none. */
static size_t find_run(size_t from, size_t to, size_t frames) NEEDS(frame_lock)
{
    size_t at = from, run = 0;

    while (at < words * WORD_FRAMES && at - run < to) {
        uint64_t rest = map[at / WORD_FRAMES] >> at % WORD_FRAMES;
        size_t left = WORD_FRAMES - at % WORD_FRAMES;
        if (!rest) {
            at = next_word(at / WORD_FRAMES + 1) * WORD_FRAMES;
            run = 0;
            continue;
        }
        size_t gap = (size_t)__builtin_ctzll(rest);
        if (gap) {
            run = 0;
            at += gap;
            continue;
        }
        size_t ones = ~rest ? (size_t)__builtin_ctzll(~rest) : left;
        if (ones > left)
            ones = left;
        run += ones;
        at += ones;
        if (run >= frames)
            return at - run;
    }
    return SIZE_MAX;
}

static size_t find_one(void) NEEDS(frame_lock)
{
    lowest_word = next_word(lowest_word);
    if (lowest_word == words)
        return SIZE_MAX;
    return lowest_word * WORD_FRAMES + (size_t)__builtin_ctzll(map[lowest_word]);
}

/* Frames that are for recovery alone. A wrong total makes them no more than a part of what there can be. */
static size_t for_recovery(void) NEEDS(frame_lock)
{
    size_t most = words * WORD_FRAMES;

    return (total_frames < most ? total_frames : most) / FRAME_RESERVE_PART;
}

enum err frame_alloc(size_t frames, uint64_t *ret_phys)
{
    GUARD(lock) held = lock_take(&frame_lock);
    size_t found = SIZE_MAX;

    if (!frames || frames > free_frames || (frames + for_recovery() > free_frames && !arena_may_use_reserve()))
        return frames ? ERR_NOMEM : ERR_INVALID;
    if (frames == 1) {
        found = find_one();
    } else {
        found = find_run(run_hint, words * WORD_FRAMES, frames);
        if (found == SIZE_MAX)
            found = find_run(lowest_word * WORD_FRAMES, run_hint, frames);
        run_hint = found == SIZE_MAX ? run_hint : found + frames;
    }
    if (found == SIZE_MAX)
        return ERR_NOMEM;
    mark(found, frames, false);
    free_frames -= frames;
    publish_count();
    *ret_phys = found * FRAME_BYTES;
    return ERR_OK;
}

void frame_free(uint64_t phys, size_t frames)
{
    GUARD(lock) held = lock_take(&frame_lock);
    size_t frame = phys / FRAME_BYTES, end = frame + frames;

    assert(phys % FRAME_BYTES == 0 && end >= frame && end <= words * WORD_FRAMES);
    for (size_t at = frame; at < end; at = (at / WORD_FRAMES + 1) * WORD_FRAMES)
        if (map[at / WORD_FRAMES] & word_mask(at, end))
            panic("frame freed twice");
    mark(frame, frames, true);
    free_frames += frames;
    if (frames && frame / WORD_FRAMES < lowest_word)
        lowest_word = frame / WORD_FRAMES;
    publish_count();
}

bool frame_recount(void)
{
    GUARD(lock) held = lock_take(&frame_lock);
    size_t free = free_frames, lowest = lowest_word;

    free_frames = count_free();
    lowest_word = 0;
    return free != free_frames || lowest > next_word(0);
}

size_t frame_free_count(void)
{
    return __atomic_load_n(&free_frames, __ATOMIC_RELAXED);
}

size_t frame_total_count(void)
{
    return total_frames;
}

/* Frames wholly inside of usable range `i`, within the limits. */
static struct span usable(unsigned i)
{
    const struct boot_range *range = &boot_get()->range[i];
    uint64_t start = (range->phys + FRAME_BYTES - 1) & -FRAME_BYTES;
    uint64_t end = (range->phys + range->bytes) & -FRAME_BYTES;

    if (start < LOW_LIMIT)
        start = LOW_LIMIT;
    if (end > HIGH_LIMIT)
        end = HIGH_LIMIT;
    return range->usable && start < end ? (struct span){start, end} : (struct span){0, 0};
}

/* The address of `bytes` usable bytes below EARLY_LIMIT that overlap no reserved span; 0: there are none. */
static uint64_t place(size_t bytes, const struct span *reserved, size_t count)
{
    for (unsigned i = 0; i < boot_get()->ranges; i++) {
        struct span range = usable(i);
        for (uint64_t at = range.start; at + bytes <= range.end && at + bytes <= EARLY_LIMIT;) {
            const struct span *overlap = NULL;
            for (size_t r = 0; r < count; r++)
                if (at < reserved[r].end && reserved[r].start < at + bytes)
                    overlap = &reserved[r];
            if (!overlap)
                return at;
            at = (overlap->end + FRAME_BYTES - 1) & -FRAME_BYTES;
        }
    }
    return 0;
}

/* Marks the frames of a span as not free. Ranges that firmware reports may overlap. */
static void reserve(struct span span) NEEDS(frame_lock)
{
    size_t end = (span.end + FRAME_BYTES - 1) / FRAME_BYTES;

    if (end > words * WORD_FRAMES)
        end = words * WORD_FRAMES;
    if (span.start / FRAME_BYTES < end)
        mark(span.start / FRAME_BYTES, end - span.start / FRAME_BYTES, false);
}

/* Where the arena's tables are. They are behind its header if there is room, else where there is; and if there is none,
 * they are as small as can be. */
static struct span place_arena(uint64_t ram, struct span *arena, const struct span *reserved, size_t count)
{
    uint64_t bytes = arena_plan(ram), phys = 0, room = ARENA_TABLES_ROOM;

    arena->end -= room;
    if (bytes > room && !(phys = place(bytes, reserved, count)))
        bytes = arena_plan(0);
    if (!phys) {
        phys = arena->end;
        arena->end += room;
    }
    arena_place(phys);
    return (struct span){phys, phys + bytes};
}

UNCHECKED enum err frame_init(uint64_t image_end)
{
    enum { IMAGE, ARENA, ARCHIVE, TABLES, MAP, SPANS };
    const struct boot_info *boot = boot_get();
    uint64_t top = 0, ram = 0;

    for (unsigned i = 0; i < boot->ranges; i++) {
        struct span range = usable(i);
        ram += range.end - range.start;
        if (range.end > top)
            top = range.end;
    }
    words = (top / FRAME_BYTES + WORD_FRAMES - 1) / WORD_FRAMES;
    size_t summary_words = words / 64 + 1, bytes = (words + summary_words) * 8;
    struct span reserved[SPANS] = {
        [IMAGE] = {LAYOUT_IMAGE_PHYS, image_end},
        [ARENA] = {LAYOUT_ARENA_PHYS, LAYOUT_ARENA_PHYS + LAYOUT_ARENA_BYTES},
        [ARCHIVE] = {boot->archive_phys, boot->archive_phys + boot->archive_bytes},
    };
    reserved[TABLES] = place_arena(ram, &reserved[ARENA], reserved, TABLES);
    uint64_t phys = place(bytes, reserved, MAP);
    if (!phys)
        return ERR_NOMEM;
    reserved[MAP] = (struct span){phys, phys + bytes};
    map = (uint64_t *)(LAYOUT_DIRECT_VIRT + phys);
    summary = map + words;
    memset(map, 0, bytes);
    for (unsigned i = 0; i < boot->ranges; i++) {
        struct span range = usable(i);
        mark(range.start / FRAME_BYTES, (range.end - range.start) / FRAME_BYTES, true);
    }
    for (unsigned i = 0; i < boot->ranges; i++)
        if (!boot->range[i].usable)
            reserve((struct span){boot->range[i].phys, boot->range[i].phys + boot->range[i].bytes});
    for (size_t i = 0; i < array_size(reserved); i++)
        reserve(reserved[i]);
    free_frames = total_frames = count_free();
    return ERR_OK;
}

void frame_publish(void)
{
    GUARD(lock) held = lock_take(&frame_lock);

    publish_count();
}
