/* A terminal in a mode of our own. However the program ends, except by SIGKILL, the terminal is put back as it was: by
 * terminal_give_back, or by handlers of all signals that end programs, which the signal then does. A signal that is
 * ignored, or has a handler already, is left alone. One terminal at a time. */
#pragma once
#include <stdbool.h>

enum { TERMINAL_FAREWELL = 256 };

/* Remembers the mode of a terminal that somebody else is about to change. False: `fd` is no terminal, and nothing was
 * done. */
bool terminal_keep(int fd);
/* What to write to it when a signal ends the program: less than TERMINAL_FAREWELL bytes, at first nothing. */
void terminal_set_farewell(const char *text);

/* Has the terminal pass each byte as it is typed, those for signals too, without echo. A program that is stopped gives
 * the terminal back until it continues. False: `fd` is no terminal, and nothing was done. */
bool terminal_pass_bytes(int fd);

/* Puts the mode back; without one that was remembered it does nothing. */
void terminal_give_back(void);
