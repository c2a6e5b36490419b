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
    X(FAULT_OUTCOME_FAILED, "failed")                                                                                  \
    X(FAULT_OUTCOME_LOST, "lost with the machine")

#define NAMES_FAULT_STEP(X)                                                                                            \
    X(FAULT_STEP_NONE, "none")                                                                                         \
    X(FAULT_STEP_MENDED, "foundation mended")                                                                          \
    X(FAULT_STEP_UNWOUND, "unwound")                                                                                   \
    X(FAULT_STEP_LEFT, "handler left")                                                                                 \
    X(FAULT_STEP_MEND, "mended in place")                                                                              \
    X(FAULT_STEP_RELOAD, "reloaded")                                                                                   \
    X(FAULT_STEP_RELOAD_FRESH, "reloaded with fresh data")                                                             \
    X(FAULT_STEP_REFUSED, "not reloaded")                                                                              \
    X(FAULT_STEP_BACK_OFF, "restart waits")                                                                            \
    X(FAULT_STEP_RESTART, "restarted")                                                                                 \
    X(FAULT_STEP_END, "task ends")                                                                                     \
    X(FAULT_STEP_GIVE_UP, "given up")                                                                                  \
    X(FAULT_STEP_RESET, "machine reset")
