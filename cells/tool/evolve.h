/* What it takes to lead a running system from one build to another, as a manifest: a JSON object that `delias evolve`
 * applies. A build is a folder with cells/ and cells.debug/, like build/. */
#pragma once
#include "cells/tool/match.h"
#include "guest/abi/err.h"
#include <jansson.h>

#define EVOLVE_FORMAT  "delias-evolution"
#define EVOLVE_VERSION 1

/* The manifest:
 *   format, version   EVOLVE_FORMAT, EVOLVE_VERSION
 *   image_changed     true: the nano_core differs too, which takes a restart
 *   changed           [{ cell, old_version, new_version, old_object, new_object, path }], hashes as hexadecimal digits
 *   added, removed    likewise, without what is not there
 *   types             [{ cell, symbol, old, new }]: exports of another type, as C text
 *   along             [{ cell, symbol, of }]: cells that change with a type that they import
 *   stale             [{ cell, symbol, of }]: cells that have not changed, though a type that they import has
 *   transfer          what cells/tool/transfer.h says: recipes, and what is refused
 * Owned by the caller. */
enum err evolve_diff(const char *old_build, const char *new_build, struct match_word *word, size_t words,
                     json_t **ret_manifest);

/* How many reasons it has against being applied: data that are lost, stale cells. Prints them with `say`. */
size_t evolve_refusals(const json_t *manifest, void (*say)(const char *what, const char *why));
