/*
 * Full disks, missing rights and want of memory in calls of the library that write: whichever system call or allocation fails, the
 * call says so with a place, leaves nothing half-written, and what was there before is whole. What the tests of that share: a small
 * world in a scratch folder, and calls that are put through every fault.
 */
#ifndef FAULTS_H
#define FAULTS_H

#include <dirent.h>
#include <errno.h>
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
#include "cllm4rec/cllm4rec.h"

#define OK(call) do { cllm_error error_ = {0}; if ((call) != CLLM_OK) fail_msg("%s: %s", #call, error_.message); } while (0)
#define ERR (&error_)

static char g_folder[64];

/* The path of something in the scratch folder; valid until the 64th call from now. */
static inline const char *in(const char *name) {
    static char paths[64][192];
    static int next;
    char *path = paths[next++ % 64];
    snprintf(path, sizeof paths[0], "%s/%s", g_folder, name);
    return path;
}

static inline void put(const char *name, const char *text) {
    OK(cllm__write_file(in(name), text, strlen(text), ERR));
}

static inline void copy(const char *from, const char *to) {
    char command[512];
    cllm__remove_tree(in(to));
    snprintf(command, sizeof command, "cp -r '%s' '%s'", in(from), in(to));
    assert_int_equal(system(command), 0);
}

static inline uint64_t hash_of(const char *name) {
    char *data;
    size_t size;
    OK(cllm__read_file(in(name), (size_t)1 << 30, &data, &size, ERR));
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < size; i++) hash = (hash ^ (unsigned char)data[i]) * 1099511628211u;
    cllm__free(data);
    return hash;
}

static inline bool is_there(const char *name) {
    return cllm__path_exists(in(name));
}

/* Nothing temporary below the folder. */
static inline void nothing_left(const char *folder) {
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (struct dirent *entry; (entry = readdir(d)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        char *path = cllm__path_join(folder, entry->d_name);
        assert_non_null(path);
        if (strstr(entry->d_name, ".tmp") != NULL || strstr(entry->d_name, ".old-") != NULL) fail_msg("left behind: %s", path);
        if (cllm__path_is_folder(path)) nothing_left(path);
        cllm__free(path);
    }
    closedir(d);
}

/* ---- Faults ---- */

typedef struct fault {
    cllm__io_op op;
    int code;
    const char *words; /* what the message says of it, and the remedy */
    size_t after, seen; /* the operation with this number fails: an odd one alone, an even one with all that follow (a full disk) */
} fault;

static inline int inject(void *user, cllm__io_op op, const char *path) {
    fault *f = user;
    (void)path;
    if (op != f->op) return 0;
    size_t number = f->seen++;
    return number == f->after || (number > f->after && f->after % 2 == 0) ? f->code : 0;
}

/* What a call is put through. `prepare` makes things as they were before (may be NULL), `call` is the call, `check` looks at what a
 * failure left behind (may be NULL). */
typedef struct trial {
    void (*prepare)(void);
    cllm_status (*call)(cllm_error *err);
    void (*check)(void);
    size_t stride;          /* 0: every operation; s: every s-th, for calls that take long */
    bool every_allocation;  /* in try_memory, not only a sample; for short calls */
    bool tolerates_writing; /* the call may do without what it could not write: its result must then be good */
} trial;

static const fault g_faults[] = {
    {.op = CLLM_IO_OPEN_READ, .code = EACCES, .words = "Permission denied (look at the rights"},
    {.op = CLLM_IO_READ, .code = EIO, .words = "Input/output error (the device may be failing"},
    {.op = CLLM_IO_CREATE, .code = EROFS, .words = "Read-only file system (choose another place)"},
    {.op = CLLM_IO_WRITE, .code = ENOSPC, .words = "No space left on device (make room there"},
    {.op = CLLM_IO_FSYNC, .code = EIO, .words = "Input/output error (the device may be failing"},
    {.op = CLLM_IO_RENAME, .code = ENOSPC, .words = "No space left on device (make room there"},
    {.op = CLLM_IO_MKDIR, .code = EROFS, .words = "Read-only file system (choose another place)"},
};

/* Each operation of each kind fails, the first, the second, … until the call does no more of them. Returns the failures. */
static inline size_t try_io(const trial *t) {
    size_t failures = 0;
    for (size_t kind = 0; kind < CLLM_LEN(g_faults); kind++) {
        for (size_t n = 0;; n += t->stride > 0 ? t->stride : 1) {
            fault f = g_faults[kind];
            f.after = n;
            if (t->prepare != NULL) t->prepare();
            cllm_error err = {0};
            cllm__io_set_hook(inject, &f);
            cllm_status status = t->call(&err);
            cllm__io_set_hook(NULL, NULL);
            if (f.seen <= f.after) {
                if (status != CLLM_OK) fail_msg("without a fault: %s", err.message);
                break;
            }
            nothing_left(g_folder);
            if (status == CLLM_OK && t->tolerates_writing) continue;
            failures++;
            bool names_place = strstr(err.message, g_folder) != NULL || strstr(err.message, "/cllm4rec-") != NULL;
            if (status == CLLM_OK || err.status != status || strstr(err.message, f.words) == NULL || !names_place) {
                fail_msg("operation %d, number %zu: %d '%s'", (int)f.op, n, status, err.message);
            }
            if (t->check != NULL) t->check();
        }
    }
    return failures;
}

/* Allocations fail: nearly all of the first and a sample of the many later ones, or every one. */
static inline size_t try_memory(const trial *t) {
    size_t failures = 0;
    for (size_t n = 1;; n += t->every_allocation ? 1 : 1 + n / 12) {
        if (t->prepare != NULL) t->prepare();
        cllm_error err = {0};
        cllm__alloc_fail_at(n, n % 2 == 1);
        size_t before = cllm__alloc_count();
        cllm_status status = t->call(&err);
        bool reached = cllm__alloc_count() - before >= n;
        cllm__alloc_fail_at(0, false);
        nothing_left(g_folder);
        if (status == CLLM_OK && !reached) break;
        if (status == CLLM_OK) continue; /* it did without, as PCRE2 does without its compiler */
        if (status != CLLM_ERR_NOMEM) fail_msg("allocation %zu: %d '%s'", n, status, err.message);
        failures++;
        if (t->check != NULL) t->check();
    }
    return failures;
}

/* ---- Things to work on ---- */

static inline cllm_prepare_options prepare_options(void) {
    static const char *inputs[1];
    static char paths[3][192];
    inputs[0] = strcpy(paths[0], in("rows.tsv"));
    cllm_prepare_options options;
    cllm_prepare_options_init(&options);
    options.inputs = inputs;
    options.n_inputs = 1;
    options.items = strcpy(paths[1], in("items.tsv"));
    options.output = strcpy(paths[2], in("data"));
    options.seed = 1;
    return options;
}

static const char *const SETTINGS[] = {"epochs=1/1/2", "max-text-tokens=6", "batch=4", "checkpoint-seconds=86400"};

static inline cllm_train_options train_options(const char *output, const char *backbone) {
    cllm_train_options options;
    cllm_train_options_init(&options);
    options.dataset = in("data");
    options.output = output;
    options.backbone = backbone;
    options.settings = SETTINGS;
    options.n_settings = CLLM_LEN(SETTINGS);
    options.threads = 1;
    return options;
}

static inline void train(const char *output, bool final) {
    cllm_train_options options = train_options(in(output), in("backbone"));
    options.final = final;
    OK(cllm_train(&options, NULL, ERR));
}

/* Seven users, six items, a sentence each; a backbone of one layer of 8 with its tokenizer; a finished run and one with a last fit. */
static inline int make_world(void **state) {
    (void)state;
    snprintf(g_folder, sizeof g_folder, "faults-%ld", (long)getpid());
    cllm__remove_tree(g_folder);
    OK(cllm__make_folders(g_folder, ERR));
    char text[4096];
    size_t used = (size_t)sprintf(text, "user\titem\trating\ttimestamp\treview\n");
    for (int u = 0; u < 7; u++) {
        for (int k = 0; k < 4; k++) {
            used += (size_t)sprintf(text + used, "u%d\ti%d\t%d\t%d\tthe %s lamp\n", u, (u + k) % 6, 3 + k % 3, 1000 + u * 10 + k, k % 2 ? "old" : "new");
        }
    }
    put("rows.tsv", text);
    put("items.tsv", "item\ttitle\ni0\tlamp\ni1\tkettle\ni2\twood chair\ni3\twood table\ni4\tdoor\ni5\twindow\n");
    cllm_prepare_options prepare = prepare_options();
    OK(cllm_prepare(&prepare, NULL, ERR));
    cllm_train_options options = train_options(in("own"), NULL);
    OK(cllm_train(&options, NULL, ERR));
    cllm_backbone_shape shape = {.layers = 1, .heads = 1, .width = 8, .context = 64};
    OK(cllm_backbone_init(in("backbone"), shape, in("own/tokenizer"), 1, false, ERR));
    train("run", false);
    train("finished", true);
    return 0;
}

static inline int remove_world(void **state) {
    (void)state;
    cllm__io_set_hook(NULL, NULL);
    cllm__alloc_fail_at(0, false);
    cllm__remove_tree(g_folder);
    return 0;
}

/* A run that answers: its tables are whole and its data and backbone are there. */
static inline void answers(const char *run) {
    cllm_model *model;
    cllm_session *session;
    cllm_answer answer;
    cllm_request request = {.user = "u1", .k = 1};
    OK(cllm_model_open(&model, in(run), NULL, ERR));
    OK(cllm_session_open(&session, model, 1, ERR));
    OK(cllm_recommend(session, &request, 1, &answer, ERR));
    assert_int_equal(answer.count, 1);
    cllm_answer_free(&answer);
    cllm_session_close(session);
    cllm_model_close(model);
}

#endif
