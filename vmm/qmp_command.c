/* See qmp_command.h. What a request must be, and in which words it is refused, is as in QEMU (qapi/qmp-dispatch.c). */
#include "vmm/qmp_command.h"
#include "vmm/log.h"
#include "introspect/base/json.h"
#include "introspect/base/version.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

json_t *qmp_error(const char *class, const char *format, ...)
{
    char text[400];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    json_t *description = json_string(text);
    if (!description) /* what a client sent may be cut in the middle of a character */
        description = json_string("bad request");
    return json_pack("{s:{s:s,s:o}}", "error", "class", class, "desc", description);
}

static json_t *nothing(void)
{
    return json_pack("{s:{}}", "return");
}

static json_t *run_capabilities(const struct qmp_caller *c)
{
    const json_t *enable = json_object_get(c->arguments, "enable");

    if (json_array_size(enable) > 0)
        return qmp_error("GenericError", "Capability '%s' is not available",
                         json_string_value(json_array_get(enable, 0)));
    *c->negotiated = true;
    return nothing();
}

static json_t *run_status(const struct qmp_caller *c)
{
    const char *status = c->machine->status(c->machine->owner);

    return json_pack("{s:{s:s,s:b,s:b}}", "return", "status", status, "running", strcmp(status, "running") == 0,
                     "singlestep", 0);
}

static json_t *run_name(const struct qmp_caller *c)
{
    return json_pack("{s:{s:s}}", "return", "name", c->machine->name);
}

json_t *qmp_version(void)
{
    return json_pack("{s:{s:i,s:i,s:i},s:s}", "qemu", "major", 7, "minor", 2, "micro", 0, "package",
                     "delias-vmm " DELIAS_VERSION);
}

static json_t *run_version(const struct qmp_caller *c)
{
    (void)c;
    return json_pack("{s:o}", "return", qmp_version());
}

static json_t *run_commands(const struct qmp_caller *c)
{
    json_t *list = json_array();

    (void)c;
    for (size_t i = 0; i < qmp_commands_count; i++)
        json_array_append_new(list, json_pack("{s:s}", "name", qmp_commands[i].name));
    return json_pack("{s:o}", "return", list);
}

static json_t *run_events(const struct qmp_caller *c)
{
    json_t *list = json_array();

    (void)c;
    for (size_t i = 0; qmp_events[i]; i++)
        json_array_append_new(list, json_pack("{s:s}", "name", qmp_events[i]));
    return json_pack("{s:o}", "return", list);
}

static json_t *run_schema(const struct qmp_caller *c)
{
    (void)c;
    return json_pack("{s:o}", "return", qmp_schema());
}

static json_t *run_kvm(const struct qmp_caller *c)
{
    (void)c;
    return json_pack("{s:{s:b,s:b}}", "return", "enabled", 1, "present", 1);
}

static json_t *act(enum err (*action)(void *owner), void *owner)
{
    enum err e = action(owner);

    return e == ERR_OK ? nothing() : qmp_error("GenericError", "%s", err_text(e));
}

static json_t *run_stop(const struct qmp_caller *c)
{
    return act(c->machine->stop, c->machine->owner);
}

static json_t *run_cont(const struct qmp_caller *c)
{
    return act(c->machine->cont, c->machine->owner);
}

static json_t *run_reset(const struct qmp_caller *c)
{
    return act(c->machine->reset, c->machine->owner);
}

static json_t *run_quit(const struct qmp_caller *c)
{
    return act(c->machine->quit, c->machine->owner);
}

static json_t *ask(const struct qmp_caller *c, enum qmp_query query)
{
    return c->machine->query(c->machine->owner, query, c->arguments);
}

static json_t *run_cpus(const struct qmp_caller *c)
{
    return ask(c, QMP_CPUS);
}

static json_t *run_stats(const struct qmp_caller *c)
{
    return ask(c, QMP_STATS);
}

static json_t *run_monitor(const struct qmp_caller *c)
{
    return ask(c, QMP_MONITOR);
}

static json_t *run_nmi(const struct qmp_caller *c)
{
    return ask(c, QMP_NMI);
}

static json_t *run_powerdown(const struct qmp_caller *c)
{
    return ask(c, QMP_POWERDOWN);
}

static json_t *run_dump(const struct qmp_caller *c)
{
    return ask(c, QMP_DUMP);
}

static json_t *act_on_file(const struct qmp_caller *c, enum err (*action)(void *owner, const char *path))
{
    const char *path = json_string_value(json_object_get(c->arguments, "filename"));

    return action(c->machine->owner, path) == ERR_OK ? nothing() : qmp_error("GenericError", "%s", vmm_last_failure());
}

static json_t *run_save(const struct qmp_caller *c)
{
    return act_on_file(c, c->machine->save);
}

static json_t *run_load(const struct qmp_caller *c)
{
    return act_on_file(c, c->machine->load);
}

const struct qmp_command qmp_commands[] = {
    {"qmp_capabilities", "{enable?:[str]}", "{}", run_capabilities},
    {"query-version", "{}", "{qemu:{major:int minor:int micro:int} package:str}", run_version},
    {"query-commands", "{}", "[{name:str}]", run_commands},
    {"query-events", "{}", "[{name:str}]", run_events},
    {"query-qmp-schema", "{}", "[any]", run_schema},
    {"query-status", "{}", "{status:str running:bool singlestep:bool}", run_status},
    {"query-name", "{}", "{name?:str}", run_name},
    {"query-kvm", "{}", "{enabled:bool present:bool}", run_kvm},
    {"query-cpus-fast", "{}", "[{cpu-index:int qom-path:str thread-id:int target:str props:{core-id:int}}]", run_cpus},
    {"query-stats", "{target:str vcpus?:[str] providers?:[{provider:str names?:[str]}]}",
     "[{provider:str qom-path?:str stats:[{name:str value:any}]}]", run_stats},
    {"human-monitor-command", "{command-line:str cpu-index?:int}", "str", run_monitor},
    {"inject-nmi", "{}", "{}", run_nmi},
    {"system_powerdown", "{}", "{}", run_powerdown},
    {"dump-guest-memory", "{paging:bool protocol:str detach?:bool begin?:int length?:int format?:str}", "{}", run_dump},
    {"stop", "{}", "{}", run_stop},
    {"cont", "{}", "{}", run_cont},
    {"system_reset", "{}", "{}", run_reset},
    {"quit", "{}", "{}", run_quit},
    {"save-state", "{filename:str}", "{}", run_save},
    {"load-state", "{filename:str}", "{}", run_load},
};
const size_t qmp_commands_count = sizeof qmp_commands / sizeof *qmp_commands;
const char *const qmp_events[] = {"STOP", "RESUME", "RESET", "SHUTDOWN", "POWERDOWN", NULL};

/* ---- dispatch ---- */

/* NULL: `request` has the members of a request, and no others. */
static json_t *check_request(const json_t *request)
{
    static const char *const members[] = {"execute", "arguments", "id"};
    const char *key;
    json_t *value;

    if (!request)
        return qmp_error("GenericError", "JSON parse error, invalid JSON");
    if (!json_is_object(request))
        return qmp_error("GenericError", "QMP input must be a JSON object");
    json_object_foreach((json_t *)request, key, value)
    {
        bool known = false;
        for (size_t i = 0; i < sizeof members / sizeof *members; i++)
            known = known || strcmp(key, members[i]) == 0;
        if (!known)
            return qmp_error("GenericError", "QMP input member '%.100s' is unexpected", key);
    }
    if (!json_object_get(request, "execute"))
        return qmp_error("GenericError", "QMP input lacks member 'execute'");
    if (!json_is_string(json_object_get(request, "execute")))
        return qmp_error("GenericError", "QMP input member 'execute' must be a string");
    if (json_object_get(request, "arguments") && !json_is_object(json_object_get(request, "arguments")))
        return qmp_error("GenericError", "QMP input member 'arguments' must be an object");
    return NULL;
}

static json_t *execute(const struct qmp_command *command, struct qmp_caller *caller)
{
    json_t *refusal = qmp_check_arguments(command->arguments, caller->arguments);

    return refusal ? refusal : command->run(caller);
}

json_t *qmp_answer(const json_t *request, const struct qmp_machine *machine, bool *negotiated)
{
    json_t *refusal = check_request(request);

    if (refusal)
        return refusal;
    const char *name = json_string_value(json_object_get(request, "execute"));
    struct qmp_caller caller = {machine, json_object_get(request, "arguments"), negotiated};
    bool negotiating = strcmp(name, "qmp_capabilities") == 0;
    if (!*negotiated && !negotiating)
        return qmp_error("CommandNotFound", "Expecting capabilities negotiation with 'qmp_capabilities'");
    for (size_t i = 0; i < qmp_commands_count; i++)
        if (strcmp(qmp_commands[i].name, name) == 0 && !(negotiating && *negotiated))
            return execute(&qmp_commands[i], &caller);
    return qmp_error("CommandNotFound", "The command %.100s has not been found", name);
}
