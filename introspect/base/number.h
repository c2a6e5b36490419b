/* Numbers that people write: in options, operands, campaign files. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* Reads all of `word` as a number from `min` to `max`, written in decimal or, after 0x, in hexadecimal.
 * False: it is none, and *ret is untouched. */
bool number_parse(const char *word, uint64_t min, uint64_t max, uint64_t *ret);

/* The same for a size in bytes, which may end with a unit: K, M or G, of 1024, 1024^2 and 1024^3 bytes. */
bool number_parse_size(const char *word, uint64_t min, uint64_t max, uint64_t *ret);
