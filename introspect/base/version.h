/* What the programs say to --version: the newest heading of CHANGES.md, and the guest whose memory they know. */
#pragma once

#define DELIAS_VERSION "unreleased"
/* For printf: the program's name, then DELIAS_VERSION, then ARENA_VERSION. */
#define VERSION_FORMAT "%s (Delias) %s, arena %d\n"
