/* The VM's two locks by role, and what clang checks of them (make check); gcc sees nothing of it. In C clang 14 cannot
 * name a lock from beside it in the same struct, so each is stood for by a role, which is declared and defined nowhere:
 * a process has one VM. */
#pragma once

#ifdef __clang__
#define LOCK_WORD(words) __attribute__((words))
#else
#define LOCK_WORD(words)
#endif
#define CAPABILITY       LOCK_WORD(capability("lock"))
#define GUARDED_BY(role) LOCK_WORD(guarded_by(role))
#define AFTER(role)      LOCK_WORD(acquired_after(role))
#define ACQUIRES(role)   LOCK_WORD(acquire_capability(role))
#define RELEASES(role)   LOCK_WORD(release_capability(role))
#define NEEDS(role)      LOCK_WORD(requires_capability(role)) /* only who holds it may call this */
#define EXCLUDES(role)   LOCK_WORD(locks_excluded(role))      /* only who does not */
#define UNCHECKED        LOCK_WORD(no_thread_safety_analysis)

struct CAPABILITY role {
    char none;
};

extern struct role devices_role;                   /* vmm->devices: all that a port handler touches */
extern struct role state_role AFTER(devices_role); /* vmm->lock: states of machine and vCPUs */
