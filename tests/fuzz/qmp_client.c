/* Arbitrary bytes from a server against the QMP client: greeting, answers and events.
 * sources: vmm/machine introspect/base
 */
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>
#include "vmm/machine/qmp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum qmp_kind kind;
    json_t *body = NULL;
    struct qmp *qmp = NULL;
    int ends[2];

    if (qmp_parse((const char *)data, size, &kind, &body) == ERR_OK)
        json_decref(body);
    if (size > 60000 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return 0;
    if (send(ends[1], data, size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 || shutdown(ends[1], SHUT_WR) != 0) {
        close(ends[0]);
        close(ends[1]);
        return 0;
    }
    if (qmp_open_fd(ends[0], 50, &qmp) == ERR_OK) {
        json_t *value = NULL;
        if (qmp_command(qmp, "query-status", NULL, 50, &value) == ERR_OK)
            json_decref(value);
        if (qmp_event(qmp, 0, &value) == ERR_OK)
            json_decref(value);
        qmp_close(qmp);
    }
    close(ends[1]);
    return 0;
}
