/* Injections that come while the guest does something else than its rounds: recovers from a first fault, or carries out
 * a swap that it was asked for (docs/campaigns.md, "A fault amid something else"). What is done to the guest here is
 * done while it stands still. */
#pragma once
#include "injector/inject.h"
#include "injector/plan.h"

/* What the guest was asked for: the swap or reload of the campaign, the same once more when that was answered, and a
 * third time if the second one failed. */
struct moment_request {
    uint64_t seq;   /* of the request; 0: nothing was asked for */
    unsigned asked; /* how often */
    bool answered;  /* the last one */
    uint32_t error; /* enum err, of the last answer */
};

/* Asks for the campaign's swap or reload. On failure `why` names the object's file, or what the guest's tables lack. */
enum err moment_ask(const struct inject_target *target, const struct plan_moment *moment,
                    struct moment_request *request, struct why *why);
/* Looks for the answer, and asks again; not when the guest runs (`stands`), as that would be at another moment on every
 * run. True: nothing was asked for, or all are answered. */
bool moment_is_answered(const struct inject_target *target, const struct plan_moment *moment, bool stands,
                        struct moment_request *request);
/* Whether nothing was asked for, or the last of it was done. */
bool moment_was_served(const struct moment_request *request);

/* The address of a function of the campaign. On failure `why` says that there is none. */
enum err moment_function(const struct view *view, const struct plan_target *function, uint64_t *ret_gva,
                         struct why *why);
/* Plans changes of the instruction at `ip`: within it, or over it when the model replaces instructions. ERR_NOT_FOUND:
 * it is in no section. */
enum err moment_plan_here(const struct view *view, uint64_t ip, const struct model_use *use, struct prng *prng,
                          struct injection *ret_injection);
/* The place of an instruction, as inject_where has it. */
void moment_place(const struct view *view, uint64_t ip, char *ret_text, size_t bytes);
