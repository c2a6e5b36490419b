/* Text on the screen: a grid of characters that scrolls, with a cursor. Uses the linear frame buffer if there is one,
 * else EGA text memory. Becomes a sink of the log when it is loaded. Knows new line, return, backspace and tab; no
 * colours. */
#pragma once
#include "cells/cell.h"

/* Prints text at the cursor. Any context; prints nothing when called, by a fault, in the middle of itself. */
void text_screen_write(const char *text, size_t bytes);
