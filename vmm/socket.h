/* UNIX sockets of the VMM: listening and accepting, never blocking. */
#pragma once
#include <stdint.h>
#include <sys/un.h>
#include "guest/abi/err.h"

struct listener {
    int fd;                 /* -1: none */
    uint64_t device, inode; /* of its file */
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
};

/* Listens at `path`; NULL: nowhere. A socket that nobody listens at is removed first; ERR_EXISTS: somebody does. */
enum err socket_listen(const char *path, struct listener *ret_listener);
/* Removes the file too, unless another one has taken its place. */
void socket_close(struct listener *listener);
/* A non-blocking connection, or -1. */
int socket_accept(const struct listener *listener);
