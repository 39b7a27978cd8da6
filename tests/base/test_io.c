/* Files and folders under faults: whichever operation or allocation fails, the final name has the old contents or the new ones. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/io.h"

#define OK(call) do { cllm_error error_ = {0}; if ((call) != CLLM_OK) fail_msg("%s: %s", #call, error_.message); } while (0)
#define ERR (&error_)

static char g_folder[64];

static const char *in(const char *name) {
    static char paths[16][160];
    static int next;
    char *path = paths[next++ % 16];
    snprintf(path, sizeof paths[0], "%s/%s", g_folder, name);
    return path;
}

static int make_folder(void **state) {
    (void)state;
    snprintf(g_folder, sizeof g_folder, "io-%ld", (long)getpid());
    cllm__remove_tree(g_folder);
    OK(cllm__make_folders(g_folder, ERR));
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    cllm__io_set_hook(NULL, NULL);
    cllm__alloc_fail_at(0, false);
    cllm__remove_tree(g_folder);
    return 0;
}

static size_t entries(void) {
    size_t count = 0;
    DIR *d = opendir(g_folder);
    assert_non_null(d);
    for (struct dirent *entry; (entry = readdir(d)) != NULL;) count += entry->d_name[0] != '.';
    closedir(d);
    return count;
}

static bool holds(const char *name, const char *text) {
    char *data;
    size_t size;
    OK(cllm__read_file(in(name), 1 << 20, &data, &size, ERR));
    bool same = strcmp(data, text) == 0;
    cllm__free(data);
    return same;
}

typedef struct fault {
    cllm__io_op op;
    size_t after, seen;
    int code;
} fault;

static int inject(void *user, cllm__io_op op, const char *path) {
    fault *f = user;
    (void)path;
    return op == f->op && f->seen++ == f->after ? f->code : 0;
}

static cllm_status write_new(cllm_error *err) {
    return cllm__write_file(in("file"), "new", 3, err);
}

static cllm_status replace_folder(cllm_error *err) {
    char *temporary, *path;
    CLLM_TRY(cllm__folder_begin(in("folder"), true, NULL, &temporary, err));
    path = cllm__path_join(temporary, "file");
    cllm_status status = path == NULL ? cllm__fail_nomem(err) : cllm__write_file(path, "new", 3, err);
    if (status == CLLM_OK) status = cllm__folder_commit(temporary, in("folder"), err);
    if (status != CLLM_OK) cllm__remove_tree(temporary);
    cllm__free(path);
    cllm__free(temporary);
    return status;
}

static void make_old(void) {
    OK(cllm__write_file(in("file"), "old", 3, ERR));
    OK(cllm__make_folders(in("folder"), ERR));
    OK(cllm__write_file(in("folder/file"), "old", 3, ERR));
}

/* An error with the old contents, or (a flush of the parent folder failed) with the new ones: never neither, never a rest. */
static void try_all(cllm_status (*call)(cllm_error *err), const char *name) {
    static const cllm__io_op ops[] = {CLLM_IO_CREATE, CLLM_IO_WRITE, CLLM_IO_FSYNC, CLLM_IO_RENAME, CLLM_IO_MKDIR};
    size_t failures = 0;
    for (size_t i = 0; i < CLLM_LEN(ops); i++) {
        for (size_t n = 0;; n++) {
            fault f = {.op = ops[i], .after = n, .code = ENOSPC};
            cllm_error err = {0};
            make_old();
            cllm__io_set_hook(inject, &f);
            cllm_status status = call(&err);
            cllm__io_set_hook(NULL, NULL);
            assert_int_equal(entries(), 2);
            if (f.seen <= n) {
                assert_int_equal(status, CLLM_OK);
                assert_true(holds(name, "new"));
                break;
            }
            failures++;
            assert_int_equal(status, CLLM_ERR_IO);
            assert_non_null(strstr(err.message, g_folder));
            assert_non_null(strstr(err.message, "No space left on device"));
            bool renamed = ops[i] == CLLM_IO_FSYNC && strstr(err.message, "folder") != NULL;
            assert_true(holds(name, "old") || (renamed && holds(name, "new")));
        }
    }
    assert_true(failures >= 4);
    /* For want of memory nothing changes: what was renamed is reported as done. */
    for (size_t n = 1;; n++) {
        cllm_error err = {0};
        make_old();
        cllm__alloc_fail_at(n, false);
        cllm_status status = call(&err);
        cllm__alloc_fail_at(0, false);
        assert_int_equal(entries(), 2);
        assert_true(holds(name, status == CLLM_OK ? "new" : "old"));
        if (status == CLLM_OK) break;
        assert_int_equal(status, CLLM_ERR_NOMEM);
        assert_true(n < 20);
    }
}

static void test_file(void **state) {
    (void)state;
    try_all(write_new, "file");
}

static void test_folder(void **state) {
    (void)state;
    try_all(replace_folder, "folder/file");
    char *temporary;
    cllm_error err = {0};
    assert_int_equal(cllm__folder_begin(in("folder"), false, NULL, &temporary, &err), CLLM_ERR_EXISTS);
    assert_non_null(strstr(err.message, "--force"));
    /* With force, a folder of another kind stays; one of its kind, or an empty one, may go. */
    assert_int_equal(cllm__folder_begin(in("folder"), true, "mark", &temporary, &err), CLLM_ERR_EXISTS);
    assert_non_null(strstr(err.message, "leaves it alone"));
    OK(cllm__make_folders(in("bare"), ERR));
    for (int i = 0; i < 2; i++) {
        OK(cllm__folder_begin(i == 0 ? in("bare") : in("folder"), true, i == 0 ? "mark" : "file", &temporary, ERR));
        cllm__remove_tree(temporary);
        cllm__free(temporary);
    }
    cllm__remove_tree(in("bare"));
    static const char *const nameless[] = {"", ".", "..", "/", "x/..", "x/./"};
    for (size_t i = 0; i < CLLM_LEN(nameless); i++) assert_int_equal(cllm__folder_begin(nameless[i], true, NULL, &temporary, &err), CLLM_ERR_USAGE);
}

/* The first failure of a writer stays, and a folder that is missing is said to be the problem. */
static void test_writer(void **state) {
    (void)state;
    cllm__out *out;
    cllm_error err = {0};
    static char big[200000];
    fault f = {.op = CLLM_IO_WRITE, .code = ENOSPC};
    OK(cllm__out_create(&out, in("file"), ERR));
    cllm__io_set_hook(inject, &f);
    assert_int_equal(cllm__out_write(out, big, sizeof big, &err), CLLM_ERR_IO);
    cllm__io_set_hook(NULL, NULL);
    err = (cllm_error){0};
    assert_int_equal(cllm__out_write(out, "x", 1, &err), CLLM_ERR_IO);
    assert_non_null(strstr(err.message, "No space left"));
    assert_int_equal(cllm__out_commit(out, &err), CLLM_ERR_IO);
    assert_int_equal(entries(), 2);
    assert_int_equal(cllm__out_create(&out, in("no-such/file"), &err), CLLM_ERR_IO);
    assert_non_null(strstr(err.message, "no-such/file"));
    cllm__out_abort(NULL);

    OK(cllm__out_create(&out, in("file"), ERR));
    OK(cllm__out_printf(out, ERR, "%0700d", 7));
    OK(cllm__out_patch(out, 0, "ab", 2, ERR));
    assert_int_equal(cllm__out_size(out), 700);
    OK(cllm__out_commit(out, ERR));
    char *data;
    size_t size;
    OK(cllm__read_file(in("file"), 700, &data, &size, ERR));
    assert_int_equal(size, 700);
    assert_memory_equal(data, "ab0", 3);
    assert_int_equal(data[699], '7');
    cllm__free(data);
}

/* Ends with a temporary file of `path`, as a writer does that is killed; returns its name. */
static char *killed_writer(const char *path) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        cllm__out *out;
        if (cllm__out_create(&out, path, NULL) == CLLM_OK) raise(SIGKILL);
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    char *name = cllm__alloc(strlen(path) + 32, 1);
    assert_non_null(name);
    sprintf(name, "%s.tmp-%ld", path, (long)child);
    return name;
}

/* What a killed writer left goes with the next one to the same path; a living writer's file and others' stay. */
static void test_leftovers(void **state) {
    (void)state;
    size_t before = entries();
    char *left = killed_writer(in("left")), *other = killed_writer(in("left.json"));
    assert_true(cllm__path_exists(left) && cllm__path_exists(other));
    cllm__out *living, *out;
    OK(cllm__out_create(&living, in("left.json"), ERR));
    assert_false(cllm__path_exists(other));
    OK(cllm__write_file(in("left.tmp-12a"), "x", 1, ERR));
    OK(cllm__out_create(&out, in("left"), ERR));
    assert_false(cllm__path_exists(left));
    OK(cllm__out_commit(out, ERR));
    cllm__free(other);
    other = killed_writer(in("left.json")); /* that one looked for leftovers while the first was alive */
    OK(cllm__out_commit(living, ERR));
    OK(cllm__write_file(in("left.json"), "y", 1, ERR));
    assert_false(cllm__path_exists(other));
    assert_int_equal(entries(), before + 3);
    unlink(in("left"));
    unlink(in("left.json"));
    unlink(in("left.tmp-12a"));
    cllm__free(left);
    cllm__free(other);
}

/* Missing, a folder, oversized, unreadable, cut while it is read, empty, no regular file. */
static void test_reading(void **state) {
    (void)state;
    char *data;
    size_t size;
    cllm__map map = {0};
    OK(cllm__write_file(in("five"), "12345", 5, ERR));
    OK(cllm__write_file(in("none"), "", 0, ERR));
    assert_int_equal(mkfifo(in("pipe"), 0600), 0);
    static const struct {
        const char *name;
        size_t limit;
        cllm__io_op op;
        int code;
        cllm_status status;
        const char *words;
    } cases[] = {
        {"missing", 10, CLLM_IO_WRITE, 0, CLLM_ERR_NOT_FOUND, "missing"},
        {"folder", 10, CLLM_IO_WRITE, 0, CLLM_ERR_DATA, "is a folder"},
        {"five", 4, CLLM_IO_WRITE, 0, CLLM_ERR_DATA, "larger than 4 bytes"},
        {"five", 10, CLLM_IO_OPEN_READ, EACCES, CLLM_ERR_IO, "Permission denied"},
        {"five", 10, CLLM_IO_READ, EIO, CLLM_ERR_IO, "Input/output error"},
    };
    for (size_t i = 0; i < CLLM_LEN(cases); i++) {
        fault f = {.op = cases[i].op, .code = cases[i].code};
        cllm_error err = {0};
        cllm__io_set_hook(inject, &f);
        cllm_status status = cllm__read_file(in(cases[i].name), cases[i].limit, &data, &size, &err);
        cllm__io_set_hook(NULL, NULL);
        if (status != cases[i].status || strstr(err.message, cases[i].words) == NULL || strstr(err.message, in(cases[i].name)) == NULL) {
            fail_msg("case %zu: %d '%s'", i, status, err.message);
        }
        if (cases[i].limit == 4 || cases[i].op == CLLM_IO_READ) continue;
        cllm__io_set_hook(inject, &f);
        f.seen = 0;
        status = cllm__map_open(&map, in(cases[i].name), &err);
        cllm__io_set_hook(NULL, NULL);
        assert_int_equal(status, cases[i].status);
    }
    OK(cllm__read_file(in("none"), 10, &data, &size, ERR));
    assert_true(size == 0 && data[0] == '\0');
    cllm__free(data);
    OK(cllm__map_open(&map, in("none"), ERR));
    assert_null(map.data);
    cllm__map_close(&map);
    int keep = open(in("pipe"), O_RDWR | O_NONBLOCK); /* so that opening it to read does not wait */
    assert_true(keep >= 0);
    cllm_error err = {0};
    assert_int_equal(cllm__map_open(&map, in("pipe"), &err), CLLM_ERR_DATA);
    assert_non_null(strstr(err.message, "not a regular file"));
    close(keep);
    int fd = open(in("five"), O_RDONLY);
    char bytes[8];
    assert_int_equal(cllm__read_at(fd, in("five"), bytes, 6, 2, &err), CLLM_ERR_DATA);
    assert_non_null(strstr(err.message, "ends too early, at byte 5"));
    OK(cllm__read_at(fd, in("five"), bytes, 3, 2, ERR));
    assert_memory_equal(bytes, "345", 3);
    close(fd);
}

static void test_paths(void **state) {
    (void)state;
    static const char *const joined[][3] = {{"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"a", "/b", "/b"}};
    for (size_t i = 0; i < CLLM_LEN(joined); i++) {
        char *path = cllm__path_join(joined[i][0], joined[i][1]);
        assert_string_equal(path, joined[i][2]);
        cllm__free(path);
    }
    OK(cllm__make_folders(in("p/q/r/"), ERR));
    assert_true(cllm__path_is_folder(in("p/q/r")));
    OK(cllm__write_file(in("p/file"), "", 0, ERR));
    cllm_error err = {0};
    assert_int_not_equal(cllm__make_folders(in("p/file/x"), &err), CLLM_OK);
    assert_non_null(strstr(err.message, "p/file"));
    cllm__remove_tree(in("p"));
    cllm__remove_tree(in("p"));
    assert_false(cllm__path_exists(in("p")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),    cmocka_unit_test(test_folder), cmocka_unit_test(test_writer),
        cmocka_unit_test(test_leftovers), cmocka_unit_test(test_reading), cmocka_unit_test(test_paths),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
