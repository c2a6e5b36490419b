/* Ownership in host programs, as cells/cell.h has it in the guest. A variable that owns something is declared so:
 *
 *     OWN(memory) char *text = malloc(bytes);                freed at the end of the scope, on every return
 *     OWN(view) struct view *view = view_take(...);          the same by view_free, after OWNABLE(view, view_free)
 *     CLOSED_BY(asking_close) struct asking asking = {0};    for a struct that is embedded; its function accepts zeros
 *
 * MOVE(text) gives away what a variable owns and leaves NULL in it, MOVE_DESCRIPTOR(fd) leaves -1. Unmarked pointers
 * are borrowed; TAKES marks a consumed parameter. Never mix with cleanup by `goto` or by hand. */
#pragma once
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TAKES

/* Says which function releases a `struct type *`; it must accept NULL. */
#define OWNABLE(type, release)                                                                                         \
    static inline void type##_own_end(struct type **own)                                                               \
    {                                                                                                                  \
        release(*own);                                                                                                 \
    }
#define OWN(type)       __attribute__((cleanup(type##_own_end)))
#define CLOSED_BY(done) __attribute__((cleanup(done)))

#define MOVE(variable)                                                                                                 \
    ({                                                                                                                 \
        __typeof__(variable) moved_ = (variable);                                                                      \
        (variable) = NULL;                                                                                             \
        moved_;                                                                                                        \
    })

#define MOVE_DESCRIPTOR(variable)                                                                                      \
    ({                                                                                                                 \
        int moved_ = (variable);                                                                                       \
        (variable) = -1;                                                                                               \
        moved_;                                                                                                        \
    })

/* gcc's analyzer follows a result to its one release function. */
#if defined(__GNUC__) && !defined(__clang__)
#define RELEASED_BY(release) __attribute__((malloc(release, 1), warn_unused_result))
#else
#define RELEASED_BY(release) __attribute__((warn_unused_result))
#endif

/* OWN(memory): what malloc returned, of any type. */
static inline void memory_own_end(void *own)
{
    free(*(void **)own);
}

static inline void file_own_end(FILE **own)
{
    if (*own)
        fclose(*own);
}

/* OWN(descriptor) int fd: closed unless negative. errno is kept. */
void descriptor_own_end(int *own);
/* Writes all of the bytes, however many calls it takes. False: errno says why not; some may have been written. */
[[nodiscard]] bool descriptor_write(int fd, const char *bytes, size_t count);
