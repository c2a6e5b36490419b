/* See qualified.h. */
#include "introspect/qualified.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "introspect/base/number.h"

/* ---- parsing ---- */

/* Copies `length` bytes as a string. False: there are none, or too many. */
static bool copy_part(char *ret, size_t bytes, const char *from, size_t length)
{
    if (length == 0 || length >= bytes)
        return false;
    memcpy(ret, from, length);
    ret[length] = '\0';
    return true;
}

bool qualified_parse(const char *words, struct qualified *ret_name)
{
    size_t end = strcspn(words, ":"), slash = strcspn(words, "/");
    struct qualified name = {0};
    const char *cell = words;

    if (slash < end) {
        if (!copy_part(name.namespace_, sizeof name.namespace_, words, slash))
            return false;
        cell += slash + 1;
    }
    if (!copy_part(name.cell, sizeof name.cell, cell, end - (size_t)(cell - words)))
        return false;
    if (words[end] && !copy_part(name.rest, sizeof name.rest, words + end + 1, strlen(words + end + 1)))
        return false;
    *ret_name = name;
    return true;
}

/* ---- messages ---- */

__attribute__((format(printf, 2, 3))) static void add_text(struct qualified_text *text, const char *format, ...)
{
    size_t used = strlen(text->text);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text->text + used, sizeof text->text - used, format, arguments);
    va_end(arguments);
}

static void add_namespaces(const struct view *view, struct qualified_text *text)
{
    const char *between = "";

    view_each_namespace (n, view)
        if (view_namespace(view, n)->state == NAMESPACE_LIVE) {
            add_text(text, "%s%s", between, view_namespace_name(view, n));
            between = ", ";
        }
}

static void add_cells_of(const struct view *view, struct namespace_ref namespace_, struct qualified_text *text)
{
    const char *between = "";

    view_each_cell (cell, view) {
        const struct arena_cell *c = view_cell(view, cell);

        if (c->state == CELL_LIVE && same(c->namespace_, namespace_)) {
            add_text(text, "%s%s", between, view_string(view, c->name));
            between = ", ";
        }
    }
    if (!*between)
        add_text(text, "none");
}

/* The live cell of that name that a namespace holds itself, or none. */
static struct cell_ref live_cell(const struct view *view, struct namespace_ref namespace_, const char *name)
{
    const struct arena_namespace *n = view_namespace(view, namespace_);
    struct cell_ref cell = n->state == NAMESPACE_LIVE ? view_find_held(view, namespace_, name) : NO_CELL;

    return cell.index && view_cell(view, cell)->state == CELL_LIVE ? cell : NO_CELL;
}

/* Adds where else than in `but` there is a live cell of that name: namespaces, or with `whole` the cells' names.
 * Returns how many. */
static size_t add_others(const struct view *view, const char *name, struct namespace_ref but, bool whole,
                         struct qualified_text *text)
{
    size_t count = 0;

    view_each_namespace (n, view)
        if (!same(n, but) && live_cell(view, n, name).index) {
            add_text(text, "%s%s%s%s", count ? ", " : "", view_namespace_name(view, n), whole ? "/" : "",
                     whole ? name : "");
            count++;
        }
    return count;
}

/* Says where the cell is that is not in `namespace_`, or which cells are there. */
static enum err refuse_cell(const struct view *view, const char *name, struct namespace_ref namespace_,
                            struct qualified_text *ret_text)
{
    struct qualified_text where = {""};
    const char *space = view_namespace_name(view, namespace_);

    *ret_text = (struct qualified_text){""};
    if (add_others(view, name, namespace_, false, &where)) {
        add_text(ret_text, "no cell '%s' in namespace '%s'; it is in %s", name, space, where.text);
        return ERR_NOT_FOUND;
    }
    if (same(namespace_, NAMESPACE_ROOT))
        add_text(ret_text, "no cell '%s'; its cells: ", name);
    else
        add_text(ret_text, "no cell '%s' in namespace '%s', nor elsewhere; %s holds: ", name, space, space);
    add_cells_of(view, namespace_, ret_text);
    return ERR_NOT_FOUND;
}

static enum err refuse_namespace(const struct view *view, const struct qualified *name, struct qualified_text *ret_text)
{
    *ret_text = (struct qualified_text){""};
    add_text(ret_text, "no namespace '%s'; there are: ", name->namespace_);
    add_namespaces(view, ret_text);
    return ERR_NOT_FOUND;
}

/* ---- resolving ---- */

static enum err find_record(const struct view *view, const char *word, struct cell_ref *ret_cell,
                            struct qualified_text *ret_text)
{
    uint64_t index;

    if (number_parse(word + 1, 1, UINT32_MAX, &index) && view_cell(view, (struct cell_ref){(uint32_t)index})) {
        ret_cell->index = (uint32_t)index;
        return ERR_OK;
    }
    add_text(ret_text, "no cell '%s'; #INDEX is that of a record in use", word);
    return ERR_NOT_FOUND;
}

/* The root's is meant, since no namespace was named. */
static void tell_others(const struct view *view, const char *name, struct qualified_text *ret_text)
{
    struct qualified_text others = {""};

    if (add_others(view, name, NAMESPACE_ROOT, true, &others))
        add_text(ret_text, "'%s' is the root's; there is also %s", name, others.text);
}

/* Whether the record is an absence; or the cell is not live, and another namespace has a live one of that name, which
 * is meant more likely. */
static bool is_hidden(const struct view *view, struct cell_ref cell, const char *name)
{
    struct qualified_text others = {""};

    if (view_cell(view, cell)->state == CELL_ABSENT)
        return true;
    return view_cell(view, cell)->state != CELL_LIVE && add_others(view, name, NO_NAMESPACE, false, &others);
}

enum err qualified_cell(const struct view *view, const struct qualified *name, enum qualified_reach reach,
                        struct cell_ref *ret_cell, struct qualified_text *ret_text)
{
    struct namespace_ref namespace_ = NAMESPACE_ROOT;

    *ret_text = (struct qualified_text){""};
    if (*name->namespace_)
        namespace_ = view_find_namespace(view, name->namespace_);
    if (!namespace_.index)
        return refuse_namespace(view, name, ret_text);
    if (name->cell[0] == '#' && !*name->namespace_)
        return find_record(view, name->cell, ret_cell, ret_text);
    struct cell_ref cell = reach == QUALIFIED_SEEN ? view_find_cell(view, namespace_, name->cell)
                                                   : view_find_held(view, namespace_, name->cell);
    if (!cell.index || is_hidden(view, cell, name->cell))
        return refuse_cell(view, name->cell, namespace_, ret_text);
    if (!*name->namespace_)
        tell_others(view, name->cell, ret_text);
    *ret_cell = cell;
    return ERR_OK;
}

/* ---- symbols ---- */

static struct symbol_ref symbol_in(const struct view *view, struct cell_ref cell, const char *name)
{
    struct view_symbols list = view_symbols_of(view, cell);

    for (size_t i = 0; i < list.count; i++)
        if (strcmp(view_string(view, view_symbol(view, list.item[i])->name), name) == 0)
            return list.item[i];
    return NO_SYMBOL;
}

/* The symbols of live cells of a namespace, or with `others` of all other namespaces, by their name. */
struct matches {
    struct symbol_ref exported, private_;
    size_t privates;
    struct qualified_text cells; /* that have it */
};

static void find_symbols(const struct view *view, const char *name, bool others, struct matches *ret)
{
    *ret = (struct matches){0};
    view_each_cell (cell, view) {
        const struct arena_cell *c = view_cell(view, cell);
        struct symbol_ref symbol = c->state == CELL_LIVE && same(c->namespace_, NAMESPACE_ROOT) != others
                                       ? symbol_in(view, cell, name)
                                       : NO_SYMBOL;
        char label[QUALIFIED_BYTES];

        if (!symbol.index)
            continue;
        qualified_name(view, cell, label, sizeof label);
        add_text(&ret->cells, "%s%s.%s", *ret->cells.text ? ", " : "", label, name);
        bool exported = view_symbol(view, symbol)->access;
        *(exported ? &ret->exported : &ret->private_) = symbol;
        ret->privates += !exported;
    }
}

/* Without a cell. */
static enum err find_plain_symbol(const struct view *view, const char *name, struct symbol_ref *ret_symbol,
                                  struct qualified_text *ret_text)
{
    struct matches root, others;

    find_symbols(view, name, false, &root);
    if (root.exported.index || root.privates == 1) {
        *ret_symbol = root.exported.index ? root.exported : root.private_;
        return ERR_OK;
    }
    if (root.privates) {
        add_text(ret_text, "no symbol of the name '%s' alone; say which of %s", name, root.cells.text);
        return ERR_NOT_FOUND;
    }
    find_symbols(view, name, true, &others);
    if (*others.cells.text)
        add_text(ret_text, "no symbol '%s' in namespace 'root'; there is %s", name, others.cells.text);
    else
        add_text(ret_text, "no symbol '%s'; `delias symbols` lists them", name);
    return ERR_NOT_FOUND;
}

/* CELL.SYMBOL, which is cut at `dot`. */
static enum err find_symbol_of_cell(const struct view *view, const char *words, const char *dot,
                                    struct symbol_ref *ret_symbol, struct qualified_text *ret_text)
{
    char cell_words[QUALIFIED_BYTES];
    struct cell_ref cell = NO_CELL;
    struct qualified name;

    if (!copy_part(cell_words, sizeof cell_words, words, (size_t)(dot - words)) ||
        !qualified_parse(cell_words, &name) || *name.rest) {
        add_text(ret_text, "no symbol '%s'; say SYMBOL, CELL.SYMBOL or NAMESPACE/CELL.SYMBOL", words);
        return ERR_NOT_FOUND;
    }
    enum err e = qualified_cell(view, &name, QUALIFIED_HELD, &cell, ret_text);
    if (e)
        return e;
    *ret_symbol = symbol_in(view, cell, dot + 1);
    *ret_text = (struct qualified_text){""};
    if (ret_symbol->index)
        return ERR_OK;
    add_text(ret_text, "no symbol '%s' in cell '%s'; `delias symbols %s` lists them", dot + 1, cell_words, cell_words);
    return ERR_NOT_FOUND;
}

/* The compiler puts dots into names of private symbols: those come first. */
enum err qualified_symbol(const struct view *view, const char *words, struct symbol_ref *ret_symbol,
                          struct qualified_text *ret_text)
{
    const char *slash = strchr(words, '/'), *dot = strchr(slash ? slash : words, '.');

    *ret_text = (struct qualified_text){""};
    if (slash && !dot) {
        add_text(ret_text, "no symbol '%s'; say NAMESPACE/CELL.SYMBOL", words);
        return ERR_NOT_FOUND;
    }
    if (!slash) {
        enum err e = find_plain_symbol(view, words, ret_symbol, ret_text);
        if (!e || !dot)
            return e;
        *ret_text = (struct qualified_text){""};
    }
    return find_symbol_of_cell(view, words, dot, ret_symbol, ret_text);
}

void qualified_name(const struct view *view, struct cell_ref cell, char *ret_name, size_t bytes)
{
    const struct arena_cell *c = view_cell(view, cell);
    bool root = !c || same(c->namespace_, NAMESPACE_ROOT);

    snprintf(ret_name, bytes, "%s%s%s", root ? "" : view_namespace_name(view, c->namespace_), root ? "" : "/",
             view_cell_name(view, cell));
}
