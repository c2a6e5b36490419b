/* What the verbs share that ask the guest for something: the machine with its lock, the request and its answer. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "cli/target.h"
#include "introspect/request.h"

struct asking {
    struct target target;
    const struct call *call;
    const char *namespace_; /* that requests are about unless they name one; at first what --namespace says */
    const char *given;      /* what --namespace says, or the verb's operand; NULL: neither */
    enum err refused;       /* why the guest has refused the last request; ERR_OK: it has not */
    bool named;             /* a cell has been named, so that the namespace cannot change */
    char space[64];         /* of the first cell that was named; namespace_ is here then */
};

/* Opens the machine that the call names, maps it and takes its lock. An exit status other than 0 was reported;
 * asking_close in every case. */
enum cli_status asking_open(struct asking *asking, struct call *call);
void asking_close(struct asking *asking); /* accepts zeros */

/* Posts a request and waits for the answer; with --json prints it. A refusal is reported as one of `what`. */
enum cli_status asking_post(struct asking *asking, const struct request *request, const char *what,
                            struct arena_completion *ret);
/* Prints an answer as --json does. */
void asking_print(const struct arena_completion *completion);

/* Finds the hash of the object that the namespace's cell was made from, its own or an inherited one. False: no such
 * cell is loaded. */
bool asking_loaded_object(const struct asking *asking, const char *cell, uint64_t *ret_hash);
/* Reads the name of a cell that a request is about, CELL or NAMESPACE/CELL, and writes CELL to `ret_cell`. The
 * namespace is that of all cells of the request; without one it is what --namespace says, else the root. Checks by the
 * view of the target, which is taken if there is none, that the namespace has such a cell; with QUALIFIED_HELD, that
 * NAMESPACE holds it itself. The guest checks as well; this gives the exit status CLI_UNKNOWN and says what there
 * is. */
enum { ASKING_CELL = sizeof((struct qualified *)0)->cell };
enum cli_status asking_cell(struct asking *asking, const char *words, enum qualified_reach reach,
                            char ret_cell[ASKING_CELL]);
/* The same for a cell that need not be loaded yet. */
enum cli_status asking_name(struct asking *asking, const char *words, char ret_cell[ASKING_CELL]);
