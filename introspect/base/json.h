/* OWN(json) json_t *o: a reference that is dropped at the end of the scope. */
#pragma once
#include <jansson.h>
#include "introspect/base/own.h"

static inline void json_own_end(json_t **own)
{
    json_decref(*own);
}
