/* The QMP client against servers that are right, slow, gone, or hostile. */
#include "vmm/machine/qmp.h"
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "tests/limits.h"
#include "vmm/machine/machine.h"

#define GREETING "{\"QMP\":{\"version\":{},\"capabilities\":[]}}\r\n"
#define DONE     "{\"return\":{}}\r\n"

/* A server that has said all of `text` before the client asks anything. */
static enum err open_on(const char *text, size_t bytes, int *ret_peer, struct qmp **ret_qmp)
{
    int ends[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    ck_assert_int_eq(send(ends[1], text, bytes, MSG_DONTWAIT), (ssize_t)bytes);
    *ret_peer = ends[1];
    return qmp_open_fd(ends[0], 200, ret_qmp);
}

START_TEST(test_commands_and_events)
{
    static const char text[] = GREETING DONE "{\"event\":\"STOP\",\"timestamp\":{}}\r\n"
                                             "{\"return\":{\"status\":\"paused\"}}\r\n"
                                             "{\"error\":{\"class\":\"GenericError\",\"desc\":\"no, thanks\"}}\r\n"
                                             "{\"event\":\"RESUME\"}\n";
    struct qmp *q;
    json_t *v;
    int peer;

    ck_assert_int_eq(open_on(text, sizeof text - 1, &peer, &q), ERR_OK);
    ck_assert_int_eq(qmp_command(q, "query-status", NULL, 200, &v), ERR_OK);
    ck_assert_str_eq(json_string_value(json_object_get(v, "status")), "paused");
    json_decref(v);
    ck_assert_int_eq(qmp_command(q, "x", json_pack("{s:i}", "a", 1), 200, NULL), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(machine_last_error(), "no, thanks"));
    ck_assert_int_eq(qmp_event(q, 0, &v), ERR_OK);
    ck_assert_str_eq(json_string_value(json_object_get(v, "event")), "STOP");
    json_decref(v);
    ck_assert_int_eq(qmp_event(q, 100, &v), ERR_OK);
    ck_assert_str_eq(json_string_value(json_object_get(v, "event")), "RESUME");
    json_decref(v);
    ck_assert_int_eq(qmp_event(q, 10, &v), ERR_TIMEOUT);
    close(peer);
    ck_assert_int_eq(qmp_event(q, 10, &v), ERR_IO);
    qmp_close(q);
}
END_TEST

START_TEST(test_bad_servers)
{
    static const struct {
        const char *text;
        enum err want;
    } servers[] = {
        {"", ERR_TIMEOUT},
        {"{\"QMP\":{}}", ERR_TIMEOUT}, /* no end of line */
        {"hello\n", ERR_PROTOCOL},
        {"\n", ERR_PROTOCOL},
        {"[1]\n", ERR_PROTOCOL},
        {"{\"event\":7}\n", ERR_PROTOCOL},
        {DONE, ERR_PROTOCOL}, /* an answer in place of the greeting */
        {GREETING GREETING, ERR_PROTOCOL},
        {GREETING "{\"error\":{}}\n", ERR_REFUSED},
        {GREETING "{\"error\":{\"desc\":7}}\n", ERR_REFUSED},
    };

    for (size_t i = 0; i < sizeof servers / sizeof *servers; i++) {
        struct qmp *q;
        int peer;
        enum err e = open_on(servers[i].text, strlen(servers[i].text), &peer, &q);
        ck_assert_msg(e == servers[i].want, "'%s': %s", servers[i].text, err_text(e));
        close(peer);
    }
}
END_TEST

struct flood {
    int fd;
    const char *text;
};

static void *pour(void *argument)
{
    struct flood *f = argument;

    while (send(f->fd, f->text, strlen(f->text), MSG_NOSIGNAL) > 0)
        ;
    return NULL;
}

/* What never ends must end: a line, and a stream of events in place of an answer. */
START_TEST(test_floods)
{
    static char long_text[65536];
    const struct {
        const char *text;
        int timeout_ms;
        enum err want;
    } floods[] = {{long_text, (int)limit_seconds(WAIT_SECONDS) * 1000, ERR_PROTOCOL},
                  {"{\"event\":\"A\"}\n", 1500, ERR_TIMEOUT}};

    memset(long_text, 'x', sizeof long_text - 1);
    for (size_t i = 0; i < sizeof floods / sizeof *floods; i++) {
        int ends[2];
        pthread_t thread;
        struct qmp *q;
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        struct flood f = {ends[1], floods[i].text};
        ck_assert_int_eq(pthread_create(&thread, NULL, pour, &f), 0);
        enum err e = qmp_open_fd(ends[0], floods[i].timeout_ms, &q);
        ck_assert_msg(e == floods[i].want, "%.16s: %s", floods[i].text, err_text(e));
        pthread_join(thread, NULL);
        close(ends[1]);
    }
}
END_TEST

START_TEST(test_no_server)
{
    struct qmp *q;
    char path[200];

    ck_assert_int_eq(qmp_open("/nonexistent/qmp.sock", QMP_ANY, 100, &q), ERR_IO);
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    ck_assert_int_eq(qmp_open(path, QMP_ANY, 100, &q), ERR_INVALID);
}
END_TEST

Suite *suite_qmp(void);
Suite *suite_qmp(void)
{
    Suite *s = suite_create("qmp");
    TCase *tc = tcase_create("client");

    tcase_add_test(tc, test_commands_and_events);
    tcase_add_test(tc, test_bad_servers);
    tcase_add_test(tc, test_floods);
    tcase_add_test(tc, test_no_server);
    suite_add_tcase(s, tc);
    return s;
}
