/* OWN(capstone) csh handle, OWN(instruction) cs_insn *i: closed and freed at the end of the scope.
 * 0 and NULL are accepted. */
#pragma once
#include <capstone/capstone.h>
#include "introspect/base/own.h"

static inline void capstone_own_end(csh *own)
{
    if (*own)
        cs_close(own);
}

static inline void instruction_own_end(cs_insn **own)
{
    if (*own)
        cs_free(*own, 1);
}
