/* See elf_out.h. A failure sticks until elf_out_finish, so that callers need not check every section. */
#include "cells/tool/elf_out.h"
#include "cells/tool/elf_file.h"
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "guest/abi/object.h"
#include "introspect/base/output.h"

struct elf_out {
    const char *path;
    struct output *output;
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

void strings_done(struct strings *strings)
{
    free(strings->text);
    *strings = (struct strings){0};
}

struct elf_out *elf_out_new(const char *path, uint16_t type, uint64_t entry)
{
    OWN(elf_out) struct elf_out *out = calloc(1, sizeof *out);

    if (!out) {
        (void)complain(ERR_NOMEM, path, "out of memory");
        return NULL;
    }
    out->path = path;
    out->output = output_new(path);
    if (!out->output) {
        (void)complain(ERR_IO, path, "%s", strerror(errno));
        return NULL;
    }
    elf_version(EV_CURRENT);
    out->elf = elf_begin(output_descriptor(out->output), ELF_C_WRITE, NULL);
    if (!out->elf || !gelf_newehdr(out->elf, ELFCLASS64)) {
        (void)complain(ERR_IO, path, "%s", elf_errmsg(-1));
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
    return MOVE(out);
}

void elf_out_drop(struct elf_out *out)
{
    if (!out)
        return;
    elf_end(out->elf);
    output_drop(out->output);
    strings_done(&out->names);
    free(out);
}

size_t elf_out_section(struct elf_out *out, const char *name, const GElf_Shdr *header, const void *data, size_t bytes)
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

void elf_out_link(struct elf_out *out, size_t section, size_t link, size_t info)
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

/* Writes the seal of the whole file into its header. False: errno says why not. */
static bool seal(int descriptor)
{
    struct stat status;

    if (fstat(descriptor, &status) != 0)
        return false;
    size_t bytes = (size_t)status.st_size;
    OWN(memory) uint8_t *data = malloc(bytes);
    if (!data)
        return false;
    errno = EIO; /* for what is shorter than it should be */
    if (bytes < sizeof(Elf64_Ehdr) || pread(descriptor, data, bytes, 0) != (ssize_t)bytes)
        return false;
    uint32_t value = object_seal(data, bytes);
    return pwrite(descriptor, &value, sizeof value, offsetof(Elf64_Ehdr, e_flags)) == sizeof value;
}

enum err elf_out_finish(TAKES struct elf_out *taken)
{
    OWN(elf_out) struct elf_out *out = taken;
    const GElf_Shdr names = {.sh_type = SHT_STRTAB, .sh_addralign = 1};
    GElf_Ehdr header;
    size_t index;

    index = elf_out_section(out, ".shstrtab", &names, out->names.text, out->names.bytes);
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
        elf_update(out->elf, ELF_C_WRITE) < 0)
        return complain(ERR_IO, out->path, "could not be written: %s", elf_errmsg(-1));
    if (!seal(output_descriptor(out->output)) || !output_commit(out->output))
        return complain(ERR_IO, out->path, "could not be written: %s", strerror(errno));
    return ERR_OK;
}
