/* Checks of an order, and loading of its new cells in isolation. Internal to the swap cell. */
#pragma once
#include "cells/evolve/swap/attempt.h"

/* Whether the order names cells and objects, and not too many. */
bool staging_is_sound(const struct swap_order *order);
/* Checks the order against what is loaded, and stages its objects into job->new_. */
enum err staging_load(struct job *job) NEEDS(loader_lock);
/* Initializes cells that the new ones need and that were loaded for them, and those that are to be inherited. */
enum err staging_initialize_needs(struct job *job);
/* Initializes the cells beside the old ones before anybody uses them, unless the others' data or init functions, which
 * come later, may matter to them. An error refuses the swap. */
enum err staging_initialize_besides(struct job *job);
/* Initializes the new cells with fresh data. */
enum err staging_initialize_new(struct job *job) NEEDS(loader_lock);
/* Remembers what a commit, or its undoing, has rewritten as right, while the other CPUs run; takes back what was staged
 * and not committed. */
void staging_end(struct job *job);
