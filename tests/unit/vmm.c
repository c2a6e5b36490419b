/* The parts of delias-vmm that need no KVM: kernel files sound and damaged, RAM's bounds, ACPI tables, UART, clock,
 * keyboard controller, ports, QMP, the watchdog. */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "guest/abi/arena.h"
#include "guest/abi/layout.h"
#include "guest/abi/pvh.h"
#include "vmm/acpi.h"
#include "vmm/brake.h"
#include "vmm/cmos.h"
#include "vmm/elf.h"
#include "vmm/keyboard.h"
#include "vmm/qmp.h"
#include "vmm/report.h"
#include "vmm/vmm.h"
#include "vmm/watchdog.h"

enum { RAM_BYTES = 16 << 20, LOW = 1 << 20 };

static struct ram ram;
static unsigned char kernel[1 << 16];
static size_t kernel_bytes;

static void setup(void)
{
    FILE *f = fopen("build/tests/probe.elf", "r");

    ck_assert_ptr_nonnull(f);
    kernel_bytes = fread(kernel, 1, sizeof kernel, f);
    fclose(f);
    ck_assert_int_eq(ram_init(&ram, -1, RAM_BYTES), ERR_OK);
    ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr)); /* the reasons for thousands of refusals */
}

static void teardown(void)
{
    ram_done(&ram);
}

/* A test is the VM's only thread. */
static void holds_devices(void) LOCK_WORD(assert_capability(devices_role))
{
}

START_TEST(test_ram)
{
    char bytes[16] = {0};

    ck_assert(ram_has(&ram, gpa(RAM_BYTES - 1), 1) && ram_has(&ram, gpa(RAM_BYTES), 0));
    ck_assert(!ram_has(&ram, gpa(RAM_BYTES), 1) && !ram_has(&ram, gpa(RAM_BYTES - 1), 2));
    ck_assert(!ram_has(&ram, gpa(UINT64_MAX), 2) && !ram_has(&ram, gpa(1), UINT64_MAX));
    ck_assert_int_eq(ram_write(&ram, gpa(RAM_BYTES - 8), bytes, 16), ERR_RANGE);
    ram.base[5] = 5;
    ram_clear(&ram);
    ck_assert_uint_eq(ram.base[5], 0);
}
END_TEST

/* Six GiB, of which hardly anything is touched: two from 0 on, four from 4 GiB on. */
START_TEST(test_ram_in_two_parts)
{
    const uint64_t high_end = RAM_HIGH_AT + (UINT64_C(4) << 30);
    struct ram big;
    struct cmos c;
    struct boot boot;
    uint64_t word = 0x1234, got;
    uint32_t ranges;

    holds_devices();
    ck_assert_int_eq(ram_init(&big, -1, UINT64_C(6) << 30), ERR_OK);
    ck_assert(ram_has(&big, gpa(RAM_LOW_MAX - 8), 8) && !ram_has(&big, gpa(RAM_LOW_MAX - 8), 9));
    ck_assert(!ram_has(&big, gpa(RAM_LOW_MAX), 1) && !ram_has(&big, gpa(RAM_HIGH_AT - 1), 2));
    ck_assert(ram_has(&big, gpa(RAM_HIGH_AT), 8) && ram_has(&big, gpa(high_end - 8), 8));
    ck_assert(!ram_has(&big, gpa(high_end - 8), 9));
    ck_assert_int_eq(ram_write(&big, gpa(RAM_HIGH_AT), &word, sizeof word), ERR_OK);
    memcpy(&got, big.base + RAM_LOW_MAX, sizeof got);
    ck_assert_uint_eq(got, word);
    ck_assert_int_eq(ram_read(&big, gpa(RAM_HIGH_AT), &got, sizeof got), ERR_OK);
    ck_assert_uint_eq(got, word);
    ck_assert_int_eq(ram_zero(&big, gpa(RAM_HIGH_AT), 8), ERR_OK);
    ck_assert_int_eq(boot_open(&boot, "build/tests/probe.elf", "build/tests/probe.elf", NULL, 1, &big), ERR_OK);
    ck_assert_uint_lt(boot.archive_at.value, RAM_LOW_MAX);
    ck_assert_int_eq(boot_load(&boot, &big), ERR_OK);
    ck_assert_int_eq(ram_read(&big, gpa(BOOT_INFO + offsetof(struct pvh_info, memory_ranges)), &ranges, sizeof ranges),
                     ERR_OK);
    ck_assert_uint_eq(ranges, 4);
    boot_close(&boot);
    cmos_init(&c, big.bytes);
    cmos_out(&c, 0x70, 0x5d);
    ck_assert_uint_eq(cmos_in(&c, 0x71), 1);
    ram_done(&big);
}
END_TEST

/* A mapped file that became shorter stands for a host without memory. */
START_TEST(test_bus_error)
{
    char text[256] = "";
    int out[2], status;

    ck_assert_int_eq(pipe(out), 0);
    pid_t pid = fork();
    if (pid == 0) {
        int fd = memfd_create("short", 0);
        if (ftruncate(fd, 4096) != 0)
            _exit(1);
        volatile char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        dup2(out[1], STDERR_FILENO);
        ram_report_bus_errors();
        *page = 1;
        if (ftruncate(fd, 0) != 0)
            _exit(1);
        *page = 2;
        _exit(0);
    }
    close(out[1]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    ck_assert_int_gt(read(out[0], text, sizeof text - 1), 0);
    ck_assert_ptr_nonnull(strstr(text, "has no memory for guest RAM"));
    close(out[0]);
}
END_TEST

static void write_file(const char *path, const void *bytes, size_t count, const char *mode)
{
    FILE *f = fopen(path, mode);

    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, count, f), count);
    fclose(f);
}

static const char *unit_path(const char *word)
{
    static char path[64];

    snprintf(path, sizeof path, "/tmp/delias-unit-%d-%s", (int)getpid(), word);
    return path;
}

/* What is loaded again is what was checked; another file of that name changes nothing. */
START_TEST(test_boot_files)
{
    const char *path = unit_path("kernel");
    struct boot boot;

    write_file(path, kernel, kernel_bytes, "w");
    ck_assert_int_eq(boot_open(&boot, path, NULL, NULL, 1, &ram), ERR_OK);
    ck_assert_int_eq(boot_load(&boot, &ram), ERR_OK);
    unlink(path);
    write_file(path, "other", 5, "w");
    ram_clear(&ram);
    ck_assert_int_eq(boot_load(&boot, &ram), ERR_OK);
    ck_assert_int_eq(memcmp(ram.base + 0x200000, kernel + boot.plan.segment[0].p_offset, boot.plan.segment[0].p_filesz),
                     0);
    boot_close(&boot);
    write_file(path, kernel, kernel_bytes, "w");
    ck_assert_int_eq(boot_open(&boot, path, NULL, NULL, 1, &ram), ERR_OK);
    write_file(path, "more", 4, "a");
    ck_assert_int_ne(boot_load(&boot, &ram), ERR_OK);
    boot_close(&boot);
    unlink(path);
}
END_TEST

START_TEST(test_kernel)
{
    struct elf_plan plan;

    ck_assert_int_eq(elf_check("probe", kernel, kernel_bytes, &ram, gpa(LOW), &plan), ERR_OK);
    ck_assert_uint_eq(plan.segments, 1);
    ck_assert_uint_eq(plan.segment[0].p_paddr, 0x200000);
    ck_assert_uint_ge(plan.entry.value, 0x200000);
    memset(ram.base + 0x200000, 0xff, 0x10000);
    ck_assert_int_eq(elf_load(&plan, kernel, &ram), ERR_OK);
    ck_assert_int_eq(memcmp(ram.base + 0x200000, kernel + plan.segment[0].p_offset, plan.segment[0].p_filesz), 0);
    ck_assert_int_eq(elf_check("probe", kernel, kernel_bytes, &ram, gpa(0x300000), &plan), ERR_RANGE);
}
END_TEST

START_TEST(test_other_kernels)
{
    static const struct {
        size_t at;
        unsigned char value;
    } changes[] = {{EI_CLASS, ELFCLASS32},
                   {EI_DATA, ELFDATA2MSB},
                   {EI_VERSION, 0},
                   {offsetof(Elf64_Ehdr, e_type), ET_REL},
                   {offsetof(Elf64_Ehdr, e_type), ET_DYN},
                   {offsetof(Elf64_Ehdr, e_machine), EM_386}};
    struct elf_plan plan;

    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        unsigned char before = kernel[changes[i].at];
        kernel[changes[i].at] = changes[i].value;
        ck_assert_msg(elf_check("other", kernel, kernel_bytes, &ram, gpa(LOW), &plan) != ERR_OK, "change %zu", i);
        kernel[changes[i].at] = before;
    }
    /* The note's program header becomes a second segment, at the end of the first one and one byte before. */
    Elf64_Ehdr header;
    memcpy(&header, kernel, sizeof header);
    Elf64_Phdr p[2], first;
    ck_assert_uint_eq(header.e_phnum, 2);
    memcpy(p, kernel + header.e_phoff, sizeof p);
    first = p[0].p_type == PT_LOAD ? p[0] : p[1];
    for (int overlap = 0; overlap < 2; overlap++) {
        static unsigned char other[sizeof kernel + 2 * sizeof p];
        Elf64_Phdr three[3] = {p[0], p[1], first};
        three[2].p_paddr = first.p_paddr + first.p_memsz - (unsigned)overlap;
        memcpy(other, kernel, kernel_bytes);
        memcpy(other + kernel_bytes, three, sizeof three);
        header.e_phoff = kernel_bytes;
        header.e_phnum = 3;
        memcpy(other, &header, sizeof header);
        ck_assert_int_eq(elf_check("two", other, kernel_bytes + sizeof three, &ram, gpa(LOW), &plan),
                         overlap ? ERR_INVALID : ERR_OK);
    }
}
END_TEST

/* Whatever is accepted can be loaded: nothing outside of file or RAM is touched, which the sanitizers would see. */
static void try_damaged(const unsigned char *file, size_t bytes)
{
    unsigned char *exact = malloc(bytes ? bytes : 1);
    struct elf_plan plan;

    ck_assert_ptr_nonnull(exact);
    memcpy(exact, file, bytes);
    if (elf_check("damaged", exact, bytes, &ram, gpa(LOW), &plan) == ERR_OK)
        ck_assert_int_eq(elf_load(&plan, exact, &ram), ERR_OK);
    free(exact);
}

START_TEST(test_damaged_kernels)
{
    enum { HEADERS = 64 + 2 * 56 + 64 };
    static const unsigned char values[] = {0, 1, 0x7f, 0x80, 0xfe, 0xff};

    for (size_t n = 0; n < kernel_bytes; n += n < 512 ? 1 : 97)
        try_damaged(kernel, n);
    for (size_t at = 0; at < HEADERS; at++)
        for (size_t v = 0; v < sizeof values; v++) {
            unsigned char before = kernel[at];
            kernel[at] = values[v];
            try_damaged(kernel, kernel_bytes);
            kernel[at] = before;
        }
    for (size_t at = 0; at + 8 <= HEADERS; at += 4) {
        unsigned char before[8];
        memcpy(before, kernel + at, 8);
        memset(kernel + at, 0xff, 8);
        try_damaged(kernel, kernel_bytes);
        memcpy(kernel + at, before, 8);
    }
}
END_TEST

static uint32_t word(uint64_t at)
{
    uint32_t value;

    ck_assert(ram_has(&ram, gpa(at), sizeof value));
    memcpy(&value, ram.base + at, sizeof value);
    return value;
}

static void check_sum(uint64_t at, uint32_t bytes)
{
    uint8_t sum = 0;

    ck_assert_uint_lt(at + bytes, ACPI_LIMIT);
    for (uint32_t i = 0; i < bytes; i++)
        sum = (uint8_t)(sum + ram.base[at + i]);
    ck_assert_uint_eq(sum, 0);
}

START_TEST(test_acpi)
{
    for (unsigned cpus = 1; cpus <= 64; cpus += 9) {
        unsigned listed = 0, tables = 0;
        ck_assert_int_eq(acpi_build(&ram, cpus), ERR_OK);
        ck_assert_int_eq(memcmp(ram.base + ACPI_BASE, "RSD PTR ", 8), 0);
        check_sum(ACPI_BASE, 20);
        check_sum(ACPI_BASE, 36);
        uint64_t rsdt = word(ACPI_BASE + 16);
        check_sum(rsdt, word(rsdt + 4));
        check_sum(word(ACPI_BASE + 24), word(word(ACPI_BASE + 24) + 4));
        for (uint64_t e = rsdt + 36; e < rsdt + word(rsdt + 4); e += 4, tables++) {
            uint64_t t = word(e);
            check_sum(t, word(t + 4));
            for (uint64_t i = t + 44; memcmp(ram.base + t, "APIC", 4) == 0 && i < t + word(t + 4); i += ram.base[i + 1])
                if (ram.base[i] == 0)
                    ck_assert_uint_eq(ram.base[i + 3], listed++);
        }
        ck_assert_uint_eq(tables, 2);
        ck_assert_uint_eq(listed, cpus);
    }
}
END_TEST

static int irq_level;

static void set_irq(void *owner, bool level)
{
    (void)owner;
    irq_level = level;
}

START_TEST(test_serial_interrupts)
{
    enum { DATA, IER, IIR, LCR, MCR, LSR, OUT2 = 8 };
    struct serial s;

    holds_devices();
    ck_assert_int_eq(serial_open(&s, NULL, NULL, 0, set_irq, NULL), ERR_OK);
    ck_assert_uint_eq(serial_in(&s, LSR), 0x60);
    ck_assert_uint_eq(serial_in(&s, IIR), 1);
    ck_assert_uint_eq(serial_receive(&s, (const uint8_t *)"ab", 2), 2);
    serial_out(&s, IER, 1);
    ck_assert_int_eq(irq_level, 0); /* OUT2 gates it */
    serial_out(&s, MCR, OUT2);
    ck_assert_int_eq(irq_level, 1);
    ck_assert_uint_eq(serial_in(&s, IIR), 4);
    ck_assert_uint_eq(serial_in(&s, DATA), 'a');
    ck_assert_int_eq(irq_level, 1);
    ck_assert_uint_eq(serial_in(&s, DATA), 'b');
    ck_assert_int_eq(irq_level, 0);
    ck_assert_uint_eq(serial_in(&s, LSR), 0x60);
    serial_out(&s, IER, 3); /* the transmitter is empty: one interrupt, gone when it is read */
    ck_assert_int_eq(irq_level, 1);
    ck_assert_uint_eq(serial_in(&s, IIR), 2);
    ck_assert_int_eq(irq_level, 0);
    serial_out(&s, DATA, 'x');
    ck_assert_int_eq(irq_level, 1);
    serial_close(&s);
}
END_TEST

START_TEST(test_serial_registers)
{
    enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCRATCH, OUT2 = 8, LOOP = 16, DLAB = 0x80 };
    struct serial s;
    uint8_t many[SERIAL_QUEUE + 10] = {'m'};

    holds_devices();
    ck_assert_int_eq(serial_open(&s, NULL, NULL, 0, set_irq, NULL), ERR_OK);
    serial_out(&s, LCR, DLAB);
    serial_out(&s, DATA, 0x34);
    serial_out(&s, IER, 0x12);
    ck_assert_uint_eq(serial_in(&s, DATA) | serial_in(&s, IER) << 8, 0x1234);
    serial_out(&s, LCR, 3);
    ck_assert_uint_eq(serial_in(&s, IER), 0);
    serial_out(&s, MCR, LOOP | OUT2 | 1);
    serial_out(&s, DATA, 'z');
    ck_assert_uint_eq(serial_in(&s, LSR) & 1, 1);
    ck_assert_uint_eq(serial_in(&s, MSR), 0x80 | 0x20);
    serial_out(&s, IIR, 7); /* FIFOs on and emptied */
    ck_assert_uint_eq(serial_in(&s, LSR) & 1, 0);
    ck_assert_uint_eq(serial_in(&s, IIR), 0xc1);
    ck_assert_uint_eq(serial_receive(&s, many, sizeof many), SERIAL_QUEUE);
    ck_assert_uint_eq(serial_in(&s, LSR) & 3, 3);
    ck_assert_uint_eq(serial_in(&s, LSR) & 3, 1);
    serial_out(&s, SCRATCH, 0x5a);
    ck_assert_uint_eq(serial_in(&s, SCRATCH), 0x5a);
    serial_close(&s);
}
END_TEST

START_TEST(test_serial_log)
{
    enum { MOST = 4096, LINES = 5000, LINE = 10 };
    static char text[2 * MOST];
    const char *path = unit_path("log");
    struct serial_log log;

    ck_assert_int_eq(serial_log_open(&log, path, MOST), ERR_OK);
    for (int i = 0; i < LINES; i++) {
        char line[24];
        snprintf(line, sizeof line, "line %04d\n", i);
        for (int j = 0; j < LINE; j++)
            serial_log_write(&log, (const uint8_t *)line + j, 1);
    }
    serial_log_close(&log);
    int fd = open(path, O_RDONLY);
    ssize_t n = read(fd, text, sizeof text);
    close(fd);
    unlink(path);
    ck_assert_int_le(n, MOST);
    ck_assert_int_ge(n, MOST / 2 - 2 * LINE);
    ck_assert_int_eq(strncmp(text, "[what was printed before", 24), 0);
    const char *line = strchr(text, '\n') + 1;
    for (int i = LINES - (int)(text + n - line) / LINE; i < LINES; i++, line += LINE)
        ck_assert_int_eq(atoi(line + 5), i);
    ck_assert_ptr_eq(line, text + n);
    ck_assert_int_eq(serial_log_open(&log, "/dev/full", MOST), ERR_OK);
    serial_log_write(&log, (const uint8_t *)"x", 1);
    ck_assert(log.said);
    serial_log_close(&log);
}
END_TEST

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    strcpy(address.sun_path, path);
    ck_assert_int_eq(connect(fd, (void *)&address, sizeof address), 0);
    return fd;
}

static void serve_serial(struct serial *s) NEEDS(devices_role)
{
    struct pollfd fds[SERIAL_POLL_MAX];

    for (size_t n; (n = serial_poll(s, fds)) > 0 && poll(fds, n, 50) > 0;)
        serial_handle(s, fds, n);
}

/* Clients that have gone, with input that the guest does not take, keep nobody out. */
START_TEST(test_serial_clients)
{
    static uint8_t many[SERIAL_QUEUE];
    const char *path = unit_path("console");
    int fd[SERIAL_CLIENTS_MAX];
    struct serial s;
    char got = 0;

    holds_devices();
    ck_assert_int_eq(serial_open(&s, path, NULL, 0, set_irq, NULL), ERR_OK);
    for (int i = 0; i < SERIAL_CLIENTS_MAX; i++)
        fd[i] = connect_to(path);
    serve_serial(&s);
    serial_receive(&s, many, sizeof many);
    for (int i = 0; i < SERIAL_CLIENTS_MAX; i++) {
        ck_assert_int_eq(write(fd[i], "x", 1), 1);
        close(fd[i]);
    }
    int late = connect_to(path);
    serve_serial(&s);
    serial_out(&s, 0, 'y');
    ck_assert_int_eq(recv(late, &got, 1, MSG_DONTWAIT), 1);
    ck_assert_int_eq(got, 'y');
    close(late);
    serial_close(&s);
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(test_sockets)
{
    const char *path = unit_path("socket");
    struct listener first, second;

    ck_assert_int_eq(socket_listen(path, &first), ERR_OK);
    ck_assert_int_eq(socket_listen(path, &second), ERR_EXISTS);
    ck_assert_int_eq(second.fd, -1);
    socket_close(&second);
    close(connect_to(path));
    close(first.fd); /* as if it had been killed */
    ck_assert_int_eq(socket_listen(path, &second), ERR_OK);
    first.fd = dup(0);
    first.inode++; /* another file may get the same number */
    socket_close(&first);
    close(connect_to(path));
    socket_close(&second);
    ck_assert_int_ne(access(path, F_OK), 0);
    ck_assert_int_eq(socket_listen(NULL, &first), ERR_OK);
    socket_close(&first);
}
END_TEST

START_TEST(test_clock)
{
    static const unsigned limits[10] = {
        [0] = 0x60, [2] = 0x59, [4] = 0x23, [6] = 7, [7] = 0x31, [8] = 0x12, [9] = 0x99};
    struct cmos c;

    holds_devices();
    cmos_init(&c, 64 << 20);
    for (unsigned reg = 0; reg < 10; reg++) {
        cmos_out(&c, 0x70, (uint8_t)reg);
        uint8_t value = cmos_in(&c, 0x71);
        ck_assert_uint_le(value, limits[reg] ? limits[reg] : 0);
        ck_assert((value & 15) <= 9);
    }
    cmos_out(&c, 0x70, 0x80 | 0x32); /* bit 7 masks NMI and is no part of the index */
    ck_assert_uint_eq(cmos_in(&c, 0x71), 0x20);
    cmos_out(&c, 0x71, 0x77);
    ck_assert_uint_eq(cmos_in(&c, 0x71), 0x20);
    cmos_out(&c, 0x70, 0x60);
    cmos_out(&c, 0x71, 0x77);
    ck_assert_uint_eq(cmos_in(&c, 0x71), 0x77);
    cmos_out(&c, 0x70, 0x0d);
    ck_assert_uint_eq(cmos_in(&c, 0x71), 0x80);
}
END_TEST

START_TEST(test_keyboard)
{
    enum { DATA = 0x60, COMMAND = 0x64 };
    struct keyboard k;

    holds_devices();
    keyboard_power_on(&k);
    ck_assert_uint_eq(keyboard_in(&k, COMMAND) & 3, 0);
    ck_assert(!keyboard_out(&k, COMMAND, 0xaa));
    ck_assert_uint_eq(keyboard_in(&k, COMMAND) & 1, 1);
    ck_assert_uint_eq(keyboard_in(&k, DATA), 0x55);
    ck_assert_uint_eq(keyboard_in(&k, COMMAND) & 1, 0);
    ck_assert(!keyboard_out(&k, COMMAND, 0x60));
    ck_assert(!keyboard_out(&k, DATA, 0x41));
    ck_assert(!keyboard_out(&k, COMMAND, 0x20));
    ck_assert_uint_eq(keyboard_in(&k, DATA), 0x41);
    ck_assert(!keyboard_out(&k, DATA, 0xff));
    ck_assert_uint_eq(keyboard_in(&k, DATA), 0xfa);
    ck_assert_uint_eq(keyboard_in(&k, DATA), 0xaa);
    for (int i = 0; i < 100; i++) /* nobody reads the answers */
        ck_assert(!keyboard_out(&k, DATA, 0xf2));
    ck_assert(keyboard_out(&k, COMMAND, 0xfe));
}
END_TEST

/* Bit 0 of the controller's output port is the reset line, low when it is to reset. */
START_TEST(test_keyboard_output_port)
{
    enum { DATA = 0x60, COMMAND = 0x64, WRITE_OUTPUT = 0xd1 };
    struct keyboard k;

    holds_devices();
    keyboard_power_on(&k);
    ck_assert(!keyboard_out(&k, COMMAND, WRITE_OUTPUT));
    ck_assert(!keyboard_out(&k, DATA, 0xdf)); /* A20 on, no reset */
    ck_assert(!keyboard_out(&k, DATA, 0x00)); /* for the keyboard: the command has had its byte */
    ck_assert(!keyboard_out(&k, COMMAND, 0x60));
    ck_assert(!keyboard_out(&k, DATA, 0x00)); /* the configuration */
    ck_assert(!keyboard_out(&k, COMMAND, WRITE_OUTPUT));
    ck_assert(keyboard_out(&k, DATA, 0xfe));
    ck_assert(!keyboard_out(&k, COMMAND, WRITE_OUTPUT));
    ck_assert(keyboard_out(&k, DATA, 0x00));
}
END_TEST

static void power_on(struct vmm *vmm)
{
    holds_devices();
    keyboard_power_on(&vmm->keyboard);
}

static enum request request_of(const struct vmm *vmm) UNCHECKED
{
    return vmm->request;
}

static enum request requested(const uint8_t (*writes)[2], size_t count)
{
    static const uint16_t ports[] = {0x60, 0x64, 0x92, 0xcf9, 0xf4, ACPI_PM_PORT + 4, ACPI_PM_PORT + 5};
    static struct vmm vmm;

    vmm = (struct vmm){.wake_fd = -1};
    power_on(&vmm);
    for (size_t i = 0; i < count; i++) {
        unsigned char value = writes[i][1];
        ports_access(&vmm, true, ports[writes[i][0]], 1, 1, &value);
    }
    return request_of(&vmm);
}

/* Every way in which a guest may ask for a reset or its end, and what only looks like one. */
START_TEST(test_ways_to_reset)
{
    enum { DATA, COMMAND, FAST, CONTROL, EXIT, POWER_LOW, POWER_HIGH };
    static const struct {
        uint8_t writes[2][2]; /* index of the port, value */
        size_t count;
        enum request expected;
    } cases[] = {
        {{{COMMAND, 0xfe}}, 1, REQUEST_RESET},
        {{{COMMAND, 0xd1}, {DATA, 0xfe}}, 2, REQUEST_RESET},
        {{{COMMAND, 0xd1}, {DATA, 0xdf}}, 2, REQUEST_NONE},
        {{{DATA, 0xfe}}, 1, REQUEST_NONE},
        {{{FAST, 1}}, 1, REQUEST_RESET},
        {{{FAST, 2}}, 1, REQUEST_NONE},
        {{{CONTROL, 2}, {CONTROL, 6}}, 2, REQUEST_RESET},
        {{{CONTROL, 2}}, 1, REQUEST_NONE},
        {{{EXIT, 0}}, 1, REQUEST_SHUTDOWN},
        {{{POWER_LOW, 0}, {POWER_HIGH, 0x20}}, 2, REQUEST_SHUTDOWN},
        {{{POWER_LOW, 0x20}, {POWER_HIGH, 0x1c}}, 2, REQUEST_NONE},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_msg(requested(cases[i].writes, cases[i].count) == cases[i].expected, "case %zu", i);
}
END_TEST

START_TEST(test_ports)
{
    static struct vmm vmm = {.wake_fd = -1};
    unsigned char to_pci[4] = {0, 0x0f, 0, 0x80}, reset[1] = {6}, nothing[8] = {0};

    power_on(&vmm);
    ports_access(&vmm, true, 0xcf8, 4, 1, to_pci);
    ck_assert_int_eq(request_of(&vmm), REQUEST_NONE);
    ports_access(&vmm, false, 0xcfc, 4, 2, nothing);
    for (unsigned i = 0; i < sizeof nothing; i++)
        ck_assert_uint_eq(nothing[i], 0xff);
    ports_access(&vmm, false, 0xffff, 4, 2, nothing);
    ports_access(&vmm, true, 0xcf9, 1, 1, reset);
    ck_assert_int_eq(request_of(&vmm), REQUEST_RESET);
}
END_TEST

/* What a server that has nothing but the default commands says to `text`, after its greeting. */
static void ask_server(const char *text, char *reply, size_t bytes)
{
    struct qmp_machine machine = {.name = "unit"};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct pollfd fds[QMP_POLL_MAX];
    struct qmp_server *server;
    size_t used = 0;

    snprintf(address.sun_path, sizeof address.sun_path, "/tmp/delias-unit-%d", (int)getpid());
    ck_assert_int_eq(qmp_server_new(address.sun_path, &machine, &server), ERR_OK);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, (void *)&address, sizeof address), 0);
    unlink(address.sun_path);
    ck_assert_int_eq(send(fd, text, strlen(text), 0), (ssize_t)strlen(text));
    for (size_t n; (n = qmp_server_poll(server, fds)) > 0 && poll(fds, n, 100) > 0;)
        qmp_server_handle(server, fds, n);
    for (ssize_t n; (n = recv(fd, reply + used, bytes - 1 - used, MSG_DONTWAIT)) > 0;)
        used += (size_t)n;
    reply[used] = '\0';
    close(fd);
    qmp_server_free(server);
}

START_TEST(test_qmp_server)
{
    static const char letters[] = "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9";
    char text[512], reply[4096];

    snprintf(text, sizeof text,
             "{'execute': 'x'}{\"execute\":\"qmp_capabilities\",\"id\":[1]}\n[]\n{\"execute\":\"x%s%s%s%s%s\"}",
             letters, letters, letters, letters, letters);
    ask_server(text, reply, sizeof reply);
    ck_assert_ptr_nonnull(strstr(reply, "JSON parse error"));
    ck_assert_ptr_nonnull(strstr(reply, "\"id\":[1]"));
    ck_assert_ptr_nonnull(strstr(reply, "must be a JSON object"));
    ck_assert_ptr_nonnull(strstr(reply, "has not been found"));
}
END_TEST

/* ---- CPUID ---- */

static struct kvm_cpuid_entry2 *find_leaf(struct kvm_cpuid2 *list, uint32_t function, uint32_t index)
{
    for (unsigned i = 0; i < list->nent; i++)
        if (list->entries[i].function == function && list->entries[i].index == index)
            return &list->entries[i];
    return NULL;
}

static struct kvm_cpuid_entry2 *leaf_of(struct kvm_cpuid2 *list, uint32_t function, uint32_t index)
{
    struct kvm_cpuid_entry2 *leaf = find_leaf(list, function, index);

    ck_assert_ptr_nonnull(leaf);
    return leaf;
}

static struct kvm_cpuid2 *fitted(const struct kvm_cpuid_entry2 *entries, unsigned count, unsigned id, unsigned cpus)
{
    struct kvm_cpuid2 *list = calloc(1, sizeof *list + (count + 4) * sizeof *entries);

    ck_assert_ptr_nonnull(list);
    list->nent = count;
    memcpy(list->entries, entries, count * sizeof *entries);
    cpuid_fit(list, id, cpus, true);
    return list;
}

/* A host of 16 cores with two threads each, caches as Intel and AMD describe them. */
START_TEST(test_cpuid)
{
    static const struct kvm_cpuid_entry2 host[] = {
        {.function = 1, .ebx = 0x12200800, .ecx = 1 << 5},
        {.function = 4, .index = 0, .eax = 15U << 26 | 1 << 14 | 1 << 5 | 1},
        {.function = 4, .index = 3, .eax = 15U << 26 | 31 << 14 | 3 << 5 | 3},
        {.function = 4, .index = 4},
        {.function = 0xb, .index = 0, .eax = 1, .ebx = 2, .ecx = 0x100, .edx = 18},
        {.function = 0x1f, .index = 0, .eax = 1, .ebx = 2, .ecx = 0x100, .edx = 18},
        {.function = 0x1f, .index = 1, .eax = 5, .ebx = 32, .ecx = 0x201, .edx = 18},
        {.function = 0x1f, .index = 2, .eax = 6, .ebx = 64, .ecx = 0x502, .edx = 18},
        {.function = 0x80000001, .ecx = 1 << 2 | 1 << 1},
        {.function = 0x8000001d, .index = 0, .eax = 1 << 14 | 1 << 5 | 1},
        {.function = 0x8000001d, .index = 3, .eax = 31 << 14 | 3 << 5 | 3},
        {.function = 0x80000026, .index = 0, .eax = 1, .ebx = 2},
    };
    struct kvm_cpuid2 *list = fitted(host, sizeof host / sizeof *host, 2, 3);

    ck_assert_uint_eq(leaf_of(list, 1, 0)->ecx, 1U << 31 | 1 << 24); /* a hypervisor, a TSC deadline, no VMX */
    ck_assert_uint_eq(leaf_of(list, 1, 0)->ebx, 0x02030800);
    ck_assert_uint_eq(leaf_of(list, 4, 0)->eax, 3U << 26 | 1 << 5 | 1);
    ck_assert_uint_eq(leaf_of(list, 4, 3)->eax, 3U << 26 | 3 << 14 | 3 << 5 | 3);
    ck_assert_uint_eq(leaf_of(list, 4, 4)->eax, 0);
    ck_assert_uint_eq(leaf_of(list, 0x8000001d, 0)->eax, 1 << 5 | 1);
    ck_assert_uint_eq(leaf_of(list, 0x8000001d, 3)->eax, 2 << 14 | 3 << 5 | 3);
    for (uint32_t leaf = 0xb; leaf <= 0x1f; leaf += 0x1f - 0xb) {
        ck_assert_uint_eq(leaf_of(list, leaf, 0)->ebx, 1);
        ck_assert_uint_eq(leaf_of(list, leaf, 1)->ebx, 3);
        ck_assert_uint_eq(leaf_of(list, leaf, 1)->eax, 2);
        ck_assert_uint_eq(leaf_of(list, leaf, 1)->edx, 2);
        ck_assert_ptr_null(find_leaf(list, leaf, 2));
    }
    ck_assert_ptr_null(find_leaf(list, 0x80000026, 0));
    ck_assert_uint_eq(leaf_of(list, 0x80000001, 0)->ecx, 1 << 1);
    free(list);
    list = fitted(host, 4, 0, 1);
    ck_assert_uint_eq(list->nent, 4); /* what KVM does not list is not made up */
    free(list);
}
END_TEST

/* ---- MSRs ---- */

/* A vCPU with 768 of them, of which every seventh can't be read and every eleventh can't be written. */
enum { MSRS = MSRS_MAX, MISC_ENABLE = 0x1a0, MTRR_DEFAULT = 0x2ff };

static uint64_t msr_value[MSRS];
static unsigned msr_calls;
static bool msr_is_stuck;

static int fake_msrs(int fd, unsigned long request, struct kvm_msrs *batch)
{
    unsigned done = 0;

    (void)fd;
    msr_calls++;
    ck_assert_uint_lt(batch->nmsrs, 256);
    for (; done < batch->nmsrs; done++) {
        uint32_t i = batch->entries[done].index;
        if (i % (request == KVM_GET_MSRS ? 7 : 11) == 5 || (msr_is_stuck && i == 501))
            break;
        if (request == KVM_GET_MSRS)
            batch->entries[done].data = msr_value[i];
        else
            msr_value[i] = batch->entries[done].data;
    }
    return (int)done;
}

static void fill_msrs(struct msrs *msrs)
{
    *msrs = (struct msrs){.count = MSRS};
    for (unsigned i = 0; i < msrs->count; i++)
        msrs->entry[i].index = i;
    for (unsigned i = 0; i < MSRS; i++)
        msr_value[i] = 1000 + i;
    msr_calls = 0;
    msr_is_stuck = false;
}

/* What a guest has written is gone after a reset, and it takes few calls. */
START_TEST(test_msrs)
{
    struct msrs msrs;

    fill_msrs(&msrs);
    ck_assert_int_eq(msrs_read(&msrs, -1, fake_msrs), ERR_OK);
    ck_assert_uint_le(msr_calls, MSRS / 7 + MSRS / 11 + 10);
    for (unsigned i = 0; i < msrs.count; i++)
        ck_assert(msrs.entry[i].index % 7 != 5 && msrs.entry[i].index % 11 != 5);
    ck_assert_uint_ge(msrs.count, MSRS - MSRS / 7 - MSRS / 11 - 2);
    for (unsigned i = 0; i < msrs.count; i++)
        msr_value[msrs.entry[i].index] = 7;
    msr_calls = 0;
    ck_assert_int_eq(msrs_write(&msrs, -1, fake_msrs), ERR_OK);
    ck_assert_uint_le(msr_calls, 4);
    for (unsigned i = 0; i < msrs.count; i++)
        ck_assert_uint_eq(msr_value[msrs.entry[i].index], 1000 + msrs.entry[i].index);
    msr_is_stuck = true;
    ck_assert_int_eq(msrs_write(&msrs, -1, fake_msrs), ERR_IO);
}
END_TEST

START_TEST(test_msrs_of_power_on)
{
    struct msrs msrs;

    fill_msrs(&msrs);
    msrs_drop(&msrs, 0x250);
    msrs_drop(&msrs, 0x250);
    ck_assert_uint_eq(msrs.count, MSRS - 1);
    fill_msrs(&msrs);
    msr_value[MISC_ENABLE] = 0x800;
    ck_assert_int_eq(msrs_read(&msrs, -1, fake_msrs), ERR_OK);
    msrs_power_on(&msrs, -1, 40, fake_msrs);
    memset(msr_value, 0, sizeof msr_value);
    ck_assert_int_eq(msrs_write(&msrs, -1, fake_msrs), ERR_OK);
    ck_assert_uint_eq(msr_value[MISC_ENABLE], 0x801);
    ck_assert_uint_eq(msr_value[0x200], 0xc0000000);
    ck_assert_uint_eq(msr_value[0x201], 0xffc0000800);
    ck_assert_uint_eq(msr_value[MTRR_DEFAULT], 0xc06);
}
END_TEST

/* ---- resets in a row, and exits that KVM can't handle ---- */

START_TEST(test_brake)
{
    struct brake brake = {0};
    uint64_t now = 5000, start;

    for (int i = 0; i < 5; i++, now += 10)
        ck_assert_uint_eq(brake_reset(&brake, now), 0);
    start = now;
    for (int i = 0; i < 60; i++)
        now += 10 + brake_reset(&brake, now);
    ck_assert_uint_ge(now - start, 50000); /* a second each, in the end */
    ck_assert_uint_le(now - start, 62000);
    ck_assert_uint_eq(brake_reset(&brake, now + 2000), 0); /* it has run for longer */
    ck_assert_uint_eq(brake_reset(&brake, now + 2010), 0);
}
END_TEST

START_TEST(test_report)
{
    struct kvm_run run = {.exit_reason = KVM_EXIT_FAIL_ENTRY};
    char text[REPORT_WHY];

    run.fail_entry.hardware_entry_failure_reason = 0x80000021;
    report_exit(&run, text);
    ck_assert_ptr_nonnull(strstr(text, "hardware reason 0x80000021"));
    run = (struct kvm_run){.exit_reason = KVM_EXIT_UNKNOWN};
    run.hw.hardware_exit_reason = 77;
    report_exit(&run, text);
    ck_assert_ptr_nonnull(strstr(text, "hardware reason 0x4d"));
    run = (struct kvm_run){.exit_reason = KVM_EXIT_INTERNAL_ERROR};
    run.internal.suberror = KVM_INTERNAL_ERROR_DELIVERY_EV;
    run.internal.ndata = UINT32_MAX;
    memset(run.internal.data, 0xff, sizeof run.internal.data);
    report_exit(&run, text);
    ck_assert_ptr_nonnull(strstr(text, "was delivered, suberror 3, data 0xffffffffffffffff "));
    run.internal.suberror = 1000;
    report_exit(&run, text);
    ck_assert_ptr_nonnull(strstr(text, "internal error, suberror 1000"));
}
END_TEST

/* ---- the watchdog ---- */

static struct arena_header *guest_arena(void)
{
    struct arena_header *header = (struct arena_header *)(ram.base + LAYOUT_ARENA_PHYS);

    *header = (struct arena_header){.magic = ARENA_MAGIC, .version = ARENA_VERSION};
    return header;
}

/* Looks as often as it says that it waits, until something is due; then `*now` is when. False: nothing in a day. */
static bool comes_to(struct watchdog *watchdog, uint64_t *now, enum watchdog_step step)
{
    for (uint64_t end = *now + 86400000; *now < end; *now += (uint64_t)watchdog_wait_ms(watchdog))
        if (watchdog_look(watchdog, &ram, *now) == step)
            return true;
    return false;
}

START_TEST(test_watchdog_hang)
{
    struct watchdog watchdog = {.limit_ms = 10000};
    struct arena_header *header = guest_arena();
    uint64_t now = 1000, start;

    header->counter[COUNTER_ticks] = 1;
    start = now;
    ck_assert(comes_to(&watchdog, &now, WATCHDOG_NMI));
    ck_assert_uint_eq(now - start, 5000);
    ck_assert(comes_to(&watchdog, &now, WATCHDOG_RESET));
    ck_assert_uint_eq(now - start, 10000);
    ck_assert_int_eq(watchdog_look(&watchdog, &ram, now), WATCHDOG_NOTHING);
    start = now;
    ck_assert(comes_to(&watchdog, &now, WATCHDOG_RESET));
    ck_assert_uint_eq(now - start, 10000);
}
END_TEST

START_TEST(test_watchdog_progress)
{
    struct watchdog watchdog = {.limit_ms = 10000}, off = {0};
    struct arena_header *header = guest_arena();
    uint64_t now = 1000;

    ck_assert(!comes_to(&watchdog, &now, WATCHDOG_NMI)); /* it has not begun to tick */
    for (int i = 0; i < 1000; i++, now += 4000) {        /* the host was busy, but there was a tick */
        header->counter[COUNTER_ticks]++;
        ck_assert_int_eq(watchdog_look(&watchdog, &ram, now), WATCHDOG_NOTHING);
    }
    for (int i = 0; i < 4; i++) /* a host that does not run for an hour */
        ck_assert_int_eq(watchdog_look(&watchdog, &ram, now += 3600000), WATCHDOG_NOTHING);
    ck_assert(comes_to(&watchdog, &now, WATCHDOG_NMI));
    header->counter[COUNTER_ticks]++; /* that has helped */
    ck_assert_int_eq(watchdog_look(&watchdog, &ram, now), WATCHDOG_NOTHING);
    ck_assert_int_eq(watchdog_wait_ms(&off), -1);
    ck_assert_int_eq(watchdog_look(&off, &ram, now), WATCHDOG_NOTHING);
    header->version++; /* another guest */
    ck_assert(!comes_to(&watchdog, &now, WATCHDOG_NMI));
}
END_TEST

/* Whatever the guest has written there, nothing outside of its RAM is read. */
START_TEST(test_watchdog_faults)
{
    static const uint64_t seqs[] = {0, 1, 9, UINT64_MAX};
    static const uint32_t offsets[] = {0, 0x10000, RAM_BYTES - LAYOUT_ARENA_PHYS - 8, UINT32_MAX};
    struct arena_header *header = guest_arena();

    header->table[ARENA_FAULTS].record_bytes = sizeof(struct arena_fault);
    for (size_t i = 0; i < sizeof seqs / sizeof *seqs; i++)
        for (size_t j = 0; j < sizeof offsets / sizeof *offsets; j++) {
            header->fault_seq = seqs[i];
            header->table[ARENA_FAULTS].offset = offsets[j];
            watchdog_print_faults(&ram);
        }
    struct arena_fault *fault = (struct arena_fault *)(ram.base + LAYOUT_ARENA_PHYS + 0x10000) + 1;
    memset(fault, 0xff, sizeof *fault);
    fault->seq = header->fault_seq = ARENA_FAULTS_MAX - 1;
    header->table[ARENA_FAULTS].offset = 0x10000;
    static char text[1024];
    FILE *out = freopen("/dev/null", "w", stderr);
    ck_assert_ptr_nonnull(out);
    setvbuf(out, text, _IOFBF, sizeof text);
    watchdog_print_faults(&ram);
    ck_assert_ptr_nonnull(strstr(text, ": fault 512, at "));
    for (const char *c = text; *c; c++)
        ck_assert((*c >= ' ' && *c <= '~') || *c == '\n');
}
END_TEST

Suite *suite_vmm(void);
Suite *suite_vmm(void)
{
    Suite *s = suite_create("vmm");
    TCase *tc = tcase_create("without KVM");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_ram);
    tcase_add_test(tc, test_ram_in_two_parts);
    tcase_add_test(tc, test_bus_error);
    tcase_add_test(tc, test_boot_files);
    tcase_add_test(tc, test_kernel);
    tcase_add_test(tc, test_other_kernels);
    tcase_add_test(tc, test_damaged_kernels);
    tcase_add_test(tc, test_acpi);
    tcase_add_test(tc, test_serial_interrupts);
    tcase_add_test(tc, test_serial_registers);
    tcase_add_test(tc, test_serial_log);
    tcase_add_test(tc, test_serial_clients);
    tcase_add_test(tc, test_sockets);
    tcase_add_test(tc, test_clock);
    tcase_add_test(tc, test_keyboard);
    tcase_add_test(tc, test_keyboard_output_port);
    tcase_add_test(tc, test_ways_to_reset);
    tcase_add_test(tc, test_ports);
    tcase_add_test(tc, test_qmp_server);
    tcase_add_test(tc, test_cpuid);
    tcase_add_test(tc, test_msrs);
    tcase_add_test(tc, test_msrs_of_power_on);
    tcase_add_test(tc, test_brake);
    tcase_add_test(tc, test_report);
    tcase_add_test(tc, test_watchdog_hang);
    tcase_add_test(tc, test_watchdog_progress);
    tcase_add_test(tc, test_watchdog_faults);
    suite_add_tcase(s, tc);
    return s;
}
