/* How each backend is called: the program and its arguments. Data only; process.c runs them. */
#pragma once
#include "vmm/machine/machine.h"

enum { ARGUMENTS_MAX = 128, ARGUMENT_BYTES = 16384, RAM_FD = 3 };

struct arguments {
    char *argv[ARGUMENTS_MAX + 1];
    unsigned count;
    size_t used;
    bool overflow;
    char bytes[ARGUMENT_BYTES];
};

/* Whether there is a KVM that delias-vmm can use, however slow it may be; if not, `why` says so. */
bool backend_kvm_opens(char *why, size_t bytes);

/* Adds one printed argument. Without room it sets `overflow`. */
void argument_add(struct arguments *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Finds a program: the environment variable, the folder of this executable and its ../bin, then PATH. */
enum err backend_program(const char *variable, const char *name, char *ret_path, size_t bytes);

/* Fills `a` for a child that has guest RAM as descriptor RAM_FD. Clears in `info` what the backend does not offer. */
enum err backend_arguments(const struct machine_config *config, struct machine_info *info, struct arguments *a);
