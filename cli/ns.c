/* The subverbs of `ns` that make and remove namespaces: branch, rm. */
#include <stdio.h>
#include "cli/asking.h"
#include "cli/verbs.h"

enum cli_status ns_branch(struct call *call)
{
    CLOSED_BY(asking_close) struct asking a = {0};
    struct arena_completion c = {0};
    enum cli_status status = asking_open(&a, call);

    if (status)
        return status;
    const struct request r = {.kind = REQUEST_BRANCH,
                              .target = call->argv[0],
                              .flags = call->simd ? REQUEST_SIMD : 0,
                              .namespace_ = call->argc > 1 ? call->argv[1] : NULL,
                              .argument = call->cpu.given ? (uint32_t)call->cpu.value + 1 : 0};
    status = asking_post(&a, &r, r.target, &c);
    if (!status && !call->json)
        printf("%s is a branch of %s\n", r.target, r.namespace_ ? r.namespace_ : "root");
    return status;
}

enum cli_status ns_rm(struct call *call)
{
    CLOSED_BY(asking_close) struct asking a = {0};
    struct arena_completion c = {0};
    enum cli_status status = asking_open(&a, call);

    if (status)
        return status;
    const char *name = call->argv[0];
    status = asking_post(&a, &(struct request){.kind = REQUEST_REMOVE, .target = name}, name, &c);
    if (!status && !call->json)
        printf("removed %s%s%s\n", name, *c.detail ? ": " : "", c.detail);
    return status;
}
