/* QMP's commands: their table, their arguments, their schema. qmp.c is the connections.
 *
 * A type is written in a small notation, from which arguments are checked and the schema is made:
 *     str int bool any                  a scalar; `any`: what is not described further
 *     {name:TYPE name?:TYPE ...}        an object; `?`: may be absent
 *     [TYPE]                            a list */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include "vmm/qmp.h"

struct qmp_caller {
    const struct qmp_machine *machine;
    const json_t *arguments; /* fit the command's type; NULL: none were given */
    bool *negotiated;
};

struct qmp_command {
    const char *name;
    const char *arguments; /* an object */
    const char *returns;
    json_t *(*run)(const struct qmp_caller *caller); /* the whole answer */
};
extern const struct qmp_command qmp_commands[];
extern const size_t qmp_commands_count;
extern const char *const qmp_events[]; /* ends with NULL */

json_t *qmp_version(void);
/* {"error": ...}. */
json_t *qmp_error(const char *class, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The answer to a whole message: a request, or what is none. Never NULL but without memory. */
json_t *qmp_answer(const json_t *request, const struct qmp_machine *machine, bool *negotiated);

/* NULL: `arguments` (NULL: none) fit `type`; else the error. */
json_t *qmp_check_arguments(const char *type, const json_t *arguments);
/* What query-qmp-schema returns. */
json_t *qmp_schema(void);
