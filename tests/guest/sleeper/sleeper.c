/* See sleeper.h. */
#define SLEEPER_VERSION 1
#include "tests/guest/sleeper/version.h"

CELL("sleeper", LIBRARY, 1);
