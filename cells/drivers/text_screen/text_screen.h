/* Text on the screen: a grid of characters with a cursor, that scrolls. On the linear frame buffer where there is one, else in
 * EGA text memory. Becomes a sink of the log when it is loaded. Knows new line, return, backspace and tab; no colours. */
#pragma once
#include "cells/cell.h"

void text_screen_write(const char *text, size_t bytes); /* any context but a screen interrupted by itself */
