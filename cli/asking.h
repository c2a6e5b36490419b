/* What the verbs share that ask the guest for something: options, the machine with its lock, the request and its answer. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "cli/target.h"
#include "introspect/request.h"

struct asking {
    struct target target;
    const char *machine;
    const char *namespace_; /* --namespace, or NULL */
    const char *cpu;        /* --cpu, or NULL */
    const char *recipes;    /* --recipes, or NULL */
    bool json, dry_run, simd;
    uint64_t timeout_s;
    int argc;
    char **argv;
};

/* Parses, opens the machine, maps it and takes its lock; `shorts` is of "m:t:jns:c:r:S" what the verb has. An exit status other
 * than 0 was reported, and nothing is to be closed. */
int asking_open(int argc, char **argv, const char *shorts, int min, int max, struct asking *asking);
void asking_close(struct asking *asking);

/* Posts a request, about the namespace of the options if it names none, and reports a refusal in `what`; with --json the answer is printed. */
int asking_post(struct asking *asking, const struct request *request, const char *what, struct arena_completion *ret);
void asking_print(const struct arena_completion *completion); /* as JSON */
