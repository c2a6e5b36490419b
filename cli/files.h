/* The files that this program came with: beside build/bin/delias those of the build, below PREFIX/lib/delias those that
 * `make install` has put there. Leaves out reading them. */
#pragma once
#include <stddef.h>

enum { FILES_PATH = 4096 }; /* bytes that any path has room in */

enum files_kind { FILES_MACHINES, FILES_CAMPAIGNS, FILES_CELLS };

/* Writes the path of a file of the build, such as cells.archive; it need not exist. */
void files_path(const char *name, char *ret_path, size_t bytes);

/* Writes the folder in which files of a kind are. */
void files_folder(enum files_kind kind, char *ret_path, size_t bytes);

/* Writes the path that an operand means: the word itself where there is such a file or where it has a slash; else the
 * file of that name among those that this program came with, of which the last part (.yaml, .o) may be left out. The
 * word itself, where there is none either. */
void files_find(enum files_kind kind, const char *word, char *ret_path, size_t bytes);
