/* The errors that cross a boundary: guest requests, host requests, object files, sockets. One list makes the
 * enumeration and its names; numbers are part of the interface and are never reused. */
#pragma once

#define ERR_LIST(X)                                                                                                    \
    X(OK, 0, "done")                                                                                                   \
    X(NOMEM, 1, "out of memory")                                                                                       \
    X(NOT_FOUND, 2, "no such thing")                                                                                   \
    X(EXISTS, 3, "already there")                                                                                      \
    X(INVALID, 4, "invalid argument")                                                                                  \
    X(BUSY, 5, "busy")                                                                                                 \
    X(TIMEOUT, 6, "timed out")                                                                                         \
    X(WOULD_BLOCK, 7, "would block")                                                                                   \
    X(CLOSED, 8, "the other end is closed")                                                                            \
    X(RANGE, 9, "out of range")                                                                                        \
    X(FULL, 10, "no free record")                                                                                      \
    X(CORRUPT, 11, "corrupt data")                                                                                     \
    X(TRUNCATED, 12, "truncated")                                                                                      \
    X(NOT_ELF, 13, "not an ELF file")                                                                                  \
    X(NOT_OBJECT, 14, "not a relocatable object")                                                                      \
    X(WRONG_MACHINE, 15, "of another architecture")                                                                    \
    X(NOT_CELL, 16, "an object without cell notes")                                                                    \
    X(WRONG_ABI, 17, "made for another interface version")                                                             \
    X(MISSING_SYMBOL, 18, "lacks a symbol that others use")                                                            \
    X(UNRESOLVED, 19, "needs a symbol that no cell exports")                                                           \
    X(WRONG_TYPE, 20, "a symbol has another type")                                                                     \
    X(BAD_RELOCATION, 21, "a relocation that the loader does not know or that does not fit")                           \
    X(NO_ACCESS, 22, "access level forbids it")                                                                        \
    X(NOT_SWAPPABLE, 23, "part of the nano_core image")                                                                \
    X(IO, 24, "input or output failed")                                                                                \
    X(PROTOCOL, 25, "the other side broke the protocol")                                                               \
    X(NOT_RUNNING, 26, "the machine does not run")                                                                     \
    X(UNSUPPORTED, 27, "not supported here")                                                                           \
    X(INIT_FAILED, 28, "initialization failed")                                                                        \
    X(DUPLICATE_SYMBOL, 29, "a symbol is exported by another cell already")                                            \
    X(REFUSED, 30, "refused")

enum [[nodiscard]] err{
#define X(name, number, text) ERR_##name = number,
    ERR_LIST(X)
#undef X
};

/* The words for `e`, never NULL. */
static inline const char *err_text(unsigned e)
{
    switch (e) {
#define X(name, number, text)                                                                                          \
    case number:                                                                                                       \
        return text;
        ERR_LIST(X)
#undef X
    default:
        return "an unknown error";
    }
}
