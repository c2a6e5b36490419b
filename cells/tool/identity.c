/* See identity.h. */
#include "cells/tool/identity.h"
#include "cells/tool/elf_file.h"
#include "cells/tool/list.h"
#include "guest/abi/object.h"
#include "guest/abi/fnv.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "introspect/base/own.h"

#define UNIT_BYTES 64

const char *names_join(struct names *names, const char *a, const char *b, const char *c)
{
    size_t bytes = strlen(a) + strlen(b) + strlen(c) + 1;
    char **room = list_room(names->name, names->names, &names->capacity, sizeof *room);
    char *joined = room ? malloc(bytes) : NULL;

    if (room)
        names->name = room;
    if (!joined) {
        names->failed = true;
        return "";
    }
    snprintf(joined, bytes, "%s%s%s", a, b, c);
    room[names->names++] = joined;
    return joined;
}

void names_done(struct names *names)
{
    for (size_t i = 0; i < names->names; i++)
        free(names->name[i]);
    free(names->name);
    *names = (struct names){0};
}

/* ---- data ---- */

/* "common" of cells/task/scheduler_v2/common.c, "channel" of channel_v2.c. What links the units names none of them. */
static void name_unit(const char *unit, char ret_name[UNIT_BYTES])
{
    const char *slash = unit ? strrchr(unit, '/') : NULL, *base = slash ? slash + 1 : unit ?: "";
    size_t length = object_cell_name(base, strcspn(base, "."));

    snprintf(ret_name, UNIT_BYTES, "%.*s", (int)length, base);
}

static int compare_identities(const void *a, const void *b)
{
    const struct datum *const *x = a, *const *y = b;

    return strcmp((*x)->identity, (*y)->identity);
}

/* Calls `change` for each datum that has its identity in common with another one. */
static bool change_shared(struct datum *data, size_t count, struct names *names, uint64_t salt,
                          void (*change)(struct datum *datum, struct names *names, uint64_t salt))
{
    OWN(memory) struct datum **sorted = calloc(count + 1, sizeof *sorted);

    if (!sorted)
        return false;
    for (size_t i = 0; i < count; i++)
        sorted[i] = &data[i];
    qsort(sorted, count, sizeof *sorted, compare_identities);
    for (size_t i = 0, next; i < count; i = next) {
        const char *identity = sorted[i]->identity;
        for (next = i + 1; next < count && strcmp(sorted[next]->identity, identity) == 0;)
            next++;
        for (size_t k = i; next - i > 1 && k < next; k++)
            change(sorted[k], names, salt);
    }
    return true;
}

static const char *file_of(const char *path, struct names *names)
{
    char unit[UNIT_BYTES];

    name_unit(path, unit);
    return names_join(names, unit, "", "");
}

static void add_unit_to(struct datum *datum, struct names *names, uint64_t)
{
    datum->identity = names_join(names, file_of(datum->unit, names), ":", datum->identity);
}

static void add_salt(struct datum *datum, struct names *, uint64_t salt)
{
    datum->salt = salt;
}

bool identify_data(struct datum *data, size_t count, const struct elf_file *file, struct names *names)
{
    uint64_t salt = fnv_add(FNV_START, file->data, file->bytes) ?: 1;

    for (size_t i = 0; i < count; i++) {
        data[i].identity = data[i].function ? names_join(names, data[i].function, ".", data[i].name) : data[i].name;
        Dwarf_Die die = data[i].die; /* it may stand in a file that the unit includes */
        data[i].file = data[i].local ? file_of(dwarf_decl_file(&die) ?: data[i].unit, names) : NULL;
    }
    return change_shared(data, count, names, 0, add_unit_to) && change_shared(data, count, names, salt, add_salt);
}

/* ---- sections ---- */

static const char *const data_prefixes[] = {".bss.", ".data.", ".rodata."};
static const char *const function_prefixes[] = {".text.unlikely.", ".text.hot.", ".text.startup.", ".text.exit.",
                                                ".text."};

static const char *prefix_of(const char *name, const char *const *prefixes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return prefixes[i];
    return NULL;
}

static const char *data_prefix(const char *name)
{
    return prefix_of(name, data_prefixes, sizeof data_prefixes / sizeof *data_prefixes);
}

static const char *function_prefix(const char *name)
{
    return prefix_of(name, function_prefixes, sizeof function_prefixes / sizeof *function_prefixes);
}

static const char *if_it_fits(const char *better, const char *name)
{
    return better[0] && strlen(better) <= OBJECT_OWN_MAX ? better : name;
}

const char *identity_of_data(struct names *names, const char *name, const struct datum *data)
{
    const char *prefix = data_prefix(name);

    return prefix && !data->salt ? if_it_fits(names_join(names, prefix, data->identity, ""), name) : name;
}

const char *identity_of_function(struct names *names, const char *name, const char *symbol,
                                 const struct datum *function)
{
    const char *prefix = function_prefix(name);

    if (!prefix || function->salt || strcmp(name + strlen(prefix), symbol) != 0)
        return name;
    return if_it_fits(names_join(names, ".text.", function->identity, ""), name);
}

const char *identity_of_several(struct names *names, const char *name, uint64_t hash)
{
    char number[32];
    int length = OBJECT_OWN_MAX - 9;

    OWN(memory) char *start = strndup(name, (size_t)length);
    snprintf(number, sizeof number, "#%08x", (unsigned)(hash ^ hash >> 32));
    return start ? names_join(names, start, number, "") : name;
}

bool identity_is_name(const char *section, const struct datum *data, size_t count)
{
    const char *prefix = data_prefix(section);

    return prefix && count == 1 && !data->salt && strcmp(section + strlen(prefix), data->identity) == 0;
}
