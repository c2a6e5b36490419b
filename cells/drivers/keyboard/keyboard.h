/* A keyboard behind the i8042 controller: scan codes of set 1 become characters (US layout). Input goes into a ring; what
 * nobody takes is lost once it is full. Loads on machines without a controller too: then no key is ever pressed. */
#pragma once
#include "cells/cell.h"

/* What keys without a character give: values above ASCII. */
enum keyboard_key { KEYBOARD_UP = 0x80, KEYBOARD_DOWN, KEYBOARD_LEFT, KEYBOARD_RIGHT };

/* Waits until a key was pressed, then takes what is there, up to `bytes`. timeout_ns 0: for ever. 0 at the time-out. */
size_t keyboard_read(char *to, size_t bytes, uint64_t timeout_ns);
