/* SPDX-License-Identifier: AGPL-3.0-only */

/* What survives a drop, through a real mount. */

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "rig/lossyfs/play.h"

static void all_of(struct play *p, const char *operations)
{
    CLEANUP_STRV char **list = strv_split(operations, ";");

    for (size_t i = 0; list[i]; i++) {
        const char *one = list[i] + (*list[i] == ' ');
        int r = play_one(p, one);

        if (r != 0)
            check_str(one, strerror(r));
    }
}

static const struct {
    const char *name, *operations, *before, *after;
} cases[] = {
    { "written and synced", "write a hello; fsync a", "a=hello", "a=hello" },
    { "fdatasync does it, too", "write a hello; fdatasync a", "a=hello", "a=hello" },
    { "written", "write a hello", "a=hello", "" },
    { "only the name is synced, by its folder", "write a hello; fsync .", "a=hello", "a=" },
    { "a sync of one file commits the name of another", "write a one; write b two; fsync b",
      "a=one b=two", "a= b=two" },
    { "overwritten", "write a hello; fsync a; write a HE", "a=HEllo", "a=hello" },
    { "overwritten and synced", "write a hello; fsync a; write a HE; fsync a", "a=HEllo",
      "a=HEllo" },
    { "overwritten twice", "write a hello; fsync a; write a HE; write a hELL", "a=hELLo",
      "a=hello" },
    { "appended", "write a hello; fsync a; append a world", "a=helloworld", "a=hello" },
    { "appended and overwritten", "write a hello; fsync a; append a world; write a HELLOWO",
      "a=HELLOWOrld", "a=hello" },
    { "appended with O_DSYNC", "write a hello; durable a world", "a=helloworld", "a=helloworld" },
    { "O_DSYNC, then without", "durable a hello; append a world", "a=helloworld", "a=hello" },
    { "rewritten with O_TRUNC", "write a hello; fsync a; put a new", "a=new", "a=hello" },
    { "rewritten with O_TRUNC, then another file synced",
      "write a hello; fsync a; put a new; write b x; fsync b", "a=new b=x", "a= b=x" },
    { "rewritten and synced", "write a hello; fsync a; put a new; fsync a", "a=new", "a=new" },
    { "cut", "write a hello; fsync a; truncate a 2", "a=he", "a=hello" },
    { "cut, committed", "write a hello; fsync a; truncate a 2; fsync .", "a=he", "a=he" },
    { "cut, extended, committed", "write a hello; fsync a; truncate a 2; append a LLO; fsync .",
      "a=heLLO", "a=he" },
    { "cut twice, committed",
      "write a hello; fsync a; truncate a 1; append a xyz; truncate a 3; fsync .", "a=hxy", "a=h" },
    { "what was overwritten below a committed cut",
      "write a hello; fsync a; write a HEL; truncate a 2; fsync .", "a=HE", "a=he" },
    { "removed", "write a hello; fsync a; unlink a", "", "a=hello" },
    { "removed, committed", "write a hello; fsync a; unlink a; fsync .", "", "" },
    { "overwritten and removed", "write a hello; fsync a; write a HE; unlink a", "", "a=hello" },
    { "removed and made again", "write a old; fsync a; unlink a; write a new", "a=new", "a=old" },
    { "removed and made again, synced", "write a old; fsync a; unlink a; write a new; fsync a",
      "a=new", "a=new" },
    { "made and removed", "write a x; unlink a", "", "" },
    { "renamed", "write a hello; fsync a; rename a b", "b=hello", "a=hello" },
    { "renamed, committed", "write a hello; fsync a; rename a b; fsync .", "b=hello", "b=hello" },
    { "replaced as it should be", "write a old; fsync a; write t new; fsync t; rename t a; fsync .",
      "a=new", "a=new" },
    { "replaced, the folder not synced", "write a old; fsync a; write t new; fsync t; rename t a",
      "a=new", "a=old t=new" },
    { "replaced, the new one not synced", "write a old; fsync a; write t new; rename t a; fsync .",
      "a=new", "a=" },
    { "replaced, nothing synced", "write a old; fsync a; write t new; rename t a", "a=new",
      "a=old" },
    { "replaced twice", "write a 0; fsync a; write t 1; fsync t; rename t a; write t 2; rename t a",
      "a=2", "a=0 t=1" },
    { "renamed there and back", "write a x; fsync a; rename a b; rename b c; rename c a", "a=x",
      "a=x" },
    { "exchanged", "write a 1; fsync a; write b 2; fsync b; exchange a b", "a=2 b=1", "a=1 b=2" },
    { "a folder", "mkdir d; write d/a x", "d/ d/a=x", "" },
    { "a folder, committed by a file in it", "mkdir d; write d/a x; fsync d/a", "d/ d/a=x",
      "d/ d/a=x" },
    { "a folder renamed with what is in it",
      "mkdir d; write d/a x; fsync d/a; rename d e; append e/a y", "e/ e/a=xy", "d/ d/a=x" },
    { "a folder emptied and removed", "mkdir d; write d/a x; fsync d/a; unlink d/a; rmdir d", "",
      "d/ d/a=x" },
    { "a folder renamed over an empty one", "mkdir d; mkdir e; write d/a x; fsync d/a; rename d e",
      "e/ e/a=x", "d/ d/a=x e/" },
    { "a link", "symlink to l", "l>to", "" },
    { "a link removed", "symlink to l; fsync .; unlink l", "", "l>to" },
    { "sync saves all", "write a 1; mkdir d; write d/b 2; sync; append a 1", "a=11 d/ d/b=2",
      "a=1 d/ d/b=2" },
    { "a drop before", "write a 1; fsync a; write a 2; drop; append a 3; fsync a; append a 4",
      "a=134", "a=13" },
};

TEST(a_drop_takes_back_exactly_what_was_not_synced)
{
    play_need_fuse();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_FREE char *before = NULL, *after = NULL, *disk = NULL, *again = NULL;
        struct play p;

        check_case("%s", cases[i].name);
        play_open(&p, NULL);
        all_of(&p, cases[i].operations);
        before = play_look(p.mount);
        check_str(before, cases[i].before);
        all_of(&p, "drop");
        after = play_look(p.mount);
        check_str(after, cases[i].after);
        disk = play_look(p.disk);
        check_str(disk, cases[i].after);
        again = play_say(&p, "drop");
        check_str(again, "dropped bytes=0 files=0 names=0 flushes=0");
        play_close(&p);
    }
}

TEST(a_clean_end_loses_nothing)
{
    CLEANUP_FREE char *disk = NULL, *graves = NULL;
    struct play p;

    play_need_fuse();
    play_open(&p, NULL);
    all_of(&p, "write a 1; mkdir d; write d/b 2; write c 3; unlink c");
    play_stop(&p);
    disk = play_look(p.disk);
    check_str(disk, "a=1 d/ d/b=2");
    graves = xasprintf("%s/.lossyfs", p.disk);
    check_true(!file_exists(graves));
    free(p.disk);
    free(p.mount);
}

TEST(it_says_how_much_was_lost)
{
    CLEANUP_FREE char *stat = NULL, *drop = NULL, *nothing = NULL, *unknown = NULL;
    struct play p;

    play_need_fuse();
    play_open(&p, NULL);
    all_of(&p,
           "write a hello; fsync a; write a hEl; append a xyz; write b 1234; mkdir d; rename d e");
    stat = play_say(&p, "stat");
    check_str(stat, "unsynced bytes=8 files=2 names=3 flushes=0");
    drop = play_say(&p, "drop");
    check_str(drop, "dropped bytes=8 files=2 names=3 flushes=0");
    nothing = play_say(&p, "stat");
    check_str(nothing, "unsynced bytes=0 files=0 names=0 flushes=0");
    unknown = play_say(&p, "dorp");
    check_str(unknown, "error there is no command \"dorp\", but stat, sync and drop");
    play_close(&p);
}

TEST(an_endless_command_is_refused)
{
    CLEANUP_FREE char *answer = NULL, *next = NULL;
    char text[64];
    struct play p;

    play_need_fuse();
    play_open(&p, NULL);
    memset(text, 'x', sizeof(text) - 1);
    text[63] = '\0';
    answer = play_say(&p, text);
    check_has(answer, "error a command has no more than");
    next = play_answer(&p); /* the rest of the line */
    check_has(next, "error there is no command");
    play_close(&p);
}

TEST(a_server_that_is_killed_loses_nothing)
{
    CLEANUP_FREE char *path = NULL, *after = NULL;
    struct play p;
    pid_t pid;

    play_need_fuse();
    play_open(&p, NULL);
    path = xasprintf("%s/a", p.mount);
    if ((pid = fork()) == 0) {
        char *map;
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

        if (fd < 0 || write(fd, "hello", 5) != 5)
            _exit(1);
        map = mmap(NULL, 5, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED)
            _exit(1);
        map[0] = 'H';
        raise(SIGKILL);
    }
    check_true(waitpid(pid, NULL, 0) == pid);
    after = play_look(p.mount);
    check_str(after, "a=Hello");
    play_close(&p);
}

TEST(open_files_do_not_live_through_a_drop)
{
    CLEANUP_FREE char *path = NULL, *after = NULL;
    char byte;
    struct play p;
    int fd;

    play_need_fuse();
    play_open(&p, NULL);
    all_of(&p, "write a hello; fsync a; append a x");
    path = xasprintf("%s/a", p.mount);
    fd = open(path, O_RDWR | O_CLOEXEC);
    need_true(fd >= 0);
    all_of(&p, "drop");
    check_true(pwrite(fd, "HELLO", 5, 0) < 0 && errno == EIO);
    check_true(fsync(fd) < 0 && errno == EIO);
    check_true(ftruncate(fd, 0) < 0 && errno == EIO);
    close(fd);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    check_true(pread(fd, &byte, 1, 4) == 1 && byte == 'o');
    check_int(pread(fd, &byte, 1, 5), 0);
    close(fd);
    after = play_look(p.mount);
    check_str(after, "a=hello");
    play_close(&p);
}

TEST(a_file_is_read_through_a_mapping_as_it_is_written)
{
    CLEANUP_FREE char *path = NULL, *big = xcalloc(1, 10000);
    struct play p;
    char *map;
    int fd;

    play_need_fuse();
    play_open(&p, NULL);
    path = xasprintf("%s/a", p.mount);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    need_true(fd >= 0 && write(fd, big, 10000) == 10000);
    map = mmap(NULL, 10000, PROT_READ, MAP_SHARED, fd, 0);
    need_true(map != MAP_FAILED);
    check_int(map[5000], 0);
    check_true(pwrite(fd, "x", 1, 5000) == 1);
    check_int(map[5000], 'x');
    munmap(map, 10000);
    close(fd);
    play_close(&p);
}

TEST(an_open_file_without_a_name_goes_on)
{
    CLEANUP_FREE char *path = NULL, *after = NULL;
    char text[8] = "";
    struct play p;
    int fd;

    play_need_fuse();
    play_open(&p, NULL);
    path = xasprintf("%s/a", p.mount);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    need_true(fd >= 0 && write(fd, "hello", 5) == 5);
    check_int(unlink(path), 0);
    all_of(&p, "fsync .");
    check_true(pwrite(fd, "J", 1, 0) == 1 && pread(fd, text, 5, 0) == 5);
    check_str(text, "Jello");
    all_of(&p, "drop");
    close(fd);
    after = play_look(p.mount);
    check_str(after, "");
    play_close(&p);
}

TEST(too_much_to_keep_is_synced_and_counted)
{
    CLEANUP_FREE char *path = NULL, *big = xcalloc(1, 3 << 20), *answer = NULL;
    struct stat st;
    struct play p;
    int fd;

    play_need_fuse();
    play_open(&p, "--memory=1");
    path = xasprintf("%s/a", p.mount);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    need_true(fd >= 0 && write(fd, big, 3 << 20) == 3 << 20 && fsync(fd) == 0);
    memset(big, 'x', 3 << 20);
    for (int i = 0; i < 3 << 20; i += 65536)
        check_true(pwrite(fd, big, 65536, i) == 65536);
    close(fd);
    answer = play_say(&p, "drop");
    check_has(answer, "dropped bytes=");
    check_true(!strstr(answer, "flushes=0"));
    check_true(stat(path, &st) == 0 && st.st_size == 3 << 20);
    play_close(&p);
}

TEST(what_it_cannot_keep_apart_is_refused)
{
    CLEANUP_FREE char *a = NULL, *b = NULL, *graves = NULL;
    struct play p;

    play_need_fuse();
    play_open(&p, NULL);
    all_of(&p, "write a x");
    a = xasprintf("%s/a", p.mount);
    b = xasprintf("%s/b", p.mount);
    graves = xasprintf("%s/.lossyfs", p.mount);
    check_true(link(a, b) < 0 && errno == EPERM);
    check_true(mkfifo(b, 0600) < 0 && errno == EPERM);
    check_true(!file_exists(graves));
    check_true(mkdir(graves, 0700) < 0 && errno == EPERM);
    check_true(rename(a, graves) < 0 && errno == EPERM);
    play_close(&p);
}

TEST(a_failed_change_is_not_journalled)
{
    CLEANUP_FREE char *stat = NULL;
    struct play p;

    play_need_fuse();
    play_open(&p, NULL);
    all_of(&p, "mkdir d; write d/a x; mkdir e; write e/b y; write f z; sync");
    check_int(play_one(&p, "rename d e"), ENOTEMPTY);
    check_int(play_one(&p, "rename f e"), EISDIR);
    check_int(play_one(&p, "rename d f"), ENOTDIR);
    check_int(play_one(&p, "rmdir d"), ENOTEMPTY);
    check_int(play_one(&p, "unlink d"), EISDIR);
    check_int(play_one(&p, "unlink none"), ENOENT);
    check_int(play_one(&p, "mkdir d"), EEXIST);
    stat = play_say(&p, "stat");
    check_str(stat, "unsynced bytes=0 files=0 names=0 flushes=0");
    play_close(&p);
}

TEST(a_killed_rig_lossyfs_leaves_the_newest_state_and_the_next_one_starts)
{
    CLEANUP_FREE char *after = NULL;
    CLEANUP_ERR struct err *err = NULL;
    struct play p;

    play_need_fuse();
    play_open(&p, NULL);
    all_of(&p, "write a 1; fsync a; write b 2; unlink a");
    kill(p.proc.pid, SIGKILL);
    check_ok(proc_wait(&p.proc, PLAY_MS, &err), err);
    close(p.in);
    fclose(p.out);
    check_int(play_one(&p, "write c 3"), ENOTCONN); /* nobody serves it */
    umount2(p.mount, MNT_DETACH);
    play_start(&p, NULL);
    after = play_look(p.mount);
    check_str(after, "b=2");
    play_close(&p);
}

static bool mounted(const char *path)
{
    CLEANUP_FREE char *mounts = check_read("/proc/self/mountinfo", NULL);

    return strstr(mounts, path) != NULL;
}

TEST(a_private_mount_is_seen_by_those_who_join_it_only)
{
    CLEANUP_FREE char *inside = NULL, *path = NULL, *seen = NULL;
    struct play p;

    play_need_fuse();
    play_open(&p, "--private");
    check_true(!mounted(p.mount));
    inside = xasprintf("/proc/%d/root%s", p.proc.pid, p.mount);
    path = xasprintf("%s/a", inside);
    check_int(play_put(path, "x", 0), 0);
    seen = play_look(inside);
    check_str(seen, "a=x");
    play_close(&p);
}

CHECK_MAIN()
