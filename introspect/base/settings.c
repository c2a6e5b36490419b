/* See settings.h. libyaml tells words from structure; what they mean is decided here. */
#include "introspect/base/settings.h"
#include "introspect/base/number.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

enum { KEYS_MAX = 32, FILE_BYTES_MAX = 1 << 20 };

struct value {
    char *text; /* owned */
    unsigned line;
};

struct setting {
    unsigned line; /* of the key; 0: it is not there */
    bool is_list;
    size_t count;
    struct value *value; /* owned, with its texts */
};

struct settings {
    const char *name;
    const char *const *keys;
    struct setting setting[KEYS_MAX]; /* in the order of the keys */
    unsigned line;                    /* of the mapping's start */
    char why[SETTINGS_WHY];
};

void settings_free(struct settings *s)
{
    if (!s)
        return;
    for (size_t k = 0; k < KEYS_MAX; k++) {
        for (size_t i = 0; i < s->setting[k].count; i++)
            free(s->setting[k].value[i].text);
        free(s->setting[k].value);
    }
    free(s);
}

/* ---- errors ---- */

__attribute__((format(printf, 4, 0))) static void keep_error(struct settings *s, unsigned line, const char *key,
                                                             const char *format, va_list args)
{
    if (s->why[0])
        return;
    int n = snprintf(s->why, sizeof s->why, "%s: line %u: %s%s", s->name, line, key ? key : "", key ? ": " : "");
    if (n >= 0 && (size_t)n < sizeof s->why)
        vsnprintf(s->why + n, sizeof s->why - (size_t)n, format, args);
    for (char *c = s->why; *c; c++)
        if ((unsigned char)*c < ' ')
            *c = '?'; /* one line, whatever a value holds */
}

/* `key` may be NULL. Returns false, for whoever reads on only without an error. */
__attribute__((format(printf, 4, 5))) static bool refuse_line(struct settings *s, unsigned line, const char *key,
                                                              const char *format, ...)
{
    va_list args;

    va_start(args, format);
    keep_error(s, line, key, format, args);
    va_end(args);
    return false;
}

const char *settings_error(const struct settings *s)
{
    return s->why[0] ? s->why : NULL;
}

/* ---- reading ---- */

struct reader {
    struct settings *s;
    yaml_parser_t parser;
    yaml_event_t event; /* the last one; zeros: none */
};

static void reader_done(struct reader *r)
{
    yaml_event_delete(&r->event);
    yaml_parser_delete(&r->parser);
}

static unsigned line_of(const struct reader *r)
{
    return (unsigned)r->event.start_mark.line + 1;
}

/* Reads the next event. False: an error. */
static bool read_event(struct reader *r)
{
    yaml_event_delete(&r->event);
    if (yaml_parser_parse(&r->parser, &r->event))
        return true;
    memset(&r->event, 0, sizeof r->event);
    const yaml_mark_t *at = r->parser.error == YAML_READER_ERROR ? &r->parser.mark : &r->parser.problem_mark;
    return refuse_line(r->s, (unsigned)at->line + 1, NULL, "no YAML: %s",
                       r->parser.problem ? r->parser.problem : "out of memory");
}

/* A scalar without anchor and tag. `what` is a key, or NULL for a key itself. */
static bool check_scalar(struct reader *r, const char *key)
{
    const yaml_event_t *e = &r->event;

    if (e->type == YAML_ALIAS_EVENT)
        return refuse_line(r->s, line_of(r), key, "an alias; write the value itself");
    if (e->type != YAML_SCALAR_EVENT)
        return refuse_line(r->s, line_of(r), key, "a %s, where a word is wanted",
                           e->type == YAML_SEQUENCE_START_EVENT ? "list" : "mapping");
    if (e->data.scalar.anchor || e->data.scalar.tag)
        return refuse_line(r->s, line_of(r), key, "has an anchor or a tag; write the value alone");
    if (strlen((const char *)e->data.scalar.value) != e->data.scalar.length)
        return refuse_line(r->s, line_of(r), key, "holds a NUL");
    return true;
}

/* YAML's words for no value. Quoted they are texts. */
static bool is_null(const yaml_event_t *e)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (e->type == YAML_SCALAR_EVENT && e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
            strcmp((const char *)e->data.scalar.value, words[i]) == 0)
            return true;
    return false;
}

/* Adds the scalar that was read. */
static bool add_value(struct reader *r, const char *key, struct setting *setting)
{
    if (!check_scalar(r, key))
        return false;
    if (is_null(&r->event))
        return refuse_line(r->s, line_of(r), key, "has no value; leave it out, or write \"\" for an empty text");
    struct value *grown = reallocarray(setting->value, setting->count + 1, sizeof *grown);
    if (grown)
        setting->value = grown;
    OWN(memory) char *text = grown ? strdup((const char *)r->event.data.scalar.value) : NULL;
    if (!text)
        return refuse_line(r->s, line_of(r), key, "out of memory");
    grown[setting->count++] = (struct value){.text = MOVE(text), .line = line_of(r)};
    return true;
}

/* The value of a key is the next event, or begins with it. */
static bool read_value(struct reader *r, const char *key, struct setting *setting)
{
    if (!read_event(r))
        return false;
    if (r->event.type != YAML_SEQUENCE_START_EVENT)
        return add_value(r, key, setting);
    if (r->event.data.sequence_start.anchor || r->event.data.sequence_start.tag)
        return refuse_line(r->s, line_of(r), key, "has an anchor or a tag; write the list alone");
    setting->is_list = true;
    for (;;) {
        if (!read_event(r))
            return false;
        if (r->event.type == YAML_SEQUENCE_END_EVENT)
            return true;
        if (!add_value(r, key, setting))
            return false;
    }
}

static bool refuse_unknown(struct reader *r, const char *word)
{
    char known[SETTINGS_WHY / 2] = "";
    size_t at = 0;

    for (size_t k = 0; r->s->keys[k] && at < sizeof known; k++)
        at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", k ? ", " : "", r->s->keys[k]);
    return refuse_line(r->s, line_of(r), NULL, "%.60s: there is no such key, only %s", word, known);
}

/* The key was read. */
static bool read_setting(struct reader *r)
{
    size_t k = 0;

    if (!check_scalar(r, NULL))
        return false;
    const char *word = (const char *)r->event.data.scalar.value;
    while (r->s->keys[k] && strcmp(word, r->s->keys[k]) != 0)
        k++;
    if (!r->s->keys[k])
        return refuse_unknown(r, word);
    struct setting *setting = &r->s->setting[k];
    if (setting->line)
        return refuse_line(r->s, line_of(r), r->s->keys[k], "is in line %u already", setting->line);
    setting->line = line_of(r);
    return read_value(r, r->s->keys[k], setting);
}

/* The contents of the document begin with the next event. */
static bool read_mapping(struct reader *r)
{
    if (!read_event(r))
        return false;
    r->s->line = line_of(r);
    if (is_null(&r->event) && !r->event.data.scalar.anchor && !r->event.data.scalar.tag)
        return true;
    if (r->event.type != YAML_MAPPING_START_EVENT || r->event.data.mapping_start.anchor ||
        r->event.data.mapping_start.tag)
        return refuse_line(r->s, line_of(r), NULL, "no lines of the form KEY: VALUE");
    for (;;) {
        if (!read_event(r))
            return false;
        if (r->event.type == YAML_MAPPING_END_EVENT)
            return true;
        if (!read_setting(r))
            return false;
    }
}

/* Reads all of the stream: what follows the document is looked at too. */
static bool read_stream(struct reader *r)
{
    if (!read_event(r) || !read_event(r)) /* the stream's start, and that of a document */
        return false;
    r->s->line = line_of(r);
    if (r->event.type == YAML_STREAM_END_EVENT)
        return true;
    if (!read_mapping(r) || !read_event(r) || !read_event(r)) /* the document's end, and what is there then */
        return false;
    return r->event.type == YAML_STREAM_END_EVENT || refuse_line(r->s, line_of(r), NULL, "a second document begins");
}

struct settings *settings_parse(const char *name, const char *text, const char *const *keys)
{
    OWN(settings) struct settings *s = calloc(1, sizeof *s);
    struct reader r = {.s = s};

    if (!s || !yaml_parser_initialize(&r.parser))
        return NULL;
    s->name = name;
    s->keys = keys;
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, strlen(text));
    (void)read_stream(&r);
    reader_done(&r);
    return MOVE(s);
}

char *settings_file(const char *path, char ret_why[SETTINGS_WHY])
{
    OWN(file) FILE *f = fopen(path, "re");
    OWN(memory) char *text = f ? malloc(FILE_BYTES_MAX + 1) : NULL;

    if (!text) {
        snprintf(ret_why, SETTINGS_WHY, "%s", strerror(errno));
        return NULL;
    }
    size_t bytes = fread(text, 1, FILE_BYTES_MAX + 1, f);
    if (ferror(f))
        snprintf(ret_why, SETTINGS_WHY, "%s", strerror(errno));
    else if (bytes > FILE_BYTES_MAX || memchr(text, '\0', bytes))
        snprintf(ret_why, SETTINGS_WHY, "is no text of at most 1 MiB");
    else {
        text[bytes] = '\0';
        return MOVE(text);
    }
    return NULL;
}

/* ---- values ---- */

static struct setting *find(const struct settings *s, const char *key)
{
    size_t k = 0;

    while (strcmp(s->keys[k], key) != 0)
        k++;
    return (struct setting *)&s->setting[k];
}

bool settings_has(const struct settings *s, const char *key)
{
    return find(s, key)->line != 0;
}

bool settings_is_empty(const struct settings *s)
{
    for (size_t k = 0; s->keys[k]; k++)
        if (s->setting[k].line)
            return false;
    return true;
}

void settings_need(struct settings *s, const char *key)
{
    if (!settings_has(s, key))
        refuse_line(s, s->line, key, "is missing");
}

unsigned settings_line(const struct settings *s, const char *key, size_t item)
{
    return find(s, key)->value[item].line;
}

void settings_refuse(struct settings *s, const char *key, size_t item, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    keep_error(s, settings_line(s, key, item), key, format, args);
    va_end(args);
}

static bool check_length(struct settings *s, const char *key, size_t item, size_t least, size_t most)
{
    size_t bytes = strlen(find(s, key)->value[item].text);

    if (bytes < least)
        settings_refuse(s, key, item, "is empty");
    else if (bytes > most)
        settings_refuse(s, key, item, "is longer than %zu bytes", most);
    return !s->why[0];
}

const char *settings_text(struct settings *s, const char *key, size_t least, size_t most)
{
    const struct setting *setting = find(s, key);

    if (s->why[0] || !setting->line)
        return NULL;
    if (setting->is_list) {
        refuse_line(s, setting->line, key, "is a list, where one value is wanted");
        return NULL;
    }
    return check_length(s, key, 0, least, most) ? setting->value[0].text : NULL;
}

uint64_t settings_number(struct settings *s, const char *key, uint64_t least, uint64_t most, uint64_t missing)
{
    const char *text = settings_text(s, key, 0, SIZE_MAX);
    uint64_t number = missing;

    if (text && !number_parse(text, least, most, &number))
        settings_refuse(s, key, 0, "'%.40s' is not a number from %llu to %llu", text, (unsigned long long)least,
                        (unsigned long long)most);
    return number;
}

bool settings_switch(struct settings *s, const char *key, bool missing)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"yes", true}, {"true", true}, {"on", true}, {"no", false}, {"false", false}, {"off", false}};
    const char *text = settings_text(s, key, 0, SIZE_MAX);

    for (size_t i = 0; text && i < sizeof words / sizeof *words; i++)
        if (strcasecmp(text, words[i].word) == 0)
            return words[i].value;
    if (text)
        settings_refuse(s, key, 0, "'%.40s' is neither yes, true or on nor no, false or off", text);
    return missing;
}

size_t settings_list(struct settings *s, const char *key, size_t most, size_t bytes)
{
    const struct setting *setting = find(s, key);

    if (s->why[0] || !setting->line)
        return 0;
    if (!setting->is_list)
        refuse_line(s, setting->line, key, "is one value, where a list is wanted");
    else if (setting->count == 0 || setting->count > most)
        refuse_line(s, setting->line, key, "has %zu values, where 1 to %zu are wanted", setting->count, most);
    for (size_t i = 0; !s->why[0] && i < setting->count; i++)
        check_length(s, key, i, 1, bytes);
    return s->why[0] ? 0 : setting->count;
}

const char *settings_item(const struct settings *s, const char *key, size_t item)
{
    return find(s, key)->value[item].text;
}
