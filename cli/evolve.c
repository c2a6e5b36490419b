/* `delias evolve`: from one build to another. The manifest comes from a file that anybody may have written: nothing in it is
 * believed before it was checked, and the guest checks objects and recipes once more. */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cells/tool/evolve.h"
#include "cells/tool/transfer.h"
#include "cli/bundle.h"
#include "cli/cli.h"
#include "cli/verbs.h"
#include "guest/abi/recipe.h"

enum { MANIFEST_MAX = 8 << 20, WORDS_MAX = 256 };

/* ---- diff ---- */

struct diffing {
    const char *output;
    bool json;
    struct match_word word[WORDS_MAX];
    size_t words;
};

static int add_word(struct diffing *d, char *word, bool rename)
{
    char *equals = strchr(word, '=');

    if (d->words == WORDS_MAX || rename != (equals != NULL))
        return cli_fail(CLI_USAGE, rename ? "'%s' is not FIELD=NAME" : "'%s' is not the name of a field", word);
    if (equals)
        *equals = '\0';
    d->word[d->words++] = (struct match_word){.path = word, .to = equals ? equals + 1 : NULL};
    return CLI_DONE;
}

static void print_refusal(const char *what, const char *why)
{
    printf("refused   %s: %s\n", what, why);
}

static const char *text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key)) ?: "?";
}

/* A line per element of a list: `format` takes the texts of two keys. */
static void print_list(const json_t *list, const char *format, const char *first, const char *second)
    __attribute__((format(printf, 2, 0)));
static void print_list(const json_t *list, const char *format, const char *first, const char *second)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i);
        printf(format, text(o, first), text(o, second));
    }
}

static void print_types(const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i);
        printf("type      %s: was %s\n          is %s\n", text(o, "symbol"), text(o, "old"), text(o, "new"));
    }
}

static void print_manifest(const json_t *manifest)
{
    static const char *const lists[] = {"changed", "added", "removed"};
    const json_t *transfer = json_object_get(manifest, "transfer");

    if (json_is_true(json_object_get(manifest, "image_changed")))
        printf("image     differs: what is changed in the nano_core comes with a restart\n");
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        const json_t *list = json_object_get(manifest, lists[i]);
        for (size_t k = 0; k < json_array_size(list); k++)
            printf("%-9s %s\n", lists[i], text(json_array_get(list, k), "cell"));
    }
    print_types(json_object_get(manifest, "types"));
    print_list(json_object_get(manifest, "along"), "along     %s, for %s\n", "cell", "symbol");
    print_list(json_object_get(transfer, "changed"), "data      %s: %s\n", "field", "what");
    print_list(json_object_get(transfer, "left_over"), "function  %s: %s\n", "field", "what");
    evolve_refusals(manifest, print_refusal);
}

static int write_manifest(const json_t *manifest, const struct diffing *d)
{
    const size_t flags = JSON_INDENT(2) | JSON_PRESERVE_ORDER;

    if (d->output && json_dump_file(manifest, d->output, flags) != 0)
        return cli_fail(CLI_FAILED, "%s: cannot be written", d->output);
    if (d->json && json_dumpf(manifest, stdout, flags) == 0)
        putchar('\n');
    else if (!d->json)
        print_manifest(manifest);
    return CLI_DONE;
}

static int diff(int argc, char **argv)
{
    static const struct option longs[] = {
        {"output", required_argument, NULL, 'o'},
        {"drop", required_argument, NULL, 'd'},
        {"rename", required_argument, NULL, 'r'},
        {"json", no_argument, NULL, 'j'},
        {0},
    };
    struct diffing d = {0};
    json_t *manifest;
    int c, status = CLI_DONE;

    opterr = 0;
    while (!status && (c = getopt_long(argc, argv, "o:j", longs, NULL)) != -1) {
        if (c == 'o')
            d.output = optarg;
        else if (c == 'j')
            d.json = true;
        else if (c == 'd' || c == 'r')
            status = add_word(&d, optarg, c == 'r');
        else
            status = cli_fail(CLI_USAGE, "option '%s' is unknown or lacks its value", argv[optind - 1]);
    }
    if (status)
        return status;
    if (argc - optind != 2)
        return cli_fail(CLI_USAGE, "two builds are to be compared");
    if (evolve_diff(argv[optind], argv[optind + 1], d.word, d.words, &manifest) != ERR_OK)
        return CLI_FAILED;
    status = write_manifest(manifest, &d);
    json_decref(manifest);
    return status;
}

/* ---- a manifest is read ---- */

static int damaged(const char *what)
{
    return cli_fail(CLI_FAILED, "the manifest is damaged: %s", what);
}

static bool read_hex(const json_t *object, const char *key, uint64_t *ret)
{
    const char *text = json_string_value(json_object_get(object, key));

    if (!text || strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
        return false;
    *ret = strtoull(text, NULL, 16);
    return true;
}

static bool read_number(const json_t *object, const char *key, uint32_t *ret)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > UINT32_MAX)
        return false;
    *ret = (uint32_t)json_integer_value(value);
    return true;
}

static const char *read_name(const json_t *object)
{
    const char *name = json_string_value(json_object_get(object, "cell"));
    size_t n = name ? strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") : 0;

    return n > 0 && n < 32 && !name[n] ? name : NULL;
}

static bool read_move(const json_t *o, struct recipe_move *m)
{
    const char *kind = json_string_value(json_object_get(o, "kind"));

    for (uint32_t k = 0; kind && k <= RECIPE_PLACE; k++)
        if (transfer_kind(k) && strcmp(kind, transfer_kind(k)) == 0)
            m->kind = k;
    return m->kind && read_number(o, "count", &m->count) && read_number(o, "from", &m->from) &&
           read_number(o, "to", &m->to) && read_number(o, "from_width", &m->from_width) &&
           read_number(o, "to_width", &m->to_width) && read_number(o, "from_stride", &m->from_stride) &&
           read_number(o, "to_stride", &m->to_stride);
}

static bool read_recipe(const json_t *o, struct recipe *r)
{
    const json_t *old = json_object_get(o, "old"), *new_ = json_object_get(o, "new");

    if (!read_hex(old, "object", &r->old_object) || !read_number(old, "index", &r->old_section) ||
        !read_number(old, "bytes", &r->old_bytes) || !read_hex(old, "type", &r->old_type) ||
        !read_hex(old, "deep", &r->old_deep))
        return false;
    return json_is_null(new_) ||
           (read_hex(new_, "object", &r->new_object) && read_number(new_, "index", &r->new_section) &&
            read_number(new_, "bytes", &r->new_bytes) && read_hex(new_, "type", &r->new_type) &&
            read_hex(new_, "deep", &r->new_deep));
}

struct recipe_blob {
    struct recipe_set set;
    struct recipe recipe[RECIPES_MAX];
    struct recipe_move move[MOVES_MAX];
};

static int add_recipe(struct recipe_blob *blob, const json_t *o)
{
    const json_t *moves = json_object_get(o, "moves");
    size_t count = json_array_size(moves);

    if (blob->set.recipes == RECIPES_MAX || count > MOVES_MAX - blob->set.moves)
        return damaged("too many recipes");
    struct recipe *r = &blob->recipe[blob->set.recipes++];
    r->first_move = blob->set.moves;
    r->moves = (uint32_t)count;
    if (!json_is_array(moves) || !read_recipe(o, r))
        return damaged("a recipe");
    for (size_t i = 0; i < count; i++)
        if (!read_move(json_array_get(moves, i), &blob->move[blob->set.moves++]))
            return damaged("a move of a recipe");
    return CLI_DONE;
}

static int read_recipes(const json_t *list, struct recipe_blob *blob)
{
    int status = CLI_DONE;

    blob->set.version = RECIPE_VERSION;
    for (size_t i = 0; i < json_array_size(list) && !status; i++)
        status = add_recipe(blob, json_array_get(list, i));
    return status;
}

static int add_recipes(struct bundle *b, const json_t *list)
{
    struct recipe_blob *blob = calloc(1, sizeof *blob);
    int status = blob ? read_recipes(list, blob) : cli_fail(CLI_FAILED, "out of memory");

    if (!status && blob->set.recipes) {
        size_t recipes = blob->set.recipes * sizeof *blob->recipe, moves = blob->set.moves * sizeof *blob->move;
        memmove(&blob->recipe[blob->set.recipes], blob->move, moves);
        blob->set.bytes = (uint32_t)(sizeof blob->set + recipes + moves);
        status = bundle_recipes(b, blob, blob->set.bytes);
    }
    free(blob);
    return status;
}

/* ---- apply ---- */

/* Hash of the object that the loaded cell was made from; false: no such cell is loaded. */
static bool is_loaded(const struct view *v, const char *cell, uint64_t *ret_hash)
{
    for (uint32_t i = 0; (i = view_next(v, ARENA_CELLS, i));) {
        const struct arena_cell *c = view_cell(v, i);
        const struct arena_object *object = c ? view_object(v, c->object) : NULL;
        if (!object || c->state != CELL_LIVE || strcmp(view_cell_name(v, i), cell) != 0)
            continue;
        *ret_hash = object->hash;
        return true;
    }
    return false;
}

static int add_object(struct bundle *b, const json_t *o)
{
    const char *path = json_string_value(json_object_get(o, "path"));
    uint64_t want, hash = 0xcbf29ce484222325;
    void *data;
    size_t bytes;

    if (!path || !read_hex(o, "new_object", &want))
        return damaged("a cell without an object");
    int status = bundle_file(path, b->room - b->set->bytes, &data, &bytes);
    if (status)
        return status;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ ((uint8_t *)data)[i]) * 0x100000001b3;
    status = hash == want ? bundle_object(b, data, bytes)
                          : cli_fail(CLI_FAILED, "%s: is not the object that the manifest was made for", path);
    free(data);
    return status;
}

/* One that is loaded must be what the manifest was made for; what is not loaded there is left alone. */
static int add_cell(struct asking *a, struct bundle *b, const json_t *o, bool comes)
{
    const char *name = read_name(o);
    uint64_t want, hash;

    if (!name || !read_hex(o, "old_object", &want))
        return damaged("a cell's name or object");
    if (!is_loaded(a->target.view, name, &hash))
        return CLI_DONE;
    if (hash != want)
        return cli_fail(CLI_FAILED, "machine %s runs another build of cell %s than the manifest was made for",
                        a->target.name, name);
    int status = bundle_old(a, b, name);
    return status || !comes ? status : add_object(b, o);
}

static int add_cells(struct asking *a, struct bundle *b, const json_t *manifest)
{
    const json_t *changed = json_object_get(manifest, "changed"), *removed = json_object_get(manifest, "removed");
    const json_t *added = json_object_get(manifest, "added");
    int status = target_look(&a->target);

    for (size_t i = 0; i < json_array_size(changed) && !status; i++)
        status = add_cell(a, b, json_array_get(changed, i), true);
    for (size_t i = 0; i < json_array_size(removed) && !status; i++)
        status = add_cell(a, b, json_array_get(removed, i), false);
    for (size_t i = 0; i < json_array_size(added) && !status; i++)
        status = add_object(b, json_array_get(added, i));
    if (!status && b->set->olds + b->set->objects == 0)
        return cli_fail(CLI_FAILED, "nothing that machine %s has loaded is different", a->target.name);
    return status;
}

static void complain_refusal(const char *what, const char *why)
{
    cli_warn("%s: %s", what, why);
}

static int check_manifest(const json_t *manifest)
{
    static const char *const lists[] = {"changed", "added", "removed", "types", "along", "stale"};
    const json_t *transfer = json_object_get(manifest, "transfer");
    uint32_t version = 0;

    if (strcmp(json_string_value(json_object_get(manifest, "format")) ?: "", EVOLVE_FORMAT) != 0 ||
        !read_number(manifest, "version", &version) || version != EVOLVE_VERSION)
        return cli_fail(CLI_FAILED, "this is no manifest of `delias evolve diff`, or of another version");
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (!json_is_array(json_object_get(manifest, lists[i])))
            return damaged(lists[i]);
    if (!json_is_array(json_object_get(transfer, "recipes")) || !json_is_array(json_object_get(transfer, "refused")))
        return damaged("transfer");
    if (evolve_refusals(manifest, complain_refusal))
        return cli_fail(CLI_FAILED, "refused: this evolution would lose or misread what the machine holds");
    return CLI_DONE;
}

static int read_manifest(const char *path, json_t **ret_manifest)
{
    json_error_t error;
    void *data;
    size_t bytes;
    int status = bundle_file(path, MANIFEST_MAX, &data, &bytes);

    if (status)
        return status;
    json_t *manifest = json_loadb(data, bytes, JSON_REJECT_DUPLICATES, &error);
    free(data);
    if (!manifest)
        return cli_fail(CLI_FAILED, "%s:%d: %s", path, error.line, error.text);
    status = check_manifest(manifest);
    if (status)
        json_decref(manifest);
    else
        *ret_manifest = manifest;
    return status;
}

static int apply(struct asking *a, const json_t *manifest)
{
    struct bundle b = {0};
    int status = bundle_open(a, &b, "the evolution");

    if (!status)
        status = add_cells(a, &b, manifest);
    if (!status)
        status = add_recipes(&b, json_object_get(json_object_get(manifest, "transfer"), "recipes"));
    if (!status)
        status = bundle_swap(a, &b);
    bundle_close(&b);
    return status;
}

int verb_evolve(int argc, char **argv)
{
    struct asking a = {0};
    json_t *manifest = NULL;

    if (argc > 1 && strcmp(argv[1], "diff") == 0)
        return diff(argc - 1, argv + 1);
    int status = asking_open(argc, argv, "m:t:jn", 1, 1, &a);
    if (status)
        return status;
    status = read_manifest(a.argv[0], &manifest);
    if (!status)
        status = apply(&a, manifest);
    json_decref(manifest);
    asking_close(&a);
    return status;
}
