/* UNIX sockets of the VMM: listening and accepting, never blocking. */
#pragma once
#include "guest/abi/err.h"

/* Listens at `path`, whose stale socket is removed first. */
enum err socket_listen(const char *path, int *ret_fd);
/* A non-blocking connection, or -1. */
int socket_accept(int listen_fd);
