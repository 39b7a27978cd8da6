/*
 * Full disks, missing rights and want of memory in every call of the library that writes: whichever system call or allocation
 * fails, the call says so with a place, leaves nothing half-written, and what was there before is whole.
 */
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
static const char *in(const char *name) {
    static char paths[64][192];
    static int next;
    char *path = paths[next++ % 64];
    snprintf(path, sizeof paths[0], "%s/%s", g_folder, name);
    return path;
}

static void put(const char *name, const char *text) {
    OK(cllm__write_file(in(name), text, strlen(text), ERR));
}

static void copy(const char *from, const char *to) {
    char command[512];
    cllm__remove_tree(in(to));
    snprintf(command, sizeof command, "cp -r '%s' '%s'", in(from), in(to));
    assert_int_equal(system(command), 0);
}

static uint64_t hash_of(const char *name) {
    char *data;
    size_t size;
    OK(cllm__read_file(in(name), (size_t)1 << 30, &data, &size, ERR));
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < size; i++) hash = (hash ^ (unsigned char)data[i]) * 1099511628211u;
    cllm__free(data);
    return hash;
}

static bool is_there(const char *name) {
    return cllm__path_exists(in(name));
}

/* Nothing temporary below the folder. */
static void nothing_left(const char *folder) {
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (struct dirent *entry; (entry = readdir(d)) != NULL;) {
        char path[512];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (strstr(entry->d_name, ".tmp") != NULL || strstr(entry->d_name, ".old-") != NULL) fail_msg("left behind: %s", path);
        if (cllm__path_is_folder(path)) nothing_left(path);
    }
    closedir(d);
}

/* ---- Faults ---- */

typedef struct fault {
    cllm__io_op op;
    int code;
    const char *words;
    size_t after, seen; /* the operation with this number fails: an odd one alone, an even one with all that follow (a full disk) */
} fault;

static int inject(void *user, cllm__io_op op, const char *path) {
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
    bool tolerates_writing; /* the call may do without what it could not write: its result must then be good */
} trial;

static const fault g_faults[] = {
    {.op = CLLM_IO_OPEN_READ, .code = EACCES, .words = "Permission denied"},
    {.op = CLLM_IO_READ, .code = EIO, .words = "Input/output error"},
    {.op = CLLM_IO_CREATE, .code = EROFS, .words = "Read-only file system"},
    {.op = CLLM_IO_WRITE, .code = ENOSPC, .words = "No space left on device"},
    {.op = CLLM_IO_FSYNC, .code = EIO, .words = "Input/output error"},
    {.op = CLLM_IO_RENAME, .code = ENOSPC, .words = "No space left on device"},
    {.op = CLLM_IO_MKDIR, .code = EROFS, .words = "Read-only file system"},
};

/* Each operation of each kind fails, the first, the second, … until the call does no more of them. Returns the failures. */
static size_t try_io(const trial *t) {
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

/* Allocations fail, nearly all of the first and a sample of the many later ones. */
static size_t try_memory(const trial *t) {
    size_t failures = 0;
    for (size_t n = 1;; n += 1 + n / 12) {
        if (t->prepare != NULL) t->prepare();
        cllm_error err = {0};
        cllm__alloc_fail_at(n, n % 2 == 1);
        cllm_status status = t->call(&err);
        cllm__alloc_fail_at(0, false);
        nothing_left(g_folder);
        if (status == CLLM_OK) break;
        if (status != CLLM_ERR_NOMEM) fail_msg("allocation %zu: %d '%s'", n, status, err.message);
        failures++;
        if (t->check != NULL) t->check();
    }
    return failures;
}

/* ---- Things to work on ---- */

static cllm_prepare_options prepare_options(void) {
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

static cllm_train_options train_options(const char *output, const char *backbone) {
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

static void train(const char *output, bool final) {
    cllm_train_options options = train_options(in(output), in("backbone"));
    options.final = final;
    OK(cllm_train(&options, NULL, ERR));
}

/* Seven users, six items, a sentence each; a backbone of one layer of 8 with its tokenizer; a finished run and one with a last fit. */
static int make_world(void **state) {
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
    put("items.tsv", "item\ttitle\ni0\tlamp\ni1\tkettle\ni2\tchair\ni3\ttable\ni4\tdoor\ni5\twindow\n");
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

static int remove_world(void **state) {
    (void)state;
    cllm__io_set_hook(NULL, NULL);
    cllm__alloc_fail_at(0, false);
    cllm__remove_tree(g_folder);
    return 0;
}

/* A run that answers: its tables are whole and its data and backbone are there. */
static void answers(const char *run) {
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

/* ---- prepare ---- */

static cllm_status call_prepare(cllm_error *err) {
    cllm_prepare_options options = prepare_options();
    options.output = in("new");
    return cllm_prepare(&options, NULL, err);
}

static void remove_new(void) {
    cllm__remove_tree(in("new"));
}

/* Either nothing, or (the flush of the parent folder failed) a whole folder. */
static void nothing_or_whole(void) {
    char *json;
    if (!is_there("new")) return;
    OK(cllm_inspect(in("new"), &json, ERR));
    cllm_text_free(json);
}

static void test_prepare(void **state) {
    (void)state;
    const trial t = {.prepare = remove_new, .call = call_prepare, .check = nothing_or_whole};
    assert_true(try_io(&t) > 30); /* in every detail: tests/data/test_prepare_faults.c */
}

/* ---- train ---- */

static cllm_status call_train(cllm_error *err) {
    cllm_train_options options = train_options(in("new"), in("backbone"));
    return cllm_train(&options, NULL, err);
}

static cllm_status call_train_own(cllm_error *err) {
    cllm_train_options options = train_options(in("new"), NULL);
    return cllm_train(&options, NULL, err);
}

static cllm_status call_train_final(cllm_error *err) {
    cllm_train_options options = train_options(in("new"), in("backbone"));
    options.final = true;
    return cllm_train(&options, NULL, err);
}

static cllm_status resume(const char *run, bool final, cllm_error *err) {
    cllm_train_options options;
    cllm_train_options_init(&options);
    options.output = in(run);
    options.resume = true;
    options.final = final;
    options.threads = 1;
    return cllm_train(&options, NULL, err);
}

/* A run folder that a failure left goes on to the bits of one that never failed. */
static void goes_on_to(const char *reference) {
    char name[64];
    if (!is_there("new")) return;
    OK(resume("new", false, ERR));
    snprintf(name, sizeof name, "%s/model.safetensors", reference);
    assert_true(hash_of("new/model.safetensors") == hash_of(name));
    snprintf(name, sizeof name, "%s/fit.safetensors", reference);
    if (is_there(name)) assert_true(is_there("new/fit.safetensors") && hash_of("new/fit.safetensors") == hash_of(name));
    assert_false(is_there("new/checkpoint.safetensors") || is_there("new/final-checkpoint.safetensors"));
}

static void goes_on_to_run(void) {
    goes_on_to("run");
}

static void goes_on_to_own(void) {
    goes_on_to("own");
}

static void goes_on_to_finished(void) {
    goes_on_to("finished");
}

static void test_train(void **state) {
    (void)state;
    const trial t = {.prepare = remove_new, .call = call_train, .check = goes_on_to_run};
    assert_true(try_io(&t) > 30);
    assert_true(try_memory(&t) > 20);
}

static void test_train_own_backbone(void **state) {
    (void)state;
    const trial t = {.prepare = remove_new, .call = call_train_own, .check = goes_on_to_own, .stride = 3};
    assert_true(try_io(&t) > 15);
}

static void test_train_final(void **state) {
    (void)state;
    const trial t = {.prepare = remove_new, .call = call_train_final, .check = goes_on_to_finished};
    assert_true(try_io(&t) > 40);
}

/* ---- train: interrupted and resumed ---- */

static size_t g_polls, g_stop_at;

static bool stop(void *user) {
    (void)user;
    return g_polls++ == g_stop_at;
}

static cllm_status call_interrupted(cllm_error *err) {
    cllm_train_options options = train_options(in("new"), in("backbone"));
    options.host.cancelled = stop;
    g_polls = 0;
    cllm_status status = cllm_train(&options, NULL, err);
    if (status == CLLM_ERR_INTERRUPTED) return is_there("new/checkpoint.safetensors") ? CLLM_OK : CLLM_ERR_FAILED;
    return status;
}

/* Finds a poll in the middle of the training, at which a checkpoint is written. */
static void find_stop(void) {
    for (g_stop_at = 6;; g_stop_at++) {
        cllm_error err = {0};
        remove_new();
        assert_true(g_stop_at < 100);
        if (call_interrupted(&err) == CLLM_OK && is_there("new/checkpoint.safetensors")) return;
    }
}

static void test_checkpoint(void **state) {
    (void)state;
    find_stop();
    copy("new", "stopped");
    const trial t = {.prepare = remove_new, .call = call_interrupted, .check = goes_on_to_run};
    assert_true(try_io(&t) > 30);
}

static void copy_stopped(void) {
    copy("stopped", "new");
}

static void copy_run(void) {
    copy("run", "new");
}

static cllm_status call_resume(cllm_error *err) {
    return resume("new", false, err);
}

static cllm_status call_resume_final(cllm_error *err) {
    return resume("new", true, err);
}

static void test_resume(void **state) {
    (void)state;
    assert_true(is_there("stopped"));
    const trial t = {.prepare = copy_stopped, .call = call_resume, .check = goes_on_to_run};
    assert_true(try_io(&t) > 20);
    assert_true(try_memory(&t) > 20);
}

/* A finished run stays usable whatever happens to its last fit. */
static void usable_and_goes_on(void) {
    answers("new");
    OK(resume("new", true, ERR));
    goes_on_to("finished");
}

static void test_final_afterwards(void **state) {
    (void)state;
    const trial t = {.prepare = copy_run, .call = call_resume_final, .check = usable_and_goes_on};
    assert_true(try_io(&t) > 20);
}

/* --force: the run that is there stays until the new one is set up. */
static cllm_status call_force(cllm_error *err) {
    cllm_train_options options = train_options(in("new"), in("backbone"));
    const char *settings[] = {"epochs=0/0/1", "seed=9"};
    options.settings = settings;
    options.n_settings = 2;
    options.force = true;
    return cllm_train(&options, NULL, err);
}

static void old_or_new(void) {
    char *json;
    OK(cllm_inspect(in("new"), &json, ERR));
    bool old = strstr(json, "\"seed\":\"9\"") == NULL;
    cllm_text_free(json);
    if (old) assert_true(hash_of("new/model.safetensors") == hash_of("run/model.safetensors"));
    else OK(resume("new", false, ERR));
    answers("new");
}

static void test_force(void **state) {
    (void)state;
    const trial t = {.prepare = copy_run, .call = call_force, .check = old_or_new};
    assert_true(try_io(&t) > 20);
}

static cllm_status call_dry_run(cllm_error *err) {
    cllm_train_options options = train_options(NULL, NULL);
    const char *settings[] = {"epochs=0/0/0"}; /* refused behind all that writes, before the probe of two seconds */
    options.settings = settings;
    options.n_settings = 1;
    options.dry_run = true;
    cllm_status status = cllm_train(&options, NULL, err);
    return status == CLLM_ERR_USAGE ? CLLM_OK : status;
}

static void test_dry_run(void **state) {
    (void)state;
    char old[256] = "";
    const char *before = getenv("TMPDIR");
    if (before != NULL) snprintf(old, sizeof old, "%s", before);
    OK(cllm__make_folders(in("temporary"), ERR));
    setenv("TMPDIR", in("temporary"), 1);
    const trial t = {.call = call_dry_run, .stride = 3};
    size_t failures = try_io(&t);
    if (before != NULL) setenv("TMPDIR", old, 1);
    else unsetenv("TMPDIR");
    assert_true(failures > 8);
    assert_int_equal(rmdir(in("temporary")), 0); /* it is empty */
}

/* ---- eval ---- */

static char g_report[512];

static cllm_status call_evaluate(cllm_error *err) {
    cllm_evaluate_options options;
    cllm_evaluate_options_init(&options);
    options.run = in("run");
    options.threads = 1;
    char *json = NULL;
    cllm_status status = cllm_evaluate(&options, &json, err);
    if (status != CLLM_OK) {
        assert_null(json);
        return status;
    }
    const char *models = strstr(json, "\"models\"");
    assert_non_null(models);
    if (g_report[0] == '\0') snprintf(g_report, sizeof g_report, "%s", models);
    assert_memory_equal(models, g_report, strlen(g_report)); /* the same with a cache, without one, and with one that is broken */
    cllm_text_free(json);
    return CLLM_OK;
}

static void remove_cache(void) {
    unlink(in("data/baselines.json"));
}

static void test_evaluate(void **state) {
    (void)state;
    g_report[0] = '\0';
    const trial first = {.prepare = remove_cache, .call = call_evaluate, .tolerates_writing = true};
    assert_true(try_io(&first) > 20);
    assert_true(is_there("data/baselines.json"));
    const trial cached = {.call = call_evaluate, .tolerates_writing = true};
    assert_true(try_io(&cached) > 20);
    const trial memory = {.prepare = remove_cache, .call = call_evaluate};
    assert_true(try_memory(&memory) > 20);
}

/* ---- recommend, similar, export ---- */

static cllm_status call_recommend(cllm_error *err) {
    cllm_model *model = NULL;
    cllm_session *session = NULL;
    cllm_status status = cllm_model_open(&model, in("run"), NULL, err);
    if (status == CLLM_OK) status = cllm_session_open(&session, model, 1, err);
    if (status == CLLM_OK) {
        cllm_answer answer;
        cllm_request request = {.user = "u2", .k = 2};
        status = cllm_recommend(session, &request, 1, &answer, err);
        if (status == CLLM_OK) {
            status = answer.status;
            cllm_answer_free(&answer);
        }
    }
    if (status == CLLM_OK) {
        cllm_answer answer;
        status = cllm_similar(session, NULL, "the old lamp", NULL, 2, &answer, err); /* opens the backbone once more */
        if (status == CLLM_OK) cllm_answer_free(&answer);
    }
    cllm_session_close(session);
    cllm_model_close(model);
    return status;
}

static void test_recommend(void **state) {
    (void)state;
    const trial t = {.call = call_recommend};
    assert_true(try_io(&t) > 10);
    assert_true(try_memory(&t) > 20);
}

static cllm_status export_to(const char *name, bool force, cllm_error *err) {
    cllm_model *model;
    cllm_status status = cllm_model_open(&model, in("run"), NULL, err);
    if (status != CLLM_OK) return status;
    status = cllm_export(model, in(name), force, err);
    cllm_model_close(model);
    return status;
}

static cllm_status call_export_file(cllm_error *err) {
    return export_to("vectors.npz", true, err);
}

static cllm_status call_export_folder(cllm_error *err) {
    return export_to("vectors", true, err);
}

static void vectors_whole(void) {
    if (is_there("vectors.npz")) assert_true(hash_of("vectors.npz") == hash_of("kept.npz"));
    assert_true(is_there("vectors/items_content.tsv") && hash_of("vectors/items_content.tsv") == hash_of("kept/items_content.tsv"));
}

static void test_export(void **state) {
    (void)state;
    OK(export_to("kept.npz", false, ERR));
    OK(export_to("vectors", false, ERR));
    copy("vectors", "kept");
    const trial file = {.call = call_export_file, .check = vectors_whole};
    assert_true(try_io(&file) > 10);
    assert_true(try_memory(&file) > 20);
    const trial folder = {.call = call_export_folder, .check = vectors_whole};
    assert_true(try_io(&folder) > 15);
    assert_true(try_memory(&folder) > 20);
}

/* ---- backbone init, the shop ---- */

static cllm_status call_backbone(cllm_error *err) {
    cllm_backbone_shape shape = {.layers = 1, .heads = 1, .width = 8, .context = 16};
    return cllm_backbone_init(in("new"), shape, in("own/tokenizer"), 2, true, err);
}

static void copy_backbone(void) {
    copy("backbone", "new");
}

static void backbone_whole(void) {
    char *json;
    OK(cllm_backbone_inspect(in("new"), &json, ERR));
    cllm_text_free(json);
}

static void test_backbone(void **state) {
    (void)state;
    const trial t = {.prepare = copy_backbone, .call = call_backbone, .check = backbone_whole};
    assert_true(try_io(&t) > 10);
    assert_true(try_memory(&t) > 20);
}

/* ---- backbone convert, generate, eval ---- */

static uint64_t g_converted;

static cllm_status convert_to(const char *name, bool force, cllm_error *err) {
    return cllm_backbone_convert(in("model.gguf"), in(name), "bf16", force, err);
}

static cllm_status call_convert(cllm_error *err) {
    return convert_to("new", false, err);
}

static cllm_status call_convert_force(cllm_error *err) {
    return convert_to("new", true, err);
}

/* Nothing, or (the flush of the parent folder failed) all of it. */
static void converted_or_nothing(void) {
    if (!is_there("new")) return;
    assert_true(hash_of("new/model.safetensors") == g_converted);
    backbone_whole();
}

/* The backbone that was there before, with its tokenizer, or all of the new one. */
static void converted_or_old(void) {
    bool old = hash_of("new/model.safetensors") == hash_of("backbone/model.safetensors");
    assert_true(old || hash_of("new/model.safetensors") == g_converted);
    assert_true(is_there("new/vocab.json") == old);
    backbone_whole();
}

static void test_convert(void **state) {
    (void)state;
    char command[512];
    snprintf(command, sizeof command, "cp '" TEST_DATA "/golden/gguf_llama.gguf' '%s'", in("model.gguf"));
    assert_int_equal(system(command), 0);
    OK(convert_to("converted", false, ERR));
    g_converted = hash_of("converted/model.safetensors");
    const trial fresh = {.prepare = remove_new, .call = call_convert, .check = converted_or_nothing};
    assert_true(try_io(&fresh) > 12);
    assert_true(try_memory(&fresh) > 20);
    const trial forced = {.prepare = copy_backbone, .call = call_convert_force, .check = converted_or_old};
    assert_true(try_io(&forced) > 12);
    assert_true(try_memory(&forced) > 20);
}

static char *g_said; /* what a call gave without a fault */

static void says_the_same(char *text) {
    if (g_said == NULL) {
        g_said = text;
        return;
    }
    assert_string_equal(text, g_said);
    cllm_text_free(text);
}

static void forget(void) {
    cllm_text_free(g_said);
    g_said = NULL;
}

static cllm_status call_generate(cllm_error *err) {
    cllm_generate_options options = {.backbone = in("backbone"), .prompt = "the old", .tokens = 4, .temperature = 1, .top_p = .9, .threads = 1};
    char *text = NULL;
    size_t length;
    cllm_status status = cllm_backbone_generate(&options, &text, &length, err);
    if (status == CLLM_OK) says_the_same(text);
    else assert_null(text);
    return status;
}

static cllm_status call_score(cllm_error *err) {
    cllm_score_options options = {.backbone = in("backbone"), .file = in("lines.txt"), .threads = 1};
    char *json = NULL;
    cllm_status status = cllm_backbone_score(&options, &json, err);
    if (status == CLLM_OK) says_the_same(json);
    else assert_null(json);
    return status;
}

static void test_language_model(void **state) {
    (void)state;
    put("lines.txt", "the old lamp\nthe new lamp, and a door\n");
    cllm_status (*const calls[])(cllm_error *) = {call_generate, call_score};
    for (size_t i = 0; i < CLLM_LEN(calls); i++) {
        const trial t = {.call = calls[i]};
        OK(calls[i](ERR));
        assert_true(try_io(&t) > 5);
        assert_true(try_memory(&t) > 20);
        forget();
    }
}

static cllm_status call_shop(cllm_error *err) {
    return cllm_demo_shop(in("new"), 3, 12, 1, err);
}

static void shop_whole_or_none(void) {
    bool items = is_there("new/items.tsv"), users = is_there("new/users.tsv"), reviews = is_there("new/reviews.jsonl");
    assert_true(items == users && users == reviews && items == is_there("new"));
}

static void test_shop(void **state) {
    (void)state;
    const trial t = {.prepare = remove_new, .call = call_shop, .check = shop_whole_or_none};
    assert_true(try_io(&t) > 7);
    assert_true(try_memory(&t) > 8);
}

/* ---- Inspecting and tokenizers ---- */

static cllm_status call_looks(cllm_error *err) {
    static const char *const inspected[] = {"data", "run"};
    for (size_t i = 0; i < CLLM_LEN(inspected); i++) {
        char *json = NULL;
        CLLM_TRY(cllm_inspect(in(inspected[i]), &json, err));
        cllm_text_free(json);
    }
    char *json = NULL;
    CLLM_TRY(cllm_backbone_inspect(in("backbone"), &json, err));
    cllm_text_free(json);
    cllm_tokenizer *tokenizer;
    CLLM_TRY(cllm_tokenizer_open(&tokenizer, in("backbone"), err));
    cllm_tokenizer_close(tokenizer);
    return CLLM_OK;
}

static void test_looks(void **state) {
    (void)state;
    unlink(in("data/source.json")); /* inspect does without it */
    const trial t = {.call = call_looks};
    assert_true(try_io(&t) > 10);
    assert_true(try_memory(&t) > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prepare),    cmocka_unit_test(test_train),    cmocka_unit_test(test_train_own_backbone),
        cmocka_unit_test(test_train_final), cmocka_unit_test(test_checkpoint), cmocka_unit_test(test_resume),
        cmocka_unit_test(test_final_afterwards), cmocka_unit_test(test_force), cmocka_unit_test(test_dry_run),
        cmocka_unit_test(test_evaluate),   cmocka_unit_test(test_recommend), cmocka_unit_test(test_export),
        cmocka_unit_test(test_backbone),   cmocka_unit_test(test_convert),  cmocka_unit_test(test_language_model),
        cmocka_unit_test(test_shop),       cmocka_unit_test(test_looks),
    };
    return cmocka_run_group_tests(tests, make_world, remove_world);
}
