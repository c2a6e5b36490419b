/* The task of figure 8.1: comes through cells A, B and C again and again, and notes down where these are and whether their
 * answers stay the same. figure_app SLOT TURNS; its exit code is what C says of 0, or -1. */
#include "cells/kernel/cpu/cpu.h"
#include "tests/guest/figure_a/figure_a.h"
#include "tests/guest/figure_b/figure_b.h"
#include "tests/guest/figure_each/figure_each.h"
#include "tests/guest/figure_once/figure_once.h"
#include "tests/guest/figure_user/figure_user.h"

CELL("figure_app", APPLICATION, 1);

static uint64_t number(const char *text)
{
    uint64_t n = 0;

    for (; *text >= '0' && *text <= '9'; text++)
        n = 10 * n + (uint64_t)(*text - '0');
    return n;
}

static struct figure_note first_turn(void)
{
    return (struct figure_note){
        .a = ~(uint64_t)figure_a,
        .b = ~(uint64_t)figure_b,
        .c = ~figure_user_at(),
        .user = ~(uint64_t)figure_user,
        .each = ~(uint64_t)figure_each,
        .of_a = figure_a(0),
        .of_b = figure_b(0),
        .of_c = figure_user(0),
        .of_each = figure_each(),
    };
}

static int figure_app_main(int argc, char **argv)
{
    unsigned slot = argc > 1 ? (unsigned)number(argv[1]) : 0;
    uint64_t turns = argc > 2 ? number(argv[2]) : 1;

    figure_once_meet();
    struct figure_note note = first_turn();
    while (note.turns < turns) {
        uint64_t n = note.turns++;
        note.wrong += figure_a(n) != 3 * n + note.of_a || figure_b(n) != n + note.of_b ||
                      figure_user(n) != n + note.of_c || ~figure_user_at() != note.c;
        note.cpus |= 1ul << cpu_this()->index;
    }
    figure_once_note(slot, &note);
    return note.wrong ? -1 : (int)note.of_c;
}
MAIN(figure_app_main);
