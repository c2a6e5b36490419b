/* `delias evolve`: from one build to another. The manifest comes from a file that anybody may have written: nothing
 * in it is believed before it was checked, and the guest checks objects and recipes once more. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cells/tool/evolve.h"
#include "cells/tool/transfer.h"
#include "cli/bundle.h"
#include "cli/cli.h"
#include "cli/explain.h"
#include "cli/verbs.h"
#include "guest/abi/object.h"
#include "guest/abi/recipe.h"
#include "introspect/base/json.h"
#include "introspect/base/output.h"

enum { MANIFEST_MAX = 8 << 20, WORDS_MAX = 256, MANIFEST_FORMAT = JSON_INDENT(2) | JSON_PRESERVE_ORDER };

/* ---- diff ---- */

static void print_refusal(const char *what, const char *why)
{
    printf("refused   %s: %s\n", what, why);
}

static const char *text_of_key(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key)) ?: "?";
}

/* Prints a line per element of a list; `format` takes the values of two keys. */
static void print_list(const json_t *list, const char *format, const char *first, const char *second)
    __attribute__((format(printf, 2, 0)));
static void print_list(const json_t *list, const char *format, const char *first, const char *second)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i);
        printf(format, text_of_key(o, first), text_of_key(o, second));
    }
}

static bool is_of_cell(const json_t *o, const char *cell)
{
    return strcmp(text_of_key(o, "cell"), cell) == 0;
}

/* Prints the elements of a list that are about the cell. */
static void print_of_cell(const json_t *list, const char *cell, const char *format, const char *first,
                          const char *second) __attribute__((format(printf, 3, 0)));
static void print_of_cell(const json_t *list, const char *cell, const char *format, const char *first,
                          const char *second)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i);
        if (is_of_cell(o, cell))
            printf(format, text_of_key(o, first), text_of_key(o, second));
    }
}

/* Prints the reasons that a list has for the cell. */
static void print_why(const json_t *list, const char *cell, const char *label)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i);
        if (is_of_cell(o, cell))
            printf("%s: %s\n", label, text_of_key(o, "why"));
    }
}

static void print_types(const json_t *list, const char *cell)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i);
        if (is_of_cell(o, cell))
            printf("          %s: was %s\n          %*s  is %s\n", text_of_key(o, "symbol"), text_of_key(o, "old"),
                   (int)strlen(text_of_key(o, "symbol")), "", text_of_key(o, "new"));
    }
}

static bool has_recipe(const json_t *recipes, const char *cell)
{
    for (size_t i = 0; i < json_array_size(recipes); i++) {
        const json_t *old = json_object_get(json_array_get(recipes, i), "old");
        if (is_of_cell(old, cell) && strncmp(text_of_key(old, "section"), ".text.", 6) != 0)
            return true;
    }
    return false;
}

static bool is_only_rebuilt(const json_t *meaning)
{
    return json_array_size(json_object_get(meaning, "functions")) == 0 &&
           json_array_size(json_object_get(meaning, "constants")) == 0 &&
           json_array_size(json_object_get(meaning, "structures")) == 0;
}

/* What a change of the cell means. */
static void print_meaning(const json_t *manifest, const char *cell)
{
    const json_t *transfer = json_object_get(manifest, "transfer"), *all = json_object_get(manifest, "meaning");

    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *o = json_array_get(all, i);
        if (!is_of_cell(o, cell))
            continue;
        if (is_only_rebuilt(o))
            printf("          its code is the same; types that it was built with differ\n");
        print_list(json_object_get(o, "functions"), "          function %s %s\n", "function", "what");
        print_list(json_object_get(o, "constants"), "          constant %s %s\n", "constant", "what");
        print_list(json_object_get(o, "structures"), "          %s: %s\n", "structure", "what");
    }
    print_types(json_object_get(manifest, "types"), cell);
    print_of_cell(json_object_get(transfer, "changed"), cell, "          data %s: %s\n", "field", "what");
    if (has_recipe(json_object_get(transfer, "recipes"), cell))
        printf("          its data are carried over by recipe\n");
    print_of_cell(json_object_get(transfer, "left_over"), cell,
                  "          data %s: %s; left to the new version's transfer function\n", "field", "what");
    print_why(json_object_get(manifest, "restart"), cell, "          needs a restart");
}

static void print_changes(const json_t *manifest, const char *list_name)
{
    const json_t *list = json_object_get(manifest, list_name);

    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *cell = text_of_key(json_array_get(list, i), "cell");
        printf("%-9s %s\n", list_name, cell);
        print_why(json_object_get(manifest, "brought"), cell, "          brought in");
        print_meaning(manifest, cell);
    }
}

static void print_manifest(const json_t *manifest)
{
    static const char *const lists[] = {"changed", "added", "removed"};
    const json_t *restart = json_object_get(manifest, "restart");
    size_t changes = 0;

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        changes += json_array_size(json_object_get(manifest, lists[i]));
        print_changes(manifest, lists[i]);
    }
    print_why(restart, "nano_core", "image     needs a restart");
    print_why(restart, "all", "all       needs a restart");
    print_list(json_object_get(manifest, "along"), "along     %s, for %s\n", "cell", "symbol");
    if (!changes && !json_array_size(restart))
        printf("nothing differs\n");
    evolve_refusals(manifest, print_refusal);
}

static enum cli_status write_manifest_file(const json_t *manifest, const char *path)
{
    OWN(output) struct output *output = output_new(path);

    if (output && json_dumpf(manifest, output_stream(output), MANIFEST_FORMAT) == 0 && output_commit(output))
        return CLI_DONE;
    return cli_fail(CLI_FAILED, "%s: cannot be written: %s", path, strerror(errno));
}

static enum cli_status write_manifest(const json_t *manifest, const struct call *call)
{
    enum cli_status status = call->output ? write_manifest_file(manifest, call->output) : CLI_DONE;

    if (status)
        return status;
    if (call->json && json_dumpf(manifest, stdout, MANIFEST_FORMAT) == 0)
        putchar('\n');
    else if (!call->json)
        print_manifest(manifest);
    return CLI_DONE;
}

enum cli_status evolve_diff_builds(struct call *call)
{
    OWN(memory) struct match_word *words = calloc(call->words->count + 1, sizeof *words);
    OWN(json) json_t *manifest = NULL;

    if (!words)
        return cli_fail(CLI_FAILED, "out of memory");
    const char *wrong = match_read_words(call->words, words);
    if (wrong)
        return cli_fail(CLI_USAGE, "'%s': say --drop FIELD or --rename FIELD=NAME", wrong);
    if (evolve_diff(call->argv[0], call->argv[1], call->only, words, call->words->count, &manifest) != ERR_OK)
        return CLI_FAILED;
    return write_manifest(manifest, call);
}

/* ---- a manifest is read ---- */

static enum cli_status fail_damaged(const char *what)
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

static bool read_integer(const json_t *object, const char *key, uint32_t *ret)
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

struct recipe_blob {
    struct recipe_set set;
    struct recipe recipe[RECIPES_MAX];
    struct recipe_move move[MOVES_MAX];
    struct texts texts; /* owned */
};

static void free_blob(struct recipe_blob *blob)
{
    if (!blob)
        return;
    texts_done(&blob->texts);
    free(blob);
}
OWNABLE(recipe_blob, free_blob)

static bool read_text(struct recipe_blob *blob, const json_t *o, const char *key, uint32_t *ret_offset)
{
    const char *text = json_string_value(json_object_get(o, key));

    return text && texts_add(&blob->texts, text, ret_offset) && !blob->texts.full;
}

static bool read_move(struct recipe_blob *blob, const json_t *o, struct recipe_move *m)
{
    const char *kind = json_string_value(json_object_get(o, "kind"));

    for (uint32_t k = 0; kind && k < RECIPE_KINDS; k++)
        if (transfer_kind(k) && strcmp(kind, transfer_kind(k)) == 0)
            m->kind = k;
    if (recipe_refuses(m->kind) &&
        (!read_hex(o, "low", &m->low) || !read_hex(o, "high", &m->high) || !read_integer(o, "first", &m->first) ||
         !read_text(blob, o, "field", &m->field) || !read_text(blob, o, "why", &m->why)))
        return false;
    return m->kind && read_integer(o, "count", &m->count) && read_integer(o, "from", &m->from) &&
           read_integer(o, "to", &m->to) && read_integer(o, "from_width", &m->from_width) &&
           read_integer(o, "to_width", &m->to_width) && read_integer(o, "from_stride", &m->from_stride) &&
           read_integer(o, "to_stride", &m->to_stride);
}

static bool read_recipe(const json_t *o, struct recipe *r)
{
    const json_t *old = json_object_get(o, "old"), *new_ = json_object_get(o, "new");

    if (!read_hex(old, "object", &r->old_object) || !read_integer(old, "index", &r->old_section) ||
        !read_integer(old, "bytes", &r->old_bytes) || !read_hex(old, "type", &r->old_type) ||
        !read_hex(old, "deep", &r->old_deep))
        return false;
    return json_is_null(new_) ||
           (read_hex(new_, "object", &r->new_object) && read_integer(new_, "index", &r->new_section) &&
            read_integer(new_, "bytes", &r->new_bytes) && read_hex(new_, "type", &r->new_type) &&
            read_hex(new_, "deep", &r->new_deep));
}

static enum cli_status add_recipe(struct recipe_blob *blob, const json_t *o)
{
    const json_t *moves = json_object_get(o, "moves");
    size_t count = json_array_size(moves);

    if (blob->set.recipes == RECIPES_MAX || count > MOVES_MAX - blob->set.moves)
        return fail_damaged("too many recipes");
    struct recipe *r = &blob->recipe[blob->set.recipes++];
    r->first_move = blob->set.moves;
    r->moves = (uint32_t)count;
    if (!json_is_array(moves) || !read_recipe(o, r))
        return fail_damaged("a recipe");
    for (size_t i = 0; i < count; i++)
        if (!read_move(blob, json_array_get(moves, i), &blob->move[blob->set.moves++]))
            return fail_damaged("a move of a recipe");
    return CLI_DONE;
}

static enum cli_status read_recipes(const json_t *list, struct recipe_blob *blob)
{
    enum cli_status status = CLI_DONE;

    blob->set.version = RECIPE_VERSION;
    for (size_t i = 0; i < json_array_size(list) && !status; i++)
        status = add_recipe(blob, json_array_get(list, i));
    return status;
}

/* Adds them one behind the other, as guest/abi/recipe.h says. */
static enum cli_status add_blob(struct bundle *b, struct recipe_blob *blob)
{
    size_t recipes = blob->set.recipes * sizeof *blob->recipe, moves = blob->set.moves * sizeof *blob->move;

    blob->set.text = blob->texts.bytes ? (uint32_t)blob->texts.bytes : 1;
    blob->set.bytes = (uint32_t)(sizeof blob->set + recipes + moves) + blob->set.text;
    OWN(memory) uint8_t *data = calloc(1, blob->set.bytes);
    if (!data)
        return cli_fail(CLI_FAILED, "out of memory");
    memcpy(data, &blob->set, sizeof blob->set);
    memcpy(data + sizeof blob->set, blob->recipe, recipes);
    memcpy(data + sizeof blob->set + recipes, blob->move, moves);
    if (blob->texts.bytes)
        memcpy(data + sizeof blob->set + recipes + moves, blob->texts.text, blob->texts.bytes);
    return bundle_recipes(b, data, blob->set.bytes);
}

static enum cli_status add_recipes(struct bundle *b, const json_t *list)
{
    OWN(recipe_blob) struct recipe_blob *blob = calloc(1, sizeof *blob);

    if (!blob)
        return cli_fail(CLI_FAILED, "out of memory");
    enum cli_status status = read_recipes(list, blob);
    if (status || !blob->set.recipes)
        return status;
    return add_blob(b, blob);
}

/* ---- apply ---- */

static enum cli_status add_new_object(struct bundle *b, const json_t *o)
{
    const char *path = json_string_value(json_object_get(o, "path"));
    OWN(memory) uint8_t *data = NULL;
    uint64_t want;
    size_t bytes;

    if (!path || !read_hex(o, "new_object", &want))
        return fail_damaged("a cell without an object");
    enum cli_status status = bundle_file(path, b->room - b->set->bytes, (void **)&data, &bytes);
    if (status)
        return status;
    return object_hash(data, bytes) == want
               ? bundle_object(b, data, bytes)
               : cli_fail(CLI_FAILED, "%s: is not the object that the manifest was made for", path);
}

/* A loaded cell must be from the object that the manifest was made for; cells that are not loaded are left alone. */
static enum cli_status add_changed_cell(struct asking *a, struct bundle *b, const json_t *o, bool comes)
{
    const char *name = read_name(o);
    uint64_t want, hash;

    if (!name || !read_hex(o, "old_object", &want))
        return fail_damaged("a cell's name or object");
    if (!asking_loaded_object(a, name, &hash))
        return CLI_DONE;
    if (hash != want)
        return cli_fail(CLI_FAILED, "machine %s runs another build of cell %s than the manifest was made for",
                        a->target.name, name);
    enum cli_status status = bundle_old(a, b, name);
    return status || !comes ? status : add_new_object(b, o);
}

static enum cli_status add_cells(struct asking *a, struct bundle *b, const json_t *manifest)
{
    const json_t *changed = json_object_get(manifest, "changed"), *removed = json_object_get(manifest, "removed");
    const json_t *added = json_object_get(manifest, "added");
    enum cli_status status = target_look(&a->target);

    for (size_t i = 0; i < json_array_size(changed) && !status; i++)
        status = add_changed_cell(a, b, json_array_get(changed, i), true);
    for (size_t i = 0; i < json_array_size(removed) && !status; i++)
        status = add_changed_cell(a, b, json_array_get(removed, i), false);
    for (size_t i = 0; i < json_array_size(added) && !status; i++)
        status = add_new_object(b, json_array_get(added, i));
    if (!status && b->set->olds + b->set->objects == 0)
        return cli_fail(CLI_FAILED, "nothing that machine %s has loaded is different", a->target.name);
    return status;
}

static void complain_refusal(const char *what, const char *why)
{
    cli_warn("%s: %s", what, why);
}

static enum cli_status check_manifest(const json_t *manifest)
{
    static const char *const lists[] = {"changed", "added", "removed", "types", "along", "stale"};
    const json_t *transfer = json_object_get(manifest, "transfer");
    uint32_t version = 0;

    if (strcmp(json_string_value(json_object_get(manifest, "format")) ?: "", EVOLVE_FORMAT) != 0 ||
        !read_integer(manifest, "version", &version) || version != EVOLVE_VERSION)
        return cli_fail(CLI_FAILED, "this is no manifest of `delias evolve diff`, or of another version");
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (!json_is_array(json_object_get(manifest, lists[i])))
            return fail_damaged(lists[i]);
    if (!json_is_array(json_object_get(transfer, "recipes")) || !json_is_array(json_object_get(transfer, "refused")))
        return fail_damaged("transfer");
    if (evolve_refusals(manifest, complain_refusal))
        return cli_fail(CLI_FAILED, "refused: this evolution would lose or misread what the machine holds");
    return CLI_DONE;
}

static enum cli_status read_manifest(const char *path, json_t **ret_manifest)
{
    OWN(memory) void *data = NULL;
    json_error_t error;
    size_t bytes;
    enum cli_status status = bundle_file(path, MANIFEST_MAX, &data, &bytes);

    if (status)
        return status;
    OWN(json) json_t *manifest = json_loadb(data, bytes, JSON_REJECT_DUPLICATES, &error);
    if (!manifest)
        return cli_fail(CLI_FAILED, "%s:%d: %s", path, error.line, error.text);
    status = check_manifest(manifest);
    if (!status)
        *ret_manifest = MOVE(manifest);
    return status;
}

/* How the types of the loaded cells differ from what was to replace them, where the objects are still there. */
static void explain_changed(const struct asking *a, const json_t *manifest)
{
    const json_t *changed = json_object_get(manifest, "changed");

    for (size_t i = 0; i < json_array_size(changed); i++) {
        const json_t *o = json_array_get(changed, i);
        const char *old_path = json_string_value(json_object_get(o, "old_path"));
        const char *path = json_string_value(json_object_get(o, "path")), *name = read_name(o);
        if (old_path && path && name)
            (void)explain_difference(a, name, old_path, path);
    }
}

static enum cli_status apply(struct asking *a, const json_t *manifest)
{
    CLOSED_BY(bundle_close) struct bundle b = {0};
    enum cli_status status = bundle_open(a, &b, "the evolution");

    if (!status)
        status = add_cells(a, &b, manifest);
    if (!status)
        status = add_recipes(&b, json_object_get(json_object_get(manifest, "transfer"), "recipes"));
    if (!status && (status = bundle_swap(a, &b)) && !a->call->json)
        explain_changed(a, manifest);
    return status;
}

enum cli_status verb_evolve(struct call *call)
{
    CLOSED_BY(asking_close) struct asking a = {0};
    OWN(json) json_t *manifest = NULL;
    enum cli_status status = asking_open(&a, call);

    if (!status)
        status = read_manifest(call->argv[0], &manifest);
    return status ? status : apply(&a, manifest);
}
