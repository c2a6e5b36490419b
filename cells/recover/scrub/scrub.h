/* The scrubber: a task that compares, over and over, what should never change with what was written there, and puts it
 * right in place, so that damage is found before anything reads it (docs/recovery.md). It exports nothing; loading it
 * starts it, unless the command line has scrub=no.
 *
 * It compares some twelve times a second: text, read-only data and unwind tables of all cells, their relocations
 * included, with the hashes that the loader has sealed; bound pointers with their edges; IDT, GDT and TSS with what
 * they must be; the page tables of the cells, and the upper tables of all memory. Records of the arena and pristine
 * objects, of which there is much, are compared more slowly: one flipped bit in a record is put right by its check
 * word, a few bits in one word of an object by its hash.
 *
 * Each repair is a record of kind FAULT_DAMAGE in the fault log, an event, and counted (scrub_mends); scrubs counts how
 * often all was compared. What cannot be put right, since its object is damaged too, is said once in the log.
 *
 * It holds no lock while it compares. When something differs it takes the loader lock, so that no load, swap or reload
 * is under way, looks again, and writes while the other CPUs are parked. */
#pragma once
#include "cells/cell.h"
