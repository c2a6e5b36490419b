/* A keyboard behind the i8042 controller: scan codes of set 1 become characters (US layout). On a machine without the
 * controller the cell loads too, and no key is ever read. */
#pragma once
#include "cells/cell.h"

/* Keys without a character: values above ASCII. */
enum keyboard_key { KEYBOARD_UP = 0x80, KEYBOARD_DOWN, KEYBOARD_LEFT, KEYBOARD_RIGHT };

/* Waits for a key, for ever if timeout_ns is 0, then copies what was typed, up to `bytes`. From a task, no lock held.
 * Returns how many; 0 at the time-out. Keys that are typed while the ring (64) is full are lost. */
size_t keyboard_read(char *to, size_t bytes, uint64_t timeout_ns);
