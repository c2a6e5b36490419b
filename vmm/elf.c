/* See elf.h. */
#include "vmm/elf.h"
#include "guest/abi/pvh.h"
#include "vmm/log.h"
#include <stdbool.h>
#include <string.h>

struct image {
    const char *name;
    const unsigned char *file;
    size_t bytes;
};

static bool is_in_file(const struct image *i, uint64_t offset, uint64_t bytes)
{
    return offset <= i->bytes && bytes <= i->bytes - offset;
}

static enum err check_elf_header(const struct image *i, Elf64_Ehdr *h)
{
    if (i->bytes < sizeof *h || memcmp(i->file, ELFMAG, SELFMAG) != 0)
        return vmm_fail(ERR_NOT_ELF, "kernel %s: not an ELF file", i->name);
    memcpy(h, i->file, sizeof *h);
    if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_machine != EM_X86_64)
        return vmm_fail(ERR_WRONG_MACHINE, "kernel %s: not for x86-64", i->name);
    if (h->e_ident[EI_DATA] != ELFDATA2LSB || h->e_ident[EI_VERSION] != EV_CURRENT)
        return vmm_fail(ERR_WRONG_MACHINE, "kernel %s: not little-endian, or an unknown version of ELF", i->name);
    if (h->e_type != ET_EXEC)
        return vmm_fail(ERR_INVALID, "kernel %s: not an executable with fixed addresses (ELF type %u)", i->name,
                        h->e_type);
    if (h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phnum == 0 ||
        !is_in_file(i, h->e_phoff, (uint64_t)h->e_phnum * sizeof(Elf64_Phdr)))
        return vmm_fail(ERR_TRUNCATED, "kernel %s: its program headers lie outside the file", i->name);
    return ERR_OK;
}

static enum err check_segment(const struct image *i, const Elf64_Phdr *p, const struct ram *ram, gpa_t low)
{
    if (!is_in_file(i, p->p_offset, p->p_filesz) || p->p_filesz > p->p_memsz)
        return vmm_fail(ERR_TRUNCATED, "kernel %s: a segment lies outside the file", i->name);
    if (p->p_paddr < low.value || !ram_has(ram, gpa(p->p_paddr), p->p_memsz))
        return vmm_fail(ERR_RANGE, "kernel %s: a segment at %#llx (%llu bytes) does not fit into RAM", i->name,
                        (unsigned long long)p->p_paddr, (unsigned long long)p->p_memsz);
    return ERR_OK;
}

static enum err check_overlap(const struct image *i, const struct elf_plan *plan, const Elf64_Phdr *p)
{
    for (unsigned s = 0; s < plan->segments; s++) {
        const Elf64_Phdr *q = &plan->segment[s];
        if (p->p_paddr < q->p_paddr + q->p_memsz && q->p_paddr < p->p_paddr + p->p_memsz)
            return vmm_fail(ERR_INVALID, "kernel %s: segments at %#llx and %#llx overlap", i->name,
                            (unsigned long long)q->p_paddr, (unsigned long long)p->p_paddr);
    }
    return ERR_OK;
}

/* Looks for the PVH note in one PT_NOTE; leaves *ret_entry alone when it is not there. */
static void find_entry(const struct image *i, const Elf64_Phdr *p, gpa_t *ret_entry)
{
    uint64_t at = p->p_offset, end = p->p_offset + p->p_filesz;
    Elf64_Nhdr n;

    if (!is_in_file(i, p->p_offset, p->p_filesz))
        return;
    while (end - at >= sizeof n) {
        memcpy(&n, i->file + at, sizeof n);
        uint64_t name = at + sizeof n;
        uint64_t desc = name + ((n.n_namesz + UINT64_C(3)) & ~UINT64_C(3));
        uint64_t next = desc + ((n.n_descsz + UINT64_C(3)) & ~UINT64_C(3));
        if (next > end)
            return;
        if (n.n_type == PVH_NOTE_ENTRY && n.n_namesz == sizeof PVH_NOTE_OWNER &&
            memcmp(i->file + name, PVH_NOTE_OWNER, sizeof PVH_NOTE_OWNER) == 0 &&
            (n.n_descsz == 4 || n.n_descsz == 8)) {
            ret_entry->value = 0;
            memcpy(&ret_entry->value, i->file + desc, n.n_descsz);
        }
        at = next;
    }
}

static bool is_in_segment(const struct elf_plan *plan, gpa_t at)
{
    for (unsigned s = 0; s < plan->segments; s++)
        if (at.value >= plan->segment[s].p_paddr && at.value - plan->segment[s].p_paddr < plan->segment[s].p_filesz)
            return true;
    return false;
}

enum err elf_check(const char *name, const unsigned char *file, size_t bytes, const struct ram *ram, gpa_t low,
                   struct elf_plan *ret_plan)
{
    struct image image = {name, file, bytes};
    struct elf_plan plan = {0};
    Elf64_Ehdr header;
    enum err e = check_elf_header(&image, &header);

    for (unsigned s = 0; e == ERR_OK && s < header.e_phnum; s++) {
        Elf64_Phdr p;
        memcpy(&p, file + header.e_phoff + s * sizeof p, sizeof p);
        if (p.p_type == PT_NOTE)
            find_entry(&image, &p, &plan.entry);
        if (p.p_type != PT_LOAD || p.p_memsz == 0)
            continue;
        e = check_segment(&image, &p, ram, low);
        if (e == ERR_OK)
            e = check_overlap(&image, &plan, &p);
        if (e == ERR_OK && plan.segments == ELF_SEGMENTS_MAX)
            e = vmm_fail(ERR_FULL, "kernel %s: more than %d segments", name, ELF_SEGMENTS_MAX);
        if (e != ERR_OK)
            break;
        plan.segment[plan.segments++] = p;
        if (p.p_paddr + p.p_memsz > plan.end.value)
            plan.end.value = p.p_paddr + p.p_memsz;
    }
    if (e != ERR_OK)
        return e;
    if (!is_in_segment(&plan, plan.entry))
        return vmm_fail(ERR_INVALID, "kernel %s: no PVH entry (an ELF note '%s' of type %d) into its segments", name,
                        PVH_NOTE_OWNER, PVH_NOTE_ENTRY);
    *ret_plan = plan;
    return ERR_OK;
}

enum err elf_load(const struct elf_plan *plan, const unsigned char *file, struct ram *ram)
{
    enum err e = ERR_OK;

    for (unsigned s = 0; e == ERR_OK && s < plan->segments; s++) {
        const Elf64_Phdr *p = &plan->segment[s];
        e = ram_write(ram, gpa(p->p_paddr), file + p->p_offset, p->p_filesz);
        if (e == ERR_OK)
            e = ram_zero(ram, gpa(p->p_paddr + p->p_filesz), p->p_memsz - p->p_filesz);
    }
    return e;
}
