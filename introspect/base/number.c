/* See number.h. */
#include "introspect/base/number.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

bool number_parse_size(const char *word, uint64_t min, uint64_t max, uint64_t *ret)
{
    char digits[32];
    size_t n = strlen(word);
    char unit = n ? word[n - 1] : '\0';
    int shift = unit == 'K' ? 10 : unit == 'M' ? 20 : unit == 'G' ? 30 : 0;
    uint64_t number;

    n -= shift != 0;
    if (n >= sizeof digits)
        return false;
    memcpy(digits, word, n);
    digits[n] = '\0';
    if (!number_parse(digits, 0, UINT64_MAX >> shift, &number) || number << shift < min || number << shift > max)
        return false;
    *ret = number << shift;
    return true;
}
