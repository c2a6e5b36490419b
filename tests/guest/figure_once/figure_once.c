/* See figure_once.h. */
#include "tests/guest/figure_once/figure_once.h"
#include "cells/kernel/scheduler/scheduler.h"
#include "tests/guest/figure_c/figure_c.h"

CELL("figure_once", DRIVER, 1);
EXPORT(figure_once_expect, APPLICATION);
EXPORT(figure_once_meet, APPLICATION);
EXPORT(figure_once_met, APPLICATION);
EXPORT(figure_once_note, APPLICATION);
EXPORT(figure_once_noted, APPLICATION);
EXPORT(figure_once_c, APPLICATION);
EXPORT(figure_once_count, APPLICATION);
EXPORT(figure_once_begun, APPLICATION);
EXPORT(figure_once_ended, APPLICATION);
EXPORT(figure_once_refuse, APPLICATION);
EXPORT(figure_once_refuses, APPLICATION);

#define WAIT_NS 1000000

static struct figure_note notes[FIGURE_SLOTS];
static unsigned expected, come;
static uint64_t begun, ended;
static bool refuses;

void figure_once_expect(unsigned tasks)
{
    for (unsigned i = 0; i < FIGURE_SLOTS; i++)
        notes[i] = (struct figure_note){};
    expected = tasks;
    __atomic_store_n(&come, 0, __ATOMIC_RELEASE);
}

bool figure_once_met(void)
{
    return __atomic_load_n(&come, __ATOMIC_ACQUIRE) >= expected;
}

void figure_once_meet(void)
{
    __atomic_add_fetch(&come, 1, __ATOMIC_ACQ_REL);
    while (!figure_once_met())
        scheduler_sleep_ns(WAIT_NS);
}

void figure_once_note(unsigned slot, const struct figure_note *note)
{
    if (slot < FIGURE_SLOTS)
        notes[slot] = *note;
}

struct figure_note figure_once_noted(unsigned slot)
{
    return slot < FIGURE_SLOTS ? notes[slot] : (struct figure_note){};
}

uint64_t figure_once_c(uint64_t n)
{
    return figure_c(n);
}

void figure_once_count(bool begins)
{
    __atomic_add_fetch(begins ? &begun : &ended, 1, __ATOMIC_RELAXED);
}

uint64_t figure_once_begun(void)
{
    return begun;
}

uint64_t figure_once_ended(void)
{
    return ended;
}

void figure_once_refuse(bool refuse)
{
    refuses = refuse;
}

bool figure_once_refuses(void)
{
    return refuses;
}
