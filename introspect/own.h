/* How the host libraries mark ownership: gcc's analyzer follows a result to its one release function. */
#pragma once

#if defined(__GNUC__) && !defined(__clang__)
#define RELEASED_BY(release) __attribute__((malloc(release, 1), warn_unused_result))
#else
#define RELEASED_BY(release) __attribute__((warn_unused_result))
#endif
