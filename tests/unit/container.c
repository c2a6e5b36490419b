/* Files of parts, and RAM in them: what is written is read again, what is damaged is refused, and a writer that fails
 * leaves the old file. */
#include "introspect/base/container.h"
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include "vmm/machine/ram_image.h"
#include "vmm/machine/snapshots.h"

Suite *suite_container(void);

enum { PAGE = RAM_IMAGE_PAGE, PAGES = 64 };
#define KIND CONTAINER_KIND('t', 'e', 's', 't')

static char folder[] = "/tmp/delias-container-XXXXXX", path[64], fresh[72], why[CONTAINER_WHY];

static void setup(void)
{
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/file", folder);
    snprintf(fresh, sizeof fresh, "%s.new", path);
}

static void teardown(void)
{
    unlink(path);
    ck_assert_int_eq(rmdir(folder), 0); /* and so no fresh one is left */
}

static void write_example(const char *text)
{
    struct container_writer *w;

    ck_assert_int_eq(container_new(path, KIND, why, &w), ERR_OK);
    ck_assert_int_eq(container_add(w, 1, 0, text, strlen(text)), ERR_OK);
    ck_assert_int_eq(container_add(w, 1, 1, "", 0), ERR_OK);
    ck_assert_int_eq(container_begin(w, 2, 7), ERR_OK);
    ck_assert_int_eq(container_append(w, "eight by", 8), ERR_OK);
    ck_assert_int_eq(container_append(w, "tes", 3), ERR_OK);
    ck_assert_int_eq(container_commit(w), ERR_OK);
}

static void check_example(const char *text)
{
    struct container c;
    size_t bytes;

    ck_assert_int_eq(container_open(path, KIND, &c, why), ERR_OK);
    ck_assert_int_eq(container_verify(&c, why), ERR_OK);
    ck_assert_ptr_nonnull(container_find(&c, 1, 0, &bytes));
    ck_assert_uint_eq(bytes, strlen(text));
    ck_assert_mem_eq(container_find(&c, 1, 0, &bytes), text, bytes);
    ck_assert(container_find(&c, 1, 1, &bytes) && bytes == 0);
    const uint8_t *paged = container_find(&c, 2, 7, &bytes);
    ck_assert_uint_eq(bytes, 11);
    ck_assert_mem_eq(paged, "eight bytes", 11);
    ck_assert_uint_eq((paged - c.bytes) % CONTAINER_PAGE, 0);
    ck_assert_ptr_null(container_find(&c, 2, 0, &bytes));
    container_close(&c);
    container_close(&c);
}

START_TEST(what_is_written_is_read)
{
    write_example("one");
    check_example("one");
    write_example("another");
    check_example("another");
    ck_assert_int_ne(access(fresh, F_OK), 0);
}
END_TEST

/* Parses a copy of exactly so many bytes. ERR_OK also wants all checksums right. */
static enum err parse_copy(const uint8_t *bytes, size_t count)
{
    OWN(memory) void *copy = malloc(count + !count);
    struct container c;

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, count);
    strcpy(why, "");
    enum err e = container_parse(copy, count, KIND, &c, why);
    return e == ERR_OK ? container_verify(&c, why) : e;
}

START_TEST(what_is_damaged_is_refused)
{
    struct container c;

    write_example("some text");
    ck_assert_int_eq(container_open(path, KIND, &c, why), ERR_OK);
    for (size_t cut = 0; cut < c.count; cut++)
        ck_assert_int_eq(parse_copy(c.bytes, cut), ERR_INVALID);
    static _Alignas(8) uint8_t copy[4 * CONTAINER_PAGE];
    ck_assert_uint_le(c.count + 8, sizeof copy);
    memcpy(copy, c.bytes, c.count);
    ck_assert_int_eq(parse_copy(copy, c.count), ERR_OK);
    ck_assert_int_eq(parse_copy(copy, c.count + 8), ERR_INVALID);
    for (size_t i = 0; i < c.count; i++) {
        bool gap = i >= 56 + 9 && (i < CONTAINER_PAGE || (i >= CONTAINER_PAGE + 11 && i < CONTAINER_PAGE + 16));
        copy[i] ^= 0x10;
        ck_assert_msg(gap || parse_copy(copy, c.count) == ERR_INVALID, "byte %zu", i);
        ck_assert(gap || *why);
        copy[i] ^= 0x10;
    }
    container_close(&c);
}
END_TEST

/* A file with checksums that are right, whose second part is another. */
static enum err parse_with(struct container_part changed)
{
    struct container c;

    write_example("some text");
    ck_assert_int_eq(container_open(path, KIND, &c, why), ERR_OK);
    OWN(memory) uint8_t *copy = malloc(c.count);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, c.bytes, c.count);
    struct container_header *h = (void *)copy;
    struct container_part *part = (void *)(copy + h->table);
    changed.checksum = part[1].checksum;
    part[1] = changed;
    h->table_checksum = container_checksum(0, part, c.parts * sizeof *part);
    h->checksum = container_checksum(0, h, offsetof(struct container_header, checksum));
    enum err e = parse_copy(copy, c.count);
    container_close(&c);
    return e;
}

START_TEST(hostile_tables_are_refused)
{
    ck_assert_int_eq(parse_with((struct container_part){1, 1, 72, 0, 0}), ERR_OK);
    ck_assert_int_eq(parse_with((struct container_part){1, 0, 72, 0, 0}), ERR_INVALID); /* twice */
    ck_assert_int_eq(parse_with((struct container_part){1, 1, 56, 0, 0}), ERR_INVALID); /* in the one before */
    ck_assert_int_eq(parse_with((struct container_part){1, 1, 73, 0, 0}), ERR_INVALID);
    ck_assert_int_eq(parse_with((struct container_part){1, 1, 1 << 20, 0, 0}), ERR_INVALID);
    ck_assert_int_eq(parse_with((struct container_part){1, 1, 72, 1 << 20, 0}), ERR_INVALID);
    ck_assert_int_eq(parse_with((struct container_part){1, 1, 72, UINT64_MAX - 8, 0}), ERR_INVALID);
}
END_TEST

START_TEST(other_files_are_refused)
{
    struct container c;

    ck_assert_int_eq(container_open(path, KIND, &c, why), ERR_NOT_FOUND);
    ck_assert_int_eq(container_open(folder, KIND, &c, why), ERR_INVALID);
    ck_assert_int_eq(container_open("/dev/null", KIND, &c, why), ERR_INVALID);
    write_example("text");
    ck_assert_int_eq(container_open(path, KIND + 1, &c, why), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(why, "another kind"));
    int fd = open(path, O_RDWR);
    ck_assert_int_eq(pwrite(fd, "\x7", 1, offsetof(struct container_header, version)), 1);
    close(fd);
    ck_assert_int_eq(container_open(path, KIND, &c, why), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(why, "version 7"));
    ck_assert_ptr_nonnull(strstr(why, path));
}
END_TEST

START_TEST(a_failed_writer_leaves_the_old_file)
{
    struct rlimit old, small = {CONTAINER_PAGE, CONTAINER_PAGE};
    static uint8_t much[4 * CONTAINER_PAGE];
    struct container_writer *w;

    write_example("old");
    getrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, SIG_IGN);
    small.rlim_max = old.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    ck_assert_int_eq(container_new(path, KIND, why, &w), ERR_OK);
    ck_assert_int_eq(container_add(w, 1, 0, much, sizeof much), ERR_IO);
    ck_assert_ptr_nonnull(strstr(why, "file: File too large") ?: strstr(why, "File too large"));
    container_drop(w);
    setrlimit(RLIMIT_FSIZE, &old);
    check_example("old");
    ck_assert_int_eq(container_new(path, KIND, why, &w), ERR_OK); /* killed: the fresh file stays, and the old one */
    ck_assert_int_eq(container_add(w, 1, 0, "half", 4), ERR_OK);
    check_example("old");
    container_drop(w);
    check_example("old");
}
END_TEST

/* ---- RAM ---- */

static struct ram_mapping new_ram(void)
{
    struct ram_mapping ram = {memfd_create("ram", MFD_CLOEXEC), NULL, PAGES * PAGE};

    ck_assert_int_eq(ftruncate(ram.fd, (off_t)ram.bytes), 0);
    ram.base = mmap(NULL, ram.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ram.fd, 0);
    ck_assert_ptr_ne(ram.base, MAP_FAILED);
    return ram;
}

static void free_ram(struct ram_mapping *ram)
{
    munmap(ram->base, ram->bytes);
    close(ram->fd);
}

static void write_ram(const struct ram_mapping *ram, uint64_t want_pages)
{
    struct container_writer *w;
    uint64_t pages;

    ck_assert_int_eq(container_new(path, SNAPSHOT_FILE, why, &w), ERR_OK);
    ck_assert_int_eq(ram_image_add(w, ram, &pages), ERR_OK);
    ck_assert_uint_eq(pages, want_pages);
    ck_assert_int_eq(container_commit(w), ERR_OK);
}

START_TEST(ram_comes_back)
{
    struct ram_mapping ram = new_ram();
    struct container c;
    uint64_t pages;
    struct stat st;

    memset(ram.base + 3 * PAGE, 'a', PAGE + 1);    /* pages 3 and 4 */
    ram.base[(PAGES - 1) * PAGE + PAGE - 1] = 'z'; /* and the last */
    ram.base[10 * PAGE] = 0;                       /* touched, but zero */
    write_ram(&ram, 3);
    ck_assert_int_eq(container_open(path, SNAPSHOT_FILE, &c, why), ERR_OK);
    ck_assert_int_eq(ram_image_check(&c, ram.bytes, why), ERR_OK);
    ck_assert_uint_eq(ram_image_pages(&c), 3);
    ck_assert(!ram_image_compare(&c, &ram, false, &pages) && pages == 0);

    ram.base[4 * PAGE] = 'b';
    ram.base[0] = ram.base[20 * PAGE + 5] = 'c';
    ram.base[(PAGES - 1) * PAGE + PAGE - 1] = 0;
    ck_assert(!ram_image_compare(&c, &ram, false, &pages) && pages == 4);
    ck_assert(!ram_image_compare(&c, &ram, true, &pages) && pages == 4);
    ck_assert(!fstat(ram.fd, &st) && st.st_blocks <= 4 * PAGE / 512); /* zeros were given back */
    ck_assert(ram.base[4 * PAGE] == 'a' && !ram.base[0] && !ram.base[20 * PAGE + 5]);
    ck_assert(ram.base[4 * PAGE + 1] == 0 && ram.base[PAGES * PAGE - 1] == 'z');
    ck_assert(!ram_image_compare(&c, &ram, true, &pages) && pages == 0);
    container_close(&c);
    free_ram(&ram);
}
END_TEST

/* A snapshot's RAM with these extents, and so many pages. */
static enum err check_extents(const struct ram_extent *extents, size_t count, size_t pages)
{
    static uint8_t page[PAGE];
    struct container_writer *w;
    struct container c;

    ck_assert_int_eq(container_new(path, SNAPSHOT_FILE, why, &w), ERR_OK);
    ck_assert_int_eq(container_add(w, RAM_IMAGE_MAP, 0, extents, count * sizeof *extents), ERR_OK);
    ck_assert_int_eq(container_begin(w, RAM_IMAGE_PAGES, 0), ERR_OK);
    for (size_t i = 0; i < pages; i++)
        ck_assert_int_eq(container_append(w, page, sizeof page), ERR_OK);
    ck_assert_int_eq(container_commit(w), ERR_OK);
    ck_assert_int_eq(container_open(path, SNAPSHOT_FILE, &c, why), ERR_OK);
    enum err e = ram_image_check(&c, PAGES * PAGE, why);
    container_close(&c);
    return e;
}

START_TEST(hostile_ram_is_refused)
{
    const struct ram_extent good[] = {{0, 1}, {3, 2}}, outside[] = {{PAGES, 1}}, across[] = {{PAGES - 1, 2}},
                            twice[] = {{3, 2}, {4, 1}}, none[] = {{3, 0}}, backwards[] = {{3, 1}, {0, 1}},
                            huge[] = {{1, UINT64_MAX}};

    ck_assert_int_eq(check_extents(good, 2, 3), ERR_OK);
    ck_assert_int_eq(check_extents(good, 2, 2), ERR_INVALID);
    ck_assert_int_eq(check_extents(good, 2, 4), ERR_INVALID);
    ck_assert_int_eq(check_extents(outside, 1, 1), ERR_INVALID);
    ck_assert_int_eq(check_extents(across, 1, 2), ERR_INVALID);
    ck_assert_int_eq(check_extents(twice, 2, 3), ERR_INVALID);
    ck_assert_int_eq(check_extents(none, 1, 0), ERR_INVALID);
    ck_assert_int_eq(check_extents(backwards, 2, 2), ERR_INVALID);
    ck_assert_int_eq(check_extents(huge, 1, 0), ERR_INVALID);
}
END_TEST

/* What it says about itself. */
static enum err parse_about(const char *about)
{
    const struct ram_extent none[1] = {{0, 0}};
    struct container_writer *w;
    struct snapshot_info info;
    struct container c;

    ck_assert_int_eq(container_new(path, SNAPSHOT_FILE, why, &w), ERR_OK);
    ck_assert_int_eq(container_add(w, SNAPSHOT_ABOUT, 0, about, strlen(about)), ERR_OK);
    ck_assert_int_eq(container_add(w, SNAPSHOT_STATE, 0, "state", 5), ERR_OK);
    ck_assert_int_eq(container_add(w, RAM_IMAGE_MAP, 0, none, 0), ERR_OK);
    ck_assert_int_eq(container_add(w, RAM_IMAGE_PAGES, 0, none, 0), ERR_OK);
    ck_assert_int_eq(container_commit(w), ERR_OK);
    ck_assert_int_eq(container_open(path, SNAPSHOT_FILE, &c, why), ERR_OK);
    enum err e = snapshots_parse(&c, &info);
    ck_assert((e == ERR_OK) == !*info.problem);
    container_close(&c);
    return e;
}

#define ABOUT(backend, cpus, parent)                                                                                   \
    "{\"name\":\"a\",\"parent\":\"" parent "\",\"backend\":\"" backend "\",\"cpus\":" cpus                             \
    ",\"ram_bytes\":16777216,\"taken\":1,\"kernel_sum\":\"0\",\"archive_sum\":\"\"}"

START_TEST(hostile_words_are_refused)
{
    ck_assert_int_eq(parse_about(ABOUT("kvm", "2", "")), ERR_OK);
    ck_assert_int_eq(parse_about(ABOUT("tcg", "1", "b")), ERR_OK);
    ck_assert_int_eq(parse_about(ABOUT("auto", "2", "")), ERR_INVALID);
    ck_assert_int_eq(parse_about(ABOUT("xen", "2", "")), ERR_INVALID);
    ck_assert_int_eq(parse_about(ABOUT("kvm", "0", "")), ERR_INVALID);
    ck_assert_int_eq(parse_about(ABOUT("kvm", "4294967297", "")), ERR_INVALID);
    ck_assert_int_eq(parse_about(ABOUT("kvm", "2", "../up")), ERR_INVALID);
    ck_assert_int_eq(parse_about(ABOUT("kvm", "2", "a-name-of-more-than-thirty-two-characters")), ERR_INVALID);
    ck_assert_int_eq(parse_about("{}"), ERR_INVALID);
    ck_assert_int_eq(parse_about("[1"), ERR_INVALID);
}
END_TEST

Suite *suite_container(void)
{
    Suite *suite = suite_create("container");
    TCase *tests = tcase_create("container");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, what_is_written_is_read);
    tcase_add_test(tests, what_is_damaged_is_refused);
    tcase_add_test(tests, hostile_tables_are_refused);
    tcase_add_test(tests, other_files_are_refused);
    tcase_add_test(tests, a_failed_writer_leaves_the_old_file);
    tcase_add_test(tests, ram_comes_back);
    tcase_add_test(tests, hostile_ram_is_refused);
    tcase_add_test(tests, hostile_words_are_refused);
    suite_add_tcase(suite, tests);
    return suite;
}
