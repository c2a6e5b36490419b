/* A guest of one page that tries a machine from inside: what the PVH start info and ACPI say, other processors, ports.
 * Prints what it found, then obeys one-letter commands on the serial line. Leaves out interrupts and paging.
 *
 * It is compiled as 32-bit code and assembled into an ELF64 file, for that is how the PVH entry is reached. */
asm(".code32");

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

struct start_info {
    u32 magic, version, flags, modules;
    u64 module_list, cmdline, rsdp, map;
    u32 map_entries, reserved;
};

enum {
    COM1 = 0x3f8,
    DEBUG_EXIT = 0xf4,
    AP_PAGE = 0x8000,
    LAPIC = 0xfee00000,
    BOOT_COUNT = 0x60,
    LEFTOVER = 0x1000000,
    LEFTOVER_WORDS = 256,
    TSC = 0x10,
    PAT = 0x277,
    MTRR_DEFAULT = 0x2ff
};

asm(".pushsection .note.Xen, \"a\", @note\n"
    ".long 4, 8, 18\n"
    ".asciz \"Xen\"\n"
    ".quad entry\n"
    ".popsection\n"
    ".text\n"
    ".globl entry\n"
    "entry: mov $stack_end, %esp\n"
    "push %ebx\n"
    "call probe_main\n"
    "1: hlt\n"
    "jmp 1b\n"
    /* The page that application processors start in, copied to AP_PAGE. */
    ".pushsection .rodata\n"
    ".code16\n"
    ".globl ap_page, ap_page_end\n"
    "ap_page: cli\n"
    "xor %ax, %ax\n"
    "mov %ax, %ds\n"
    "lgdtl 0x8000 + (ap_gdtr - ap_page)\n"
    "mov %cr0, %eax\n"
    "or $1, %al\n"
    "mov %eax, %cr0\n"
    "ljmpl $8, $ap_entry\n"
    ".balign 8\n"
    "ap_gdt: .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff\n"
    "ap_gdtr: .word 23\n"
    ".long 0x8000 + (ap_gdt - ap_page)\n"
    "ap_page_end:\n"
    ".code32\n"
    ".popsection\n"
    "ap_entry: mov $16, %ax\n"
    "mov %ax, %ds\n"
    "mov %ax, %es\n"
    "lock incl ap_count\n"
    "cmpl $0, ap_copies\n"
    "jne 2f\n"
    "1: cli; hlt\n"
    "jmp 1b\n"
    /* From where nothing is, so that each word is an access to a device. */
    "2: mov $0xd0000000, %esi\n"
    "mov $0x1000000, %edi\n"
    "mov $256, %ecx\n"
    "rep movsl\n"
    "jmp 2b\n");

extern const u8 ap_page[], ap_page_end[];
volatile u32 ap_count = 0, ap_copies = 0;
u8 stack[4096] __attribute__((aligned(16)));
asm(".globl stack_end; .set stack_end, stack + 4096");

static void out(u16 port, u8 value)
{
    asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static u8 in(u16 port)
{
    u8 value;
    asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static void put(char c)
{
    while (!(in(COM1 + 5) & 0x20))
        ;
    out(COM1, (u8)c);
}

static void say(const char *text)
{
    while (*text)
        put(*text++);
}

static void say_number(const char *what, u32 n)
{
    char digits[11];
    int i = 10;

    digits[10] = 0;
    do
        digits[--i] = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    say(what);
    say(digits + i);
    put('\n');
}

static int same(const char *a, const char *b, int n)
{
    while (n-- > 0)
        if (*a++ != *b++)
            return 0;
    return 1;
}

static u8 sum(const u8 *bytes, u32 count)
{
    u8 s = 0;

    while (count-- > 0)
        s = (u8)(s + *bytes++);
    return s;
}

static u32 cmos_count(void)
{
    out(0x70, BOOT_COUNT);
    u8 boots = (u8)(in(0x71) + 1);
    out(0x70, BOOT_COUNT);
    out(0x71, boots);
    return boots;
}

static void show_module(const struct start_info *s)
{
    const u64 *module = (const void *)(u32)s->module_list;
    u32 total = 0;

    if (s->modules == 0)
        return;
    for (u32 i = 0; i < (u32)module[1]; i++)
        total = total * 31 + ((const u8 *)(u32)module[0])[i];
    say_number("module bytes ", (u32)module[1]);
    say_number("module hash ", total);
    say_number("module offset in page ", (u32)module[0] & 4095);
}

static void show_map(const struct start_info *s)
{
    struct {
        u64 at, bytes;
        u32 type, reserved;
    } const *map = (const void *)(u32)s->map;
    u32 end = 0, high = 0;

    for (u32 i = 0; i < s->map_entries; i++)
        if (map[i].type == 1 && map[i].at < 0xf0000000)
            end = (u32)(map[i].at + map[i].bytes);
    for (u32 i = 0; i < s->map_entries; i++)
        if (map[i].type == 1 && map[i].at >= 0x100000000)
            high = (u32)(map[i].bytes >> 20);
    say_number("ram ends at KiB ", end >> 10);
    if (high)
        say_number("ram above 4 GiB, MiB ", high);
}

/* The number of processors that the MADT lists, after checking every table's sum. */
static u32 count_processors(const char *rsdp)
{
    u32 cpus = 0;

    if (!same(rsdp, "RSD PTR ", 8) || sum((const u8 *)rsdp, 20) != 0) {
        say("acpi: bad RSDP\n");
        return 0;
    }
    const u32 *rsdt = *(u32 *const *)(rsdp + 16);
    for (u32 i = 9; i < rsdt[1] / 4; i++) {
        const char *table = (const char *)rsdt[i];
        u32 bytes = *(const u32 *)(table + 4);
        if (sum((const u8 *)table, bytes) != 0)
            say("acpi: bad sum\n");
        for (u32 at = 44; same(table, "APIC", 4) && at < bytes; at += (u8)table[at + 1])
            cpus += table[at] == 0 && (table[at + 4] & 1);
    }
    return cpus;
}

static u32 cpuid_ecx(u32 leaf)
{
    u32 ecx = 0;
    asm volatile("cpuid" : "+a"(leaf), "+c"(ecx) : : "ebx", "edx");
    return ecx;
}

static u32 msr(u32 index)
{
    u32 low, high;
    asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
    return low;
}

/* What a guest may leave behind for the next one. */
static void change_msrs(void)
{
    asm volatile("wrmsr" : : "a"(0), "d"(0), "c"(MTRR_DEFAULT));
    asm volatile("wrmsr" : : "a"(0x00070406), "d"(0x00070406), "c"(PAT));
    asm volatile("wrmsr" : : "a"(0), "d"(1 << 19), "c"(TSC));
}

static u32 tsc_mega(void)
{
    u32 low, high;
    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    return high << 12 | low >> 20;
}

static void delay(void)
{
    for (int i = 0; i < 2000; i++)
        in(0x80);
}

static void send_start(void)
{
    volatile u32 *icr = (volatile u32 *)(LAPIC + 0x300);
    enum { INIT_ALL = 0xc4500, START_ALL = 0xc4600 };

    *icr = INIT_ALL;
    delay();
    *icr = START_ALL | AP_PAGE >> 12;
}

static void start_others(u32 cpus)
{
    for (u32 i = 0; i < (u32)(ap_page_end - ap_page); i++)
        ((volatile u8 *)AP_PAGE)[i] = ap_page[i];
    *(volatile u32 *)(LAPIC + 0xf0) = 0x1ff;
    if (cpus > 1)
        send_start();
    for (int i = 0; i < 1000 && ap_count + 1 < cpus; i++)
        delay();
    say_number("processors that run ", ap_count + 1);
}

static void triple_fault(void)
{
    static const u16 none[3] = {0, 0, 0};
    asm volatile("lidt %0; ud2" : : "m"(none));
}

static u32 count_leftover(void)
{
    u32 words = 0;

    for (u32 i = 0; i < LEFTOVER_WORDS; i++)
        words += ((volatile u32 *)LEFTOVER)[i] != 0;
    return words;
}

static void obey(char command)
{
    if (command == 'q')
        out(DEBUG_EXIT, 0x2a);
    if (command == 'k')
        out(0x64, 0xfe);
    if (command == 'c')
        out(0xcf9, 6);
    if (command == 't')
        triple_fault();
    if (command == 'x')
        *(volatile u32 *)LEFTOVER = 77;
    if (command == 'l')
        say_number("leftover ", *(volatile u32 *)LEFTOVER);
    if (command == 'w')
        say_number("words left ", count_leftover());
    if (command == 'm') {
        ap_copies = 1;
        send_start();
        while (count_leftover() == 0)
            ;
        say("copying\n");
    }
    if (command == 'f')
        asm volatile("flds 0xd0000000"); /* of a device; KVM emulates no such instruction */
    if (command == 'v') {
        change_msrs();
        say_number("megacycles ", tsc_mega());
    }
    if (command == 's')
        say_number("megacycles ", tsc_mega());
    if (command == 'b') {
        out(0x70, BOOT_COUNT);
        out(0x71, 99);
    }
    if (command == 'p')
        say("pong\n");
}

void probe_main(const struct start_info *s);
void probe_main(const struct start_info *s)
{
    out(COM1 + 1, 0);
    out(COM1 + 2, 7);
    say("probe: ");
    say(s->magic == 0x336ec578 ? "start info is there\n" : "NO START INFO\n");
    say("command line '");
    say((const char *)(u32)s->cmdline);
    say("'\n");
    show_map(s);
    show_module(s);
    u32 cpus = count_processors((const char *)(u32)s->rsdp);
    say_number("processors listed ", cpus);
    say_number("virtualization offered ", (cpuid_ecx(1) >> 5 & 1) + (cpuid_ecx(0x80000001) >> 2 & 1));
    say_number("hypervisor and TSC deadline ", (cpuid_ecx(1) >> 31) + (cpuid_ecx(1) >> 24 & 1));
    say_number("MTRRs ", msr(MTRR_DEFAULT));
    say_number("PAT ", msr(PAT));
    say_number("megacycles ", tsc_mega());
    start_others(cpus);
    say_number("boot number ", cmos_count());
    say("ready\n");
    if (same((const char *)(u32)s->cmdline, "loop", 5))
        triple_fault();
    for (;;)
        if (in(COM1 + 5) & 1)
            obey((char)in(COM1));
}
