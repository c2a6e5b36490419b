/* Arbitrary bytes from a client against delias-vmm's QMP server, over a real socket.
 * sources: vmm introspect/base
 */
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "vmm/qmp.h"

static const char *status(void *owner)
{
    (void)owner;
    return "running";
}

static enum err act(void *owner)
{
    (void)owner;
    return ERR_OK;
}

static json_t *answer_query(void *owner, enum qmp_query query, const json_t *arguments)
{
    (void)owner, (void)arguments;
    return json_pack("{s:i}", "return", (int)query);
}

static enum err act_on(void *owner, const char *file)
{
    (void)owner;
    return *file ? ERR_OK : ERR_INVALID;
}

static char path[64];
static struct qmp_server *server;

static void remove_socket(void)
{
    qmp_server_free(server);
    unlink(path);
}

static void serve(void)
{
    struct pollfd fds[QMP_POLL_MAX];
    size_t n = qmp_server_poll(server, fds);

    if (poll(fds, (nfds_t)n, 0) > 0)
        qmp_server_handle(server, fds, n);
}

static int connect_client(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    strcpy(address.sun_path, path);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
        abort();
    return fd;
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const struct qmp_machine machine = {NULL, status, "fuzz", act, act, act, act, answer_query, act_on, act_on};

    (void)argc, (void)argv;
    snprintf(path, sizeof path, "/tmp/delias-fuzz-qmp-%d", getpid());
    if (qmp_server_new(path, &machine, &server) != ERR_OK)
        abort();
    atexit(remove_socket);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char hello[] = "{\"execute\":\"qmp_capabilities\"}\n";
    int fd = connect_client();
    char sink[4096];

    serve();
    if (size && (data[0] & 1) && send(fd, hello, sizeof hello - 1, MSG_NOSIGNAL) > 0)
        serve();
    for (size_t at = 0; at < size;) {
        ssize_t sent = send(fd, data + at, size - at, MSG_NOSIGNAL);
        if (sent <= 0)
            break;
        at += (size_t)sent;
        serve();
        while (recv(fd, sink, sizeof sink, 0) > 0)
            ;
    }
    qmp_server_event(server, "STOP", false, NULL);
    close(fd);
    serve();
    serve();
    return 0;
}
