/* See disasm.h. */
#include "introspect/disasm.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "introspect/base/capstone.h"
#include "introspect/read.h"

/* No function of a cell comes near this; it bounds what a hostile length can make us do. */
enum { DISASM_BYTES_MAX = 1 << 20 };

/* An instruction has two relocations when it stores an address at an address. */
static void name_targets(const struct view *view, struct disasm_line *line, struct view_edges edges, size_t *next)
{
    size_t used = 0;

    for (; *next < edges.count; ++*next) {
        const struct arena_edge *edge = view_edge(view, edges.item[*next]);
        const struct arena_section *to = view_section(view, edge->to);
        if (edge->offset >= line->offset + line->bytes)
            return;
        if (edge->offset < line->offset || !to || used + sizeof ", " > sizeof line->target)
            continue;
        if (!line->edge.index)
            line->edge = edges.item[*next];
        else
            used += (size_t)snprintf(line->target + used, sizeof line->target - used, ", ");
        view_describe(view, to->virt + edge->target, line->target + used, sizeof line->target - used);
        used = strlen(line->target);
    }
}

static void fill_line(struct disasm_line *line, const cs_insn *instruction)
{
    line->bytes = instruction->size;
    line->valid = true;
    snprintf(line->mnemonic, sizeof line->mnemonic, "%s", instruction->mnemonic);
    snprintf(line->operands, sizeof line->operands, "%s", instruction->op_str);
}

static enum err disassemble(const struct view *view, struct section_ref section, const uint8_t *code, csh capstone,
                            void (*each)(const struct disasm_line *, void *), void *context)
{
    const struct arena_section *s = view_section(view, section);
    struct view_edges edges = view_edges_out(view, section);
    OWN(instruction) cs_insn *instruction = cs_malloc(capstone);
    size_t left = s->bytes, next = 0;
    uint64_t address = s->virt;

    if (!instruction)
        return ERR_NOMEM;
    while (left) {
        struct disasm_line line = {.address = address, .offset = (uint32_t)(address - s->virt), .bytes = 1};
        const uint8_t *start = code;
        if (cs_disasm_iter(capstone, &code, &left, &address, instruction)) {
            fill_line(&line, instruction);
        } else {
            snprintf(line.mnemonic, sizeof line.mnemonic, ".byte");
            snprintf(line.operands, sizeof line.operands, "0x%02x", *code);
            code++, left--, address++;
        }
        memcpy(line.byte, start, line.bytes);
        name_targets(view, &line, edges, &next);
        each(&line, context);
    }
    return ERR_OK;
}

enum err disasm_section(const struct view *view, struct section_ref section,
                        void (*each)(const struct disasm_line *line, void *context), void *context)
{
    const struct arena_section *s = view_section(view, section);
    OWN(capstone) csh capstone = 0;

    if (!s)
        return ERR_NOT_FOUND;
    if (s->kind != SECTION_TEXT || s->bytes > DISASM_BYTES_MAX)
        return ERR_INVALID;
    OWN(memory) uint8_t *code = malloc(s->bytes + 1u);
    if (!code)
        return ERR_NOMEM;
    enum err err = read_virt(view, s->virt, code, s->bytes, NULL);
    if (err != ERR_OK)
        return err;
    if (cs_open(CS_ARCH_X86, CS_MODE_64, &capstone) != CS_ERR_OK)
        return ERR_NOMEM;
    return disassemble(view, section, code, capstone, each, context);
}
