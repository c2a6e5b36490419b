/* See snapshots.h. */
#include "vmm/machine/snapshots.h"
#include "introspect/base/json.h"
#include "vmm/machine/error.h"
#include "vmm/machine/ram_image.h"
#include "vmm/machine/rundir.h"
#include "vmm/machine/snapshot_files.h"
#include "vmm/machine/state.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LOCK_MS = 20000, KEEP_MS = 120000, SUM_DIGITS = 17 };

/* ---- which build a machine runs ---- */

/* A checksum of a whole file, as digits; empty for no file. */
static enum err sum_file(const char *path, char digits[SUM_DIGITS])
{
    struct stat st;

    digits[0] = '\0';
    if (!*path)
        return ERR_OK;
    OWN(descriptor) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0 || st.st_size == 0)
        return machine_fail(ERR_IO, "%s: %s", path, fd < 0 ? strerror(errno) : "empty");
    void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return machine_fail(ERR_IO, "%s: %s", path, strerror(errno));
    snprintf(digits, SUM_DIGITS, "%016" PRIx64, container_checksum(0, bytes, (size_t)st.st_size));
    munmap(bytes, (size_t)st.st_size);
    return ERR_OK;
}

struct build {
    char kernel[SUM_DIGITS], archive[SUM_DIGITS];
};

static enum err sum_build(const struct machine_info *info, struct build *ret_build)
{
    enum err e = sum_file(info->kernel, ret_build->kernel);
    return e == ERR_OK ? sum_file(info->archive, ret_build->archive) : e;
}

/* ---- what a snapshot says about itself ---- */

static enum err add_about(struct container_writer *w, const struct snapshot_info *info, const struct build *build)
{
    OWN(json)
    json_t *about = json_pack("{s:s,s:s,s:s,s:i,s:I,s:I,s:s,s:s}", "name", info->name, "parent", info->parent,
                              "backend", machine_backend_name(info->backend), "cpus", (int)info->cpus, "ram_bytes",
                              (json_int_t)info->ram_bytes, "taken", (json_int_t)info->taken, "kernel_sum",
                              build->kernel, "archive_sum", build->archive);
    OWN(memory) char *text = about ? json_dumps(about, JSON_COMPACT) : NULL;

    return text ? container_add(w, SNAPSHOT_ABOUT, 0, text, strlen(text)) : ERR_NOMEM;
}

static bool copy_member(const json_t *about, const char *key, char *to, size_t bytes)
{
    const char *text = json_string_value(json_object_get(about, key));

    return text && (size_t)snprintf(to, bytes, "%s", text) < bytes;
}

static bool parse_about(const json_t *about, struct snapshot_info *info, struct build *build)
{
    const char *backend = json_string_value(json_object_get(about, "backend"));
    json_int_t cpus = json_integer_value(json_object_get(about, "cpus"));
    json_int_t ram = json_integer_value(json_object_get(about, "ram_bytes"));
    json_int_t taken = json_integer_value(json_object_get(about, "taken"));

    info->cpus = (unsigned)cpus;
    info->ram_bytes = (uint64_t)ram;
    info->taken = (uint64_t)taken;
    return cpus > 0 && cpus <= MACHINE_CPUS_MAX && ram > 0 && ram % RAM_IMAGE_PAGE == 0 && taken >= 0 && backend &&
           machine_backend_parse(backend, &info->backend) == ERR_OK && info->backend != MACHINE_AUTO &&
           copy_member(about, "name", info->name, sizeof info->name) &&
           copy_member(about, "parent", info->parent, sizeof info->parent) &&
           (!info->parent[0] || rundir_check_name(info->parent) == ERR_OK) &&
           copy_member(about, "kernel_sum", build->kernel, sizeof build->kernel) &&
           copy_member(about, "archive_sum", build->archive, sizeof build->archive);
}

static enum err parse_file(const struct container *c, struct snapshot_info *info, struct build *build)
{
    size_t about_bytes = 0, state_bytes = 0;
    const char *text = container_find(c, SNAPSHOT_ABOUT, 0, &about_bytes);
    OWN(json) json_t *about = text ? json_loadb(text, about_bytes, JSON_REJECT_DUPLICATES, NULL) : NULL;

    info->file_bytes = c->count;
    if (!json_is_object(about) || !parse_about(about, info, build) ||
        !container_find(c, SNAPSHOT_STATE, 0, &state_bytes) || !state_bytes) {
        strcpy(info->problem, "damaged: it does not say what it is a snapshot of");
        return ERR_INVALID;
    }
    info->pages = ram_image_pages(c);
    return ram_image_check(c, info->ram_bytes, info->problem);
}

enum err snapshots_parse(const struct container *container, struct snapshot_info *ret_info)
{
    struct build build;

    *ret_info = (struct snapshot_info){0};
    return parse_file(container, ret_info, &build);
}

/* ---- a machine that stands still ---- */

struct still {
    struct machine *machine;
    bool ran;
    struct ram_mapping ram;
};

/* All of the file, in its own order. */
static enum err map_file(const struct machine_info *info, struct ram_mapping *ram)
{
    struct stat st;

    ram->fd = open(info->ram_file, O_RDWR | O_CLOEXEC);
    if (ram->fd < 0 || fstat(ram->fd, &st) != 0 || (uint64_t)st.st_size != info->ram_bytes)
        return machine_fail(ERR_NOT_RUNNING, "RAM of machine '%s': %s: %s", info->name, info->ram_file,
                            ram->fd < 0 ? strerror(errno) : "of another size");
    void *base = mmap(NULL, info->ram_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ram->fd, 0);
    if (base == MAP_FAILED)
        return machine_fail(ERR_NOMEM, "RAM of machine '%s': %s", info->name, strerror(errno));
    ram->base = base;
    ram->bytes = info->ram_bytes;
    return ERR_OK;
}

/* Whoever asks the guest for something has to be done with it: half a request would be in the snapshot. */
static enum err hold_still(struct machine *machine, struct still *still)
{
    enum err e = machine_lock(machine, LOCK_MS, KEEP_MS);

    *still = (struct still){.machine = machine, .ram.fd = -1};
    if (e == ERR_OK)
        e = map_file(machine_info(machine), &still->ram);
    if (e == ERR_OK)
        e = machine_refresh(machine); /* the file is that of a machine that is still there */
    still->ran = e == ERR_OK && strcmp(machine_info(machine)->state, "running") == 0;
    return e == ERR_OK && still->ran ? machine_pause(machine) : e;
}

static void let_go(struct still *still)
{
    if (still->ram.fd >= 0)
        close(still->ram.fd);
    if (still->ram.base)
        munmap(still->ram.base, still->ram.bytes);
    machine_unlock(still->machine);
}

/* After what was done with it while it stood still: its failure is what is told. */
static enum err go_on(const struct still *still, enum err e)
{
    char why[CONTAINER_WHY];

    snprintf(why, sizeof why, "%s", machine_last_error());
    enum err on = still->ran ? machine_resume(still->machine) : ERR_OK;
    return e == ERR_OK ? on : machine_fail(e, "%s", why);
}

/* ---- taking ---- */

static enum err write_parts(struct still *still, struct snapshot_info *info, struct container_writer *w)
{
    OWN(memory) uint8_t *state = NULL;
    size_t state_bytes = 0;
    struct build build;
    enum err e = sum_build(machine_info(still->machine), &build);

    if (e == ERR_OK)
        e = state_fetch(still->machine, &state, &state_bytes);
    if (e != ERR_OK)
        return e;
    (void)machine_fail(ERR_NOMEM, "out of memory"); /* where the file has nothing to say */
    e = add_about(w, info, &build);
    if (e == ERR_OK)
        e = container_add(w, SNAPSHOT_STATE, 0, state, state_bytes);
    return e == ERR_OK ? ram_image_add(w, &still->ram, &info->pages) : e;
}

static enum err take(struct still *still, struct snapshot_info *info)
{
    OWN(container_writer) struct container_writer *w = NULL;
    char path[MACHINE_PATH_MAX], why[CONTAINER_WHY] = "";
    struct stat st = {0};
    enum err e = snapshot_files_path(machine_info(still->machine)->name, info->name, path, sizeof path);

    if (e != ERR_OK)
        return e;
    e = container_new(path, SNAPSHOT_FILE, why, &w);
    if (e == ERR_OK)
        e = write_parts(still, info, w);
    e = go_on(still, e);
    still->ran = false;
    if (e == ERR_OK)
        e = container_commit(MOVE(w));
    if (e != ERR_OK)
        return *why ? machine_fail(e, "%s; a snapshot of that name that was there still is", why) : e;
    (void)!stat(path, &st);
    info->file_bytes = (uint64_t)st.st_size;
    snapshot_files_set_current(machine_info(still->machine), info->name);
    return ERR_OK;
}

enum err snapshots_take(struct machine *machine, const char *name, struct snapshot_info *ret_info)
{
    const struct machine_info *of = machine_info(machine);
    CLOSED_BY(let_go) struct still still = {.machine = machine, .ram.fd = -1};
    struct snapshot_info info = {.backend = of->backend, .cpus = of->cpus, .ram_bytes = of->ram_bytes};
    enum err e = snapshot_files_name(of->name, name, info.name);

    if (e == ERR_OK)
        e = hold_still(machine, &still);
    if (e != ERR_OK)
        return go_on(&still, e);
    snapshot_files_current(of, info.parent);
    if (strcmp(info.parent, info.name) == 0)
        snapshot_files_parent(of->name, info.name, info.parent);
    info.taken = (uint64_t)time(NULL);
    info.current = true;
    e = take(&still, &info);
    if (e == ERR_OK)
        *ret_info = info;
    return e;
}

/* ---- putting back ---- */

static enum err check_fit(const struct machine_info *of, const struct snapshot_info *info, const struct build *build)
{
    struct build now;

    if (info->backend != of->backend)
        return machine_fail(ERR_REFUSED, "snapshot %s is of a machine on %s; '%s' runs on %s", info->name,
                            machine_backend_name(info->backend), of->name, machine_backend_name(of->backend));
    if (info->cpus != of->cpus || info->ram_bytes != of->ram_bytes)
        return machine_fail(ERR_REFUSED,
                            "snapshot %s is of a machine with %u CPUs and %" PRIu64 " bytes of RAM; '%s' has "
                            "%u and %" PRIu64,
                            info->name, info->cpus, info->ram_bytes, of->name, of->cpus, of->ram_bytes);
    enum err e = sum_build(of, &now);
    if (e == ERR_OK && (strcmp(now.kernel, build->kernel) != 0 || strcmp(now.archive, build->archive) != 0))
        return machine_fail(ERR_REFUSED,
                            "snapshot %s is of another build than what '%s' runs: %s or its archive differs",
                            info->name, of->name, of->kernel);
    return e;
}

static enum err open_snapshot(struct machine *machine, const char *name, struct container *c)
{
    const struct machine_info *of = machine_info(machine);
    char path[MACHINE_PATH_MAX], why[CONTAINER_WHY];
    struct snapshot_info info = {0};
    struct build build;
    enum err e = snapshot_files_path(of->name, name, path, sizeof path);

    if (e != ERR_OK)
        return e;
    e = container_open(path, SNAPSHOT_FILE, c, why);
    if (e == ERR_NOT_FOUND)
        return machine_fail(e, "machine '%s' has no snapshot '%s'; 'delias snapshots %s' lists them", of->name, name,
                            of->name);
    if (e != ERR_OK)
        return machine_fail(e, "%s", why);
    e = container_verify(c, why);
    if (e == ERR_OK && (e = parse_file(c, &info, &build)) != ERR_OK)
        strcpy(why, info.problem);
    return e == ERR_OK ? check_fit(of, &info, &build) : machine_fail(e, "%.200s: %s", path, why);
}

/* Two states of delias-vmm, part by part. */
static void audit_state(const void *kept, size_t kept_bytes, const void *now, size_t now_bytes,
                        struct snapshot_report *report)
{
    const struct container_header *header = kept;
    struct container before = {0}, after = {0};
    char why[CONTAINER_WHY];

    if (kept_bytes < sizeof *header || container_parse(kept, kept_bytes, header->kind, &before, why) != ERR_OK ||
        container_parse(now, now_bytes, header->kind, &after, why) != ERR_OK || before.parts != after.parts) {
        report->mismatches++;
        strcpy(report->first, "the state as a whole");
        return;
    }
    for (size_t i = 0; i < before.parts; i++) {
        const struct container_part *p = &before.part[i];
        size_t bytes = 0;
        const void *same = container_find(&after, p->kind, p->instance, &bytes);
        if (same && bytes == p->bytes && memcmp(same, before.bytes + p->offset, bytes) == 0)
            continue;
        if (!*report->first)
            snprintf(report->first, sizeof report->first, "state part %.4s %u", (const char *)&p->kind, p->instance);
        report->mismatches++;
    }
}

static enum err audit_all(struct still *still, const struct container *c, struct snapshot_report *report)
{
    OWN(memory) uint8_t *state = NULL;
    size_t bytes = 0, kept_bytes = 0;
    const void *kept = container_find(c, SNAPSHOT_STATE, 0, &kept_bytes);

    enum err e = ram_image_compare(c, &still->ram, false, &report->mismatches);
    if (e != ERR_OK || machine_info(still->machine)->backend != MACHINE_KVM)
        return e;
    e = state_fetch(still->machine, &state, &bytes);
    if (e == ERR_OK)
        audit_state(kept, kept_bytes, state, bytes, report);
    return e;
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* RAM last: QEMU writes the kernel into it when it takes a state. */
static enum err put_back(struct still *still, const struct container *c, bool audit, struct snapshot_report *report)
{
    size_t bytes = 0;
    const uint8_t *state = container_find(c, SNAPSHOT_STATE, 0, &bytes);
    uint64_t begin = now_ns();
    enum err e = state_give(still->machine, state, bytes);

    if (e == ERR_OK && ram_image_compare(c, &still->ram, true, &report->put_back) != ERR_OK)
        e = machine_fail(ERR_IO, "RAM: %s", strerror(errno));
    report->ns = now_ns() - begin;
    report->pages = ram_image_pages(c);
    report->audited = audit;
    return e == ERR_OK && audit ? audit_all(still, c, report) : e;
}

enum err snapshots_restore(struct machine *machine, const char *name, bool audit, struct snapshot_report *ret_report)
{
    CLOSED_BY(container_close) struct container c = {0};
    CLOSED_BY(let_go) struct still still = {.machine = machine, .ram.fd = -1};
    enum err e = open_snapshot(machine, name, &c);

    *ret_report = (struct snapshot_report){0};
    if (e != ERR_OK)
        return e;
    e = hold_still(machine, &still);
    if (e != ERR_OK)
        return go_on(&still, e);
    e = put_back(&still, &c, audit, ret_report);
    if (e != ERR_OK) {
        char why[CONTAINER_WHY];
        snprintf(why, sizeof why, "%s", machine_last_error());
        return machine_fail(e, "%s; machine '%s' stands still, half restored: reset it, or restore another snapshot",
                            why, machine_info(machine)->name);
    }
    snapshot_files_set_current(machine_info(machine), name);
    return go_on(&still, ERR_OK);
}

/* ---- listing ---- */

/* What is above a snapshot among `count`; a circle ends somewhere. */
static unsigned depth_of(const struct snapshot_info *infos, size_t count, const struct snapshot_info *info)
{
    unsigned depth = 0;

    for (size_t i = 0; i < count && info->parent[0] && depth < count; i++)
        if (strcmp(infos[i].name, info->parent) == 0) {
            info = &infos[i];
            depth++;
            i = SIZE_MAX; /* from the first one again */
        }
    return depth;
}

static void read_info(const char *machine_name, const char *name, struct snapshot_info *info)
{
    CLOSED_BY(container_close) struct container c = {0};
    char path[MACHINE_PATH_MAX];

    *info = (struct snapshot_info){0};
    if (snapshot_files_path(machine_name, name, path, sizeof path) != ERR_OK ||
        container_open(path, SNAPSHOT_FILE, &c, info->problem) != ERR_OK || snapshots_parse(&c, info) != ERR_OK)
        info->parent[0] = '\0';
    snprintf(info->name, sizeof info->name, "%s", name); /* what it is called now */
}

/* Behind the parent come its children, oldest first. */
static void order_below(const struct snapshot_info *all, size_t count, const char *parent, bool *done,
                        struct snapshot_info *to, size_t *used)
{
    for (size_t i = 0; i < count; i++) {
        if (done[i] || strcmp(all[i].parent, parent) != 0)
            continue;
        done[i] = true;
        to[(*used)++] = all[i];
        order_below(all, count, all[i].name, done, to, used);
    }
}

static int by_age(const void *a, const void *b)
{
    const struct snapshot_info *one = a, *other = b;

    if (one->taken != other->taken)
        return one->taken < other->taken ? -1 : 1;
    return strcmp(one->name, other->name);
}

static bool is_there(const struct snapshot_info *infos, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(infos[i].name, name) == 0)
            return true;
    return false;
}

/* First those whose parent is not there, with what is below them; what is left are circles. */
static enum err order_tree(struct snapshot_info *all, size_t count, struct snapshot_info **ret_ordered)
{
    OWN(memory) struct snapshot_info *to = calloc(count + 1, sizeof *to);
    OWN(memory) bool *done = calloc(count + 1, sizeof *done);
    size_t used = 0;

    if (!to || !done)
        return machine_fail(ERR_NOMEM, "out of memory");
    qsort(all, count, sizeof *all, by_age);
    for (int circles = 0; circles < 2; circles++)
        for (size_t i = 0; i < count; i++) {
            if (done[i] || (!circles && is_there(all, count, all[i].parent)))
                continue;
            done[i] = true;
            to[used++] = all[i];
            order_below(all, count, all[i].name, done, to, &used);
        }
    for (size_t i = 0; i < used; i++)
        to[i].depth = depth_of(all, count, &to[i]);
    *ret_ordered = MOVE(to);
    return ERR_OK;
}

enum err snapshots_list(const char *machine_name, struct snapshot_info **ret_infos, size_t *ret_count)
{
    OWN(memory) char(*names)[MACHINE_NAME_MAX + 1] = NULL;
    struct machine_info machine = {0};
    char current[MACHINE_NAME_MAX + 1] = "";
    size_t count = 0;
    enum err e = snapshot_files_list(machine_name, &names, &count);

    if (e != ERR_OK)
        return e;
    OWN(memory) struct snapshot_info *all = calloc(count + 1, sizeof *all);
    if (!all)
        return machine_fail(ERR_NOMEM, "out of memory");
    if (rundir_read(machine_name, &machine) == ERR_OK)
        snapshot_files_current(&machine, current);
    for (size_t i = 0; i < count; i++) {
        read_info(machine_name, names[i], &all[i]);
        all[i].current = strcmp(names[i], current) == 0;
    }
    *ret_count = count;
    return order_tree(all, count, ret_infos);
}
