/* Which machine a verb is about, its memory mapped, and a view of its arena. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "introspect/view.h"
#include "vmm/machine/machine.h"

struct target {
    struct machine *machine;
    uint8_t *ram; /* NULL until target_map */
    size_t ram_bytes;
    struct view *view; /* NULL until target_look */
    char name[MACHINE_NAME_MAX + 1];
};

/* Picks the machine from the operands and opens it. `option` (may be NULL) is what --machine says; else the first
 * operand, if it names one, or if there are more than `max` without it; else the only machine that runs. Operands that
 * are used up are skipped: *argc and *argv are those that remain, `min` to `max` of them.
 * An exit status other than 0 was reported already, and nothing is to be closed. */
int target_open(struct target *ret, const char *option, int *argc, char ***argv, int min, int max);
/* The same for the command line of a verb that takes a machine and nothing else, as its operand or by --machine. */
int target_parse(struct target *ret, int argc, char **argv);
int target_map(struct target *target, bool writable);
/* A fresh view; the one from before is freed. Warns when it is damaged or torn, once. */
int target_look(struct target *target);
/* The same while the guest may start anew: *ret_booting says that it has no arena now, and the view is as it was. */
int target_look_again(struct target *target, bool *ret_booting);
void target_close(struct target *target);

/* The cell that an operand names: NAME, NAMESPACE/NAME, or #INDEX for one that is old. 0: reported. */
uint32_t target_cell(const struct target *target, const char *word, int *ret_status);
/* CELL or CELL:SECTION. *ret_section is 0 for a whole cell. */
uint32_t target_section(const struct target *target, const char *word, uint32_t *ret_section, int *ret_status);
