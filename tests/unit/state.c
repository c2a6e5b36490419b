/* What is and what is no state of delias-vmm: every part is wanted, of the right size and with sound contents. KVM
 * itself is not needed. */
#include "vmm/state.h"
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

Suite *suite_state(void);

enum { CPUS = 2, RAM_BYTES = 16 << 20 };

static char path[] = "/tmp/delias-state-XXXXXX", why[CONTAINER_WHY];

static void setup(void)
{
    strcpy(path + strlen(path) - 6, "XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static void teardown(void)
{
    unlink(path);
}

/* The parts of a sound state: how often each, and how large. All zero is sound but for the first of them. */
static const struct part {
    const char *kind;
    unsigned instances;
    size_t bytes;
} parts[] = {
    {"mach", 1, 16},
    {"chip", 3, sizeof(struct kvm_irqchip)},
    {"time", 1, sizeof(struct guest_time)},
    {"seri", 1, 16 + SERIAL_QUEUE},
    {"cmos", 1, sizeof(struct cmos)},
    {"keyb", 1, sizeof(struct keyboard)},
    {"powr", 1, 6},
    {"msrs", CPUS, 3 * sizeof(struct kvm_msr_entry)},
    {"ctim", CPUS, sizeof(struct guest_time_cpu)},
    {"regs", CPUS, sizeof(struct kvm_regs)},
    {"sreg", CPUS, sizeof(struct kvm_sregs)},
    {"xsav", CPUS, sizeof(struct kvm_xsave)},
    {"xcrs", CPUS, sizeof(struct kvm_xcrs)},
    {"lapi", CPUS, sizeof(struct kvm_lapic_state)},
    {"mpst", CPUS, sizeof(struct kvm_mp_state)},
    {"evnt", CPUS, sizeof(struct kvm_vcpu_events)},
    {"debu", CPUS, sizeof(struct kvm_debugregs)},
};
enum { PARTS = sizeof parts / sizeof *parts };

/* What is changed in one part: so many bytes are missing at its end; a byte of it has another value. */
struct change {
    const char *kind;
    unsigned instance;
    size_t missing, at;
    uint8_t value;
};

static void fill(uint8_t *bytes, const char *kind, unsigned instance)
{
    const uint32_t machine[] = {STATE_VERSION, CPUS, RAM_BYTES, 0};

    if (strcmp(kind, "mach") == 0)
        memcpy(bytes, machine, sizeof machine);
    if (strcmp(kind, "chip") == 0)
        bytes[0] = (uint8_t)instance;
}

static enum err check_with(const struct change *change, unsigned cpus)
{
    static uint8_t bytes[1 << 15];
    struct container_writer *w;
    struct container c;

    ck_assert_int_eq(container_new(path, STATE_FILE, why, &w), ERR_OK);
    for (size_t p = 0; p < PARTS; p++)
        for (unsigned i = 0; i < parts[p].instances; i++) {
            const char *k = parts[p].kind;
            size_t count = parts[p].bytes;
            memset(bytes, 0, sizeof bytes);
            fill(bytes, k, i);
            if (change && strcmp(change->kind, k) == 0 && change->instance == i) {
                bytes[change->at] ^= change->value;
                count -= change->missing;
            }
            ck_assert_int_eq(container_add(w, CONTAINER_KIND(k[0], k[1], k[2], k[3]), i, bytes, count), ERR_OK);
        }
    ck_assert_int_eq(container_commit(w), ERR_OK);
    ck_assert_int_eq(container_open(path, STATE_FILE, &c, why), ERR_OK);
    enum err e = state_check(&c, cpus, RAM_BYTES, why);
    container_close(&c);
    return e;
}

START_TEST(every_part_is_wanted)
{
    ck_assert_msg(check_with(NULL, CPUS) == ERR_OK, "%s", why);
    ck_assert_int_eq(check_with(NULL, CPUS + 1), ERR_INVALID);
    ck_assert_int_eq(check_with(NULL, CPUS - 1), ERR_INVALID);
    for (size_t p = 0; p < PARTS; p++)
        for (unsigned i = 0; i < parts[p].instances; i++) {
            const struct change shorter = {parts[p].kind, i, 1, 0, 0}, empty = {parts[p].kind, i, parts[p].bytes, 0, 0};
            ck_assert_msg(check_with(&shorter, CPUS) == ERR_INVALID, "%s %u", parts[p].kind, i);
            ck_assert_msg(check_with(&empty, CPUS) == ERR_INVALID || strcmp(parts[p].kind, "msrs") == 0, "%s %u",
                          parts[p].kind, i);
        }
}
END_TEST

START_TEST(contents_are_checked)
{
    const struct change bad[] = {
        {"mach", 0, 0, 0, 4},                                /* version */
        {"mach", 0, 0, 4, 4},                                /* CPUs */
        {"mach", 0, 0, 10, 4},                               /* RAM */
        {"chip", 1, 0, 0, 2},                                /* another chip */
        {"seri", 0, 0, 14, 1},                               /* more bytes in the queue than there is room for */
        {"keyb", 0, 0, offsetof(struct keyboard, count), 9}, /* the same */
        {"cmos", 0, 0, offsetof(struct cmos, index), 0x80},  /* outside of its memory */
    };
    const struct change good[] = {{"seri", 0, 0, 13, 0x10},
                                  {"keyb", 0, 0, offsetof(struct keyboard, count), 8},
                                  {"cmos", 0, 0, offsetof(struct cmos, index), 0x7f}};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(check_with(&bad[i], CPUS) == ERR_INVALID, "change %zu", i);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        ck_assert_msg(check_with(&good[i], CPUS) == ERR_OK, "change %zu: %s", i, why);
}
END_TEST

Suite *suite_state(void)
{
    Suite *suite = suite_create("state");
    TCase *tests = tcase_create("state");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, every_part_is_wanted);
    tcase_add_test(tests, contents_are_checked);
    suite_add_tcase(suite, tests);
    return suite;
}
