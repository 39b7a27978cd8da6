/* Whatever fails, and wherever: an error that says so, no half-written folder, nothing left behind, the old data set
 * intact. */
#include <errno.h>

#include "prepare_test.h"

static const char *g_inputs[1];

/* One data set that uses every part: texts, items, users, drops, a k-core with a tail. */
static cllm_prepare_options everything(void) {
    static char rows[4096];
    size_t used = (size_t)sprintf(rows, "user,item,rating,time,text\n");
    for (int u = 0; u < 6; u++) {
        for (int i = 0; i < 5; i++)
            used += (size_t)sprintf(rows + used, "u%d,i%d,%d,%d,words &amp; words %d\n", u, (u + i) % 7, 1 + (u + i) % 5,
                                    u * 9 + i, i);
    }
    g_inputs[0] = put("rows.csv", rows);
    cllm_prepare_options options = from(g_inputs);
    options.output = at("result/data"); /* the parent is made as well */
    options.items = put("items.tsv", "#item\ttitle\tbrand\ni0\tzero\tb\ni1\tone\t\ni2\ttwo\t\ni3\tthree\t\ni4\tfour\t\ni5\t"
                                     "five\t\ni6\tsix\t\nx\tcold\t\n");
    options.users = put("users.tsv", "#user\tbio\nu1\tsomeone\n");
    options.texts = put("texts.tsv", "user\titem\ttext\nu1\ti1\tanother text\n");
    options.has_min_rating = true;
    options.min_rating = 2;
    options.kcore = 2;
    options.force = false;
    /* The helpers' paths last for a few dozen calls only. */
    static char paths[5][160];
    const char **members[] = {&g_inputs[0], &options.output, &options.items, &options.users, &options.texts};
    for (size_t i = 0; i < CLLM_LEN(members); i++) *members[i] = strcpy(paths[i], *members[i]);
    return options;
}

static size_t entries(const char *folder) {
    size_t count = 0;
    DIR *d = opendir(folder);
    if (d == NULL) return 0;
    for (struct dirent *entry; (entry = readdir(d)) != NULL;)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(d);
    return count;
}

typedef struct fault {
    cllm__io_op op;
    size_t after, seen; /* the operation with this number fails */
    int code;
} fault;

static int inject(void *user, cllm__io_op op, const char *path) {
    fault *f = user;
    (void)path;
    if (op != f->op) return 0;
    return f->seen++ == f->after ? f->code : 0;
}

static void test_io(void **state) {
    (void)state;
    static const struct {
        cllm__io_op op;
        int code;
        const char *words;
        size_t at_least;
    } cases[] = {
        {CLLM_IO_OPEN_READ, EACCES, "Permission denied", 4},  {CLLM_IO_READ, EIO, "Input/output error", 4},
        {CLLM_IO_CREATE, EROFS, "Read-only file system", 10}, {CLLM_IO_WRITE, ENOSPC, "No space left on device", 8},
        {CLLM_IO_FSYNC, EIO, "Input/output error", 8},        {CLLM_IO_RENAME, ENOSPC, "No space left on device", 8},
        {CLLM_IO_MKDIR, EACCES, "Permission denied", 1},
    };
    cllm_prepare_options options = everything();
    for (size_t c = 0; c < CLLM_LEN(cases); c++) {
        size_t failures = 0;
        for (;;) {
            fault f = {.op = cases[c].op, .after = failures, .code = cases[c].code};
            cllm_error err = {0};
            char *summary = NULL;
            cllm__remove_tree(at("result"));
            cllm__io_set_hook(inject, &f);
            cllm_status status = cllm__prepare(&options, &summary, &err);
            cllm__io_set_hook(NULL, NULL);
            if (f.seen <= f.after) { /* no more such operations: it must have worked */
                if (status != CLLM_OK) fail_msg("%s", err.message);
                assert_non_null(summary);
                cllm__free(summary);
                break;
            }
            assert_null(summary);
            if (status == CLLM_OK || strstr(err.message, cases[c].words) == NULL) {
                fail_msg("operation %d, number %zu: %d '%s'", cases[c].op, failures, status, err.message);
            }
            /* A failed flush of the parent folder comes after the rename: the data set is there, whole. */
            if (cllm__path_exists(at("result/data"))) {
                cllm__dataset_close(open_made("result/data"));
                assert_int_equal(entries(at("result")), 1);
            } else {
                assert_int_equal(entries(at("result")), 0);
            }
            failures++;
        }
        assert_true(failures >= cases[c].at_least);
    }
}

static void test_memory(void **state) {
    (void)state;
    cllm_prepare_options options = everything();
    cllm__remove_tree(at("result"));
    size_t failures = 0;
    for (;; failures++) {
        cllm_error err = {0};
        char *summary = NULL;
        cllm__alloc_fail_at(failures + 1, failures % 2 == 1);
        cllm_status status = cllm__prepare(&options, &summary, &err);
        cllm__alloc_fail_at(0, false);
        if (status == CLLM_OK) {
            cllm__free(summary);
            break;
        }
        if (status != CLLM_ERR_NOMEM) fail_msg("allocation %zu: %d '%s'", failures, status, err.message);
        assert_null(summary);
        assert_int_equal(entries(at("result")), 0);
    }
    assert_true(failures > 60);

    for (failures = 0;; failures++) {
        cllm__dataset *d = NULL;
        cllm_error err = {0};
        cllm__alloc_fail_at(failures + 1, failures % 2 == 1);
        cllm_status status = cllm__dataset_open(&d, options.output, false, &err);
        cllm__alloc_fail_at(0, false);
        if (status == CLLM_OK) {
            cllm__dataset_close(d);
            break;
        }
        if (status != CLLM_ERR_NOMEM) fail_msg("allocation %zu: %d '%s'", failures, status, err.message);
        assert_null(d);
    }
    assert_true(failures > 20);
}

static size_t g_asked, g_cancel_at;

static bool cancelled(void *user) {
    (void)user;
    return g_asked++ >= g_cancel_at;
}

static void test_cancelled(void **state) {
    (void)state;
    cllm_prepare_options options = everything();
    cllm__remove_tree(at("result"));
    options.host.cancelled = cancelled;
    for (g_cancel_at = 0;; g_cancel_at++) {
        cllm_error err = {0};
        g_asked = 0;
        cllm_status status = cllm__prepare(&options, NULL, &err);
        if (status == CLLM_OK) break;
        assert_int_equal(status, CLLM_ERR_INTERRUPTED);
        assert_int_equal(entries(at("result")), 0);
    }
    assert_true(g_cancel_at > 8); /* asked in every phase */
}

/* --force: what was there stays until the new folder is complete. */
static void test_force(void **state) {
    (void)state;
    cllm_prepare_options options = everything();
    cllm__remove_tree(at("result"));
    cllm__dataset *d = make(&options, NULL);
    uint64_t hash = cllm__dataset_hash(d);
    cllm__dataset_close(d);
    options.force = true;
    options.seed = 99;
    for (size_t n = 0;; n++) {
        fault f = {.op = CLLM_IO_RENAME, .after = n, .code = EIO};
        cllm_error err;
        cllm__io_set_hook(inject, &f);
        cllm_status status = cllm__prepare(&options, NULL, &err);
        cllm__io_set_hook(NULL, NULL);
        d = open_made("result/data");
        assert_int_equal(entries(at("result")), 1);
        if (status == CLLM_OK) break;
        assert_true(cllm__dataset_hash(d) == hash);
        cllm__dataset_close(d);
    }
    assert_true(cllm__dataset_hash(d) != hash);
    cllm__dataset_close(d);
}

typedef struct reports {
    size_t count, final;
    char phases[256];
} reports;

static void report(void *user, const cllm_progress *progress) {
    reports *r = user;
    r->count++;
    r->final += progress->final;
    if (progress->final)
        snprintf(r->phases + strlen(r->phases), sizeof r->phases - strlen(r->phases), "%s;", progress->phase);
}

static void test_progress(void **state) {
    (void)state;
    reports r = {0};
    cllm_prepare_options options = everything();
    cllm__remove_tree(at("result"));
    options.host = (cllm_host){.progress = report, .user = &r};
    cllm__dataset_close(make(&options, NULL));
    assert_string_equal(r.phases, "read;read;read;read;write texts;");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_io),    cmocka_unit_test(test_memory),   cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_force), cmocka_unit_test(test_progress),
    };
    return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
