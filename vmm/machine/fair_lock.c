/* See fair_lock.h. Each process in the line holds a lock of one byte of the file, at the offset of its ticket: so the
 * others know that it lives. Who holds the lock itself is one word, changed by compare and exchange. */
#include "vmm/machine/fair_lock.h"
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include "introspect/base/own.h"
#include "vmm/machine/error.h"

enum { PLACES = 256, STEP_NS = 3000000, STEPS_MAX = 16, STOPPED_MS = 300 };
#define TICKET_MAX (UINT64_MAX / 4) /* offsets are signed */

struct fair_lock_file {
    uint64_t last_ticket;
    uint64_t holder; /* its ticket; 0: nobody */
    /* That of ticket N is at N % PLACES. A ticket whose place belongs to a process that still lives is passed over: so
     * whoever has a ticket has its place alone. */
    struct place {
        uint64_t ticket;
        uint64_t until_ms; /* how long it may hold the lock; 0: it has not had it until now */
        int32_t pid;
        uint32_t stopped_ms; /* when somebody first saw that it is stopped, modulo 2^32; 0: it was not when last seen */
    } place[PLACES];
    uint32_t state[PLACES]; /* of the ticket that has the place: enum fence_state */
};
enum { BYTES_BEFORE = offsetof(struct fair_lock_file, state) }; /* of files from before there were states */

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- who is in the line ---- */

/* Finds a lock that another process holds between the two tickets, both included. 0: none. */
static uint64_t find_living(int fd, uint64_t first, uint64_t last)
{
    struct flock lock = {.l_type = F_WRLCK, .l_start = (off_t)first, .l_len = (off_t)(last - first + 1)};

    if (first > last || fcntl(fd, F_OFD_GETLK, &lock) != 0 || lock.l_type == F_UNLCK)
        return 0;
    return (uint64_t)lock.l_start;
}

static bool is_stopped(int32_t pid)
{
    char path[40], text[256] = "";
    OWN(file) FILE *f = NULL;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    f = fopen(path, "re");
    if (!f || !fgets(text, sizeof text, f))
        return false;
    const char *state = strrchr(text, ')'); /* the name before may hold anything */
    return state && state[1] && (state[2] == 'T' || state[2] == 't');
}

enum waiter { WAITER_RUNS, WAITER_STOPPED, WAITER_PASSED_OVER };

/* What becomes of the process with that ticket, which lives. Whoever first sees it stopped notes when, for all. */
static enum waiter look_at(const struct fair_lock *me, uint64_t ticket)
{
    struct place *place = &me->file->place[ticket % PLACES];
    uint32_t now = (uint32_t)now_ms() | 1, since = __atomic_load_n(&place->stopped_ms, __ATOMIC_RELAXED);
    bool stopped = __atomic_load_n(&place->ticket, __ATOMIC_ACQUIRE) == ticket && is_stopped(place->pid);

    if (!stopped || !since)
        __atomic_store_n(&place->stopped_ms, stopped ? now : 0, __ATOMIC_RELAXED);
    if (!stopped)
        return WAITER_RUNS;
    return since && now - since > STOPPED_MS ? WAITER_PASSED_OVER : WAITER_STOPPED;
}

/* Whether the process with that ticket has had the lock: it has lost it by now, if it is not the holder, and waits no
 * more. */
static bool has_had_lock(const struct fair_lock *me, uint64_t ticket)
{
    const struct place *place = &me->file->place[ticket % PLACES];

    return __atomic_load_n(&place->ticket, __ATOMIC_ACQUIRE) == ticket &&
           __atomic_load_n(&place->until_ms, __ATOMIC_RELAXED);
}

/* Whether somebody between the two tickets, who is not the holder, waits before us. Looks at all that are stopped, so
 * that the time that they are given passes for all of them at once. */
static bool is_anybody(const struct fair_lock *me, uint64_t first, uint64_t last)
{
    uint64_t found = find_living(me->fd, first, last);
    enum waiter waiter = WAITER_PASSED_OVER;

    if (!found)
        return false;
    if (!has_had_lock(me, found) && (waiter = look_at(me, found)) == WAITER_RUNS)
        return true;
    bool before = is_anybody(me, first, found - 1), after = is_anybody(me, found + 1, last);
    return waiter == WAITER_STOPPED || before || after;
}

static enum fence_state state_of(const struct fair_lock *me, uint64_t ticket)
{
    return (enum fence_state)__atomic_load_n(&me->file->state[ticket % PLACES], __ATOMIC_SEQ_CST);
}

/* Whether the holder may keep the lock. */
static bool keeps(const struct fair_lock *me, uint64_t ticket)
{
    const struct place *place = &me->file->place[ticket % PLACES];

    if (!ticket || ticket > TICKET_MAX || !find_living(me->fd, ticket, ticket))
        return false;
    if (state_of(me, ticket) == FENCE_WRITES)
        return true;
    uint64_t until_ms = __atomic_load_n(&place->until_ms, __ATOMIC_RELAXED);
    return (!until_ms || now_ms() < until_ms) && look_at(me, ticket) != WAITER_PASSED_OVER;
}

/* Whether others wait before us, apart from the holder. */
static bool must_wait(const struct fair_lock *me, uint64_t holder)
{
    if (!holder || holder >= me->ticket)
        return is_anybody(me, 1, me->ticket - 1);
    bool before = is_anybody(me, 1, holder - 1), after = is_anybody(me, holder + 1, me->ticket - 1);
    return before || after;
}

/* Whether a former holder writes nothing any more. */
static bool has_ended_writing(const struct fair_lock *me, uint64_t ticket)
{
    enum fence_state state = state_of(me, ticket);

    return !ticket || state == FENCE_IDLE || !find_living(me->fd, ticket, ticket) ||
           (state == FENCE_WRITES_OFF && is_stopped(me->file->place[ticket % PLACES].pid));
}

/* *ret_former: who held it, or 0. */
static bool try_take(const struct fair_lock *me, int keep_ms, uint64_t *ret_former)
{
    uint64_t holder = __atomic_load_n(&me->file->holder, __ATOMIC_ACQUIRE);
    struct place *mine = &me->file->place[me->ticket % PLACES];

    if (keeps(me, holder) || must_wait(me, holder))
        return false;
    *ret_former = holder;
    if (!__atomic_compare_exchange_n(&me->file->holder, &holder, me->ticket, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        return false;
    __atomic_store_n(&mine->until_ms, now_ms() + (uint64_t)keep_ms, __ATOMIC_RELAXED);
    return true;
}

/* ---- in and out ---- */

/* Maps the file, which grows to its size if it has none yet. */
static enum err open_file(const char *path, struct fair_lock *ret_lock)
{
    OWN(descriptor) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0 ||
        ((st.st_size == 0 || st.st_size == BYTES_BEFORE) && ftruncate(fd, sizeof(struct fair_lock_file)) != 0))
        return machine_fail(ERR_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode) ||
        (st.st_size != 0 && st.st_size != BYTES_BEFORE && st.st_size != sizeof(struct fair_lock_file)))
        return machine_fail(ERR_CORRUPT, "%s: is not what programs wait in line by; remove it", path);
    void *file = mmap(NULL, sizeof(struct fair_lock_file), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (file == MAP_FAILED)
        return machine_fail(ERR_IO, "%s: %s", path, strerror(errno));
    *ret_lock = (struct fair_lock){.fd = MOVE_DESCRIPTOR(fd), .file = file};
    return ERR_OK;
}

/* F_WRLCK or F_UNLCK. */
static bool lock_ticket(const struct fair_lock *me, short type)
{
    struct flock lock = {.l_type = type, .l_start = (off_t)me->ticket, .l_len = 1};

    return me->ticket && me->ticket <= TICKET_MAX && fcntl(me->fd, F_OFD_SETLK, &lock) == 0;
}

/* False: the place of the ticket belongs to another one, who lives. */
static bool take_place(const struct fair_lock *me)
{
    struct place *place = &me->file->place[me->ticket % PLACES];
    uint64_t other = __atomic_load_n(&place->ticket, __ATOMIC_ACQUIRE);

    if (other && other <= TICKET_MAX && find_living(me->fd, other, other))
        return false;
    if (!__atomic_compare_exchange_n(&place->ticket, &other, me->ticket, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return false;
    place->pid = gettid();
    __atomic_store_n(&me->file->state[me->ticket % PLACES], FENCE_IDLE, __ATOMIC_RELAXED);
    __atomic_store_n(&place->until_ms, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&place->stopped_ms, 0, __ATOMIC_RELAXED);
    return true;
}

/* Takes a ticket, its place, and the lock by which others know that its process lives. Until it has that one, another
 * process may take the place. ERR_FULL: all places belong to others. */
static enum err join(struct fair_lock *me)
{
    for (int i = 0; i < PLACES; i++) {
        me->ticket = __atomic_add_fetch(&me->file->last_ticket, 1, __ATOMIC_ACQ_REL);
        if (me->ticket && me->ticket <= TICKET_MAX && !take_place(me))
            continue;
        if (!lock_ticket(me, F_WRLCK))
            return ERR_CORRUPT;
        if (__atomic_load_n(&me->file->place[me->ticket % PLACES].ticket, __ATOMIC_ACQUIRE) == me->ticket)
            return ERR_OK;
        (void)lock_ticket(me, F_UNLCK);
    }
    return ERR_FULL;
}

/* Sleeps a little, longer the more tickets there are before ours: whoever is far behind need not look so often. False:
 * the time is over. */
static bool wait_a_bit(const struct fair_lock *me, uint64_t until_ms)
{
    uint64_t holder = __atomic_load_n(&me->file->holder, __ATOMIC_RELAXED);
    uint64_t before = holder && holder < me->ticket ? me->ticket - holder : 1;

    if (now_ms() >= until_ms)
        return false;
    nanosleep(&(struct timespec){.tv_nsec = STEP_NS * (long)(before < STEPS_MAX ? before : STEPS_MAX)}, NULL);
    return true;
}

/* Waits for the end of what the former holder writes. False: not in time, and the lock is his again. */
static bool await_former(const struct fair_lock *me, uint64_t former, uint64_t until_ms)
{
    uint64_t mine = me->ticket;

    while (!has_ended_writing(me, former))
        if (!wait_a_bit(me, until_ms)) {
            (void)__atomic_compare_exchange_n(&me->file->holder, &mine, former, false, __ATOMIC_SEQ_CST,
                                              __ATOMIC_RELAXED);
            return false;
        }
    return true;
}

enum err fair_lock_take(const char *path, int timeout_ms, int keep_ms, struct fair_lock *ret_lock)
{
    uint64_t until_ms = now_ms() + (uint64_t)timeout_ms, former = 0;
    CLOSED_BY(fair_lock_release) struct fair_lock me = {0};
    enum err e = open_file(path, &me);

    *ret_lock = (struct fair_lock){0};
    if (e)
        return e;
    while ((e = join(&me)) == ERR_FULL)
        if (!wait_a_bit(&me, until_ms))
            return ERR_BUSY;
    if (e)
        return machine_fail(ERR_CORRUPT, "%s: holds nonsense; remove it", path);
    while (!try_take(&me, keep_ms, &former))
        if (!wait_a_bit(&me, until_ms))
            return ERR_BUSY;
    if (!await_former(&me, former, until_ms))
        return ERR_BUSY;
    *ret_lock = me;
    me = (struct fair_lock){0};
    return ERR_OK;
}

bool fair_lock_is_held(const struct fair_lock *lock)
{
    return lock->file && __atomic_load_n(&lock->file->holder, __ATOMIC_ACQUIRE) == lock->ticket;
}

struct fence fair_lock_fence(const struct fair_lock *lock)
{
    static uint64_t nobody;
    static uint32_t state;

    if (!lock->file)
        return (struct fence){.holder = &nobody, .me = 1, .state = &state};
    return (struct fence){
        .holder = &lock->file->holder, .me = lock->ticket, .state = &lock->file->state[lock->ticket % PLACES]};
}

void fair_lock_release(struct fair_lock *lock)
{
    uint64_t mine = lock->ticket;

    if (!lock->file)
        return;
    (void)__atomic_compare_exchange_n(&lock->file->holder, &mine, 0, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
    (void)lock_ticket(lock, F_UNLCK); /* a child may have the descriptor too */
    munmap(lock->file, sizeof *lock->file);
    close(lock->fd);
    *lock = (struct fair_lock){0};
}
