/* See libraries.h. */
#include "debugger/libraries.h"
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "guest/abi/layout.h"
#include "guest/abi/object.h"
#include "introspect/read.h"

enum { PATH_BYTES = 1024, NAME_BYTES = 64, OBJECT_MAX = 64 << 20 };

/* A cell as it was loaded once. */
struct library {
    uint32_t number; /* arena_cell.number */
    uint64_t text_virt, hash;
    char name[NAME_BYTES]; /* of the cell */
    char *path, *entry;    /* owned: its file, its part of the list */
    bool present, was_present;
};

struct libraries {
    const struct builds *builds;
    const char *folder;
    struct library *library; /* owned; whatever was loaded since the beginning */
    size_t count;
    char *text; /* owned */
    size_t text_bytes;
};

void libraries_free(struct libraries *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->count; i++) {
        unlink(l->library[i].path);
        free(l->library[i].path);
        free(l->library[i].entry);
    }
    free(l->library);
    free(l->text);
    free(l);
}

/* ---- the list ---- */

static bool write_list(struct libraries *l)
{
    OWN(memory) char *text = NULL;
    size_t bytes;
    FILE *f = open_memstream(&text, &bytes);

    if (!f)
        return false;
    fputs("<library-list version=\"1.0\">\n", f);
    for (size_t i = 0; i < l->count; i++)
        if (l->library[i].present)
            fputs(l->library[i].entry, f);
    fputs("</library-list>\n", f);
    if (fclose(f) != 0)
        return false;
    free(l->text);
    l->text = MOVE(text);
    l->text_bytes = bytes;
    return true;
}

static void write_escaped(const char *text, FILE *f)
{
    for (; *text; text++)
        if (strchr("<>&\"'", *text))
            fprintf(f, "&#%d;", *text);
        else
            fputc(*text, f);
}

/* The sections of a cell that have bytes, in the order of its object. */
struct loaded {
    const struct arena_section **section; /* owned */
    size_t count, at;                     /* at: how many have been written */
    uint64_t end;                         /* behind the last one in memory, where nothing else of the cell is */
};

static int by_object_index(const void *a, const void *b)
{
    const struct arena_section *const *x = a, *const *y = b;

    return ((*x)->object_index > (*y)->object_index) - ((*x)->object_index < (*y)->object_index);
}

static void loaded_done(struct loaded *l)
{
    free(l->section);
}

static bool collect(const struct view *v, struct cell_ref cell, struct loaded *ret)
{
    struct view_sections list = view_sections_of(v, cell);

    ret->section = calloc(list.count + 1, sizeof *ret->section);
    for (size_t i = 0; ret->section && i < list.count; i++) {
        const struct arena_section *s = view_section(v, list.item[i]);
        if (!s->bytes)
            continue;
        ret->section[ret->count++] = s;
        if (s->virt + s->bytes > ret->end)
            ret->end = s->virt + s->bytes;
    }
    if (ret->count)
        qsort(ret->section, ret->count, sizeof *ret->section, by_object_index);
    return ret->count > 0;
}

/* Whether the guest loads the section. The files with and without DWARF have these in the same order, but some have
 * other names: `cell make` makes names of local things unique. */
static bool is_loaded(const GElf_Shdr *header, const char *name)
{
    return header->sh_size && header->sh_type != SHT_NOTE && strncmp(name, ".delias.", 8) != 0;
}

/* GDB wants an address for each section that is allocated, in the file's order: what is not loaded is where nothing
 * is. False: the file is not of this cell, or the cell does not have all its sections yet. */
static bool write_sections(Elf *elf, struct loaded *loaded, FILE *f)
{
    Elf_Scn *section = NULL;
    GElf_Shdr header;
    size_t names;

    if (elf_getshdrstrndx(elf, &names) != 0)
        return false;
    while ((section = elf_nextscn(elf, section)) != NULL) {
        if (!gelf_getshdr(section, &header) || !(header.sh_flags & SHF_ALLOC))
            continue;
        uint64_t address = loaded->end;
        if (is_loaded(&header, elf_strptr(elf, names, header.sh_name) ?: "")) {
            const struct arena_section *s = loaded->section[loaded->at];
            if (loaded->at == loaded->count || s->bytes != header.sh_size || !s->virt)
                return false;
            address = s->virt;
            loaded->at++;
        }
        fprintf(f, "<section address=\"0x%llx\"/>", (unsigned long long)address);
    }
    return loaded->at == loaded->count;
}

/* What the list says of a cell whose file is `path`. NULL: it cannot be said (yet). */
static char *make_entry(const struct view *v, struct cell_ref cell, const char *path)
{
    OWN(descriptor) int fd = open(path, O_RDONLY | O_CLOEXEC);
    OWN(memory) char *entry = NULL;
    CLOSED_BY(loaded_done) struct loaded loaded = {0};
    size_t bytes;
    FILE *f = fd >= 0 && collect(v, cell, &loaded) ? open_memstream(&entry, &bytes) : NULL;
    Elf *elf = f ? elf_begin(fd, ELF_C_READ_MMAP, NULL) : NULL;

    if (!f)
        return NULL;
    fputs("<library name=\"", f);
    write_escaped(path, f);
    fputs("\">", f);
    bool whole = elf && elf_kind(elf) == ELF_K_ELF && write_sections(elf, &loaded, f);
    fputs("</library>\n", f);
    elf_end(elf);
    return fclose(f) == 0 && whole ? MOVE(entry) : NULL;
}

/* ---- files ---- */

/* Writes the object that the guest keeps of the cell. */
static bool copy_object(const struct view *v, const struct arena_object *o, const char *path)
{
    OWN(memory) void *data = o->bytes && o->bytes <= OBJECT_MAX ? malloc(o->bytes) : NULL;

    if (!data || read_phys(v, o->phys, data, o->bytes) != ERR_OK || object_hash(data, o->bytes) != o->hash)
        return false;
    OWN(descriptor) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0 && descriptor_write(fd, data, o->bytes))
        return true;
    unlink(path);
    return false;
}

/* How many cells of that name there were. */
static size_t count_named(const struct libraries *l, const char *name)
{
    size_t count = 0;

    for (size_t i = 0; i < l->count; i++)
        count += strcmp(l->library[i].name, name) == 0;
    return count;
}

/* Names come from the guest: none may name a file outside of the folder. */
static char *make_path(const struct libraries *l, const char *name)
{
    char path[PATH_BYTES], number[24] = "";
    size_t earlier = count_named(l, name);

    if (earlier)
        snprintf(number, sizeof number, "-%zu", earlier + 1);
    int n = snprintf(path, sizeof path, "%s/%s%s.o", l->folder, name, number);
    return *name && *name != '.' && !strchr(name, '/') && n < (int)sizeof path ? strdup(path) : NULL;
}

static bool put_file(const struct libraries *l, const struct view *v, const struct arena_object *o, const char *path)
{
    const char *debug = builds_find(l->builds, o->hash);

    return debug ? symlink(debug, path) == 0 : copy_object(v, o, path);
}

/* ---- looking ---- */

static struct library *find_library(struct libraries *l, const struct arena_cell *c, uint64_t hash)
{
    for (size_t i = 0; i < l->count; i++) {
        struct library *library = &l->library[i];
        if (library->number == c->number && library->text_virt == c->text_virt && library->hash == hash)
            return library;
    }
    return NULL;
}

/* NULL: it is not to be listed (yet). */
static struct library *add_library(struct libraries *l, const struct view *v, struct cell_ref cell,
                                   const struct arena_object *o)
{
    const struct arena_cell *c = view_cell(v, cell);
    struct library *grown = reallocarray(l->library, l->count + 1, sizeof *grown);

    if (!grown)
        return NULL;
    l->library = grown;
    struct library new_ = {.number = c->number, .text_virt = c->text_virt, .hash = o->hash};
    snprintf(new_.name, sizeof new_.name, "%s", view_cell_name(v, cell));
    OWN(memory) char *path = make_path(l, new_.name);
    if (!path || !put_file(l, v, o, path))
        return NULL;
    new_.entry = make_entry(v, cell, path);
    if (!new_.entry) {
        unlink(path);
        return NULL;
    }
    new_.path = MOVE(path);
    grown[l->count] = new_;
    return &grown[l->count++];
}

static void look_at_cell(struct libraries *l, const struct view *v, struct cell_ref cell)
{
    const struct arena_cell *c = view_cell(v, cell);
    const struct arena_object *o = view_object(v, c->object);

    if (!o || c->state == CELL_ABSENT || c->text_virt < LAYOUT_CELL_VIRT || c->text_virt >= LAYOUT_CELL_END)
        return;
    struct library *library = find_library(l, c, o->hash) ?: add_library(l, v, cell, o);
    if (library)
        library->present = true;
}

bool libraries_look(struct libraries *l, const struct view *view)
{
    bool changed = false;

    for (size_t i = 0; i < l->count; i++) {
        l->library[i].was_present = l->library[i].present;
        l->library[i].present = false;
    }
    if (view)
        view_each_cell (cell, view)
            look_at_cell(l, view, cell);
    for (size_t i = 0; i < l->count; i++)
        changed |= l->library[i].present != l->library[i].was_present;
    return changed && write_list(l);
}

struct libraries *libraries_new(const struct builds *builds, const char *folder)
{
    OWN(libraries) struct libraries *l = calloc(1, sizeof *l);

    elf_version(EV_CURRENT);
    if (!l)
        return NULL;
    l->builds = builds;
    l->folder = folder;
    return write_list(l) ? MOVE(l) : NULL;
}

const char *libraries_text(const struct libraries *l, size_t *ret_bytes)
{
    *ret_bytes = l->text_bytes;
    return l->text;
}

size_t libraries_count(const struct libraries *l)
{
    size_t count = 0;

    for (size_t i = 0; i < l->count; i++)
        count += l->library[i].present;
    return count;
}
