/* See fair_lock.h. Each process in the line holds a lock of one byte of the file, at the offset of its ticket: so the
 * others know that it lives. Who holds the lock itself is one word, changed by compare and exchange. */
#include "vmm/machine/fair_lock.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include "introspect/base/own.h"
#include "vmm/machine/error.h"

enum { PLACES = 256, STEP_NS = 3000000, STOPPED_MS = 300 };
#define TICKET_MAX (UINT64_MAX / 4) /* offsets are signed */

struct fair_lock_file {
    uint64_t last_ticket;
    uint64_t holder; /* its ticket; 0: nobody */
    struct place {
        uint64_t ticket;
        uint64_t until_ms; /* how long it may hold the lock, once it does */
        int64_t pid;
    } place[PLACES]; /* of ticket N at N % PLACES */
};

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

static bool is_stopped(int64_t pid)
{
    char path[40], text[256] = "";
    OWN(file) FILE *f = NULL;

    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    f = fopen(path, "re");
    if (!f || !fgets(text, sizeof text, f))
        return false;
    const char *state = strrchr(text, ')'); /* the name before may hold anything */
    return state && state[1] && (state[2] == 'T' || state[2] == 't');
}

/* Since when a process was seen to be stopped. */
struct stopped {
    uint64_t ticket, since_ms;
};

/* Whether the process with that ticket, which lives, does not count: it is stopped, and was so a while ago. */
static bool is_stopped_for_long(const struct fair_lock *me, uint64_t ticket, struct stopped *seen)
{
    const struct place *place = &me->file->place[ticket % PLACES];
    struct stopped *slot = &seen[ticket % PLACES];

    if (place->ticket != ticket || !is_stopped(place->pid)) {
        *slot = (struct stopped){0};
        return false;
    }
    if (slot->ticket != ticket)
        *slot = (struct stopped){ticket, now_ms()};
    return now_ms() - slot->since_ms >= STOPPED_MS;
}

/* Whether somebody between the two tickets waits before us. */
static bool is_anybody(const struct fair_lock *me, uint64_t first, uint64_t last, struct stopped *seen)
{
    uint64_t found = find_living(me->fd, first, last);

    if (!found)
        return false;
    return !is_stopped_for_long(me, found, seen) || is_anybody(me, first, found - 1, seen) ||
           is_anybody(me, found + 1, last, seen);
}

/* Whether the holder may keep the lock. */
static bool keeps(const struct fair_lock *me, uint64_t ticket, struct stopped *seen)
{
    const struct place *place = &me->file->place[ticket % PLACES];

    if (!ticket || ticket > TICKET_MAX || !find_living(me->fd, ticket, ticket))
        return false;
    return (place->ticket != ticket || now_ms() < place->until_ms) && !is_stopped_for_long(me, ticket, seen);
}

/* Whether others wait before us, apart from the holder. */
static bool must_wait(const struct fair_lock *me, uint64_t holder, struct stopped *seen)
{
    if (!holder || holder >= me->ticket)
        return is_anybody(me, 1, me->ticket - 1, seen);
    return is_anybody(me, 1, holder - 1, seen) || is_anybody(me, holder + 1, me->ticket - 1, seen);
}

static bool try_take(const struct fair_lock *me, int keep_ms, struct stopped *seen)
{
    uint64_t holder = __atomic_load_n(&me->file->holder, __ATOMIC_ACQUIRE);
    struct place *mine = &me->file->place[me->ticket % PLACES];

    if (keeps(me, holder, seen) || must_wait(me, holder, seen))
        return false;
    mine->until_ms = now_ms() + (uint64_t)keep_ms;
    return __atomic_compare_exchange_n(&me->file->holder, &holder, me->ticket, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_RELAXED);
}

/* ---- in and out ---- */

/* Maps the file, which grows to its size if it has none yet. */
static enum err open_file(const char *path, struct fair_lock *ret_lock)
{
    OWN(descriptor) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0 || (st.st_size == 0 && ftruncate(fd, sizeof(struct fair_lock_file)) != 0))
        return machine_fail(ERR_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode) || (st.st_size != 0 && st.st_size != sizeof(struct fair_lock_file)))
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

/* Takes a ticket, and the lock by which others know that its process lives. */
static enum err join(struct fair_lock *me)
{
    me->ticket = __atomic_add_fetch(&me->file->last_ticket, 1, __ATOMIC_ACQ_REL);
    if (!lock_ticket(me, F_WRLCK))
        return ERR_CORRUPT;
    me->file->place[me->ticket % PLACES] = (struct place){.ticket = me->ticket, .pid = getpid()};
    return ERR_OK;
}

enum err fair_lock_take(const char *path, int timeout_ms, int keep_ms, struct fair_lock *ret_lock)
{
    struct stopped seen[PLACES] = {0};
    uint64_t until_ms = now_ms() + (uint64_t)timeout_ms;
    CLOSED_BY(fair_lock_release) struct fair_lock me = {0};
    enum err e = open_file(path, &me);

    *ret_lock = (struct fair_lock){0};
    if (e)
        return e;
    if (join(&me))
        return machine_fail(ERR_CORRUPT, "%s: holds nonsense; remove it", path);
    while (!try_take(&me, keep_ms, seen)) {
        if (now_ms() >= until_ms)
            return ERR_BUSY;
        nanosleep(&(struct timespec){.tv_nsec = STEP_NS}, NULL);
    }
    *ret_lock = me;
    me = (struct fair_lock){0};
    return ERR_OK;
}

bool fair_lock_is_held(const struct fair_lock *lock)
{
    return lock->file && __atomic_load_n(&lock->file->holder, __ATOMIC_ACQUIRE) == lock->ticket;
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
