/* See flexible.h. */
#include "cells/tool/flexible.h"
#include "cells/tool/die.h"
#include "cells/tool/loss.h"
#include <inttypes.h>

uint64_t flexible_bytes(const struct side_section *section, const struct datum *datum)
{
    size_t next = (size_t)(datum - section->data) + 1;
    uint64_t end = next < section->count ? section->data[next].offset : section->bytes;
    uint64_t own = datum->offset + datum->bytes;
    Dwarf_Die die = datum->die;

    return !datum->form && end > own && die_is_open(&die) ? end - own : 0;
}

/* Whether --drop PATH[] is said. */
static bool is_given_up(struct match *m)
{
    size_t back = match_path(m, "", "[]");
    struct match_word *word = match_word(m, "");

    match_path_back(m, back);
    if (!word || word->to)
        return false;
    word->used = true;
    return true;
}

void flexible_move(struct match *m, const struct datum *old, uint64_t was, const struct datum *new_, uint64_t is,
                   struct moves *moves)
{
    uint64_t bytes = old->bytes + (was < is ? was : is);
    const struct recipe_move copy = {.kind = RECIPE_COPY,
                                     .count = 1,
                                     .from = (uint32_t)old->offset,
                                     .to = (uint32_t)new_->offset,
                                     .from_width = (uint32_t)bytes,
                                     .to_width = (uint32_t)bytes};

    m->failed |= !moves_add(moves, copy);
    if (was <= is)
        return;
    match_remark(m, &m->changed,
                 "its last array is shortened by %" PRIu64 " bytes; the swap is refused if they are not zero, unless "
                 "--drop %s[] is said",
                 was - is, m->path);
    if (!is_given_up(m))
        loss_add_bytes(m, old->offset + bytes, was - is, "[]", moves);
}
