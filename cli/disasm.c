/* The verb disasm: live instructions of a cell or of one section, what relocations lead to named behind them. */
#include "introspect/disasm.h"
#include <stdio.h>
#include "cli/cli.h"
#include "cli/reading.h"
#include "cli/verbs.h"

static const struct column line_columns[] = {
    {"address", COLUMN_ADDRESS, 0},
    {"bytes", COLUMN_TEXT, 0},
    {"text", COLUMN_TEXT, 0},
    {"relocation", COLUMN_TEXT, 0},
    {"section", COLUMN_TEXT, COLUMN_JSON},
    {0},
};

struct context {
    struct reading *reading;
    uint32_t section;
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
}

static int add_section(struct reading *r, uint32_t section)
{
    struct context c = {r, section};
    const struct view *v = r->view;
    const char *cell = view_cell_name(v, view_section(v, section)->cell), *name = view_section_name(v, section);
    enum err e = disasm_section(v, section, add_line, &c);

    if (e == ERR_INVALID)
        return cli_fail(CLI_FAILED, "%s:%s holds no instructions", cell, name);
    if (e)
        return cli_fail(CLI_FAILED, "%s:%s: %s", cell, name, err_text(e));
    if (r->json)
        return CLI_DONE;
    printf("%s:%s\n", cell, name);
    out_print(r->out);
    printf("\n");
    return CLI_DONE;
}

static int fill(struct reading *r)
{
    uint32_t section;
    int status;
    uint32_t cell = target_section(r->target, r->argv[0], &section, &status);

    if (!cell || section)
        return cell ? add_section(r, section) : status;
    struct view_list list = view_sections_of(r->view, cell);
    for (size_t n = 0; n < list.count; n++)
        if (view_section(r->view, list.item[n])->kind == SECTION_TEXT && add_section(r, list.item[n]))
            r->failed = true;
    return CLI_DONE;
}

static void print_rest(struct reading *r)
{
    if (r->json)
        out_print(r->out);
}

int verb_disasm(int argc, char **argv)
{
    static const struct reading_rule rule = {1, 1, "", line_columns, fill, false, print_rest};

    return reading_run(argc, argv, &rule);
}
