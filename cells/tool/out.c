/* See out.h. A failure sticks until out_finish, so that callers need not check every section. */
#include "cells/tool/out.h"
#include "cells/tool/object.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct out {
    const char *path;
    int fd;
    Elf *elf;
    struct strings names;
    bool failed;
};

uint32_t strings_add(struct strings *strings, const char *string)
{
    size_t length = strlen(string) + 1, start = strings->bytes ? strings->bytes : 1;

    if (length == 1)
        return 0;
    char *grown = realloc(strings->text, start + length);
    if (!grown) {
        strings->failed = true;
        return 0;
    }
    strings->text = grown;
    grown[0] = '\0';
    memcpy(grown + start, string, length);
    strings->bytes = start + length;
    return (uint32_t)start;
}

struct out *out_new(const char *path, uint16_t type, uint64_t entry)
{
    struct out *out = calloc(1, sizeof *out);

    if (!out) {
        (void)complain(ERR_NOMEM, path, "out of memory");
        return NULL;
    }
    out->path = path;
    out->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (out->fd < 0) {
        (void)complain(ERR_IO, path, "%s", strerror(errno));
        free(out);
        return NULL;
    }
    elf_version(EV_CURRENT);
    out->elf = elf_begin(out->fd, ELF_C_WRITE, NULL);
    if (!out->elf || !gelf_newehdr(out->elf, ELFCLASS64)) {
        (void)complain(ERR_IO, path, "%s", elf_errmsg(-1));
        out_drop(out);
        return NULL;
    }
    GElf_Ehdr header;
    gelf_getehdr(out->elf, &header);
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_type = type;
    header.e_machine = EM_X86_64;
    header.e_version = EV_CURRENT;
    header.e_entry = entry;
    out->failed = !gelf_update_ehdr(out->elf, &header);
    return out;
}

static void out_free(struct out *out)
{
    elf_end(out->elf);
    close(out->fd);
    free(out->names.text);
    free(out);
}

void out_drop(struct out *out)
{
    if (!out)
        return;
    unlink(out->path);
    out_free(out);
}

size_t out_section(struct out *out, const char *name, const GElf_Shdr *header, const void *data, size_t bytes)
{
    Elf_Scn *scn = elf_newscn(out->elf);
    Elf_Data *d = scn ? elf_newdata(scn) : NULL;
    GElf_Shdr shdr;

    if (!d || !gelf_getshdr(scn, &shdr)) {
        out->failed = true;
        return 0;
    }
    d->d_buf = (void *)data;
    d->d_size = header->sh_type == SHT_NOBITS ? header->sh_size : bytes;
    d->d_align = header->sh_addralign ? header->sh_addralign : 1;
    d->d_type = ELF_T_BYTE; /* already in the file's byte order */
    shdr.sh_name = strings_add(&out->names, name);
    shdr.sh_type = header->sh_type;
    shdr.sh_flags = header->sh_flags;
    shdr.sh_addr = header->sh_addr;
    shdr.sh_entsize = header->sh_entsize;
    shdr.sh_addralign = header->sh_addralign;
    if (!gelf_update_shdr(scn, &shdr))
        out->failed = true;
    return elf_ndxscn(scn);
}

void out_link(struct out *out, size_t section, size_t link, size_t info)
{
    Elf_Scn *scn = elf_getscn(out->elf, section);
    GElf_Shdr shdr;

    if (!scn || !gelf_getshdr(scn, &shdr)) {
        out->failed = true;
        return;
    }
    shdr.sh_link = (GElf_Word)link;
    shdr.sh_info = (GElf_Word)info;
    if (!gelf_update_shdr(scn, &shdr))
        out->failed = true;
}

enum err out_finish(struct out *out)
{
    const GElf_Shdr names = {.sh_type = SHT_STRTAB, .sh_addralign = 1};
    GElf_Ehdr header;
    size_t index;

    index = out_section(out, ".shstrtab", &names, out->names.text, out->names.bytes);
    Elf_Scn *scn = elf_getscn(out->elf, index);
    if (scn) { /* the name of this section came last and may have moved the text */
        Elf_Data *d = elf_getdata(scn, NULL);
        d->d_buf = out->names.text;
        d->d_size = out->names.bytes;
    }
    if (!gelf_getehdr(out->elf, &header))
        out->failed = true;
    header.e_shstrndx = (GElf_Half)index;
    if (out->failed || out->names.failed || !gelf_update_ehdr(out->elf, &header) ||
        elf_update(out->elf, ELF_C_WRITE) < 0) {
        (void)complain(ERR_IO, out->path, "could not be written: %s", elf_errmsg(-1));
        out_drop(out);
        return ERR_IO;
    }
    out_free(out);
    return ERR_OK;
}
