/* See dump.h. The file has the headers, the notes (for each vCPU one for gdb, one as QEMU writes it), and RAM as it is
 * in its own file: what the guest has never touched is a hole. */
#include "vmm/dump.h"
#include "guest/abi/paging.h"
#include "introspect/base/own.h"
#include "vmm/qmp_command.h"
#include "vmm/registers.h"
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/procfs.h>
#include <unistd.h>

enum { PARTS_MAX = 60000, TABLES_MAX = 1 << 18, PAGE = 4096 };

/* include/qemu: target/i386/arch_dump.c */
struct qemu_segment {
    uint32_t selector, limit, flags, pad;
    uint64_t base;
};
struct qemu_state {
    uint32_t version, size;
    uint64_t rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp, r8, r9, r10, r11, r12, r13, r14, r15, rip, rflags;
    struct qemu_segment cs, ds, es, fs, gs, ss, ldt, tr, gdt, idt;
    uint64_t cr[5], kernel_gs_base;
};

struct cpu_notes {
    Elf64_Nhdr core_head;
    char core_name[8];
    struct elf_prstatus core;
    Elf64_Nhdr qemu_head;
    char qemu_name[8];
    struct qemu_state qemu;
} __attribute__((packed)); /* notes are aligned to four bytes only */

/* ---- parts of memory ---- */

static enum err add_part(struct dump_parts *parts, uint64_t virt, uint64_t phys, uint64_t bytes)
{
    struct dump_part *last = parts->count ? &parts->part[parts->count - 1] : NULL;

    if (last && last->virt + last->bytes == virt && last->phys + last->bytes == phys &&
        (phys != RAM_HIGH_AT && phys != RAM_LOW_MAX)) {
        last->bytes += bytes;
        return ERR_OK;
    }
    if (parts->count == PARTS_MAX)
        return ERR_RANGE;
    if (parts->count == parts->room) {
        size_t room = parts->room ? 2 * parts->room : 64;
        struct dump_part *more = realloc(parts->part, room * sizeof *more);
        if (!more)
            return ERR_NOMEM;
        parts->part = more;
        parts->room = room;
    }
    parts->part[parts->count++] = (struct dump_part){virt, phys, bytes};
    return ERR_OK;
}

/* Of a page, what is RAM. */
static enum err add_page(const struct ram *ram, struct dump_parts *parts, uint64_t virt, uint64_t phys, uint64_t bytes)
{
    const uint64_t starts[] = {0, RAM_HIGH_AT}, ends[] = {ram_low(ram), RAM_HIGH_AT + ram_high(ram)};
    enum err e = ERR_OK;

    for (int i = 0; i < 2 && e == ERR_OK; i++) {
        uint64_t from = phys > starts[i] ? phys : starts[i], to = phys + bytes < ends[i] ? phys + bytes : ends[i];
        if (from < to)
            e = add_part(parts, virt + (from - phys), from, to - from);
    }
    return e;
}

/* Tables may refer to themselves: no more are read than TABLES_MAX. */
static enum err walk_table(const struct ram *ram, uint64_t table, int level, uint64_t virt, struct dump_parts *parts)
{
    uint64_t entries[PAGING_ENTRIES];
    enum err e = ++parts->tables > TABLES_MAX ? ERR_RANGE : ERR_OK;

    if (e != ERR_OK || ram_read(ram, gpa(table & PAGING_ADDRESS), entries, sizeof entries) != ERR_OK)
        return e;
    for (uint64_t i = 0; i < PAGING_ENTRIES && e == ERR_OK; i++) {
        uint64_t bytes = UINT64_C(1) << PAGING_SHIFT(level), at = virt + i * bytes;
        if (level == PAGING_TOP && i >= PAGING_ENTRIES / 2)
            at |= UINT64_C(0xffff) << 48;
        if (!(entries[i] & PAGING_PRESENT))
            continue;
        if (level == 0 || (level < PAGING_TOP && entries[i] & PAGING_LARGE))
            e = add_page(ram, parts, at, entries[i] & PAGING_ADDRESS & ~(bytes - 1), bytes);
        else
            e = walk_table(ram, entries[i], level - 1, at, parts);
    }
    return e;
}

enum err dump_walk(const struct ram *ram, uint64_t root, struct dump_parts *parts)
{
    return walk_table(ram, root, PAGING_TOP, 0, parts);
}

/* Both parts of RAM, or what of them is in `length` bytes from `begin` on. */
static enum err add_ram(const struct ram *ram, uint64_t begin, uint64_t length, struct dump_parts *parts)
{
    const struct dump_part all[] = {{0, 0, ram_low(ram)}, {0, RAM_HIGH_AT, ram_high(ram)}};
    uint64_t end = begin + length < begin ? UINT64_MAX : begin + length;
    enum err e = ERR_OK;

    for (int i = 0; i < 2 && e == ERR_OK; i++) {
        uint64_t from = all[i].phys > begin ? all[i].phys : begin, to = all[i].phys + all[i].bytes;
        to = to < end ? to : end;
        if (from < to)
            e = add_part(parts, from, from, to - from);
    }
    return e;
}

/* ---- notes ---- */

static struct qemu_segment segment_of(const struct kvm_segment *s)
{
    return (struct qemu_segment){s->selector, s->limit, registers_attributes(s), 0, s->base};
}

/* In the order of struct user_regs_struct. */
static void fill_core(const struct kvm_regs *regs, const struct kvm_sregs *sregs, struct cpu_notes *n)
{
    const struct kvm_regs r = *regs;
    const struct kvm_sregs s = *sregs;
    const unsigned long long g[] = {r.r15,         r.r14,         r.r13,         r.r12,     r.rbp,     r.rbx,
                                    r.r11,         r.r10,         r.r9,          r.r8,      r.rax,     r.rcx,
                                    r.rdx,         r.rsi,         r.rdi,         r.rax,     r.rip,     s.cs.selector,
                                    r.rflags,      r.rsp,         s.ss.selector, s.fs.base, s.gs.base, s.ds.selector,
                                    s.es.selector, s.fs.selector, s.gs.selector};
    _Static_assert(sizeof g == sizeof n->core.pr_reg);
    memcpy(&n->core.pr_reg, g, sizeof g);
}

static void fill_qemu(const struct kvm_regs *regs, const struct kvm_sregs *sregs, struct cpu_notes *n)
{
    const struct kvm_regs r = *regs;
    const struct kvm_sregs s = *sregs;

    n->qemu = (struct qemu_state){1,
                                  sizeof n->qemu,
                                  r.rax,
                                  r.rbx,
                                  r.rcx,
                                  r.rdx,
                                  r.rsi,
                                  r.rdi,
                                  r.rsp,
                                  r.rbp,
                                  r.r8,
                                  r.r9,
                                  r.r10,
                                  r.r11,
                                  r.r12,
                                  r.r13,
                                  r.r14,
                                  r.r15,
                                  r.rip,
                                  r.rflags,
                                  segment_of(&s.cs),
                                  segment_of(&s.ds),
                                  segment_of(&s.es),
                                  segment_of(&s.fs),
                                  segment_of(&s.gs),
                                  segment_of(&s.ss),
                                  segment_of(&s.ldt),
                                  segment_of(&s.tr),
                                  {0, s.gdt.limit, 0, 0, s.gdt.base},
                                  {0, s.idt.limit, 0, 0, s.idt.base},
                                  {s.cr0, 0, s.cr2, s.cr3, s.cr4},
                                  0};
}

static void fill_notes(const struct vcpu *cpu, struct cpu_notes *n)
{
    struct kvm_regs r = {0};
    struct kvm_sregs s = {0};

    ioctl(cpu->fd, KVM_GET_REGS, &r);
    ioctl(cpu->fd, KVM_GET_SREGS, &s);
    *n = (struct cpu_notes){.core_head = {sizeof "CORE", sizeof n->core, NT_PRSTATUS},
                            .core_name = "CORE",
                            .core = {.pr_pid = (int)cpu->id + 1},
                            .qemu_head = {sizeof "QEMU", sizeof n->qemu, 0},
                            .qemu_name = "QEMU"};
    fill_core(&r, &s, n);
    fill_qemu(&r, &s, n);
}

/* ---- the file ---- */

static bool write_at(int fd, const void *bytes, size_t count, uint64_t at)
{
    for (size_t done = 0; done < count;) {
        ssize_t n = pwrite(fd, (const char *)bytes + done, count - done, (off_t)(at + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

/* Only what there is of the part in the file of RAM. */
static bool copy_part(int fd, const struct ram *ram, const struct dump_part *part, uint64_t data_at)
{
    uint64_t from = ram_map_offset(part->phys), end = from + part->bytes;

    while (from < end) {
        off_t data = lseek(ram->fd, (off_t)from, SEEK_DATA);
        if (data < 0)
            return errno == ENXIO; /* nothing is behind that */
        off_t hole = lseek(ram->fd, data, SEEK_HOLE);
        uint64_t begin = (uint64_t)data, to = hole < 0 || (uint64_t)hole > end ? end : (uint64_t)hole;
        if (begin >= end)
            break;
        if (!write_at(fd, ram->base + begin, to - begin, data_at + begin))
            return false;
        from = to;
    }
    return true;
}

static bool write_headers(int fd, const struct dump_parts *parts, uint64_t notes_bytes, uint64_t *ret_notes_at,
                          uint64_t *ret_data_at)
{
    size_t headers = parts->count + 1;
    uint64_t notes_at = sizeof(Elf64_Ehdr) + headers * sizeof(Elf64_Phdr);
    uint64_t data_at = (notes_at + notes_bytes + PAGE - 1) & ~(uint64_t)(PAGE - 1);
    Elf64_Ehdr head = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                       .e_type = ET_CORE,
                       .e_machine = EM_X86_64,
                       .e_version = EV_CURRENT,
                       .e_phoff = sizeof head,
                       .e_ehsize = sizeof head,
                       .e_phentsize = sizeof(Elf64_Phdr),
                       .e_phnum = (uint16_t)headers};
    OWN(memory) Elf64_Phdr *list = calloc(headers, sizeof *list);

    if (!list)
        return false;
    list[0] = (Elf64_Phdr){.p_type = PT_NOTE, .p_offset = notes_at, .p_filesz = notes_bytes, .p_memsz = notes_bytes};
    for (size_t i = 0; i < parts->count; i++)
        list[i + 1] = (Elf64_Phdr){.p_type = PT_LOAD,
                                   .p_flags = PF_R | PF_W | PF_X,
                                   .p_offset = data_at + ram_map_offset(parts->part[i].phys),
                                   .p_vaddr = parts->part[i].virt,
                                   .p_paddr = parts->part[i].phys,
                                   .p_filesz = parts->part[i].bytes,
                                   .p_memsz = parts->part[i].bytes};
    *ret_notes_at = notes_at;
    *ret_data_at = data_at;
    return write_at(fd, &head, sizeof head, 0) && write_at(fd, list, headers * sizeof *list, sizeof head);
}

static bool write_file(int fd, struct vmm *vmm, const struct dump_parts *parts, const struct dump_parts *ram)
{
    uint64_t notes_at, data_at, end = 0;
    bool written = write_headers(fd, parts, vmm->cpus * sizeof(struct cpu_notes), &notes_at, &data_at);

    for (unsigned i = 0; written && i < vmm->cpus; i++) {
        struct cpu_notes notes;
        fill_notes(vmm->cpu[i], &notes);
        written = write_at(fd, &notes, sizeof notes, notes_at + i * sizeof notes);
    }
    for (size_t i = 0; written && i < ram->count; i++) {
        uint64_t part_end = ram_map_offset(ram->part[i].phys) + ram->part[i].bytes;
        end = part_end > end ? part_end : end;
        written = copy_part(fd, &vmm->ram, &ram->part[i], data_at);
    }
    return written && ftruncate(fd, (off_t)(data_at + end)) == 0;
}

/* ---- the command ---- */

struct dump_request {
    bool paging;
    uint64_t begin, length;
    const char *path;
};

/* NULL: it can be done. */
static json_t *read_request(const json_t *arguments, struct dump_request *ret)
{
    const json_t *begin = json_object_get(arguments, "begin"), *length = json_object_get(arguments, "length");
    const char *protocol = json_string_value(json_object_get(arguments, "protocol"));
    const char *format = json_string_value(json_object_get(arguments, "format"));

    *ret = (struct dump_request){.paging = json_is_true(json_object_get(arguments, "paging")), .length = UINT64_MAX};
    if (json_is_true(json_object_get(arguments, "detach")))
        return qmp_error("GenericError", "Parameter 'detach' can be false only: the machine stands still meanwhile");
    if (format && strcmp(format, "elf") != 0)
        return qmp_error("GenericError", "Parameter 'format' does not accept value '%.100s'", format);
    if (!begin != !length)
        return qmp_error("GenericError", "Parameter '%s' is missing", begin ? "length" : "begin");
    if (begin && ret->paging)
        return qmp_error("GenericError", "Parameter 'begin' is unexpected with 'paging'");
    if (begin && (json_integer_value(begin) < 0 || json_integer_value(length) <= 0))
        return qmp_error("GenericError", "Parameter 'length' expects a size");
    if (strncmp(protocol, "file:", 5) != 0)
        return qmp_error("GenericError", "Parameter 'protocol' expects file:PATH");
    ret->path = protocol + 5;
    if (begin) {
        ret->begin = (uint64_t)json_integer_value(begin);
        ret->length = (uint64_t)json_integer_value(length);
    }
    return NULL;
}

static void parts_done(struct dump_parts *parts)
{
    free(parts->part);
}

/* What the first vCPU's tables map comes first: a debugger takes the first part that has an address. */
static enum err list_parts(struct vmm *vmm, const struct dump_request *r, struct dump_parts *parts,
                           struct dump_parts *ram)
{
    enum { PAGING_ON = 1u << 31, LONG_MODE = 1 << 10 };
    struct kvm_sregs s = {0};
    enum err e = add_ram(&vmm->ram, r->begin, r->length, ram);

    ioctl(vmm->cpu[0]->fd, KVM_GET_SREGS, &s);
    if (e == ERR_OK && r->paging && s.cr0 & PAGING_ON && s.efer & LONG_MODE)
        e = dump_walk(&vmm->ram, s.cr3, parts);
    for (size_t i = 0; i < ram->count && e == ERR_OK; i++)
        e = add_part(parts, ram->part[i].virt, ram->part[i].phys, ram->part[i].bytes);
    return e;
}

static json_t *dump_held(struct vmm *vmm, const struct dump_request *r)
{
    CLOSED_BY(parts_done) struct dump_parts parts = {0}, ram = {0};
    enum err e = list_parts(vmm, r, &parts, &ram);

    if (e != ERR_OK)
        return qmp_error("GenericError", "the guest's page tables: %s", err_text(e));
    if (!ram.count)
        return qmp_error("GenericError", "no RAM is in what 'begin' and 'length' say");
    OWN(descriptor) int fd = open(r->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0600);
    if (fd < 0 || !write_file(fd, vmm, &parts, &ram))
        return qmp_error("GenericError", "%.200s: %s", r->path, strerror(errno));
    return json_pack("{s:{}}", "return");
}

json_t *dump_answer(struct vmm *vmm, const json_t *arguments)
{
    struct dump_request request;
    json_t *refusal = read_request(arguments, &request);

    if (refusal)
        return refusal;
    bool held = vmm_hold(vmm);
    json_t *answer = dump_held(vmm, &request);
    vmm_let_go(vmm, held);
    return answer;
}
