/* See shell.h: the commands for files. */
#include "cells/app/shell/shell.h"
#include "cells/fs/memory_fs/memory_fs.h"
#include "cells/lib/string/string.h"

void shell_ls(const struct terminal *on, int words, char **word)
{
    const char *path = words > 1 ? word[1] : "/";
    struct memory_fs_entry entry;
    enum err e;

    for (size_t i = 0; !(e = memory_fs_list(path, i, &entry)) && entry.name[0]; i++)
        shell_print(on, "%10lu %s%s\n", entry.bytes, entry.name, entry.directory ? "/" : "");
    if (e)
        shell_error(on, path, e);
}

void shell_cat(const struct terminal *on, int, char **word)
{
    OWN(memory_fs_file) struct memory_fs_file *file = NULL;
    char piece[256];
    size_t bytes = 1;
    enum err e = memory_fs_open(word[1], 0, &file);

    while (e == ERR_OK && bytes) {
        e = memory_fs_read(file, piece, sizeof piece, &bytes);
        if (e == ERR_OK)
            on->write(piece, bytes);
    }
    if (e != ERR_OK)
        shell_error(on, word[1], e);
}

void shell_write(const struct terminal *on, int words, char **word)
{
    OWN(memory_fs_file) struct memory_fs_file *file = NULL;
    enum err e = memory_fs_open(word[1], MEMORY_FS_WRITE | MEMORY_FS_CREATE, &file);

    if (e == ERR_OK)
        e = memory_fs_seek(file, memory_fs_length(file));
    for (int i = 2; e == ERR_OK && i < words; i++) {
        e = memory_fs_write(file, word[i], string_length(word[i]));
        if (e == ERR_OK)
            e = memory_fs_write(file, i + 1 < words ? " " : "\n", 1);
    }
    if (e != ERR_OK)
        shell_error(on, word[1], e);
}

void shell_rm(const struct terminal *on, int, char **word)
{
    enum err e = memory_fs_unlink(word[1]);

    if (e != ERR_OK)
        shell_error(on, word[1], e);
}

void shell_mkdir(const struct terminal *on, int, char **word)
{
    enum err e = memory_fs_make_directory(word[1]);

    if (e != ERR_OK)
        shell_error(on, word[1], e);
}
