/* A singleton that depends on cell C: what figure_app's tasks note down, and where they meet. */
#pragma once
#include "cells/cell.h"

#define FIGURE_SLOTS 8

/* What a task saw. */
struct figure_note {
    uint64_t a, b, c, user, each; /* addresses of functions of these cells, inverted: they are not to hold the cells */
    uint64_t of_a, of_b, of_c, of_each; /* their answers at the first turn */
    uint64_t turns, wrong;              /* wrong: another answer than at the first */
    uint64_t cpus;                      /* bit by CPU: where it has been */
};

void figure_once_expect(unsigned tasks); /* so many are to meet; forgets all notes */
void figure_once_meet(void);             /* waits until they all have come */
bool figure_once_met(void);
void figure_once_note(unsigned slot, const struct figure_note *note);
struct figure_note figure_once_noted(unsigned slot);
uint64_t figure_once_c(uint64_t n); /* what figure_c says here */

/* For figure_each: how often it began and ended, and whether it is to fail. */
void figure_once_count(bool begins);
uint64_t figure_once_begun(void);
uint64_t figure_once_ended(void);
void figure_once_refuse(bool refuse);
bool figure_once_refuses(void);
