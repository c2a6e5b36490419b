/* See tui.h. The loop between terminal, guest memory and app. */
#include "tui/tui.h"
#include <stdio.h>
#include <time.h>
#include "tui/app.h"
#include "tui/screen.h"
#include "vmm/machine/machine.h"

enum { REFRESH_MS = 250 };

static long monotonic_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void take_look(struct app *app, const struct machine *machine, const void *ram, size_t bytes)
{
    enum err err = ERR_OK;
    struct view *view = view_take_soon(ram, bytes, &err);
    bool alive = machine_is_alive(machine);

    snprintf(app->state, sizeof app->state, "%s%s%s", machine_backend_name(machine_info(machine)->backend),
             alive ? "" : ", ended", view ? view_is_torn(view) ? ", changing" : "" : ", no metadata yet");
    app_look(app, view);
}

static void event_loop(const char *name, const struct machine *machine, const void *ram, size_t bytes)
{
    CLOSED_BY(canvas_done) struct canvas canvas = {};
    CLOSED_BY(app_done) struct app app;
    long next = 0;

    app_init(&app, name);
    while (!app.quit) {
        int rows, columns;

        if (monotonic_ms() >= next) {
            take_look(&app, machine, ram, bytes);
            next = monotonic_ms() + REFRESH_MS;
        }
        app_tick(&app);
        screen_size(&rows, &columns);
        if (rows != canvas.rows || columns != canvas.columns)
            if (!canvas_resize(&canvas, rows, columns))
                break;
        app_draw(&app, &canvas);
        screen_show(&canvas);
        long wait = next - monotonic_ms();
        app_key(&app, screen_key(wait < 0 ? 0 : (int)wait));
    }
}

int tui_main(const char *name)
{
    OWN(machine) struct machine *machine = NULL;
    enum err err = machine_open(name, &machine);
    const char *why = NULL;
    void *ram;
    size_t bytes;

    if (err != ERR_OK) {
        fprintf(stderr, "delias: %s\n", machine_last_error());
        return err == ERR_NOT_FOUND ? 3 : 1;
    }
    if (machine_ram_map(machine, false, &ram, &bytes) != ERR_OK) {
        fprintf(stderr, "delias: %s\n", machine_last_error());
        return 1;
    }
    if (screen_open(&why)) {
        event_loop(name, machine, ram, bytes);
        screen_close();
    } else {
        fprintf(stderr, "delias: no terminal program here: %s\n", why);
    }
    machine_ram_unmap(ram, bytes);
    return why ? 1 : 0;
}
