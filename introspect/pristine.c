/* See pristine.h. */
#include "introspect/pristine.h"
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 64 << 20, CPIO_HEADER = 110, CPIO_SIZE = 54, CPIO_NAME = 94, MEMBERS_MAX = 4096 };

static enum err read_all(int fd, size_t bytes, struct pristine *ret)
{
    OWN(memory) uint8_t *data = malloc(bytes + 1);
    size_t done = 0;

    if (!data)
        return ERR_NOMEM;
    while (done < bytes) {
        ssize_t n = read(fd, data + done, bytes - done);

        if (n <= 0)
            return ERR_IO;
        done += (size_t)n;
    }
    *ret = (struct pristine){MOVE(data), bytes};
    return ERR_OK;
}

enum err pristine_read(const char *path, struct pristine *ret)
{
    OWN(descriptor) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;

    if (fd < 0)
        return ERR_NOT_FOUND;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return ERR_IO;
    return st.st_size > FILE_MAX ? ERR_RANGE : read_all(fd, (size_t)st.st_size, ret);
}

void pristine_done(struct pristine *p)
{
    free(p->data);
    *p = (struct pristine){0};
}

/* ---- cpio ---- */

static bool hex8(const uint8_t *p, size_t *ret)
{
    size_t n = 0;

    for (int i = 0; i < 8; i++) {
        const char *digits = "0123456789abcdef", *d = strchr(digits, p[i] | 0x20);

        if (!p[i] || !d || !*d)
            return false;
        n = n << 4 | (size_t)(d - digits);
    }
    *ret = n;
    return true;
}

static size_t align_cpio(size_t n)
{
    return (n + 3) & ~(size_t)3;
}

bool pristine_next(const struct pristine *archive, size_t *at, struct pristine_entry *ret)
{
    size_t name_bytes, bytes;

    if (*at > archive->bytes || archive->bytes - *at < CPIO_HEADER)
        return false;
    const uint8_t *header = archive->data + *at;
    if (memcmp(header, "070701", 6) != 0 || !hex8(header + CPIO_SIZE, &bytes) || !hex8(header + CPIO_NAME, &name_bytes))
        return false;
    size_t data = align_cpio(*at + CPIO_HEADER + name_bytes);
    if (data > archive->bytes || bytes > archive->bytes - data)
        return false;
    *ret = (struct pristine_entry){(const char *)header + CPIO_HEADER, name_bytes, archive->data + data, bytes};
    *at = align_cpio(data + bytes);
    return true;
}

bool pristine_member(const struct pristine *archive, const char *name, const uint8_t **ret_data, size_t *ret_bytes)
{
    struct pristine_entry entry;
    size_t at = 0, want = strlen(name);

    for (int members = 0; members < MEMBERS_MAX && pristine_next(archive, &at, &entry); members++) {
        /* the name's NUL may be followed by padding that aligns the data */
        if (entry.name_bytes >= want + 3 && memcmp(entry.name, name, want) == 0 &&
            memcmp(entry.name + want, ".o", 3) == 0) {
            *ret_data = entry.data;
            *ret_bytes = entry.bytes;
            return true;
        }
    }
    return false;
}

/* ---- ELF ---- */

static bool read_header(const uint8_t *file, size_t bytes, Elf64_Ehdr *ret)
{
    if (bytes < sizeof *ret)
        return false;
    memcpy(ret, file, sizeof *ret);
    return memcmp(ret->e_ident, ELFMAG, SELFMAG) == 0 && ret->e_ident[EI_CLASS] == ELFCLASS64 &&
           ret->e_ident[EI_DATA] == ELFDATA2LSB && ret->e_machine == EM_X86_64;
}

/* Copies entry `index` of a table of a file. */
static bool read_table_entry(const uint8_t *file, size_t bytes, uint64_t table, uint64_t index, void *ret, size_t size)
{
    uint64_t offset = index * size;

    if (table > bytes || offset > bytes - table || size > bytes - table - offset)
        return false;
    memcpy(ret, file + table + offset, size);
    return true;
}

const uint8_t *pristine_section(const uint8_t *object, size_t bytes, uint32_t index, size_t want)
{
    Elf64_Ehdr header;
    Elf64_Shdr section;

    if (!read_header(object, bytes, &header) || header.e_shentsize != sizeof section || index >= header.e_shnum ||
        !read_table_entry(object, bytes, header.e_shoff, index, &section, sizeof section))
        return NULL;
    if (section.sh_type == SHT_NOBITS || section.sh_size != want || section.sh_offset > bytes ||
        want > bytes - section.sh_offset)
        return NULL;
    return object + section.sh_offset;
}

bool pristine_image(const struct pristine *image, uint64_t virt, uint8_t *ret, size_t want)
{
    Elf64_Ehdr header;
    Elf64_Phdr segment;

    if (!image->data || !read_header(image->data, image->bytes, &header) || header.e_phentsize != sizeof segment)
        return false;
    for (uint32_t i = 0; i < header.e_phnum; i++) {
        if (!read_table_entry(image->data, image->bytes, header.e_phoff, i, &segment, sizeof segment))
            return false;
        if (segment.p_type != PT_LOAD || virt < segment.p_vaddr || virt - segment.p_vaddr > segment.p_memsz ||
            want > segment.p_memsz - (virt - segment.p_vaddr))
            continue;
        uint64_t from = virt - segment.p_vaddr;
        uint64_t filled = from < segment.p_filesz ? segment.p_filesz - from : 0;
        if (filled > want)
            filled = want;
        if (filled && (segment.p_offset > image->bytes || from > image->bytes - segment.p_offset ||
                       filled > image->bytes - segment.p_offset - from))
            return false;
        if (filled)
            memcpy(ret, image->data + segment.p_offset + from, filled);
        memset(ret + filled, 0, want - filled);
        return true;
    }
    return false;
}

bool pristine_is_build(const struct pristine *image, const uint8_t id[20])
{
    static const uint8_t note[] = {4, 0, 0, 0, 20, 0, 0, 0, 3, 0, 0, 0, 'G', 'N', 'U', 0}; /* NT_GNU_BUILD_ID */
    const uint8_t *found = image->data ? memmem(image->data, image->bytes, note, sizeof note) : NULL;

    if (!found || image->bytes - (size_t)(found - image->data) < sizeof note + 20)
        return true;
    return memcmp(found + sizeof note, id, 20) == 0;
}
