/* Which machine a verb is about, its memory mapped, and a view of its arena. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "cli/cli.h"
#include "introspect/qualified.h"
#include "vmm/machine/machine.h"

struct target {
    struct machine *machine;
    uint8_t *ram; /* NULL until target_map */
    size_t ram_bytes;
    struct view *view; /* NULL until target_look */
    char name[MACHINE_NAME_MAX + 1];
    bool told; /* that other namespaces have a cell of the name that was given */
};

/* Opens the machine that the call means: what --machine says; else the first operand, if it names a machine, or if
 * there are more than call->most without it; else the only machine that runs. A name among the operands is removed
 * from them; then there are call->least to call->most. An exit status other than 0 was reported, and *ret is
 * untouched. */
enum cli_status target_open(struct target *ret, struct call *call);
/* Maps its memory into target->ram. */
enum cli_status target_map(struct target *target, bool writable);
/* Replaces target->view by a fresh one; what refers to the former one must not be used any more. Warns about damage,
 * the first time. */
enum cli_status target_look(struct target *target);
/* The same while the guest may be reset: *ret_booting says that it has no arena now, and the view is unchanged. */
enum cli_status target_look_again(struct target *target, bool *ret_booting);
/* Accepts a target of zeros. */
void target_close(struct target *target);

/* Finds the cell that an operand names: CELL of the root, NAMESPACE/CELL, or #INDEX for an old one
 * (introspect/qualified.h). None: there is none, which was reported. Warns, once, when other namespaces have another
 * cell of a name without namespace. */
struct cell_ref target_cell(struct target *target, const char *word, enum cli_status *ret_status);
/* The same for CELL or CELL:SECTION. *ret_section is none for a whole cell. */
struct cell_ref target_section(struct target *target, const char *word, struct section_ref *ret_section,
                               enum cli_status *ret_status);
/* The two halves of target_cell, for verbs that look at the parts of a name. */
enum cli_status target_parse(const char *words, struct qualified *ret_name);
enum cli_status target_named(struct target *target, const struct qualified *name, enum qualified_reach reach,
                             struct cell_ref *ret_cell);
