/* The terminal program: browses a running machine and triggers swaps and injections. It only reads guest memory, and
 * never waits for the guest. */
#pragma once
#include <stdbool.h>

/* Runs until the user quits. Returns the exit status: 0 done, 1 failed, 3 no such machine; a failure has been printed
 * as one line on standard error. With `readonly` no key changes anything. */
int tui_main(const char *machine, bool readonly);
