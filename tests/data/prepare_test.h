/* What the tests of preparing share: a scratch folder, files in it, data sets made from them. */
#ifndef PREPARE_TEST_H
#define PREPARE_TEST_H

#include <dirent.h>
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
#include "data/dataset.h"
#include "data/prepare.h"
#include "formats/npz.h"

#define SAMPLES TEST_DATA "/data/samples/"

static char scratch[64];

static int make_scratch(void **state) {
    (void)state;
    strcpy(scratch, "/tmp/cllm-prepare-XXXXXX");
    return mkdtemp(scratch) == NULL ? -1 : 0;
}

static int drop_scratch(void **state) {
    (void)state;
    cllm__io_set_hook(NULL, NULL);
    cllm__alloc_fail_at(0, false);
    cllm__remove_tree(scratch);
    return 0;
}

/* The path of a file in the scratch folder; valid until the 64th call from now. */
static const char *at(const char *name) {
    static char paths[64][256];
    static int next;
    char *path = paths[next++ % 64];
    snprintf(path, sizeof paths[0], "%s/%s", scratch, name);
    return path;
}

static inline const char *put_bytes(const char *name, const void *data, size_t size) {
    const char *path = at(name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    return path;
}

static inline const char *put(const char *name, const char *text) {
    return put_bytes(name, text, strlen(text));
}

/* Options for one input and the output "data", which is replaced. */
static inline cllm_prepare_options from(const char *const *input) {
    return (cllm_prepare_options){.inputs = input, .n_inputs = 1, .output = at("data"), .force = true};
}

static inline cllm__dataset *open_made(const char *name) {
    cllm__dataset *d;
    cllm_error err = {0};
    if (cllm__dataset_open(&d, at(name), false, &err) != CLLM_OK) fail_msg("%s", err.message);
    return d;
}

/* Prepares, which must work, and opens the result. */
static inline cllm__dataset *make(const cllm_prepare_options *options, char **summary) {
    cllm_error err = {0};
    cllm__dataset *d;
    if (cllm__prepare(options, summary, &err) != CLLM_OK) fail_msg("%s", err.message);
    if (cllm__dataset_open(&d, options->output, false, &err) != CLLM_OK) fail_msg("%s", err.message);
    return d;
}

/* The same for a text as the only input. */
static inline cllm__dataset *make_from(const char *text, cllm_prepare_options options) {
    const char *input = put("input", text);
    options.inputs = &input;
    options.n_inputs = 1;
    options.output = at("data");
    options.force = true;
    return make(&options, NULL);
}

/* Prepares, which must fail with this status and these words, and leaves no output. */
static inline void refuse(const cllm_prepare_options *options, cllm_status status, const char *words) {
    cllm_error err = {0};
    cllm__remove_tree(options->output == NULL ? at("data") : options->output);
    cllm_status got = cllm__prepare(options, NULL, &err);
    if (got != status || strstr(err.message, words) == NULL)
        fail_msg("%d instead of %d: '%s' instead of '%s'", got, status, err.message, words);
    assert_int_equal(err.status, status);
    if (options->output != NULL) assert_false(cllm__path_exists(options->output));
}

static inline void refuse_text(const char *text, cllm_prepare_options options, cllm_status status, const char *words) {
    const char *input = put("input", text);
    options.inputs = &input;
    options.n_inputs = 1;
    options.output = at("data");
    refuse(&options, status, words);
}

/* The split that a pair is in, −1 for none; its place in the split's arrays in *place. */
static inline int find_pair(const cllm__dataset *d, const char *user, const char *item, size_t *place) {
    size_t u, v;
    if (!cllm__dataset_find_user(d, user, &u) || !cllm__dataset_find_item(d, item, &v)) return -1;
    for (int s = 0; s < CLLM__SPLITS; s++) {
        const cllm__interactions *m = cllm__dataset_interactions(d, (cllm__split)s);
        for (uint64_t i = m->start[u]; i < m->start[u + 1]; i++) {
            if ((size_t)m->items[i] != v) continue;
            if (place != NULL) *place = (size_t)i;
            return s;
        }
    }
    return -1;
}

/* "user item" of one user in a split, as raw ids with blanks between. */
static inline const char *row_text(const cllm__dataset *d, cllm__split split, const char *user) {
    static char text[4096];
    size_t u, used = 0;
    text[0] = '\0';
    assert_true(cllm__dataset_find_user(d, user, &u));
    const cllm__interactions *m = cllm__dataset_interactions(d, split);
    for (size_t i = 0; i < cllm__row_count(m, u); i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i > 0 ? " " : "",
                                 cllm__dataset_item_id(d, (size_t)cllm__row(m, u)[i]));
    }
    return text;
}

static inline size_t total(const cllm__dataset *d) {
    size_t sum = 0;
    for (int s = 0; s < CLLM__SPLITS; s++) sum += cllm__dataset_interactions(d, (cllm__split)s)->count;
    return sum;
}

/* Names in the scratch folder that begin with this. */
static inline size_t count_files(const char *prefix) {
    size_t count = 0;
    DIR *folder = opendir(scratch);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    closedir(folder);
    return count;
}

static inline void assert_same_file(const char *a, const char *b) {
    char *x, *y;
    size_t n, m;
    assert_int_equal(cllm__read_file(a, SIZE_MAX, &x, &n, NULL), CLLM_OK);
    assert_int_equal(cllm__read_file(b, SIZE_MAX, &y, &m, NULL), CLLM_OK);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    cllm__free(x);
    cllm__free(y);
}

/* All of two data sets but where they came from. */
static inline void assert_same_data(const char *a, const char *b) {
    static const char *const names[] = {"dataset.json", "interactions.safetensors", "users.tsv",  "items.tsv",
                                        "texts.utf8",   "texts.safetensors",        "dropped.tsv"};
    for (size_t i = 0; i < CLLM_LEN(names); i++) {
        char x[300], y[300];
        snprintf(x, sizeof x, "%s/%s", at(a), names[i]);
        snprintf(y, sizeof y, "%s/%s", at(b), names[i]);
        assert_same_file(x, y);
    }
}

#endif
