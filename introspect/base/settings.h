/* Files of settings that people write (machines, campaigns): YAML, one document, a mapping from keys that are known to
 * texts, numbers, words for yes and no, and lists of texts. Nothing is guessed: a key that is not known or comes
 * twice, a value that is missing, has a tail or is of another shape, an alias, a tag and a second document are
 * refused. Every error names file, line and key.
 *
 * The first error is kept, and functions that are called after it do nothing, so that it is asked for once, at the
 * end. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "introspect/base/own.h"

enum { SETTINGS_WHY = 512 };

struct settings;
void settings_free(struct settings *settings); /* accepts NULL */
OWNABLE(settings, settings_free)

/* The whole text of a file, owned by the caller. NULL: it cannot be read, or is no text of at most a megabyte;
 * ret_why has the reason, without the file's name. */
char *settings_file(const char *path, char ret_why[SETTINGS_WHY]);

/* Reads `text`; `name` is that of the file, for errors, and `keys` ends with NULL; both are borrowed. NULL: memory is
 * out. Whether the text is good says settings_error. */
RELEASED_BY(settings_free)
struct settings *settings_parse(const char *name, const char *text, const char *const *keys);

/* The first error, as one line; NULL: there is none. */
const char *settings_error(const struct settings *settings);
/* True when there is no key at all. */
bool settings_is_empty(const struct settings *settings);
bool settings_has(const struct settings *settings, const char *key);

/* An error when the key is not there. */
void settings_need(struct settings *settings, const char *key);
/* The value of a key: a text of `least` to `most` bytes, or NULL; a number as in number.h; yes, true, on, no, false or
 * off. Without the key, or after an error, the value is `missing`. Texts are borrowed from the settings. */
const char *settings_text(struct settings *settings, const char *key, size_t least, size_t most);
uint64_t settings_number(struct settings *settings, const char *key, uint64_t least, uint64_t most, uint64_t missing);
bool settings_switch(struct settings *settings, const char *key, bool missing);
/* How many texts the list has, one to `most`, each of one to `bytes` bytes; 0: there is no such key, or an error. */
size_t settings_list(struct settings *settings, const char *key, size_t most, size_t bytes);
const char *settings_item(const struct settings *settings, const char *key, size_t item);

/* The line of the value of a key, or of one item of a list. The key is there. */
unsigned settings_line(const struct settings *settings, const char *key, size_t item);
/* Keeps an error about the value of a key, or about one item of a list. The key is there. */
void settings_refuse(struct settings *settings, const char *key, size_t item, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
