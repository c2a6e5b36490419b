/* The second version of the sleeper cell: it says so in its answers. */
#define SLEEPER_VERSION 2
#include "tests/guest/sleeper/version.h"

CELL("sleeper", LIBRARY, 2);
