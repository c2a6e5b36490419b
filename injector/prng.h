/* splitmix64: a small generator whose whole state is one number, so that a seed replays. */
#pragma once
#include <stdint.h>

struct prng {
    uint64_t state;
};

static inline uint64_t prng_next(struct prng *prng)
{
    uint64_t z = prng->state += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* Evenly from 0 to limit - 1; 0 for limit 0. */
static inline uint64_t prng_below(struct prng *prng, uint64_t limit)
{
    if (limit == 0)
        return 0;
    uint64_t uneven = -limit % limit, value; /* 2^64 modulo limit: that many values are one too many */

    do
        value = prng_next(prng);
    while (value < uneven);
    return value % limit;
}

/* The generator of one experiment: far from its neighbours, and independent of how many ran before it. */
static inline struct prng prng_for(uint64_t seed, uint64_t index)
{
    struct prng outer = {seed};
    struct prng inner = {prng_next(&outer) ^ index * 0xd1342543de82ef95};

    return (struct prng){prng_next(&inner)};
}
