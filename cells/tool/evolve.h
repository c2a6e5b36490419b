/* What changes between two builds, so that a running system can be brought from one to the other, as a manifest: a
 * JSON object that `delias evolve` applies. A build is a folder with cells/ and cells.debug/, like build/. */
#pragma once
#include "cells/tool/match.h"
#include "guest/abi/err.h"
#include <jansson.h>

#define EVOLVE_FORMAT  "delias-evolution"
#define EVOLVE_VERSION 1

/* The manifest:
 *   format, version   EVOLVE_FORMAT, EVOLVE_VERSION
 *   image_changed     true: the nano_core differs too; what of it takes a restart is said in `restart`
 *   changed           [{ cell, old_version, new_version, old_object, new_object, old_path, path }], hashes in
 *                     hexadecimal digits
 *   added, removed    the same, without what does not exist
 *   brought           [{ cell, why }]: cells that were not asked for, but have to come
 *   meaning           [{ cell, functions, constants, structures }]: of each cell that is changed, in words (meaning.h)
 *   restart           [{ cell, why }]: what cannot be swapped
 *   types             [{ cell, symbol, old, new }]: exports of another type, as C text
 *   along             [{ cell, symbol, of }]: cells that change with a type that they import
 *   stale             [{ cell, symbol, of }]: cells that have not changed, though a type that they import has
 *   transfer          what cells/tool/transfer.h says: recipes, and what is refused
 * Owned by the caller. `only` names the cells that are wanted, separated by commas; NULL: all. */
enum err evolve_diff(const char *old_build, const char *new_build, const char *only, struct match_word *word,
                     size_t words, json_t **ret_manifest);

/* Calls `print` for each reason not to apply the manifest: data that would be lost, stale cells. Returns how many
 * there are. */
size_t evolve_refusals(const json_t *manifest, void (*print)(const char *what, const char *why));
