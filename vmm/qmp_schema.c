/* See qmp_command.h: the notation of types. A type in a table is right; clients' values are compared with it. */
#include "introspect/base/json.h"
#include "vmm/qmp_command.h"
#include <stdio.h>
#include <string.h>

enum { NAME_MAX = 64, BUILTINS = 4 };

static const struct {
    const char *word, *json_type;
} builtins[BUILTINS] = {{"str", "string"}, {"int", "int"}, {"bool", "boolean"}, {"any", "value"}};

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " ");
}

/* Behind the type that begins at `at`. */
static const char *skip_type(const char *at)
{
    int depth = 0;

    for (;; at++) {
        if (*at == '{' || *at == '[')
            depth++;
        else if (*at == '}' || *at == ']')
            depth--;
        if (depth < 0 || *at == '\0' || (depth == 0 && *at == ' '))
            return at;
        if (depth == 0 && (*at == '}' || *at == ']'))
            return at + 1;
    }
}

struct type_member {
    char name[NAME_MAX];
    bool optional;
    const char *type;
};

/* The next member of an object; `*at` is behind '{' or the last member. False: there is none. */
static bool next_member(const char **at, struct type_member *ret)
{
    const char *begin = skip_blanks(*at), *end = begin + strcspn(begin, ":}");

    if (*end != ':')
        return false;
    ret->optional = end[-1] == '?';
    snprintf(ret->name, sizeof ret->name, "%.*s", (int)(end - begin - ret->optional), begin);
    ret->type = end + 1;
    *at = skip_type(ret->type);
    return true;
}

static bool is_word(const char *type, const char *word)
{
    return strncmp(type, word, strlen(word)) == 0;
}

/* ---- checking ---- */

static json_t *check_value(const char *type, const json_t *value, const char *name);

static json_t *check_object(const char *type, const json_t *value)
{
    struct type_member member;
    const char *key, *at = type + 1;
    json_t *given, *refusal;

    json_object_foreach((json_t *)value, key, given)
    {
        bool known = false;
        for (at = type + 1; !known && next_member(&at, &member);)
            known = strcmp(member.name, key) == 0;
        if (!known)
            return qmp_error("GenericError", "Parameter '%.100s' is unexpected", key);
    }
    for (at = type + 1; next_member(&at, &member);) {
        given = json_object_get(value, member.name);
        if (!given && !member.optional)
            return qmp_error("GenericError", "Parameter '%s' is missing", member.name);
        if (given && (refusal = check_value(member.type, given, member.name)))
            return refusal;
    }
    return NULL;
}

static json_t *wrong_type(const char *name, const char *expected)
{
    return qmp_error("GenericError", "Invalid parameter type for '%s', expected: %s", name, expected);
}

static json_t *check_value(const char *type, const json_t *value, const char *name)
{
    json_t *refusal = NULL;

    if (*type == '{')
        return json_is_object(value) ? check_object(type, value) : wrong_type(name, "object");
    if (*type == '[') {
        if (!json_is_array(value))
            return wrong_type(name, "array");
        for (size_t i = 0; i < json_array_size(value) && !refusal; i++)
            refusal = check_value(type + 1, json_array_get(value, i), name);
        return refusal;
    }
    if (is_word(type, "str"))
        return json_is_string(value) ? NULL : wrong_type(name, "string");
    if (is_word(type, "int"))
        return json_is_integer(value) ? NULL : wrong_type(name, "integer");
    if (is_word(type, "bool"))
        return json_is_boolean(value) ? NULL : wrong_type(name, "boolean");
    return NULL;
}

json_t *qmp_check_arguments(const char *type, const json_t *arguments)
{
    OWN(json) json_t *none = arguments ? NULL : json_object();

    return check_object(type, arguments ? arguments : none);
}

/* ---- the schema ---- */

/* The name of the type, whose entries are added to `list`. As in QEMU a type's name says nothing. */
static json_t *type_name(const char *type, json_t *list)
{
    struct type_member member;

    for (size_t i = 0; i < BUILTINS; i++)
        if (is_word(type, builtins[i].word))
            return json_string(builtins[i].word);
    if (*type == '[') {
        json_t *element = type_name(type + 1, list), *name = json_sprintf("[%s]", json_string_value(element));
        json_array_append_new(list,
                              json_pack("{s:O,s:s,s:o}", "name", name, "meta-type", "array", "element-type", element));
        return name;
    }
    json_t *members = json_array();
    for (const char *at = type + 1; next_member(&at, &member);) {
        json_t *entry = json_pack("{s:s,s:o}", "name", member.name, "type", type_name(member.type, list));
        if (member.optional)
            json_object_set_new(entry, "default", json_null());
        json_array_append_new(members, entry);
    }
    json_t *name = json_sprintf("%zu", json_array_size(list));
    json_array_append_new(list, json_pack("{s:O,s:s,s:o}", "name", name, "meta-type", "object", "members", members));
    return name;
}

json_t *qmp_schema(void)
{
    json_t *list = json_array();

    for (size_t i = 0; i < BUILTINS; i++)
        json_array_append_new(list, json_pack("{s:s,s:s,s:s}", "name", builtins[i].word, "meta-type", "builtin",
                                              "json-type", builtins[i].json_type));
    for (size_t i = 0; i < qmp_commands_count; i++) {
        json_t *arguments = type_name(qmp_commands[i].arguments, list);
        json_t *returns = type_name(qmp_commands[i].returns, list);
        json_array_append_new(list, json_pack("{s:s,s:s,s:o,s:o}", "name", qmp_commands[i].name, "meta-type", "command",
                                              "arg-type", arguments, "ret-type", returns));
    }
    for (size_t i = 0; qmp_events[i]; i++)
        json_array_append_new(list, json_pack("{s:s,s:s,s:o}", "name", qmp_events[i], "meta-type", "event", "arg-type",
                                              type_name("{}", list)));
    return list;
}
