/* Faults in preparing, training, evaluating, recommending, and in what is done with backbones (faults.h). */
#include "faults.h"

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

/* ---- ablate ---- */

static char g_conclusion[4096];

/* The sentence that a finished study ended in. */
static void read_conclusion(char text[4096]) {
    char *data;
    size_t size;
    OK(cllm__read_file(in("new/ablation.json"), (size_t)1 << 30, &data, &size, ERR));
    const char *begin = strstr(data, "\"conclusion\":");
    assert_non_null(begin);
    snprintf(text, 4096, "%.*s", (int)strcspn(begin, "\n"), begin);
    cllm__free(data);
}

static cllm_status call_ablate(cllm_error *err) {
    static const char *const settings[] = {"epochs=1/1/1", "max-text-tokens=6"};
    const char *data = in("data");
    const cllm_ablate_options options = {.study = "variants", .datasets = &data, .n_datasets = 1, .output = in("new"), .scale = "smoke", .threads = 1,
                                         .settings = settings, .n_settings = CLLM_LEN(settings)};
    return cllm_ablate(&options, NULL, err);
}

/* A study that a failure left goes on to the same sentence, in which all figures meet. */
static void study_goes_on(void) {
    char text[4096];
    const cllm_ablate_options options = {.output = in("new"), .resume = true, .threads = 1};
    if (!is_there("new")) return;
    OK(cllm_ablate(&options, NULL, ERR));
    read_conclusion(text);
    assert_string_equal(text, g_conclusion);
    assert_true(is_there("new/index.html") && is_there("new/table.tsv"));
}

static void test_ablate(void **state) {
    (void)state;
    remove_new();
    OK(call_ablate(ERR));
    read_conclusion(g_conclusion);
    const trial t = {.prepare = remove_new, .call = call_ablate, .check = study_goes_on, .stride = 17};
    assert_true(try_io(&t) > 30);
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
    options.baselines = "popularity,itemknn,textknn,ease,ease_text"; /* test_faults_studies.c has all */
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

static cllm_status call_export_new_file(cllm_error *err) {
    return export_to("new.npz", false, err);
}

static cllm_status call_export_new_folder(cllm_error *err) {
    return export_to("new", false, err);
}

static void remove_exports(void) {
    remove_new();
    unlink(in("new.npz"));
}

/* Where nothing was there is nothing, or (the flush of the parent folder failed) everything. */
static void exports_whole_or_none(void) {
    static const char *const tables[] = {"users_collab.tsv", "items_collab.tsv", "users_content.tsv", "items_content.tsv"};
    if (is_there("new.npz")) assert_true(hash_of("new.npz") == hash_of("kept.npz"));
    if (!is_there("new")) return;
    for (size_t i = 0; i < CLLM_LEN(tables); i++) {
        char made[64], kept[64];
        snprintf(made, sizeof made, "new/%s", tables[i]);
        snprintf(kept, sizeof kept, "kept/%s", tables[i]);
        assert_true(hash_of(made) == hash_of(kept));
    }
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
    cllm_status (*const calls[])(cllm_error *) = {call_export_new_file, call_export_new_folder};
    for (size_t i = 0; i < CLLM_LEN(calls); i++) {
        const trial fresh = {.prepare = remove_exports, .call = calls[i], .check = exports_whole_or_none};
        assert_true(try_io(&fresh) > 10);
        assert_true(try_memory(&fresh) > 20);
    }
    remove_exports();
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

static cllm_status call_new_backbone(cllm_error *err) {
    cllm_backbone_shape shape = {.layers = 1, .heads = 1, .width = 8, .vocabulary = 20, .context = 16};
    return cllm_backbone_init(in("new"), shape, NULL, 2, false, err);
}

static void backbone_whole_or_none(void) {
    if (is_there("new")) backbone_whole();
}

static void test_backbone(void **state) {
    (void)state;
    const trial t = {.prepare = copy_backbone, .call = call_backbone, .check = backbone_whole};
    assert_true(try_io(&t) > 10);
    assert_true(try_memory(&t) > 20);
    const trial fresh = {.prepare = remove_new, .call = call_new_backbone, .check = backbone_whole_or_none};
    assert_true(try_io(&fresh) > 7);
    assert_true(try_memory(&fresh) > 5);
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

static cllm_status call_shuffle(cllm_error *err) {
    return cllm_backbone_shuffle(in("model.gguf"), in("new"), "bf16", 7, false, err);
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

/* A folder with a tokenizer, to another place and onto itself. */
static cllm_status call_convert_folder(cllm_error *err) {
    return cllm_backbone_convert(in("backbone"), in("new"), "bf16", false, err);
}

static cllm_status call_convert_itself(cllm_error *err) {
    return cllm_backbone_convert(in("new"), in("new"), "bf16", true, err);
}

static uint64_t g_shortened; /* the world's backbone in bf16 */

static void shortened_or_nothing(void) {
    if (!is_there("new")) return;
    assert_true(hash_of("new/model.safetensors") == g_shortened && hash_of("new/vocab.json") == hash_of("backbone/vocab.json"));
    backbone_whole();
}

static void shortened_or_old(void) {
    uint64_t hash = hash_of("new/model.safetensors");
    assert_true(hash == g_shortened || hash == hash_of("backbone/model.safetensors"));
    assert_true(hash_of("new/vocab.json") == hash_of("backbone/vocab.json"));
    backbone_whole();
}

static void test_convert_folder(void **state) {
    (void)state;
    remove_new();
    OK(call_convert_folder(ERR));
    g_shortened = hash_of("new/model.safetensors");
    assert_true(g_shortened != hash_of("backbone/model.safetensors"));
    const trial fresh = {.prepare = remove_new, .call = call_convert_folder, .check = shortened_or_nothing};
    assert_true(try_io(&fresh) > 12);
    assert_true(try_memory(&fresh) > 20);
    const trial itself = {.prepare = copy_backbone, .call = call_convert_itself, .check = shortened_or_old};
    assert_true(try_io(&itself) > 12);
    assert_true(try_memory(&itself) > 20);
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
    remove_new();
    OK(call_shuffle(ERR));
    uint64_t plain = g_converted;
    g_converted = hash_of("new/model.safetensors");
    assert_true(g_converted != plain);
    const trial shuffled = {.prepare = remove_new, .call = call_shuffle, .check = converted_or_nothing};
    assert_true(try_io(&shuffled) > 12);
    assert_true(try_memory(&shuffled) > 20);
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

/* The frozen matrices in 8 bits, the texts compressed. */
static cllm_status call_score_packed(cllm_error *err) {
    cllm_score_options options = {.backbone = in("backbone"), .file = in("lines.txt.gz"), .dtype = "q8_0", .threads = 1};
    char *json = NULL;
    cllm_status status = cllm_backbone_score(&options, &json, err);
    if (status == CLLM_OK) says_the_same(json);
    else assert_null(json);
    return status;
}

static int fail_standard_input(void *user, cllm__io_op op, const char *path) {
    return op == *(cllm__io_op *)user && strcmp(path, "-") == 0 ? EIO : 0;
}

/* Standard input has no path: it goes by that name. */
static void test_standard_input(void **state) {
    (void)state;
    cllm__io_op ops[] = {CLLM_IO_OPEN_READ, CLLM_IO_READ};
    cllm_score_options options = {.backbone = in("backbone"), .file = "-", .threads = 1};
    for (size_t i = 0; i < CLLM_LEN(ops); i++) {
        cllm_error err = {0};
        char *json = NULL;
        cllm__io_set_hook(fail_standard_input, &ops[i]);
        cllm_status status = cllm_backbone_score(&options, &json, &err);
        cllm__io_set_hook(NULL, NULL);
        assert_int_equal(status, CLLM_ERR_IO);
        assert_null(json);
        assert_non_null(strstr(err.message, "'standard input': Input/output error"));
    }
}

/* Stopped at any moment, both say so and give nothing. */
static void test_language_model_stopped(void **state) {
    (void)state;
    put("lines.txt", "the old lamp\nthe new lamp, and a door\n");
    for (g_stop_at = 0; g_stop_at < 2; g_stop_at++) {
        cllm_generate_options generate = {.backbone = in("backbone"), .prompt = "the old", .tokens = 4, .threads = 1, .host.cancelled = stop};
        cllm_score_options score = {.backbone = in("backbone"), .file = in("lines.txt"), .threads = 1, .host.cancelled = stop};
        char *text = NULL;
        size_t length;
        cllm_error err = {0};
        g_polls = 0;
        assert_int_equal(cllm_backbone_generate(&generate, &text, &length, &err), CLLM_ERR_INTERRUPTED);
        g_polls = 0;
        assert_int_equal(cllm_backbone_score(&score, &text, &err), CLLM_ERR_INTERRUPTED);
        assert_null(text);
    }
}

static void test_language_model(void **state) {
    (void)state;
    char command[512];
    put("lines.txt", "the old lamp\nthe new lamp, and a door\n");
    snprintf(command, sizeof command, "gzip -kf '%s'", in("lines.txt"));
    assert_int_equal(system(command), 0);
    cllm_status (*const calls[])(cllm_error *) = {call_generate, call_score, call_score_packed};
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
        cmocka_unit_test(test_train_final), cmocka_unit_test(test_ablate), cmocka_unit_test(test_checkpoint), cmocka_unit_test(test_resume),
        cmocka_unit_test(test_final_afterwards), cmocka_unit_test(test_force), cmocka_unit_test(test_dry_run),
        cmocka_unit_test(test_evaluate),   cmocka_unit_test(test_recommend), cmocka_unit_test(test_export),
        cmocka_unit_test(test_backbone),   cmocka_unit_test(test_convert),  cmocka_unit_test(test_convert_folder),
        cmocka_unit_test(test_language_model), cmocka_unit_test(test_standard_input), cmocka_unit_test(test_language_model_stopped),
        cmocka_unit_test(test_shop),       cmocka_unit_test(test_looks),
    };
    return cmocka_run_group_tests(tests, make_world, remove_world);
}
