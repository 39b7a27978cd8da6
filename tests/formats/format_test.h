/* What the tests of this layer share: files in a scratch folder, injected failures, allocation sweeps. */
#ifndef FORMAT_TEST_H
#define FORMAT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/io.h"

static char scratch[64];

static int make_scratch(void **state) {
    (void)state;
    strcpy(scratch, "/tmp/cllm-formats-XXXXXX");
    return mkdtemp(scratch) == NULL ? -1 : 0;
}

static int drop_scratch(void **state) {
    (void)state;
    cllm__io_set_hook(NULL, NULL);
    cllm__alloc_fail_at(0, false);
    cllm__remove_tree(scratch);
    return 0;
}

/* The path of a file in the scratch folder; valid until the fourth call from now. */
static const char *scratch_path(const char *name) {
    static char paths[4][128];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", scratch, name);
    return path;
}

static const char *put_file(const char *name, const void *data, size_t size) {
    const char *path = scratch_path(name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    return path;
}

static inline const char *put_text(const char *name, const char *text) {
    return put_file(name, text, strlen(text));
}

/* Where a file shall be kept for another program to look at: in the folder that the environment's KEEP names, else NULL. */
static inline const char *keep_path(const char *name) {
    static char path[512];
    if (getenv("KEEP") == NULL) return NULL;
    snprintf(path, sizeof path, "%s/%s", getenv("KEEP"), name);
    return path;
}

/* The n-th operation of the kind fails with the given errno. */
typedef struct injection {
    cllm__io_op op;
    int after, code;
} injection;

static inline int inject(void *user, cllm__io_op op, const char *path) {
    injection *i = user;
    (void)path;
    return op == i->op && i->after-- <= 0 ? i->code : 0;
}

#define assert_ok(call) \
    do { \
        cllm_status status_ = (call); \
        if (status_ != CLLM_OK) fail_msg("%s: %s", #call, err.message); \
    } while (0)

/* Needs a local `cllm_error err` that the call fills. The message must contain the text. */
#define assert_fails(call, expected, text) \
    do { \
        memset(&err, 0, sizeof err); \
        cllm_status status_ = (call); \
        if (status_ != (expected) || err.status != (expected) || strstr(err.message, (text)) == NULL) { \
            fail_msg("%s gave status %d and \"%s\", expected %d and \"%s\"", #call, (int)status_, err.message, \
                     (int)(expected), (text)); \
        } \
    } while (0)

/* Runs body() with the 1st, 2nd, … allocation failing until none is left to fail; every failure must say NOMEM. */
static inline void sweep_allocations(cllm_status (*body)(cllm_error *err)) {
    for (size_t n = 1;; n++) {
        cllm_error err = {0};
        size_t before = cllm__alloc_count();
        cllm__alloc_fail_at(n, false);
        cllm_status status = body(&err);
        cllm__alloc_fail_at(0, false);
        if (cllm__alloc_count() - before < n) {
            assert_int_equal(status, CLLM_OK);
            assert_true(n > 1);
            return;
        }
        assert_int_equal(status, CLLM_ERR_NOMEM);
        assert_int_equal(err.status, CLLM_ERR_NOMEM);
    }
}

/* A failed write left no temporary file behind. */
static inline void assert_no_temporaries(void) {
    char command[160];
    snprintf(command, sizeof command, "ls -A %s | grep -q tmp-", scratch);
    assert_int_not_equal(system(command), 0);
}

#endif
