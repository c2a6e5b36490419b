/* A debugger on a machine whose libraries are the guest's cells: a proxy between GDB and the machine's own stub.
 * Everything goes through, and the proxy adds the list of loaded cells (debugger/libraries.h). It stands still, and
 * tells the debugger, when the list changes: before a swap takes effect, and within 100 ms after anything else.
 * Leaves out starting GDB, and waiting for it (cli/gdb.c). */
#pragma once
#include <signal.h>
#include "vmm/machine/machine.h"

struct debugger;
void debugger_free(struct debugger *debugger); /* accepts NULL */
OWNABLE(debugger, debugger_free)

/* Borrows all: the machine; folders of builds, in which files with DWARF are looked for; a private folder, an absolute
 * path, for links to them, which are removed at the end. On failure machine_last_error says why. */
enum err debugger_new(struct machine *machine, const char *const *build, size_t builds, const char *folder,
                      struct debugger **ret_debugger);

/* Attaches to the machine, which stands still from then on, and serves one client until it detaches or goes away, the
 * machine ends, or *stop is not 0. Then nothing stops the machine any more, and it runs if it ran before. ERR_BUSY:
 * another debugger is attached. On failure machine_last_error says why; the descriptor is still the caller's. */
enum err debugger_serve(struct debugger *debugger, int client, const volatile sig_atomic_t *stop);
