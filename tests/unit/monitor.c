/* What QMP of delias-vmm is made of, without KVM: requests and what is refused in them, the way back from garbage, the
 * schema, statistics, the power button, and the page tables of a dump. */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "guest/abi/paging.h"
#include "introspect/base/json.h"
#include "introspect/base/own.h"
#include "vmm/acpi.h"
#include "vmm/dump.h"
#include "vmm/qmp_command.h"
#include "vmm/vmm.h"

static json_t *answer_query(void *owner, enum qmp_query query, const json_t *arguments)
{
    (void)owner, (void)arguments;
    return json_pack("{s:i}", "return", (int)query);
}

static const char *status(void *owner)
{
    (void)owner;
    return "paused";
}

static const struct qmp_machine machine = {.name = "unit", .status = status, .query = answer_query};

/* ---- one request ---- */

#define NO_ERROR "{\"return\""
static const struct {
    const char *request, *answer;
} requests[] = {
    {"{\"execute\":\"query-name\"}", "{\"return\": {\"name\": \"unit\"}}"},
    {"{\"execute\":\"query-name\",\"arguments\":{}}", NO_ERROR},
    {"{\"execute\":\"query-name\",\"arguments\":{\"x\":1}}", "Parameter 'x' is unexpected"},
    {"{\"execute\":\"query-name\",\"arguments\":[]}", "'arguments' must be an object"},
    {"{\"execute\":\"query-name\",\"control\":{}}", "QMP input member 'control' is unexpected"},
    {"{\"execute\":7}", "'execute' must be a string"},
    {"{\"id\":7}", "lacks member 'execute'"},
    {"[]", "must be a JSON object"},
    {"{\"execute\":\"nothing\"}", "CommandNotFound"},
    {"{\"execute\":\"qmp_capabilities\"}", "CommandNotFound"},
    {"{\"execute\":\"query-version\"}", "\"major\": 7"},
    {"{\"execute\":\"query-kvm\"}", "\"present\": true"},
    {"{\"execute\":\"query-events\"}", "POWERDOWN"},
    {"{\"execute\":\"query-commands\"}", "dump-guest-memory"},
    {"{\"execute\":\"query-cpus-fast\"}", NO_ERROR},
    {"{\"execute\":\"inject-nmi\"}", NO_ERROR},
    {"{\"execute\":\"system_powerdown\"}", NO_ERROR},
    {"{\"execute\":\"human-monitor-command\"}", "Parameter 'command-line' is missing"},
    {"{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":1}}",
     "Invalid parameter type for 'command-line', expected: string"},
    {"{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"x\",\"cpu-index\":\"1\"}}",
     "Invalid parameter type for 'cpu-index', expected: integer"},
    {"{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"x\",\"cpu-index\":1}}", NO_ERROR},
    {"{\"execute\":\"query-stats\",\"arguments\":{\"target\":\"vm\",\"providers\":[{}]}}",
     "Parameter 'provider' is missing"},
    {"{\"execute\":\"query-stats\",\"arguments\":{\"target\":\"vm\",\"providers\":[{\"provider\":\"kvm\",\"a\":1}]}}",
     "Parameter 'a' is unexpected"},
    {"{\"execute\":\"query-stats\",\"arguments\":{\"target\":\"vm\",\"vcpus\":[1]}}",
     "Invalid parameter type for 'vcpus', expected: string"},
    {"{\"execute\":\"query-stats\",\"arguments\":{\"target\":\"vm\",\"vcpus\":{}}}", "expected: array"},
    {"{\"execute\":\"dump-guest-memory\",\"arguments\":{\"paging\":1,\"protocol\":\"file:x\"}}", "expected: boolean"},
};

START_TEST(test_requests)
{
    OWN(json) json_t *request = json_loads(requests[_i].request, 0, NULL);
    bool negotiated = true;

    ck_assert_ptr_nonnull(request);
    OWN(json) json_t *answer = qmp_answer(request, &machine, &negotiated);
    OWN(memory) char *text = json_dumps(answer, JSON_PRESERVE_ORDER);
    ck_assert_msg(strstr(text, requests[_i].answer) != NULL, "%s: %s", requests[_i].request, text);
}
END_TEST

/* Each command's types are in the list, and each name that they refer to. */
START_TEST(test_schema)
{
    OWN(json) json_t *schema = qmp_schema();
    OWN(json) json_t *names = json_object();
    size_t i, commands = 0;
    json_t *entry;

    json_array_foreach(schema, i, entry)
    {
        json_object_set(names, json_string_value(json_object_get(entry, "name")), entry);
    }
    json_array_foreach(schema, i, entry)
    {
        static const char *const links[] = {"arg-type", "ret-type", "element-type"};
        const char *kind = json_string_value(json_object_get(entry, "meta-type"));
        commands += strcmp(kind, "command") == 0;
        for (size_t l = 0; l < sizeof links / sizeof *links; l++) {
            json_t *to = json_object_get(entry, links[l]);
            ck_assert_msg(!to || json_object_get(names, json_string_value(to)), "%s", json_string_value(to));
        }
        size_t m;
        json_t *member;
        json_array_foreach(json_object_get(entry, "members"), m, member)
        {
            ck_assert_ptr_nonnull(json_object_get(names, json_string_value(json_object_get(member, "type"))));
        }
    }
    ck_assert_uint_eq(commands, qmp_commands_count);
    json_t *dump = json_object_get(names, "dump-guest-memory");
    json_t *type = json_object_get(names, json_string_value(json_object_get(dump, "arg-type")));
    ck_assert_uint_eq(json_array_size(json_object_get(type, "members")), 6);
    json_t *last = json_array_get(json_object_get(type, "members"), 5);
    ck_assert_str_eq(json_string_value(json_object_get(last, "name")), "format");
    ck_assert(json_is_null(json_object_get(last, "default")));
    json_t *first = json_array_get(json_object_get(type, "members"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(first, "type")), "bool");
    ck_assert_ptr_null(json_object_get(first, "default"));
}
END_TEST

/* ---- a stream ---- */

/* How often `word` is in what the server says to `bytes`. */
static int count_answers(const char *bytes, size_t count, const char *word)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct pollfd fds[QMP_POLL_MAX];
    struct qmp_server *server;
    static char said[1 << 16];
    size_t used = 0;
    int found = 0;

    snprintf(address.sun_path, sizeof address.sun_path, "/tmp/delias-monitor-%d", (int)getpid());
    ck_assert_int_eq(qmp_server_new(address.sun_path, &machine, &server), ERR_OK);
    OWN(descriptor) int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, (void *)&address, sizeof address), 0);
    unlink(address.sun_path);
    ck_assert_int_eq(send(fd, bytes, count, 0), (ssize_t)count);
    for (size_t n; (n = qmp_server_poll(server, fds)) > 0 && poll(fds, n, 100) > 0;)
        qmp_server_handle(server, fds, n);
    for (ssize_t n; (n = recv(fd, said + used, sizeof said - 1 - used, MSG_DONTWAIT)) > 0;)
        used += (size_t)n;
    said[used] = '\0';
    for (const char *at = said; (at = strstr(at, word)); at++)
        found++;
    qmp_server_free(server);
    return found;
}

#define HELLO "{\"execute\":\"qmp_capabilities\"}"
#define NAME  "{\"execute\":\"query-name\"}"

/* What is garbage costs one error, and what follows the next control character is understood again. */
static const struct {
    const char *bytes;
    int names, errors;
} streams[] = {
    {HELLO NAME NAME, 2, 0},
    {HELLO "  \n\t" NAME "\r\n" NAME, 2, 0},
    {HELLO "{\n\"execute\":\n\"query-name\"\t}", 1, 0},
    {HELLO "garbage {} " NAME "\n" NAME, 1, 1},
    {HELLO "{\"execute\":\"que\n" NAME, 1, 1}, /* a string that was not ended */
    {HELLO "{\"execute\":{[{\xff" NAME, 1, 1}, /* braces that were not closed */
    {HELLO "\"\xff" NAME, 1, 2},
    {HELLO "\xff\xff" NAME, 1, 2},
    {HELLO "}\n" NAME, 1, 1},
    {HELLO "7\n" NAME, 1, 1},
    {HELLO "{\"execute\":\"query-name\",\"id\":\"}\\\"{\"}" NAME, 2, 0},
};

START_TEST(test_streams)
{
    size_t count = strlen(streams[_i].bytes);

    ck_assert_int_eq(count_answers(streams[_i].bytes, count, "\"name\":\"unit\""), streams[_i].names);
    ck_assert_int_eq(count_answers(streams[_i].bytes, count, "\"error\""), streams[_i].errors);
}
END_TEST

/* No brace is counted that would make the parser's stack deep. */
START_TEST(test_depth)
{
    static char deep[3000];

    memset(deep, '[', sizeof deep);
    memcpy(deep, HELLO, sizeof HELLO - 1);
    memcpy(deep + sizeof deep - sizeof NAME, "\n" NAME, sizeof NAME);
    ck_assert_int_eq(count_answers(deep, sizeof deep, "\"name\":\"unit\""), 1);
}
END_TEST

/* ---- the machine ---- */

static void holds_devices(void) LOCK_WORD(assert_capability(devices_role))
{
}

static int sci_changes;

static void set_sci(void *owner, bool level)
{
    *(bool *)owner = level;
    sci_changes++;
}

static void attach_button(struct vmm *vmm, bool *level)
{
    holds_devices();
    vmm->power = (struct power){.set_irq = set_sci, .owner = level};
}

static void press_button(struct vmm *vmm)
{
    holds_devices();
    power_press(&vmm->power);
}

static void reset_button(struct vmm *vmm)
{
    holds_devices();
    power_reset(&vmm->power);
}

START_TEST(test_power_button)
{
    enum { STATUS = ACPI_PM_PORT + 1, ENABLE = ACPI_PM_PORT + 3 };
    static struct vmm vmm = {.wake_fd = -1};
    unsigned char bit = POWER_BUTTON >> 8, got = 0;
    bool level = false;

    attach_button(&vmm, &level);
    press_button(&vmm);
    ck_assert(!level); /* nobody has asked for it */
    ports_access(&vmm, false, STATUS, 1, 1, &got);
    ck_assert_uint_eq(got, bit);
    ports_access(&vmm, true, ENABLE, 1, 1, &bit);
    ck_assert(level);
    got = 0xfe;
    ports_access(&vmm, true, STATUS, 1, 1, &got);
    ck_assert(level);
    ports_access(&vmm, true, STATUS, 1, 1, &bit); /* a one clears it */
    ck_assert(!level);
    ports_access(&vmm, false, STATUS, 1, 1, &got);
    ck_assert_uint_eq(got, 0);
    press_button(&vmm);
    ck_assert(level);
    reset_button(&vmm);
    ck_assert(!level && sci_changes == 4);
}
END_TEST

static json_int_t value_of(const json_t *answer, size_t object, const char *name)
{
    const json_t *list = json_object_get(json_array_get(json_object_get(answer, "return"), object), "stats");

    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(json_string_value(json_object_get(json_array_get(list, i), "name")), name) == 0)
            return json_integer_value(json_object_get(json_array_get(list, i), "value"));
    return -1;
}

static json_t *ask_stats(struct vmm *vmm, const char *arguments)
{
    OWN(json) json_t *parsed = json_loads(arguments, 0, NULL);

    ck_assert_ptr_nonnull(parsed);
    return stats_answer(vmm, parsed);
}

START_TEST(test_stats)
{
    static struct vcpu first, second;
    static struct vmm vmm = {.wake_fd = -1, .cpus = 2, .cpu = {&first, &second}, .resets = 3};
    unsigned char bytes[3] = {0};

    stats_count(&first.stats, stats_exit_of(KVM_EXIT_IO), 100, 150, 157);
    stats_count(&first.stats, stats_exit_of(KVM_EXIT_IO), 160, 170, 171);
    stats_count(&second.stats, stats_exit_of(KVM_EXIT_DEBUG), 0, 5, 6);
    OWN(json) json_t *vcpus = ask_stats(&vmm, "{\"target\":\"vcpu\"}");
    ck_assert_int_eq(value_of(vcpus, 0, "io_exits"), 2);
    ck_assert_int_eq(value_of(vcpus, 0, "io_ns"), 8);
    ck_assert_int_eq(value_of(vcpus, 0, "guest_ns"), 60);
    ck_assert_int_eq(value_of(vcpus, 1, "other_exits"), 1);
    ck_assert_int_eq(value_of(vcpus, 1, "exits"), 1);
    OWN(json)
    json_t *some = ask_stats(&vmm, "{\"target\":\"vcpu\",\"vcpus\":[\"/machine/unattached/device[1]\"],"
                                   "\"providers\":[{\"provider\":\"kvm\",\"names\":[\"exits\"]}]}");
    ck_assert_uint_eq(json_array_size(json_object_get(some, "return")), 1);
    ck_assert_int_eq(value_of(some, 0, "exits"), 1);
    ck_assert_int_eq(value_of(some, 0, "io_exits"), -1);
    ports_access(&vmm, false, 0x71, 1, 3, bytes);
    ports_access(&vmm, true, 0x1234, 1, 1, bytes);
    OWN(json) json_t *vm = ask_stats(&vmm, "{\"target\":\"vm\"}");
    ck_assert_int_eq(value_of(vm, 0, "resets"), 3);
    ck_assert_int_eq(value_of(vm, 0, "cmos_reads"), 3);
    ck_assert_int_eq(value_of(vm, 0, "nothing_writes"), 1);
    static const char *const bad[] = {"{\"target\":\"disk\"}", "{\"target\":\"vm\",\"vcpus\":[]}",
                                      "{\"target\":\"vm\",\"providers\":[{\"provider\":\"x\"}]}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        OWN(json) json_t *refused = ask_stats(&vmm, bad[i]);
        ck_assert_msg(json_object_get(refused, "error") != NULL, "%s", bad[i]);
    }
}
END_TEST

/* ---- page tables of a dump ---- */

static struct ram ram;

static void put_entry(uint64_t table, unsigned index, uint64_t value)
{
    ck_assert_int_eq(ram_write(&ram, gpa(table + index * 8), &value, 8), ERR_OK);
}

enum { TOP = 0x10000, UPPER = 0x11000, LOWER = 0x12000, PAGES = 0x13000 };

static struct dump_parts walked(enum err want)
{
    struct dump_parts parts = {0};

    ck_assert_int_eq(dump_walk(&ram, TOP, &parts), want);
    return parts;
}

START_TEST(test_dump_tables)
{
    ck_assert_int_eq(ram_init(&ram, -1, UINT64_C(3) << 30), ERR_OK);
    put_entry(TOP, 256, UPPER | PAGING_TABLE);
    put_entry(UPPER, 1, LOWER | PAGING_TABLE);
    put_entry(UPPER, 2, UINT64_C(3) << 30 | PAGING_LARGE | PAGING_TABLE); /* a hole */
    put_entry(UPPER, 3, UINT64_C(4) << 30 | PAGING_LARGE | PAGING_TABLE);
    put_entry(UPPER, 4, UINT64_C(1) << 30 | PAGING_LARGE | PAGING_TABLE);
    put_entry(LOWER, 0, PAGES | PAGING_TABLE);
    put_entry(PAGES, 5, 0x5000 | PAGING_PRESENT);
    put_entry(PAGES, 6, 0x6000 | PAGING_PRESENT);
    put_entry(PAGES, 7, 0x9000 | PAGING_PRESENT);
    struct dump_parts p = walked(ERR_OK);
    const struct dump_part want[] = {{0xffff800040005000, 0x5000, 0x2000},
                                     {0xffff800040007000, 0x9000, 0x1000},
                                     {0xffff8000c0000000, UINT64_C(4) << 30, 1 << 30},
                                     {0xffff800100000000, UINT64_C(1) << 30, 1 << 30}};
    ck_assert_uint_eq(p.count, sizeof want / sizeof *want);
    ck_assert_int_eq(memcmp(p.part, want, sizeof want), 0);
    free(p.part);
    /* Tables that refer to themselves are not read for ever. */
    for (unsigned i = 0; i < PAGING_ENTRIES; i++)
        put_entry(TOP, i, TOP | PAGING_TABLE);
    p = walked(ERR_RANGE);
    free(p.part);
    /* A table that is not in RAM maps nothing. */
    for (unsigned i = 0; i < PAGING_ENTRIES; i++)
        put_entry(TOP, i, UINT64_C(3) << 30 | PAGING_TABLE);
    p = walked(ERR_OK);
    ck_assert_uint_eq(p.count, 0);
    ram_done(&ram);
}
END_TEST

Suite *suite_monitor(void);
Suite *suite_monitor(void)
{
    Suite *s = suite_create("monitor");
    TCase *tc = tcase_create("without KVM");

    tcase_add_loop_test(tc, test_requests, 0, sizeof requests / sizeof *requests);
    tcase_add_test(tc, test_schema);
    tcase_add_loop_test(tc, test_streams, 0, sizeof streams / sizeof *streams);
    tcase_add_test(tc, test_depth);
    tcase_add_test(tc, test_power_button);
    tcase_add_test(tc, test_stats);
    tcase_add_test(tc, test_dump_tables);
    suite_add_tcase(s, tc);
    return s;
}
