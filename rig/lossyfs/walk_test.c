/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Random walks through a mount, compared with a model that works the other way round: it keeps what
 * the disk has beside what there is now, and knows no undo.
 */

#include "rig/lossyfs/play.h"

#define WALKS 120
#define STEPS 120
#define LOOK_EVERY 10 /* and after each drop */
#define NODES_MAX 32
#define TEXT_MAX 24000 /* some pages */

static const char *const paths[] = { "a", "b", "c", "d", "d/a", "d/b", "e", "e/a" };

/* A file, known by its number. */
struct inode {
    char *now, *disk; /* contents */
    size_t cut;       /* the smallest size that it was cut to since it was synced */
};

struct name {
    char path[16];
    bool dir;
    int inode;
};

struct names {
    struct name list[NODES_MAX];
    size_t n;
};

struct model {
    struct names now, disk;
    struct inode *inodes;
    size_t n_inodes, cap_inodes;
};

static struct name *find(struct names *names, const char *path)
{
    for (size_t i = 0; i < names->n; i++)
        if (str_eq(names->list[i].path, path))
            return &names->list[i];
    return NULL;
}

static void add(struct names *names, const char *path, bool dir, int inode)
{
    struct name *n = &names->list[names->n++];

    *n = (struct name){ .dir = dir, .inode = inode };
    snprintf(n->path, sizeof(n->path), "%s", path);
}

static void take(struct names *names, struct name *n)
{
    *n = names->list[--names->n];
}

static bool parent_there(struct names *names, const char *path)
{
    char parent[2] = { path[0], '\0' };
    struct name *n = path[1] ? find(names, parent) : NULL;

    return !path[1] || (n && n->dir);
}

static bool has_children(struct names *names, const char *path)
{
    for (size_t i = 0; i < names->n; i++)
        if (names->list[i].path[1] == '/' && names->list[i].path[0] == path[0])
            return true;
    return false;
}

static void commit(struct model *m)
{
    m->disk = m->now;
    for (size_t i = 0; i < m->n_inodes; i++) {
        struct inode *n = &m->inodes[i];

        if (n->cut < strlen(n->disk))
            n->disk[n->cut] = '\0';
    }
}

static void sync_data(struct inode *n)
{
    replace_str(&n->disk, n->now);
    n->cut = SIZE_MAX;
}

/* --- Operations: each does it to both and wants the same outcome ----------------------------- */

static char *noise(size_t len)
{
    char *text = xcalloc(1, len + 1);

    for (size_t i = 0; i < len; i++)
        text[i] = (char)('a' + rand() % 26);
    return text;
}

static char *real(const struct play *p, const char *path)
{
    return xasprintf("%s/%s", p->mount, path);
}

static struct inode *open_model(struct model *m, const char *path)
{
    struct name *n = find(&m->now, path);

    if (!n && parent_there(&m->now, path)) {
        m->inodes = grow(m->inodes, m->n_inodes, &m->cap_inodes, sizeof(*m->inodes));
        m->inodes[m->n_inodes] =
                (struct inode){ .now = xstrdup(""), .disk = xstrdup(""), .cut = SIZE_MAX };
        add(&m->now, path, false, (int)m->n_inodes);
        return &m->inodes[m->n_inodes++];
    }
    return n && !n->dir ? &m->inodes[n->inode] : NULL;
}

static void cut_model(struct inode *n, size_t size)
{
    if (size < strlen(n->now))
        n->now[size] = '\0';
    if (size < n->cut)
        n->cut = size;
}

/* With room for holes: bytes of text never are zero, so a write starts within the file. */
static void do_write(struct model *m, struct play *p, const char *path)
{
    CLEANUP_FREE char *file = real(p, path), *text = noise(1 + (size_t)rand() % 9000),
                      *grown = NULL;
    struct inode *n = open_model(m, path);
    int flags = rand() % 4 ? 0 : O_TRUNC, how = rand() % 6 ? 0 : O_DSYNC;
    CLEANUP_CLOSE int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC | flags | how, 0644);
    size_t len, size, offset;

    if (!check_true((fd >= 0) == (n != NULL)) || !n)
        return;
    if (flags & O_TRUNC)
        cut_model(n, 0);
    size = strlen(n->now);
    offset = (size_t)rand() % (size + 1);
    len = strlen(text);
    if (offset + len > TEXT_MAX)
        return;
    check_int(pwrite(fd, text, len, (off_t)offset), (int64_t)len);
    grown = xasprintf("%.*s%s%s", (int)offset, n->now, text,
                      offset + len < size ? n->now + offset + len : "");
    replace_str(&n->now, grown);
    if (how & O_DSYNC) {
        sync_data(n);
        commit(m);
    }
}

static void do_cut(struct model *m, struct play *p, const char *path)
{
    CLEANUP_FREE char *file = real(p, path);
    struct name *n = find(&m->now, path);
    struct inode *inode = n && !n->dir ? &m->inodes[n->inode] : NULL;
    size_t size = inode ? (size_t)rand() % (strlen(inode->now) + 1) : 0;

    check_int(truncate(file, (off_t)size) == 0, inode != NULL);
    if (inode)
        cut_model(inode, size);
}

static void do_sync(struct model *m, struct play *p, const char *path)
{
    CLEANUP_FREE char *file = real(p, path);
    struct name *n = find(&m->now, path);

    check_int(play_fsync(file, fsync) == 0, n != NULL);
    if (!n)
        return;
    if (!n->dir)
        sync_data(&m->inodes[n->inode]);
    commit(m);
}

static void do_mkdir(struct model *m, struct play *p, const char *path)
{
    CLEANUP_FREE char *file = real(p, path);
    bool may = !path[1] && !find(&m->now, path);

    if (path[1])
        return; /* one level will do */
    check_int(mkdir(file, 0755) == 0, may);
    if (may)
        add(&m->now, path, true, -1);
}

static void do_remove(struct model *m, struct play *p, const char *path)
{
    CLEANUP_FREE char *file = real(p, path);
    struct name *n = find(&m->now, path);
    bool may = n && !(n->dir && has_children(&m->now, path));

    check_int(remove(file) == 0, may);
    if (may)
        take(&m->now, n);
}

/* What rename(2) allows among our names. */
static bool may_rename(struct names *names, const char *from, const char *to)
{
    struct name *a = find(names, from), *b = find(names, to);

    if (!a || !parent_there(names, to) || (a->dir && to[1]))
        return false;
    return !b || (b->dir == a->dir && !(b->dir && has_children(names, to)));
}

static void do_rename(struct model *m, struct play *p, const char *from)
{
    const char *to = paths[(size_t)rand() % ARRAY_LEN(paths)];
    CLEANUP_FREE char *a = real(p, from), *b = real(p, to);
    struct name *n = find(&m->now, from);
    bool may = may_rename(&m->now, from, to);

    if ((n && n->dir && to[1]) || str_eq(from, to))
        return;
    check_int(rename(a, b) == 0, may);
    if (!may)
        return;
    if (find(&m->now, to))
        take(&m->now, find(&m->now, to));
    n = find(&m->now, from);
    snprintf(n->path, sizeof(n->path), "%s", to);
    for (size_t i = 0; n->dir && i < m->now.n; i++)
        if (m->now.list[i].path[0] == from[0] && m->now.list[i].path[1] == '/')
            m->now.list[i].path[0] = to[0];
}

static void do_drop(struct model *m, struct play *p, const char *path)
{
    CLEANUP_FREE char *answer = play_say(p, "drop");

    (void)path;
    check_true(str_starts(answer, "dropped "));
    m->now = m->disk;
    for (size_t i = 0; i < m->n_inodes; i++) {
        replace_str(&m->inodes[i].now, m->inodes[i].disk);
        m->inodes[i].cut = SIZE_MAX;
    }
}

static void (*const operations[])(struct model *m, struct play *p, const char *path) = {
    do_write, do_write, do_write,  do_write,  do_cut,    do_sync,   do_sync,
    do_mkdir, do_mkdir, do_remove, do_rename, do_rename, do_rename, do_drop,
};

/* --- Comparing ------------------------------------------------------------------------------- */

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct name *)a)->path, ((const struct name *)b)->path);
}

/* As play_look() would show it. */
static char *look_model(const struct model *m)
{
    CLEANUP_BUF struct buf out = BUF_INIT(PLAY_TEXT_MAX);
    struct names sorted = m->now;

    qsort(sorted.list, sorted.n, sizeof(*sorted.list), by_path);
    for (size_t i = 0; i < sorted.n; i++) {
        const struct name *n = &sorted.list[i];

        if (n->dir)
            buf_addf(&out, "%s/ ", n->path);
        else
            buf_addf(&out, "%s=%s ", n->path, m->inodes[n->inode].now);
    }
    if (out.len > 0)
        out.data[--out.len] = '\0';
    return buf_steal(&out);
}

static bool same(const struct model *m, const struct play *p)
{
    CLEANUP_FREE char *want = look_model(m), *got = play_look(p->mount);

    return check_true(str_eq(want, got));
}

static void model_done(struct model *m)
{
    for (size_t i = 0; i < m->n_inodes; i++) {
        free(m->inodes[i].now);
        free(m->inodes[i].disk);
    }
    free(m->inodes);
}

static bool walk(unsigned seed)
{
    __attribute__((cleanup(model_done))) struct model m = { 0 };
    bool ok = true;
    struct play p;

    srand(seed);
    play_open(&p, NULL);
    for (int i = 0; i < STEPS && ok; i++) {
        size_t what = (size_t)rand() % ARRAY_LEN(operations);

        check_case("seed %u, step %d, operation %zu", seed, i, what);
        operations[what](&m, &p, paths[(size_t)rand() % ARRAY_LEN(paths)]);
        if (i % LOOK_EVERY == 0 || operations[what] == do_drop)
            ok = same(&m, &p);
    }
    play_close(&p);
    return ok;
}

TEST(a_random_walk_ends_where_the_model_says)
{
    const char *one = getenv("WALK_SEED");

    play_need_fuse();
    if (one) {
        walk((unsigned)strtoul(one, NULL, 10));
        return;
    }
    for (unsigned seed = 1; seed <= WALKS && walk(seed); seed++)
        ;
}

CHECK_MAIN()
