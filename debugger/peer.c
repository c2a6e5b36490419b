/* See peer.h. */
#include "debugger/peer.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

static void put(struct peer *p, const char *bytes, size_t count)
{
    while (count && !p->gone) {
        ssize_t n = send(p->fd, bytes, count, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        p->gone = n <= 0;
        bytes += n > 0 ? n : 0;
        count -= n > 0 ? (size_t)n : 0;
    }
}

bool peer_has_input(const struct peer *p)
{
    return p->at < p->used;
}

void peer_receive(struct peer *p)
{
    ssize_t n = recv(p->fd, p->input, sizeof p->input, 0);

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    p->gone = n <= 0;
    p->at = 0;
    p->used = n > 0 ? (size_t)n : 0;
}

enum rsp_item peer_next(struct peer *p)
{
    while (peer_has_input(p)) {
        enum rsp_item item = rsp_take(&p->reader, (uint8_t)p->input[p->at++]);

        if (item == RSP_PACKET)
            put(p, "+", 1);
        else if (item == RSP_BROKEN)
            put(p, "-", 1);
        else if (item == RSP_RESEND)
            put(p, p->last, p->last_bytes);
        if (item == RSP_PACKET || item == RSP_INTERRUPT)
            return item;
    }
    return RSP_NOTHING;
}

static long now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool peer_wait(struct peer *p, int ms)
{
    struct pollfd poll_fd = {.fd = p->fd, .events = POLLIN};
    long end = now_ms() + ms;

    for (long left; !p->gone;) {
        enum rsp_item item = peer_next(p);
        if (item == RSP_PACKET)
            return true;
        if (item != RSP_NOTHING)
            continue;
        left = end - now_ms();
        if (left < 0)
            return false;
        if (poll(&poll_fd, 1, (int)left) > 0)
            peer_receive(p);
    }
    return false;
}

void peer_send(struct peer *p, const char *body, size_t bytes)
{
    p->last_bytes = rsp_frame(body, bytes, p->last, sizeof p->last);
    put(p, p->last, p->last_bytes);
}

void peer_say(struct peer *p, const char *body)
{
    peer_send(p, body, strlen(body));
}

void peer_interrupt(struct peer *p)
{
    put(p, (const char[]){RSP_INTERRUPT_BYTE}, 1);
}
