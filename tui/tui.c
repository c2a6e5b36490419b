/* See tui.h. The loop between terminal, guest memory and app. A machine that takes the name of one that ended is taken
 * up in its place. */
#include "tui/tui.h"
#include <stdio.h>
#include <string.h>
#include "introspect/base/clock.h"
#include "tui/app.h"
#include "tui/screen.h"
#include "tui/watch.h"
#include "vmm/machine/machine.h"

enum { REFRESH_MS = 250 };

/* A machine and its memory, which stays mapped when it ends. */
struct session {
    struct machine *machine; /* owned */
    void *ram;
    size_t bytes;
};

static void session_close(struct session *session)
{
    if (session->ram)
        machine_ram_unmap(session->ram, session->bytes);
    machine_close(session->machine);
    *session = (struct session){0};
}

static enum err session_open(const char *name, struct session *ret_session)
{
    struct session session = {0};
    enum err err = machine_open(name, &session.machine);

    if (err == ERR_OK)
        err = machine_ram_map(session.machine, false, &session.ram, &session.bytes);
    if (err != ERR_OK)
        session_close(&session);
    else
        *ret_session = session;
    return err;
}

/* Takes up another machine of the name. Returns whether there is one. */
static bool follow(const char *name, const struct watch_facts *facts, struct session *session)
{
    const struct machine_info *info = machine_info(session->machine);
    struct session next;

    if (!facts->pid || strcmp(facts->state, "ended") == 0)
        return false;
    if ((facts->pid == info->pid && facts->started == info->started) || session_open(name, &next) != ERR_OK)
        return false;
    session_close(session);
    *session = next;
    return true;
}

static const char *why_no_view(enum err err)
{
    switch (err) {
    case ERR_NOT_FOUND:
        return "booting";
    case ERR_WRONG_ABI:
        return "of another build";
    case ERR_CORRUPT:
        return "header destroyed";
    default:
        return err_text(err);
    }
}

static void take_look(struct app *app, struct watch *watch, struct session *session)
{
    struct watch_facts facts = watch_read(watch);
    enum err err = machine_ram_refresh(session->machine, session->ram, session->bytes);

    if (facts.pid || facts.state[0])
        app->facts = facts;
    if (follow(app->machine, &facts, session))
        snprintf(app->message, sizeof app->message, "another machine of this name has begun");
    app->now_ms = clock_ms();
    struct view *view = view_take_soon(session->ram, session->bytes, &err);
    snprintf(app->why_no_view, sizeof app->why_no_view, "%s", view ? "" : why_no_view(err));
    app_look(app, view);
}

static void event_loop(const char *name, bool readonly, struct watch *watch, struct session *session)
{
    CLOSED_BY(canvas_done) struct canvas canvas = {};
    OWN(memory) struct app *app = malloc(sizeof *app); /* too large for a stack */
    int64_t next = 0;

    if (!app)
        return;
    app_init(app, name);
    app->readonly = readonly;
    app->may_run = true;
    while (!app->quit) {
        int rows, columns;

        if (clock_ms() >= next) {
            take_look(app, watch, session);
            next = clock_ms() + REFRESH_MS;
        }
        app_tick(app);
        screen_size(&rows, &columns);
        if (rows != canvas.rows || columns != canvas.columns)
            if (!canvas_resize(&canvas, rows, columns))
                break;
        app_draw(app, &canvas);
        screen_show(&canvas);
        int64_t wait = next - clock_ms();
        app_key(app, screen_key(wait < 0 ? 0 : (int)wait));
    }
    app_done(app);
}

int tui_main(const char *name, bool readonly)
{
    CLOSED_BY(session_close) struct session session = {0};
    const char *why = "there is no memory or no thread";
    enum err err = session_open(name, &session);

    if (err != ERR_OK) {
        fprintf(stderr, "delias: %s\n", machine_last_error());
        return err == ERR_NOT_FOUND ? 3 : 1;
    }
    struct watch *watch = watch_new(name);
    if (watch && screen_open(&why)) {
        event_loop(name, readonly, watch, &session);
        screen_close();
        why = NULL;
    } else {
        fprintf(stderr, "delias: no terminal program here: %s\n", why);
    }
    watch_free(watch);
    return why ? 1 : 0;
}
