/* Names of enumerators, as guest and host print them: X(enumerator, name), to be expanded into a table. */
#pragma once
#include "guest/abi/arena.h"
#include "guest/abi/note.h"

#define NAMES_CELL_KIND(X)                                                                                             \
    X(CELL_KERNEL, "kernel")                                                                                           \
    X(CELL_DRIVER, "driver")                                                                                           \
    X(CELL_LIBRARY, "library")                                                                                         \
    X(CELL_APPLICATION, "application")

#define NAMES_CELL_STATE(X)                                                                                            \
    X(CELL_FREE, "free")                                                                                               \
    X(CELL_LOADING, "loading")                                                                                         \
    X(CELL_LIVE, "live")                                                                                               \
    X(CELL_OLD, "old")                                                                                                 \
    X(CELL_ABSENT, "absent")

#define NAMES_SECTION_KIND(X)                                                                                          \
    X(SECTION_TEXT, "text")                                                                                            \
    X(SECTION_RODATA, "rodata")                                                                                        \
    X(SECTION_DATA, "data")                                                                                            \
    X(SECTION_BSS, "bss")                                                                                              \
    X(SECTION_EH_FRAME, "eh_frame")                                                                                    \
    X(SECTION_EXCEPT, "except")

#define NAMES_TASK_STATE(X)                                                                                            \
    X(TASK_FREE, "free")                                                                                               \
    X(TASK_RUNNABLE, "runnable")                                                                                       \
    X(TASK_RUNNING, "running")                                                                                         \
    X(TASK_BLOCKED, "blocked")                                                                                         \
    X(TASK_EXITED, "exited")                                                                                           \
    X(TASK_UNWINDING, "unwinding")                                                                                     \
    X(TASK_FAILED, "failed")                                                                                           \
    X(TASK_NEW, "new")

#define NAMES_FAULT_ACTION(X)                                                                                          \
    X(FAULT_ACTION_NONE, "none")                                                                                       \
    X(FAULT_ACTION_UNWIND, "unwind")                                                                                   \
    X(FAULT_ACTION_RESTART, "restart")                                                                                 \
    X(FAULT_ACTION_RELOAD, "reload")                                                                                   \
    X(FAULT_ACTION_HALT, "halt")                                                                                       \
    X(FAULT_ACTION_MEND, "mend")

#define NAMES_FAULT_OUTCOME(X)                                                                                         \
    X(FAULT_OUTCOME_OPEN, "open")                                                                                      \
    X(FAULT_OUTCOME_RECOVERED, "recovered")                                                                            \
    X(FAULT_OUTCOME_FAILED, "failed")
