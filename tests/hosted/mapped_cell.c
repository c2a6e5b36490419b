/* See mapped_cell.h. */
#include "tests/hosted/mapped_cell.h"
#include <check.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BASE        0x20000000u
#define BYTES       0x1000000u
#define ENTRY_START 8 /* where an entry says where its function starts */

void __gcc_personality_v0(void);

static struct mapped_section *section_at(struct mapped_cell *cell, size_t index)
{
    ck_assert_uint_lt(index, sizeof cell->section / sizeof *cell->section);
    return &cell->section[index];
}

/* Loads sections that have memory; the unwind table last, so that nothing is behind it. */
static void load(struct mapped_cell *cell, bool tables, uint64_t *at)
{
    Elf_Scn *section = NULL;
    GElf_Shdr header;
    size_t names;

    ck_assert_int_eq(elf_getshdrstrndx(cell->elf, &names), 0);
    while ((section = elf_nextscn(cell->elf, section))) {
        struct mapped_section *s = section_at(cell, elf_ndxscn(section));
        ck_assert_ptr_nonnull(gelf_getshdr(section, &header));
        const char *name = elf_strptr(cell->elf, names, header.sh_name);
        bool table = strcmp(name, ".eh_frame") == 0;
        if (!(header.sh_flags & SHF_ALLOC) || table != tables)
            continue;
        uint64_t align = header.sh_addralign ? header.sh_addralign : 1;
        *at = (*at + align - 1) / align * align;
        *s = (struct mapped_section){
            .name = name, .data = cell->base + *at, .bytes = header.sh_size, .text = header.sh_flags & SHF_EXECINSTR};
        *at += header.sh_size;
        ck_assert_uint_lt(*at, BYTES - 4);
        if (header.sh_type != SHT_NOBITS)
            memcpy(s->data, elf_rawdata(section, NULL)->d_buf, header.sh_size);
        if (table)
            cell->eh_frame = s;
    }
}

static uint64_t value_of(struct mapped_cell *cell, const GElf_Sym *symbol, const char *name,
                         struct mapped_section **ret_section)
{
    *ret_section = NULL;
    if (strcmp(name, "__gcc_personality_v0") == 0)
        return (uint64_t)__gcc_personality_v0;
    if (symbol->st_shndx == SHN_UNDEF || symbol->st_shndx >= SHN_LORESERVE)
        return (uint64_t)cell->base;
    *ret_section = section_at(cell, symbol->st_shndx);
    return (uint64_t)(*ret_section)->data + symbol->st_value;
}

static void relocate(struct mapped_section *to, const GElf_Rela *r, uint64_t value)
{
    uint8_t *at = to->data + r->r_offset;
    uint32_t type = GELF_R_TYPE(r->r_info);

    value += (uint64_t)r->r_addend;
    ck_assert_msg(type == R_X86_64_64 || type == R_X86_64_PC32, "relocation of type %u in %s", type, to->name);
    if (type == R_X86_64_PC32)
        value -= (uint64_t)at;
    ck_assert_uint_lt(r->r_offset, to->bytes);
    memcpy(at, &value, type == R_X86_64_64 ? 8 : 4);
}

static void relocate_all(struct mapped_cell *cell, Elf_Scn *section, const GElf_Shdr *header)
{
    struct mapped_section *to = section_at(cell, header->sh_info), *target;
    GElf_Shdr symbols_header;
    Elf_Scn *symbols = elf_getscn(cell->elf, header->sh_link);
    GElf_Sym symbol;
    GElf_Rela r;

    ck_assert_ptr_nonnull(gelf_getshdr(symbols, &symbols_header));
    for (int i = 0; gelf_getrela(elf_getdata(section, NULL), i, &r); i++) {
        gelf_getsym(elf_getdata(symbols, NULL), (int)GELF_R_SYM(r.r_info), &symbol);
        const char *name = elf_strptr(cell->elf, symbols_header.sh_link, symbol.st_name);
        relocate(to, &r, value_of(cell, &symbol, name, &target));
        bool start = GELF_R_TYPE(r.r_info) == R_X86_64_PC32;
        if (start && target && target->text && !target->entry)
            target->entry = r.r_offset - ENTRY_START + 1;
    }
}

void mapped_cell_open(struct mapped_cell *cell, const char *path)
{
    Elf_Scn *section = NULL;
    GElf_Shdr header;
    uint64_t at = 64;

    memset(cell, 0, sizeof *cell);
    elf_version(EV_CURRENT);
    cell->file = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(cell->file, 0);
    cell->elf = elf_begin(cell->file, ELF_C_READ, NULL);
    ck_assert_ptr_nonnull(cell->elf);
    cell->base = mmap((void *)(uintptr_t)BASE, BYTES, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE, -1, 0);
    ck_assert_ptr_eq(cell->base, (void *)(uintptr_t)BASE);
    cell->bytes = BYTES;
    load(cell, false, &at);
    load(cell, true, &at);
    while ((section = elf_nextscn(cell->elf, section))) {
        ck_assert_ptr_nonnull(gelf_getshdr(section, &header));
        struct mapped_section *to = section_at(cell, header.sh_info);
        if (header.sh_type == SHT_RELA && to->data && (to == cell->eh_frame || strstr(to->name, "except_table")))
            relocate_all(cell, section, &header);
    }
}

void mapped_cell_close(struct mapped_cell *cell)
{
    munmap(cell->base, cell->bytes);
    elf_end(cell->elf);
    close(cell->file);
}
