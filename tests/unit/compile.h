/* Small cells compiled in a directory of the test's own, and commands run there. */
#pragma once
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FLAGS                                                                                                          \
    " -std=gnu2x -I. -g -O2 -ffreestanding -mcmodel=kernel -mno-red-zone -fno-pic -ffunction-sections "                \
    "-fdata-sections -fvisibility=hidden -fno-common -fexceptions -fnon-call-exceptions "
#define COMPILE "gcc" FLAGS "-c -o "

static char dir[64];
static char output[65536]; /* of the last command */

static void setup(void)
{
    strcpy(dir, "/tmp/delias-tool-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

/* Runs a command in which every "@" is the test's directory; gives its status. */
static int run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int run(const char *format, ...)
{
    char words[2048], command[4096];
    size_t n = 0;
    va_list args;

    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    for (const char *p = words; *p && n < sizeof command - 128; p++)
        if (*p == '@')
            n += (size_t)sprintf(command + n, "%s", dir);
        else
            command[n++] = *p;
    strcpy(command + n, " 2>&1");
    FILE *f = popen(command, "r");
    ck_assert_ptr_nonnull(f);
    output[fread(output, 1, sizeof output - 1, f)] = '\0';
    return WEXITSTATUS(pclose(f));
}

/* With a compiler, and flags behind the usual ones. */
static inline void compile_with(const char *compiler, const char *flags, const char *name, const char *source)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%s.c", dir, name);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fprintf(f, "#include \"cells/cell.h\"\n%s", source);
    fclose(f);
    ck_assert_msg(run("%s" FLAGS "%s -c -o @/%s.raw @/%s.c", compiler, flags, name, name) == 0, "%s", output);
    ck_assert_msg(run("ld -r -o @/%s.r @/%s.raw", name, name) == 0, "%s", output);
}

static inline void compile(const char *name, const char *source)
{
    compile_with("gcc", "", name, source);
}
