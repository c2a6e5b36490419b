/* One injection into a machine: resolve the place, plan, change memory. */
#pragma once
#include "injector/model.h"
#include "vmm/machine/stop.h"

struct injection {
    struct change change[MODEL_CHANGES_MAX];
    size_t changes;
};

struct inject_target {
    struct machine *machine;
    uint8_t *ram; /* mapped for writing */
    size_t bytes;
};

/* Applied in order; on failure the first `changes` of them have been made. A change that waits for a CPU
 * to come to an instruction (change_waits) makes the machine run; ERR_TIMEOUT: none came within 10 s. Such a change,
 * and that of a register, takes QEMU. */
enum err inject_apply(const struct inject_target *target, const struct view *view, struct injection *injection,
                      struct why *why);

/* Chooses the bytes and their changes from the place, the model and the numbers of `prng`: the same numbers, the same
 * changes. Changes nothing in the guest. On failure `why` says what the place or the model lacks. */
enum err inject_plan(const struct view *view, const struct place *place, const struct model_use *use, struct prng *prng,
                     struct injection *ret_injection, struct why *why);

/* Where a change is, as the guest's code has it. */
uint64_t inject_gva(const struct view *view, const struct change *change);

/* The CPU that `stop` has stopped is about to execute the instruction of `change`, at `gva`: makes the change, which
 * has waited for that. */
enum err inject_stopped(struct stop *stop, struct change *change, uint64_t gva);

/* Makes held bits true again. Cheap when they are. */
void inject_hold(const struct inject_target *target, const struct view *view, const struct injection *injection);

/* "channel:.text.channel_send+0x12", with NAMESPACE/ before it if that is not the root; "task:producer:stack+0x3f80";
 * "register:rax", "register:rax@" before the place of an instruction; "" elsewhere. */
void inject_where(const struct view *view, const struct change *change, char *ret_text, size_t bytes);

/* "text", "rodata", "data" (bss too), "tables" (of unwinding), "stack", "heap", "register", "other". */
const char *inject_kind(const struct view *view, const struct change *change);

/* Whether the place has code, of which an instruction can be skipped. */
bool inject_has_code(const struct view *view, const struct place *place);

/* The same place in another guest, where cells and stacks may lie elsewhere. "" leaves `change` as it is. */
enum err inject_find(const struct view *view, const char *where, struct change *change, struct why *why);
