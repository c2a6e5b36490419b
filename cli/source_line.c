/* See source_line.h. libdwfl relocates the object's tables, and gives each of its sections an address of its own. */
#include "cli/source_line.h"
#include <elfutils/libdwfl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "cli/bundle.h"
#include "cli/cli.h"
#include "cli/files.h"
#include "guest/abi/object.h"
#include "introspect/base/own.h"

#define OBJECT_MAX (64u << 20)
#define PATH_BYTES 512

static void session_free(Dwfl *dwfl)
{
    if (dwfl)
        dwfl_end(dwfl);
}
OWNABLE(Dwfl, session_free)

/* Whether the guest has an object of the cell that is this file. */
static bool is_loaded(const struct view *view, const char *cell, const char *path)
{
    OWN(memory) void *data = NULL;
    size_t bytes;

    if (access(path, R_OK) != 0 || bundle_file(path, OBJECT_MAX, &data, &bytes))
        return false;
    uint64_t hash = object_hash(data, bytes);
    view_each_object (object, view) {
        const struct arena_object *o = view_object(view, object);
        if (o->bytes == bytes && o->hash == hash && strcmp(view_string(view, o->name), cell) == 0)
            return true;
    }
    return false;
}

/* The address that libdwfl gives the instruction. 0: there is no such function. */
static Dwarf_Addr find_address(Dwfl_Module *module, const char *symbol, uint32_t offset)
{
    int count = dwfl_module_getsymtab(module);

    for (int i = 0; i < count; i++) {
        GElf_Addr address;
        GElf_Sym s;
        GElf_Word section;
        Elf *elf;
        Dwarf_Addr bias;
        const char *name = dwfl_module_getsym_info(module, i, &s, &address, &section, &elf, &bias);
        if (name && GELF_ST_TYPE(s.st_info) == STT_FUNC && strcmp(name, symbol) == 0)
            return address - s.st_value + offset; /* which is the symbol's offset in its section */
    }
    return 0;
}

static void find_line(const char *path, const char *symbol, uint32_t offset, char *ret_line, size_t bytes)
{
    static const Dwfl_Callbacks callbacks = {.find_elf = dwfl_build_id_find_elf,
                                             .find_debuginfo = dwfl_standard_find_debuginfo,
                                             .section_address = dwfl_offline_section_address};
    OWN(Dwfl) Dwfl *dwfl = dwfl_begin(&callbacks);
    Dwfl_Module *module = dwfl ? dwfl_report_offline(dwfl, "cell", path, -1) : NULL;
    int number;

    if (!module || dwfl_report_end(dwfl, NULL, NULL) != 0)
        return;
    Dwarf_Addr address = find_address(module, symbol, offset);
    Dwfl_Line *line = address ? dwfl_module_getsrc(module, address) : NULL;
    const char *file = line ? dwfl_lineinfo(line, NULL, &number, NULL, NULL, NULL) : NULL;
    if (file)
        snprintf(ret_line, bytes, "%s:%d", file, number);
}

void source_line(const struct view *view, const char *cell, const char *symbol, uint32_t offset, char *ret_line,
                 size_t bytes)
{
    char name[128], path[PATH_BYTES];

    *ret_line = '\0';
    for (unsigned version = 0; *cell && *symbol && version < 10 && !*ret_line; version++) {
        char suffix[8] = "";
        if (version)
            snprintf(suffix, sizeof suffix, "_v%u", version);
        snprintf(name, sizeof name, "cells/%.64s%s.o", cell, suffix);
        files_path(name, path, sizeof path);
        if (!is_loaded(view, cell, path))
            continue;
        snprintf(name, sizeof name, "cells.debug/%.64s%s.o", cell, suffix);
        files_path(name, path, sizeof path);
        find_line(path, symbol, offset, ret_line, bytes);
    }
}
