/* The macros with which a cell's source declares what it is, the ownership idiom, and lock annotations.
 *
 *   CELL("channel", KERNEL, 1);          once per cell: name, kind, version
 *   EXPORT(channel_send, LIBRARY);       a symbol that others may use, and from which kind on
 *   INIT(timer_init);                    `static enum err timer_init(void)`: run once, after its dependencies' init
 *   MAIN(shell_main);                    `static int shell_main(int argc, char **argv)`: entry of an application
 *   TRANSFER(channel_transfer);          `static enum err f(const struct cell_transfer *)`: state from before
 *   DONE(memory_fs_done);                `static enum err f(void)`: run before the cell is freed
 *   PER_NAMESPACE();                     its static data may exist once per namespace; else it does once in the system
 *   CORE();                              it is linked into the nano_core image
 *   FOUNDATION();                        recovery calls it, directly or by way of others
 *   TYPED(task_switch);                  the type of a symbol that compilers do not describe: one that is written in
 *                                        assembly or used only there; with clang, a variable of another cell, or its
 *                                        function that is not called
 *   SET_ONCE(vector);                    static datum that is set by the init function, before the machine has started
 *                                        or, if it is one word, at first use, and constant from then on; it refers to
 *                                        no cell. state_db has a copy
 *                                        (cells/memory/state_db/state_db.h). Who resets it, in a DONE function, calls
 *                                        state_db_forget before
 *   SOFT(known);                         static datum, zero at first, that may become zero again at any time: who uses
 *                                        it reads it once, and makes it again (thesis §7.2)
 *   INVARIANT_LENGTH(struct ring, waiting, slots);     field `waiting` is at most field `slots`
 *   INVARIANT_ARRAY(struct node, block, blocks);       pointer `block` refers to `blocks` elements
 *   INVARIANT_LIST(struct node, next);                 `next` makes a list, which has an end
 *   INVARIANT_BACK(struct node, first, parent);        what pointer `first` refers to has a pointer `parent` back
 *                                        what must hold of data whenever no lock is held (cells/recover/check)
 *
 * The macros leave lines of text, and pointers to what has a type, in sections that `cell make` turns into ELF notes
 * (guest/abi/note.h). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "guest/abi/err.h"
#include "guest/abi/note.h"

#define CELL_DECLARE(words)                                                                                            \
    __asm__(".pushsection " NOTE_DECLARATIONS ",\"\",@progbits\n\t.asciz \"" words "\"\n\t.popsection")

#define CELL(name, kind, version) CELL_DECLARE("cell " name " " #kind " " #version)
/* Visible outside of the object; everything not exported becomes local. */
#define EXPORT(symbol, access)                                                                                         \
    extern __typeof__(symbol) symbol __attribute__((visibility("default")));                                           \
    CELL_DECLARE("export " #symbol " " #access)
/* A pointer that is in no cell keeps the function, also where it was defined before. */
#define CELL_FUNCTION(role, function)                                                                                  \
    static __typeof__(function) *const cell_##function __attribute__((used, section(NOTE_TYPES))) = function;          \
    CELL_DECLARE(role " " #function)
#define INIT(function)     CELL_FUNCTION("init", function)
#define MAIN(function)     CELL_FUNCTION("main", function)
#define TRANSFER(function) CELL_FUNCTION("transfer", function)
#define DONE(function)     CELL_FUNCTION("done", function)
#define PER_NAMESPACE()    CELL_DECLARE("per_namespace")
#define CORE()             CELL_DECLARE("core")
#define FOUNDATION()       CELL_DECLARE("foundation")
/* A pointer that is in no cell keeps the datum in one piece. */
#define CELL_DATUM(what, datum)                                                                                        \
    static __typeof__(datum) *const cell_datum_##datum __attribute__((used, section(NOTE_TYPES))) = &datum;            \
    CELL_DECLARE(what " " #datum)
#define SET_ONCE(datum) CELL_DATUM("set_once", datum)
#define SOFT(datum)     CELL_DATUM("soft", datum)
/* The compiler, too, refuses fields that do not exist. */
#define INVARIANT(words, type, field, other)                                                                           \
    _Static_assert(sizeof((type *)0)->field && sizeof((type *)0)->other, "of fields");                                 \
    CELL_DECLARE("invariant " words)
#define INVARIANT_LENGTH(type, count, capacity)                                                                        \
    INVARIANT("length " #type " " #count " " #capacity, type, count, capacity)
#define INVARIANT_ARRAY(type, pointer, count) INVARIANT("array " #type " " #pointer " " #count, type, pointer, count)
#define INVARIANT_LIST(type, next)            INVARIANT("list " #type " " #next " " #next, type, next, next)
#define INVARIANT_BACK(type, next, back)      INVARIANT("back " #type " " #next " " #back, type, next, next)

#define TYPED(name) static __typeof__(name) *const cell_type_of_##name __attribute__((used, section(NOTE_TYPES)))

/* What a transfer function is given: the static data of the cells that are replaced, looked up by section name
 * (".bss.channel_totals"): first that of the cell of the same name, then that of the others in their order. Pointers
 * are borrowed and valid during the call. NULL: no such section. */
struct cell_transfer {
    uint32_t from_version; /* of the cell of the same name, else of the first; 0: nothing is replaced */
    const void *(*find)(const struct cell_transfer *transfer, const char *section, size_t *ret_bytes);
    const void *context;
};

/* Ownership (thesis §6.2). A type T with `void T_put(TAKES struct T *)` says OWNABLE(T); then
 *     OWN(T) struct T *t = T_new(...);
 * releases t on every way out of the scope, faults included, and MOVE(t) gives it away and empties t. */
#define TAKES
#define OWNABLE(T)                                                                                                     \
    static inline __attribute__((always_inline)) void T##_own_end(struct T **own)                                      \
    {                                                                                                                  \
        T##_put(*own);                                                                                                 \
    }
#define OWN(T) __attribute__((cleanup(T##_own_end)))
#define MOVE(variable)                                                                                                 \
    ({                                                                                                                 \
        __typeof__(variable) moved_ = (variable);                                                                      \
        (variable) = NULL;                                                                                             \
        moved_;                                                                                                        \
    })
#if defined(__GNUC__) && !defined(__clang__)
#define RELEASED_BY(release) __attribute__((malloc(release, 1), warn_unused_result))
#else
#define RELEASED_BY(release) __attribute__((warn_unused_result))
#endif

/* The same for scopes that hold something without a pointer: GUARD(lock) held = lock_take(&l). */
#define GUARD(kind) __attribute__((cleanup(kind##_guard_end), unused)) struct kind##_guard

/* What clang checks of locks (make check); gcc sees nothing of it. A capability is a lock, or a role: a name for what
 * has no lock of its own type. clang 14 does not follow GUARD in C: what was taken counts as held to the function's
 * end.
 *     static size_t free_frames GUARDED_BY(frame_lock);     only who holds it may touch this
 *     static void set_word(size_t word) NEEDS(frame_lock)   only who holds it may call this
 *     struct lock_guard lock_take(struct lock *lock) HOLDS(lock);   who has called this holds it
 * In C a member of a struct cannot be GUARDED_BY the lock beside it: a comment says "under lock". Static data with
 * neither is atomic, is used by one CPU, one task or one holder at a time, or is constant after the init function.
 * UNCHECKED exempts a function that runs while there is nobody else, at boot or with other CPUs parked, or that itself
 * takes or releases the lock. */
#ifdef __clang__
#define LOCK_WORD(words) __attribute__((words))
#else
#define LOCK_WORD(words)
#endif
#define CAPABILITY       LOCK_WORD(capability("lock"))
#define GUARDED_BY(lock) LOCK_WORD(guarded_by(lock))
#define NEEDS(lock)      LOCK_WORD(requires_capability(lock))
#define HOLDS(lock)      LOCK_WORD(assert_capability(lock))
#define UNCHECKED        LOCK_WORD(no_thread_safety_analysis)

struct CAPABILITY role {
    char none; /* a role is declared, and defined nowhere */
};

#define array_size(a) (sizeof(a) / sizeof *(a))
