/* Shell sort: in place, without recursion or memory. */
#pragma once
#include <stddef.h>

/* Sorts `count` elements from `array` on by what `key(&element)` returns, the smallest first. Not stable. */
#define SORT(array, count, key)                                                                                        \
    for (size_t gap_ = (count) / 2; gap_ > 0; gap_ /= 2)                                                               \
        for (size_t i_ = gap_; i_ < (count); i_++) {                                                                   \
            typeof(*(array)) moving_ = (array)[i_];                                                                    \
            size_t k_ = i_;                                                                                            \
            for (; k_ >= gap_ && key(&moving_) < key(&(array)[k_ - gap_]); k_ -= gap_)                                 \
                (array)[k_] = (array)[k_ - gap_];                                                                      \
            (array)[k_] = moving_;                                                                                     \
        }
