/* See object.h. The bytes are hostile: a field is copied once, checked, and used from the copy. Invariant: a check
 * refers only to what the checks before it have passed. The seal is the first: whoever changes a file can also seal it,
 * so that it takes the place of no other check. */
#include "cells/core/loader/object.h"
#include "cells/core/loader/pointers.h"
#include "cells/core/panic/panic.h"
#include "cells/lib/string/string.h"
#include "guest/abi/arena.h"
#include "guest/abi/object.h"

static bool in_file(const struct object *o, uint64_t offset, uint64_t bytes)
{
    return offset <= o->bytes && bytes <= o->bytes - offset;
}

/* ---- access to what has been checked ---- */

void object_section(const struct object *o, uint32_t index, struct elf_section *ret_section)
{
    assert(index < o->sections);
    memcpy(ret_section, o->data + o->section_table + (uint64_t)index * sizeof *ret_section, sizeof *ret_section);
}

/* The string at `offset` of a string table; "" where memory was corrupted since the table was checked. */
static const char *string_in(const struct object *o, const struct elf_section *table, uint32_t offset)
{
    return offset < table->size ? (const char *)o->data + table->offset + offset : "";
}

const char *object_section_name(const struct object *o, const struct elf_section *section)
{
    return string_in(o, &o->names, section->name);
}

void object_symbol(const struct object *o, uint32_t index, struct elf_symbol *ret_symbol)
{
    assert(index < o->symbols);
    memcpy(ret_symbol, o->data + o->symbol_table.offset + (uint64_t)index * sizeof *ret_symbol, sizeof *ret_symbol);
}

const char *object_symbol_name(const struct object *o, const struct elf_symbol *symbol)
{
    return string_in(o, &o->strings, symbol->name);
}

void object_export(const struct object *o, uint32_t index, struct note_symbol *ret_symbol)
{
    assert(index < o->export_count);
    memcpy(ret_symbol, o->data + o->exports + (uint64_t)index * sizeof *ret_symbol, sizeof *ret_symbol);
}

/* The note on `symbol` among `count` notes at `notes`, which are sorted by symbol; all zeros: there is none. */
static struct note_symbol note_on(const struct object *o, uint64_t notes, uint32_t count, uint32_t symbol)
{
    uint32_t low = 0, high = count;
    struct note_symbol note;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        memcpy(&note, o->data + notes + (uint64_t)middle * sizeof note, sizeof note);
        if (note.symbol == symbol)
            return note;
        if (note.symbol < symbol)
            low = middle + 1;
        else
            high = middle;
    }
    return (struct note_symbol){0};
}

struct note_symbol object_export_of(const struct object *o, uint32_t symbol)
{
    return note_on(o, o->exports, o->export_count, symbol);
}

struct note_symbol object_import_of(const struct object *o, uint32_t symbol)
{
    return note_on(o, o->imports, o->import_count, symbol);
}

static void data_note(const struct object *o, uint32_t index, struct note_data *ret_note)
{
    memcpy(ret_note, o->data + o->data_notes + (uint64_t)index * sizeof *ret_note, sizeof *ret_note);
}

struct note_data object_data_of(const struct object *o, uint32_t section)
{
    uint32_t low = 0, high = o->data_note_count;
    struct note_data note;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        data_note(o, middle, &note);
        if (note.section == section)
            return note;
        if (note.section < section)
            low = middle + 1;
        else
            high = middle;
    }
    return (struct note_data){.section = section};
}

uint32_t object_kind(const struct object *o, const struct elf_section *s)
{
    const char *name = object_section_name(o, s);

    if (!(s->flags & ELF_ALLOC) || s->type == ELF_NOTE || s->size == 0)
        return 0;
    if (s->flags & ELF_EXECUTE)
        return SECTION_TEXT;
    if (s->flags & ELF_WRITE)
        return s->type == ELF_NOBITS ? SECTION_BSS : SECTION_DATA;
    if (string_equal(name, ".eh_frame"))
        return SECTION_EH_FRAME;
    return string_starts(name, ".gcc_except_table") ? SECTION_EXCEPT : SECTION_RODATA;
}

uint32_t object_relocation_count(const struct elf_section *rela)
{
    return (uint32_t)(rela->size / sizeof(struct elf_rela));
}

void object_relocation(const struct object *o, const struct elf_section *rela, uint32_t index,
                       struct elf_rela *ret_rela)
{
    uint64_t at = rela->offset + (uint64_t)index * sizeof *ret_rela;

    assert(in_file(o, at, sizeof *ret_rela));
    memcpy(ret_rela, o->data + at, sizeof *ret_rela);
}

uint64_t object_identity(const void *data, size_t bytes)
{
    return object_hash(data, bytes);
}

/* ---- checks ---- */

static enum err check_header(struct object *o, struct elf_header *ret_header, struct report *report)
{
    struct elf_header h;

    if (o->bytes == 0)
        return report_refuse(report, ERR_TRUNCATED, "the object file is empty");
    if (o->bytes < 4 || memcmp(o->data, "\177ELF", 4))
        return report_refuse(report, ERR_NOT_ELF, "the file does not begin like an ELF file");
    if (o->bytes < sizeof h)
        return report_refuse(report, ERR_TRUNCATED, "the file ends within its header");
    memcpy(&h, o->data, sizeof h);
    if (h.ident[4] != ELF_CLASS_64 || h.ident[5] != ELF_LITTLE_ENDIAN || h.machine != ELF_MACHINE_X86_64)
        return report_refuse(report, ERR_WRONG_MACHINE, "the file is not for x86-64");
    if (h.ident[6] != ELF_VERSION || h.version != ELF_VERSION)
        return report_refuse(report, ERR_NOT_ELF, "the file is of an unknown ELF version");
    if (h.type != ELF_TYPE_RELOCATABLE)
        return report_refuse(report, ERR_NOT_OBJECT,
                             "the file is a program or library; load the object that `cell make` wrote");
    if (h.flags != object_seal(o->data, o->bytes))
        return report_refuse(report, h.flags ? ERR_CORRUPT : ERR_NOT_CELL,
                             "not as `cell make` writes it; make it again");
    if (h.section_bytes != sizeof(struct elf_section) || h.sections < 2 || h.names >= h.sections)
        return report_refuse(report, ERR_CORRUPT, "the section table makes no sense");
    if (!in_file(o, h.section_offset, (uint64_t)h.sections * sizeof(struct elf_section)))
        return report_refuse(report, ERR_TRUNCATED, "the file ends before its section table does");
    o->section_table = h.section_offset;
    o->sections = h.sections;
    *ret_header = h;
    return ERR_OK;
}

/* Whether the section is a string table whose last string ends. */
static bool is_strings(const struct object *o, const struct elf_section *s)
{
    return s->type == ELF_STRTAB && s->size > 0 && in_file(o, s->offset, s->size) &&
           o->data[s->offset + s->size - 1] == '\0';
}

static bool name_fits(const char *name)
{
    size_t n = 0;

    while (name[n] >= ' ' && name[n] <= '~')
        n++;
    return !name[n] && n <= OBJECT_NAME_MAX;
}

static enum err check_section(struct object *o, uint32_t index, const struct elf_section *s, struct report *report)
{
    const char *name = object_section_name(o, s);

    if (s->name >= o->names.size || !name_fits(name))
        return report_refuse(report, ERR_CORRUPT, "a name is out of its table, too long, or not printable");
    if (s->type != ELF_NOBITS && !in_file(o, s->offset, s->size))
        return report_refuse(report, ERR_TRUNCATED, "the file ends before section %s does", name);
    if (s->type == ELF_REL)
        return report_refuse(report, ERR_BAD_RELOCATION, "%s: relocations without addends", name);
    if (s->type == ELF_SYMTAB) {
        if (o->symbol_table_index || s->entry_bytes != sizeof(struct elf_symbol) || s->link >= o->sections ||
            s->size / sizeof(struct elf_symbol) > UINT32_MAX)
            return report_refuse(report, ERR_CORRUPT, "%s: a second symbol table, or one of unknown shape", name);
        o->symbol_table_index = index;
        o->symbol_table = *s;
        o->symbols = (uint32_t)(s->size / sizeof(struct elf_symbol));
    }
    if (!(s->flags & ELF_ALLOC))
        return s->flags & ELF_EXECUTE ? report_refuse(report, ERR_UNSUPPORTED, "%s: asks for an executable stack", name)
                                      : ERR_OK;
    if (s->align & (s->align - 1) || s->align > OBJECT_ALIGN_MAX)
        return report_refuse(report, ERR_CORRUPT, "%s: alignment is no power of two up to 4096", name);
    if (s->size > OBJECT_REGION_MAX || s->address)
        return report_refuse(report, ERR_RANGE, "%s: too large, or placed already", name);
    if ((s->flags & ELF_WRITE && s->flags & ELF_EXECUTE) || s->flags & ELF_TLS)
        return report_refuse(report, ERR_CORRUPT, "%s: writable and executable at once, or thread-local", name);
    if (s->type == ELF_NOBITS && !(s->flags & ELF_WRITE))
        return report_refuse(report, ERR_CORRUPT, "%s: read-only but without contents", name);
    return ERR_OK;
}

static enum err check_sections(struct object *o, const struct elf_header *h, struct report *report)
{
    uint64_t bytes[SECTION_EXCEPT + 1] = {0};
    struct elf_section s;
    bool eh_frame = false;
    enum err err;

    object_section(o, h->names, &o->names);
    if (!is_strings(o, &o->names))
        return report_refuse(report, ERR_CORRUPT, "a table of names is damaged");
    for (uint32_t i = 1; i < o->sections; i++) {
        object_section(o, i, &s);
        if ((err = check_section(o, i, &s, report)))
            return err;
        uint32_t kind = object_kind(o, &s);
        if (kind == SECTION_EH_FRAME && eh_frame)
            return report_refuse(report, ERR_CORRUPT, "two sections .eh_frame; `ld -r` makes one of them");
        eh_frame |= kind == SECTION_EH_FRAME;
        bytes[kind] += kind ? s.size : 0;
        if (bytes[kind] > OBJECT_REGION_MAX)
            return report_refuse(report, ERR_RANGE, "%s: the cell is too large", object_section_name(o, &s));
    }
    if (!o->symbol_table_index)
        return report_refuse(report, ERR_CORRUPT, "no symbol table; do not strip it");
    object_section(o, o->symbol_table.link, &o->strings);
    if (!is_strings(o, &o->strings))
        return report_refuse(report, ERR_CORRUPT, "a table of names is damaged");
    return ERR_OK;
}

static enum err check_symbols(struct object *o, struct report *report)
{
    struct elf_section section;
    struct elf_symbol s;

    for (uint32_t i = 1; i < o->symbols; i++) {
        object_symbol(o, i, &s);
        const char *name = object_symbol_name(o, &s);
        if (s.name >= o->strings.size || !name_fits(name))
            return report_refuse(report, ERR_CORRUPT, "a name is out of its table, too long, or not printable");
        if ((s.info & 15) > ELF_SECTION_SYMBOL || (s.section == ELF_UNDEFINED && s.info >> 4 == ELF_WEAK))
            return report_refuse(report, ERR_UNSUPPORTED, "%s: an ifunc, thread-local, or a weak import", name);
        if (s.section == ELF_UNDEFINED || s.section == ELF_ABSOLUTE)
            continue;
        if (s.section >= o->sections)
            return report_refuse(report, ERR_CORRUPT, "%s: in a section that does not exist", name);
        object_section(o, s.section, &section);
        if (s.value > section.size || s.size > section.size - s.value)
            return report_refuse(report, ERR_CORRUPT, "%s: reaches out of its section", name);
    }
    return ERR_OK;
}

static enum err check_relocation(const struct object *o, const struct elf_section *target, const struct elf_rela *r,
                                 struct report *report)
{
    const char *name = object_section_name(o, target);
    size_t bytes = relocation_bytes(r->type);
    struct elf_symbol symbol;

    if (r->type == R_X86_64_NONE)
        return ERR_OK;
    if (!bytes)
        return report_refuse(report, ERR_BAD_RELOCATION, "%s: a relocation of unknown type %u", name, r->type);
    if (r->offset > target->size || bytes > target->size - r->offset)
        return report_refuse(report, ERR_BAD_RELOCATION, "%s: a relocation outside of the section", name);
    if (r->symbol == 0 || r->symbol >= o->symbols)
        return report_refuse(report, ERR_BAD_RELOCATION, "%s: a relocation by a symbol that does not exist", name);
    object_symbol(o, r->symbol, &symbol);
    if (symbol.section == ELF_ABSOLUTE)
        return report_refuse(report, ERR_BAD_RELOCATION, "%s: a relocation by absolute symbol %s", name,
                             object_symbol_name(o, &symbol));
    return ERR_OK;
}

static enum err check_relocations(const struct object *o, struct report *report)
{
    struct elf_section rela, target;
    struct elf_rela r;
    enum err err;

    for (uint32_t i = 1; i < o->sections; i++) {
        object_section(o, i, &rela);
        if (rela.type != ELF_RELA)
            continue;
        if (rela.entry_bytes != sizeof r || rela.link != o->symbol_table_index || rela.info >= o->sections)
            return report_refuse(report, ERR_CORRUPT, "%s: relocations of unknown shape",
                                 object_section_name(o, &rela));
        object_section(o, rela.info, &target);
        uint32_t kind = object_kind(o, &target);
        if (kind == 0)
            continue;
        if (kind == SECTION_BSS)
            return report_refuse(report, ERR_BAD_RELOCATION, "%s: relocations without contents",
                                 object_section_name(o, &target));
        for (uint32_t k = 0; k < object_relocation_count(&rela); k++) {
            object_relocation(o, &rela, k, &r);
            if ((err = check_relocation(o, &target, &r, report)))
                return err;
        }
    }
    return ERR_OK;
}

/* ---- notes ---- */

static bool is_cell_name(const char name[NOTE_NAME_BYTES])
{
    size_t n = 0;

    for (; n < NOTE_NAME_BYTES && name[n]; n++)
        if (!((name[n] >= 'a' && name[n] <= 'z') || (name[n] >= '0' && name[n] <= '9') || name[n] == '_'))
            return false;
    return n > 0 && n < NOTE_NAME_BYTES;
}

static bool is_function(const struct object *o, uint32_t symbol)
{
    struct elf_section section;
    struct elf_symbol s;

    if (symbol == 0)
        return true;
    if (symbol >= o->symbols)
        return false;
    object_symbol(o, symbol, &s);
    if (s.section == ELF_UNDEFINED || s.section >= o->sections || s.value != 0)
        return false;
    object_section(o, s.section, &section);
    return object_kind(o, &section) == SECTION_TEXT;
}

static enum err check_cell_note(struct object *o, uint64_t at, uint32_t bytes, struct report *report)
{
    struct note_cell *cell = &o->cell;

    if (cell->abi)
        return report_refuse(report, ERR_CORRUPT, "two cell notes");
    if (bytes < sizeof cell->abi)
        return report_refuse(report, ERR_CORRUPT, "the cell note is too short");
    memcpy(&cell->abi, o->data + at, sizeof cell->abi);
    if (cell->abi != NOTE_ABI || bytes != sizeof *cell)
        return report_refuse(report, ERR_WRONG_ABI,
                             "the cell note is of another version; build the object with this tree");
    memcpy(cell, o->data + at, sizeof *cell);
    if (!is_cell_name(cell->name) || cell->kind < CELL_KERNEL || cell->kind > CELL_APPLICATION)
        return report_refuse(report, ERR_CORRUPT, "the cell note has a bad name or kind");
    if (cell->flags & ~(uint32_t)NOTE_FLAGS)
        return report_refuse(report, ERR_UNSUPPORTED, "%s: asks for what this system does not have", cell->name);
    if (!is_function(o, cell->init) || !is_function(o, cell->main) || !is_function(o, cell->transfer) ||
        !is_function(o, cell->done))
        return report_refuse(report, ERR_CORRUPT, "the cell note names a function that does not exist");
    return ERR_OK;
}

static enum err check_note_symbols(const struct object *o, uint64_t at, uint32_t count, bool exports,
                                   struct report *report)
{
    struct note_symbol note;
    struct elf_section section;
    struct elf_symbol s;
    uint32_t last = 0;

    for (uint32_t i = 0; i < count; i++) {
        memcpy(&note, o->data + at + (uint64_t)i * sizeof note, sizeof note);
        if (note.symbol <= last || note.symbol >= o->symbols)
            return report_refuse(report, ERR_CORRUPT, "a note is about a symbol that does not exist, or out of order");
        last = note.symbol;
        object_symbol(o, note.symbol, &s);
        const char *name = object_symbol_name(o, &s);
        if (string_length(name) == 0 || string_length(name) >= NOTE_SYMBOL_BYTES)
            return report_refuse(report, ERR_CORRUPT, "a note is about a symbol without a name, or with one too long");
        if (!exports) {
            if (s.section != ELF_UNDEFINED)
                return report_refuse(report, ERR_CORRUPT, "%s: imported, and defined here too", name);
            continue;
        }
        if (note.access < ACCESS_KERNEL || note.access > ACCESS_APPLICATION)
            return report_refuse(report, ERR_CORRUPT, "%s: exported at an unknown access level", name);
        if (s.section == ELF_UNDEFINED || s.section >= o->sections || s.info >> 4 == ELF_LOCAL)
            return report_refuse(report, ERR_CORRUPT, "%s: exported, but not defined here", name);
        object_section(o, s.section, &section);
        if (!object_kind(o, &section))
            return report_refuse(report, ERR_CORRUPT, "%s: exported from a section that is not loaded", name);
    }
    return ERR_OK;
}

/* The notes must be sorted by section, so that none is there twice. */
static enum err check_data_note(struct object *o, uint64_t at, uint32_t bytes, struct report *report)
{
    struct elf_section section;
    struct note_data note;
    uint32_t last = 0;

    if (o->data_notes || bytes % sizeof note)
        return report_refuse(report, ERR_CORRUPT, "a note is damaged, or there twice");
    o->data_notes = at;
    o->data_note_count = bytes / sizeof note;
    for (uint32_t i = 0; i < o->data_note_count; i++) {
        data_note(o, i, &note);
        if (note.section <= last || note.section >= o->sections)
            return report_refuse(report, ERR_CORRUPT,
                                 "a note on a type in a section that does not exist, or out of order");
        last = note.section;
        object_section(o, note.section, &section);
        uint32_t kind = object_kind(o, &section);
        if ((!section_kind_is_data(kind) && (kind != SECTION_TEXT || note.datum)) || note.datum >= DATUMS ||
            (note.datum == DATUM_SOFT && kind != SECTION_BSS))
            return report_refuse(report, ERR_CORRUPT, "%s: its type is said, and it can have none",
                                 object_section_name(o, &section));
        if (!note.type_hash != !note.deep_hash)
            return report_refuse(report, ERR_CORRUPT, "%s: its type is known by half",
                                 object_section_name(o, &section));
    }
    return ERR_OK;
}

/* The note on pointers to functions; each root that it names must fit into its section. */
static enum err check_pointers_note(struct object *o, uint64_t at, uint32_t bytes, struct report *report)
{
    struct elf_section section;
    struct pointers p;
    bool sound = !o->pointers && at <= UINT32_MAX && loader_pointers_sound(o->data + at, bytes) &&
                 pointers_open(o->data + at, bytes, &p);

    o->pointers = at;
    for (uint32_t i = 0; sound && i < p.head->roots; i++) {
        uint32_t index = p.root[i].section;
        if (!(sound = index < o->sections))
            break;
        object_section(o, index, &section);
        sound = section_kind_is_data(object_kind(o, &section)) && p.shape[p.root[i].type].bytes <= section.size;
    }
    return sound ? ERR_OK : report_refuse(report, ERR_CORRUPT, "a note is damaged, or there twice");
}

static enum err check_note(struct object *o, uint32_t type, uint64_t at, uint32_t bytes, struct report *report)
{
    bool exports = type == NOTE_EXPORT;
    uint64_t *where = exports ? &o->exports : &o->imports;
    uint32_t count = bytes / sizeof(struct note_symbol);

    if (type == NOTE_CELL)
        return check_cell_note(o, at, bytes, report);
    if (type == NOTE_DATA)
        return check_data_note(o, at, bytes, report);
    if (type == NOTE_POINTERS)
        return check_pointers_note(o, at, bytes, report);
    if (type != NOTE_EXPORT && type != NOTE_IMPORT)
        return ERR_OK;
    if (*where || bytes % sizeof(struct note_symbol))
        return report_refuse(report, ERR_CORRUPT, "a note is damaged, or there twice");
    *where = at;
    *(exports ? &o->export_count : &o->import_count) = count;
    return check_note_symbols(o, at, count, exports, report);
}

static enum err check_note_section(struct object *o, const struct elf_section *s, struct report *report)
{
    uint64_t at = s->offset, end = s->offset + s->size;
    struct elf_note note;
    enum err err;

    while (end - at >= sizeof note) {
        memcpy(&note, o->data + at, sizeof note);
        at += sizeof note;
        uint64_t name_bytes = ((uint64_t)note.name_bytes + 3) & ~3ull, bytes = ((uint64_t)note.bytes + 3) & ~3ull;
        if (name_bytes > end - at || bytes > end - at - name_bytes)
            return report_refuse(report, ERR_CORRUPT, "a note reaches out of " NOTE_SECTION);
        if (note.name_bytes == sizeof NOTE_OWNER && !memcmp(o->data + at, NOTE_OWNER, sizeof NOTE_OWNER) &&
            (err = check_note(o, note.type, at + name_bytes, note.bytes, report)))
            return err;
        at += name_bytes + bytes;
    }
    return ERR_OK;
}

static enum err check_notes(struct object *o, struct report *report)
{
    struct elf_section s;
    enum err err;

    for (uint32_t i = 1; i < o->sections; i++) {
        object_section(o, i, &s);
        if (s.type == ELF_NOBITS || !string_equal(object_section_name(o, &s), NOTE_SECTION))
            continue;
        if ((err = check_note_section(o, &s, report)))
            return err;
    }
    if (!o->cell.abi)
        return report_refuse(report, ERR_NOT_CELL, "the object has no cell note; make it with `cell make`");
    return ERR_OK;
}

enum err object_open(const void *data, size_t bytes, struct object *ret_object, struct report *report)
{
    struct object o = {.data = data, .bytes = bytes};
    struct elf_header header = {0};
    enum err err;

    if ((err = check_header(&o, &header, report)) || (err = check_sections(&o, &header, report)) ||
        (err = check_symbols(&o, report)) || (err = check_notes(&o, report)) || (err = check_relocations(&o, report)))
        return err;
    *ret_object = o;
    return ERR_OK;
}
