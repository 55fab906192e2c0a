/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Decisions against a model of podman that does what it is told, or fails when a script says so.
 *
 * A trace (testdata/NAME.trace) is a script with what comes of it. Lines that are not indented are
 * the script:
 *
 *   want DEPLOYMENT SERVICE=IMAGE[@POLICY]...   the desired state arrives (also: want DEPLOYMENT bad)
 *   unwant DEPLOYMENT          a delete marker arrives
 *   snapshot WORD...           a whole snapshot that holds just these: DEPLOYMENT (as it is), or
 *                              -DEPLOYMENT (a delete marker)
 *   image IMAGE                podman has localhost/IMAGE from now on; IMAGE with a slash is a remote
 *                              one that can be pulled
 *   fail ACTION NAME N TEXT    the next N such actions fail
 *   hand stop|rm|pause|break NAME    somebody does so behind the agent's back
 *   hand exit NAME STATUS      the container ends by itself
 *   hand run NAME DEPLOYMENT   a container with our label that no agent made
 *   podman gone|back
 *   power cut                  the machine goes down and comes up again
 *   crash                      the agent forgets all but the desired state
 *   disk lost                  the agent forgets everything
 *   after SECONDS              time passes; at its end, a tick
 *
 * Lines that are indented tell what the agent did and reported. CHECK_REGEN=1 writes them anew: look
 * at the difference.
 */

#include "fleet/agent/decide.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/strv.h"

#define TICK_MS 30000
#define MAX_STEPS 200 /* of one event: more is an agent that runs in circles */
#define MAX_CONTAINERS 32

/* --- a model of podman ---------------------------------------------------------------------- */

struct fake {
    char *name, *deployment, *service, *spec;
    enum run_state state;
    int exit_code;
    bool interrupted;
};

struct failure {
    char *action, *name, *text;
    int left;
};

struct model {
    struct world world;
    struct fake containers[MAX_CONTAINERS];
    size_t n;
    char **images;
    struct failure failure;
    bool gone;
    int64_t now_ms;
    struct buf *out; /* NULL: nobody reads */
    char **desired;  /* "NAME JSON" as stored */
    char **deleted;  /* delete markers in the bucket */
    bool both_ran;   /* two containers of a service at once: never */
};

static void fake_done(struct fake *c)
{
    free(c->name);
    free(c->deployment);
    free(c->service);
    free(c->spec);
}

static void model_done(struct model *m)
{
    world_done(&m->world);
    for (size_t i = 0; i < m->n; i++)
        fake_done(&m->containers[i]);
    strv_free(m->images);
    strv_free(m->desired);
    strv_free(m->deleted);
    free(m->failure.action);
    free(m->failure.name);
    free(m->failure.text);
}
#define CLEANUP_MODEL __attribute__((cleanup(model_done)))

static struct fake *fake_find(struct model *m, const char *name)
{
    for (size_t i = 0; i < m->n; i++)
        if (str_eq(m->containers[i].name, name))
            return &m->containers[i];
    return NULL;
}

static void fake_remove(struct model *m, struct fake *c)
{
    size_t i = (size_t)(c - m->containers);

    fake_done(c);
    m->n--;
    memmove(c, c + 1, (m->n - i) * sizeof(*c));
}

static struct fake *fake_add(struct model *m, const char *name, const char *deployment,
                             const char *service, const char *spec)
{
    need_true(m->n < MAX_CONTAINERS);
    m->containers[m->n] = (struct fake){ .name = xstrdup(name),
                                         .deployment = xstrdup(deployment),
                                         .service = xstrdup(service),
                                         .spec = xstrdup(spec),
                                         .state = RUN_CREATED };
    return &m->containers[m->n++];
}

static void tell(struct model *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void tell(struct model *m, const char *fmt, ...)
{
    va_list ap;

    if (!m->out)
        return;
    va_start(ap, fmt);
    buf_adds(m->out, "    ");
    buf_vaddf(m->out, fmt, ap);
    buf_addc(m->out, '\n');
    va_end(ap);
}

static void note_both(struct model *m)
{
    for (size_t i = 0; i < m->n; i++) {
        CLEANUP_FREE char *next = xasprintf("%s.next", m->containers[i].name);
        const struct fake *other = fake_find(m, next);

        if (other && other->state == RUN_RUNNING && m->containers[i].state == RUN_RUNNING)
            m->both_ran = true;
    }
}

/* What podman does with an action; its text when it refuses. */
static const char *obey(struct model *m, const struct workload *l, const struct action *a,
                        enum outcome *ret)
{
    struct fake *c = a->container ? fake_find(m, a->container) : NULL;

    *ret = OUTCOME_FAILED;
    if (m->failure.left > 0 && str_eq(m->failure.action, action_text(a->kind)) &&
        str_eq(m->failure.name, a->container)) {
        m->failure.left--;
        return m->failure.text;
    }
    switch (a->kind) {
    case ACTION_CHECK_IMAGE:
        *ret = strv_has(m->images, a->container) ? OUTCOME_DONE : OUTCOME_ABSENT;
        return NULL;
    case ACTION_PULL: {
        CLEANUP_FREE char *remote = xasprintf("remote %s", a->container);

        if (!strv_has(m->images, remote))
            return "manifest unknown";
        strv_add(&m->images, a->container);
        break;
    }
    case ACTION_CREATE:
        if (c)
            return "the name is already in use";
        if (!strv_has(m->images, a->task->service->image))
            return "no such image";
        fake_add(m, a->container, l->name, a->task->service->name, a->task->spec);
        break;
    case ACTION_START:
        if (!c || c->state == RUN_PAUSED || c->state == RUN_BROKEN)
            return "cannot start";
        c->state = RUN_RUNNING;
        c->interrupted = false;
        break;
    case ACTION_STOP:
        if (!c)
            return "no such container";
        c->state = RUN_EXITED;
        c->exit_code = 0;
        break;
    case ACTION_REMOVE:
        if (c)
            fake_remove(m, c);
        break;
    case ACTION_RENAME:
        if (!c || fake_find(m, a->task->current))
            return "cannot rename";
        free(c->name);
        c->name = xstrdup(a->task->current);
        break;
    case ACTION_NONE:
    case ACTION_FORGET:
        break;
    }
    note_both(m);
    *ret = OUTCOME_DONE;
    return NULL;
}

/* --- the agent in little -------------------------------------------------------------------- */

static void list(struct model *m)
{
    struct observed *items = xcalloc(m->n + 1, sizeof(*items));
    unsigned listing = world_listing(&m->world);

    if (m->gone) {
        free(items);
        world_podman_failed(&m->world, "podman: connection refused", m->now_ms);
        return;
    }
    for (size_t i = 0; i < m->n; i++) {
        const struct fake *c = &m->containers[i];

        items[i] = (struct observed){ .name = xstrdup(c->name),
                                      .deployment = xstrdup(c->deployment),
                                      .service = xstrdup(c->service),
                                      .spec = xstrdup(c->spec),
                                      .state = c->state,
                                      .exit_code = c->exit_code,
                                      .interrupted = c->interrupted };
    }
    world_observe(&m->world, listing, items, m->n);
}

static void report(struct model *m, struct workload *l)
{
    if (decide_state(&m->world, l, m->now_ms))
        tell(m, "%s is %s%s%s", l->name, phase_text(l->phase), l->error ? ": " : "",
             l->error ? l->error : "");
}

/* One action of `l`; false when there is none. */
static bool step(struct model *m, struct workload *l)
{
    struct action a = decide_next(&m->world, l, m->now_ms);
    enum outcome outcome;
    const char *reason;

    if (a.kind == ACTION_NONE)
        return false;
    decide_begin(l, &a);
    report(m, l);
    reason = obey(m, l, &l->acting, &outcome);
    tell(m, "%s %s%s%s", action_text(a.kind), l->acting.container ? l->acting.container : l->name,
         reason                      ? ": "
         : outcome == OUTCOME_ABSENT ? ": absent"
                                     : "",
         reason ? reason : "");
    decide_end(&m->world, l, outcome, reason, m->now_ms);
    if (a.kind == ACTION_FORGET)
        world_forget(&m->world, l->name);
    else
        report(m, l);
    return true;
}

/* Until nothing is left to do now. `crash_at`: how many actions until the agent dies; -1: never. */
static bool settle(struct model *m, int crash_at)
{
    for (int steps = 0; steps < MAX_STEPS;) {
        bool any = false;

        list(m);
        for (size_t i = 0; i < m->world.n_workloads; i++)
            report(m, m->world.workloads[i]);
        for (size_t i = 0; i < m->world.n_workloads && !any; i++)
            any = step(m, m->world.workloads[i]);
        if (!any)
            return true;
        if (++steps == crash_at)
            return true;
    }
    tell(m, "runs in circles");
    return false;
}

/* --- the script ----------------------------------------------------------------------------- */

/* {"web=v1", "side=v2/no"} as a score. */
static char *score_of(char *const *services)
{
    CLEANUP_BUF struct buf b = BUF_INIT(64 * 1024);

    if (str_eq(services[0], "bad"))
        return xstrdup("{\"type\":\"Other\"}");
    buf_adds(&b, "{\"type\":\"PodmanV0\",\"data\":{\"services\":[");
    for (size_t i = 0; services[i]; i++) {
        const char *image = strchr(services[i], '=') + 1, *policy = strchr(image, '@');
        int len = policy ? (int)(policy - image) : (int)strlen(image);

        buf_addf(&b, "%s{\"name\":\"%.*s\",\"image\":\"%s%.*s\",\"ports\":[]", i ? "," : "",
                 (int)(image - 1 - services[i]), services[i],
                 memchr(image, '/', (size_t)len) ? "" : "localhost/a:", len, image);
        if (policy)
            buf_addf(&b, ",\"restart_policy\":\"%s\"", policy + 1);
        buf_addc(&b, '}');
    }
    buf_adds(&b, "]}}");
    return buf_steal(&b);
}

static void desire(struct model *m, const char *name, const char *json)
{
    CLEANUP_STRV char **rest = NULL;

    for (size_t i = 0; m->desired && m->desired[i]; i++)
        if (strncmp(m->desired[i], name, strlen(name)) != 0 || m->desired[i][strlen(name)] != ' ')
            strv_add(&rest, m->desired[i]);
    if (json)
        strv_addf(&rest, "%s %s", name, json);
    strv_free(m->desired);
    m->desired = steal_ptr(rest);
}

static void kept(const char *deployment, void *userdata)
{
    tell(userdata, "%s is kept", deployment);
}

static void mark_deleted(struct model *m, const char *name, bool deleted)
{
    CLEANUP_STRV char **rest = NULL;

    for (size_t i = 0; m->deleted && m->deleted[i]; i++)
        if (!str_eq(m->deleted[i], name))
            strv_add(&rest, m->deleted[i]);
    if (deleted)
        strv_add(&rest, name);
    strv_free(m->deleted);
    m->deleted = steal_ptr(rest);
}

static void gone(struct model *m, const char *deployment)
{
    desire(m, deployment, NULL);
    mark_deleted(m, deployment, true);
    world_unwant(&m->world, deployment);
}

static void crash(struct model *m)
{
    bool knew_all = m->world.knows_all;

    world_done(&m->world);
    m->world.tick_ms = TICK_MS;
    m->world.knows_all = knew_all;
    for (size_t i = 0; m->desired && m->desired[i]; i++) {
        const char *space = strchr(m->desired[i], ' ');
        CLEANUP_FREE char *name = xstrndup(m->desired[i], (size_t)(space - m->desired[i]));

        world_want(&m->world, name, space + 1, strlen(space + 1));
    }
    world_snapshot_begin(&m->world);
    for (size_t i = 0; m->deleted && m->deleted[i]; i++)
        world_unwant(&m->world, m->deleted[i]);
    m->world.in_snapshot = false;
}

static void snapshot(struct model *m, char *const *names)
{
    world_snapshot_begin(&m->world);
    for (; *names; names++)
        if (**names == '-')
            gone(m, *names + 1);
        else
            world_saw(&m->world, *names);
    world_snapshot_end(&m->world, kept, m);
}

static void power_cut(struct model *m)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->containers[i].state == RUN_RUNNING) {
            m->containers[i].state = RUN_EXITED;
            m->containers[i].interrupted = true;
        }
    crash(m);
}

static bool by_hand(struct model *m, char *const *w)
{
    struct fake *c = fake_find(m, w[1]);

    if (str_eq(w[0], "run")) {
        fake_add(m, w[1], w[2], "x", "unknown")->state = RUN_RUNNING;
        return true;
    }
    if (!c)
        return false;
    if (str_eq(w[0], "rm"))
        fake_remove(m, c);
    else if (str_eq(w[0], "pause"))
        c->state = RUN_PAUSED;
    else if (str_eq(w[0], "break"))
        c->state = RUN_BROKEN;
    else
        c->state = RUN_EXITED;
    if (str_eq(w[0], "exit"))
        c->exit_code = (int)strtol(w[2], NULL, 10);
    return true;
}

static bool execute(struct model *m, char **w)
{
    size_t n = strv_len(w);

    if (str_eq(w[0], "want") && n >= 3) {
        CLEANUP_FREE char *json = score_of(w + 2);

        desire(m, w[1], json);
        mark_deleted(m, w[1], false);
        world_want(&m->world, w[1], json, strlen(json));
    } else if (str_eq(w[0], "unwant") && n == 2) {
        gone(m, w[1]);
    } else if (str_eq(w[0], "snapshot")) {
        snapshot(m, w + 1);
    } else if (str_eq(w[0], "image") && n == 2) {
        strv_addf(&m->images, "%s%s", strchr(w[1], '/') ? "remote " : "localhost/a:", w[1]);
    } else if (str_eq(w[0], "fail") && n >= 5) {
        replace_str(&m->failure.action, w[1]);
        replace_str(&m->failure.name, w[2]);
        m->failure.left = (int)strtol(w[3], NULL, 10);
        free(m->failure.text);
        m->failure.text = strv_join(w + 4, " ");
    } else if (str_eq(w[0], "hand") && n >= 3) {
        return by_hand(m, w + 1);
    } else if (str_eq(w[0], "podman") && n == 2) {
        m->gone = str_eq(w[1], "gone");
    } else if (str_eq(w[0], "power")) {
        power_cut(m);
    } else if (str_eq(w[0], "crash")) {
        crash(m);
    } else if (str_eq(w[0], "disk") && n == 2) {
        strv_free(steal_ptr(m->desired));
        strv_free(steal_ptr(m->deleted));
        crash(m);
    } else if (str_eq(w[0], "after") && n == 2) {
        m->now_ms += strtoll(w[1], NULL, 10) * 1000;
    } else {
        return false;
    }
    return true;
}

static void model_init(struct model *m, struct buf *out)
{
    *m = (struct model){ .now_ms = 1000000, .out = out };
    m->world.tick_ms = TICK_MS;
}

static void replay(const char *path)
{
    CLEANUP_FREE char *text = check_read(path, NULL);
    CLEANUP_STRV char **lines = strv_split(text, "\n");
    CLEANUP_BUF struct buf out = BUF_INIT(1 << 20);
    CLEANUP_MODEL struct model m;

    check_case("%s", path);
    model_init(&m, &out);
    for (size_t i = 0; lines[i]; i++) {
        CLEANUP_STRV char **words = NULL;

        if (lines[i][0] == ' ')
            continue;
        buf_addf(&out, "%s\n", lines[i]);
        if (lines[i][0] == '#')
            continue;
        words = strv_split(lines[i], " ");
        if (!check_true(execute(&m, words)))
            printf("# in the line: %s\n", lines[i]);
        check_true(settle(&m, -1));
    }
    check_true(!m.both_ran);
    check_golden(buf_str(&out), path);
}

static int is_trace(const struct dirent *e)
{
    return str_ends(e->d_name, ".trace");
}

TEST(traces_of_decisions_are_as_written_down)
{
    struct dirent **names = NULL;
    int n = scandir("fleet/agent/testdata", &names, is_trace, alphasort);

    check_true(n > 0);
    for (int i = 0; i < n; i++) {
        CLEANUP_FREE char *path = xasprintf("fleet/agent/testdata/%s", names[i]->d_name);

        replay(path);
        free(names[i]);
    }
    free(names);
}

/* --- whatever happens, it converges --------------------------------------------------------- */

static unsigned pick(unsigned *seed, unsigned n)
{
    *seed = *seed * 1103515245 + 12345;
    return *seed / 65536 % n;
}

static const char *one_of(unsigned *seed, const char *const *list, unsigned n)
{
    return list[pick(seed, n)];
}

static void do_line(struct model *m, const char *line)
{
    CLEANUP_STRV char **words = strv_split(line, " ");

    execute(m, words);
}

static void random_event(struct model *m, unsigned *seed)
{
    static const char *const events[] = {
        "want a web=v1",
        "want a web=v2",
        "want a web=v1 side=v1",
        "want a side=v3",
        "want a web=v1@no",
        "want a web=v9",
        "unwant a",
        "want b web=v1",
        "want b web=v2 x=v9",
        "unwant b",
        "hand rm a.web",
        "hand stop a.web",
        "hand rm a.web.next",
        "hand stop a.web.next",
        "hand exit a.side 3",
        "power cut",
        "hand rm b.web",
        "after 31",
        "after 700",
        "crash",
        "snapshot",
        "snapshot a",
        "snapshot b -a",
        "disk lost",
    };
    static const char *const actions[] = { "start", "stop", "create", "remove", "rename" };
    static const char *const names[] = { "a.web", "a.web.next", "a.side", "b.web", "b.web.next" };
    CLEANUP_FREE char *failing = xasprintf("fail %s %s %u broken", one_of(seed, actions, 5),
                                           one_of(seed, names, 5), pick(seed, 4));

    do_line(m, one_of(seed, events, ARRAY_LEN(events)));
    if (pick(seed, 4) == 0)
        do_line(m, failing);
    if (pick(seed, 3) == 0) {
        check_true(settle(m, (int)pick(seed, 4) + 1));
        crash(m); /* in the middle of it */
    } else {
        check_true(settle(m, -1));
    }
}

static void check_converged(struct model *m)
{
    size_t wanted = 0;

    for (size_t i = 0; i < m->world.n_workloads; i++) {
        const struct workload *l = m->world.workloads[i];

        check_true(l->wanted);
        check_str(l->error, NULL);
        check_int(l->phase, PHASE_RUNNING);
        wanted += l->n_tasks;
        for (size_t j = 0; j < l->n_tasks; j++) {
            const struct fake *c = fake_find(m, l->tasks[j].current);

            if (check_true(c != NULL))
                check_str(c->spec, l->tasks[j].spec);
        }
    }
    check_int((int64_t)m->n, (int64_t)wanted);
}

TEST(whatever_happens_it_converges_once_the_world_is_kind)
{
    for (unsigned seed = 1; seed <= 1000; seed++) {
        CLEANUP_MODEL struct model m;
        unsigned dice = seed;

        check_case("seed %u", seed);
        model_init(&m, NULL);
        m.world.knows_all = true;
        do_line(&m, "image v1");
        do_line(&m, "image v2");
        do_line(&m, "image v3");
        for (unsigned i = 0; i < 30; i++)
            random_event(&m, &dice);

        do_line(&m, "image v9");
        m.failure.left = 0;
        /* What nobody wants stays until that is said. */
        for (const char *const *name = (const char *const[]){ "a", "b", NULL }; *name; name++) {
            const struct workload *l = world_find(&m.world, *name);

            if (!l || !l->wanted)
                gone(&m, *name);
        }
        for (int i = 0; i < 4; i++) {
            do_line(&m, "after 700");
            check_true(settle(&m, -1));
        }
        check_converged(&m);
        check_true(!m.both_ran);
    }
}

TEST(a_state_of_later_is_later_on_the_wire)
{
    CLEANUP_MODEL struct model m;
    int64_t before = 0;

    model_init(&m, NULL);
    do_line(&m, "image v1");
    do_line(&m, "want a web=v1");
    settle(&m, -1);
    for (int i = 0; i < 5; i++) {
        const struct workload *l = world_find(&m.world, "a");

        need_true(l != NULL && l->has_state);
        check_true(l->event_ms / 1000 > before);
        before = l->event_ms / 1000;
        do_line(&m, i % 2 ? "hand stop a.web" : "want a bad");
        settle(&m, -1);
        if (i % 2 == 0)
            do_line(&m, "want a web=v1");
        settle(&m, -1);
    }
}

CHECK_MAIN()
