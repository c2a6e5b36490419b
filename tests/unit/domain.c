/* Machines that libvirt runs: the XML of a domain, its process as Linux shows it, its description in the run directory.
 * What libvirt does with it is in tests/e2e/libvirt.sh. */
#include "vmm/machine/domain.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "introspect/base/own.h"
#include "vmm/machine/domain_process.h"
#include "vmm/machine/rundir.h"

static void ck_has(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "no %s in %s", part, text);
}

START_TEST(test_xml)
{
    struct machine_config c;
    struct machine_info info = {.kernel = "/a<b>&'c'", .serial = "/run/x/serial.log"};

    machine_config_init(&c);
    strcpy(c.cmdline, "one\ttwo");
    strcpy(c.extra, "  -foo a'b ");
    OWN(memory) char *xml = domain_xml(&c, &info, false);
    ck_has(xml, "<domain type='qemu' ");
    ck_has(xml, "<name>delias</name>");
    ck_has(xml, "<memory unit='b'>67108864</memory>");
    ck_has(xml, "<access mode='shared'/>");
    ck_has(xml, "<kernel>/a&lt;b&gt;&amp;&apos;c&apos;</kernel>");
    ck_has(xml, "<cmdline>one two</cmdline>");
    ck_has(xml, "<log append='off' file='/run/x/serial.log'/>");
    ck_has(xml, "<qemu:arg value='-foo'/>\n<qemu:arg value='a&apos;b'/>\n</qemu:commandline>");
    ck_assert_ptr_null(strstr(xml, "<initrd>"));
    ck_assert_ptr_null(strstr(xml, "-icount"));
    c.icount = true;
    strcpy(info.archive, "/cells");
    OWN(memory) char *other = domain_xml(&c, &info, true);
    ck_has(other, "<domain type='kvm' ");
    ck_has(other, "<initrd>/cells</initrd>");
    ck_has(other, "-icount");
}
END_TEST

START_TEST(test_options)
{
    static const char words[] = "qemu\0-uuid\0ab-cd\0-kernel\0/k\0-uuid\0ef\0-initrd";
    static const char cut[] = {'-', 'u', 'u', 'i', 'd', '\0', 'a', 'b'};

    ck_assert_str_eq(domain_process_option(words, sizeof words, "-kernel", NULL), "/k");
    ck_assert_ptr_nonnull(domain_process_option(words, sizeof words, "-uuid", "ab-cd"));
    ck_assert_ptr_nonnull(domain_process_option(words, sizeof words, "-uuid", "ef"));
    ck_assert_ptr_null(domain_process_option(words, sizeof words, "-uuid", "ab"));
    ck_assert_ptr_null(domain_process_option(words, sizeof words, "-initrd", NULL));
    ck_assert_ptr_null(domain_process_option(words, 0, "-kernel", NULL));
    ck_assert_ptr_null(domain_process_option(cut, sizeof cut, "-uuid", "ab")); /* no NUL at its end */
}
END_TEST

START_TEST(test_ram)
{
    uint64_t inode = 7;
    static const char *const others[] = {
        "1000-3000 rw-p 00000000 00:01 86774 /memfd:x (deleted)", /* private: nobody else sees writes */
        "1000-3000 r--s 00000000 00:01 86774 /memfd:x (deleted)",
        "1000-3000 rw-s 00001000 00:01 86774 /memfd:x (deleted)",
        "1000-4000 rw-s 00000000 00:01 86774 /memfd:x (deleted)",
        "1000-3000 rw-s 00000000 00:00 0",
        "1000-3000",
        "",
    };

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        ck_assert(!domain_process_is_ram(others[i], 0x2000, &inode));
    ck_assert_uint_eq(inode, 7);
    ck_assert(domain_process_is_ram("1000-3000 rw-s 00000000 00:01 86774 /memfd:x (deleted)", 0x2000, &inode));
    ck_assert_uint_eq(inode, 86774);
}
END_TEST

START_TEST(test_description)
{
    char dir[64] = "/tmp/delias-domain-XXXXXX", command[128];
    struct machine_info info = {.name = "d",
                                .backend = MACHINE_LIBVIRT,
                                .pid = 77,
                                .cpus = 1,
                                .ram_bytes = 1 << 24,
                                .connect = "qemu:///session",
                                .domain = "u-u",
                                .attached = true};
    struct machine_info back = {0};

    ck_assert_ptr_nonnull(mkdtemp(dir));
    setenv("XDG_RUNTIME_DIR", dir, 1);
    ck_assert_int_eq(rundir_fill_paths(&info), ERR_OK);
    ck_assert_int_eq(mkdir(info.folder, 0700), 0);
    ck_assert_int_eq(rundir_write(&info), ERR_OK);
    ck_assert_int_eq(rundir_read("d", &back), ERR_OK);
    ck_assert_int_eq(back.backend, MACHINE_LIBVIRT);
    ck_assert_str_eq(back.connect, "qemu:///session");
    ck_assert_str_eq(back.domain, "u-u");
    ck_assert(back.attached);
    info.attached = false;
    ck_assert_int_eq(rundir_write(&info), ERR_OK);
    ck_assert_int_eq(rundir_read("d", &back), ERR_OK);
    ck_assert(!back.attached);
    info.backend = MACHINE_TCG;
    ck_assert_int_eq(rundir_write(&info), ERR_OK);
    ck_assert_int_eq(rundir_read("d", &back), ERR_OK);
    ck_assert_str_eq(back.connect, "");
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

START_TEST(test_accelerators)
{
    enum machine_backend backend = MACHINE_AUTO;

    ck_assert_int_ne(machine_backend_parse("libvirt", &backend), ERR_OK); /* --connect says so */
    ck_assert_int_eq(backend, MACHINE_AUTO);
}
END_TEST

Suite *suite_domain(void);
Suite *suite_domain(void)
{
    Suite *s = suite_create("domain");
    TCase *tc = tcase_create("domain");

    tcase_add_test(tc, test_xml);
    tcase_add_test(tc, test_options);
    tcase_add_test(tc, test_ram);
    tcase_add_test(tc, test_description);
    tcase_add_test(tc, test_accelerators);
    suite_add_tcase(s, tc);
    return s;
}
