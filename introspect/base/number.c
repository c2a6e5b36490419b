/* See number.h. */
#include "introspect/base/number.h"
#include <errno.h>
#include <stdlib.h>

bool number_parse(const char *word, uint64_t min, uint64_t max, uint64_t *ret)
{
    bool hexadecimal = word[0] == '0' && (word[1] == 'x' || word[1] == 'X');
    char *end;

    if (*word < '0' || *word > '9')
        return false;
    errno = 0;
    unsigned long long number = strtoull(word, &end, hexadecimal ? 16 : 10);
    if (*end || errno || number < min || number > max)
        return false;
    *ret = number;
    return true;
}
