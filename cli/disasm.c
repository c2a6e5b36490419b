/* The verb disasm: live instructions of a cell or of one section, the targets of their relocations named. */
#include "introspect/disasm.h"
#include <stdio.h>
#include "cli/cli.h"
#include "cli/reading.h"
#include "cli/verbs.h"

static const struct column line_columns[] = {
    {.key = "address", .kind = COLUMN_ADDRESS},
    {.key = "bytes"},
    {.key = "text"},
    {.key = "relocation"},
    {.key = "section", .where = COLUMN_JSON},
    {.key = "namespace", .where = COLUMN_JSON},
    {0},
};

struct context {
    struct reading *reading;
    struct section_ref section;
    const char *namespace_;
};

static void add_line(const struct disasm_line *line, void *context)
{
    const struct context *c = context;
    char hex[3 * sizeof line->byte + 1] = "", text[256];

    for (unsigned i = 0; i < line->bytes && i < sizeof line->byte; i++)
        snprintf(hex + (i ? 3 * i - 1 : 0), 4, "%s%02x", i ? " " : "", line->byte[i]);
    snprintf(text, sizeof text, "%s%s%s", line->mnemonic, *line->operands ? " " : "", line->operands);
    out_number(c->reading->out, line->address);
    out_text(c->reading->out, hex);
    out_text(c->reading->out, text);
    out_text(c->reading->out, line->target);
    out_text(c->reading->out, view_section_name(c->reading->view, c->section));
    out_text(c->reading->out, c->namespace_);
}

static enum cli_status print_section(struct reading *r, struct section_ref section)
{
    const struct view *v = r->view;
    const struct arena_cell *cell = view_cell(v, view_section(v, section)->cell);
    struct context c = {r, section, view_namespace_name(v, cell->namespace_)};
    char label[256];
    enum err e = disasm_section(v, section, add_line, &c);

    view_section_label(v, section, label, sizeof label);
    if (e == ERR_INVALID)
        return cli_fail(CLI_FAILED, "%s holds no instructions", label);
    if (e)
        return cli_fail(CLI_FAILED, "%s: %s", label, err_text(e));
    if (r->call->json)
        return CLI_DONE;
    printf("%s\n", label);
    out_print(r->out);
    printf("\n");
    return CLI_DONE;
}

static enum cli_status fill_disasm(struct reading *r)
{
    struct section_ref section;
    enum cli_status status;
    struct cell_ref cell = target_section(r->target, r->call->argv[0], &section, &status);

    if (!cell.index || section.index)
        return cell.index ? print_section(r, section) : status;
    struct view_sections list = view_sections_of(r->view, cell);
    for (size_t n = 0; n < list.count; n++)
        if (view_section(r->view, list.item[n])->kind == SECTION_TEXT && print_section(r, list.item[n]))
            r->failed = true;
    return CLI_DONE;
}

static void print_rest(struct reading *r)
{
    if (r->call->json)
        out_print(r->out);
}

enum cli_status verb_disasm(struct call *call)
{
    static const struct reading_rule rule = {line_columns, fill_disasm, false, print_rest};

    return reading_run(call, &rule);
}
