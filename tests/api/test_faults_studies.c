/* Faults in what runs several trainings, or puts several models together: composed tokens with their linear part, baselines alone,
 * sweeps, ablations, reports (faults.h). */
#include "faults.h"

static void remove_new(void) {
    cllm__remove_tree(in("new"));
}

/* ---- train with composed tokens: the parts, words.safetensors and states.safetensors beside the tables ---- */

static const char *const COMPOSED[] = {"epochs=0/0/2", "width=8", "batch=4", "checkpoint-seconds=86400", "item-features=words+states",
                                       "init-words=backbone"};
static const char *const FILES[] = {"model.safetensors", "linear.safetensors", "factors.safetensors", "words.safetensors", "states.safetensors"};

static cllm_status train_composed(const char *output, bool again, cllm_error *err) {
    cllm_train_options options = train_options(in(output), in("backbone"));
    options.preset = "accurate";
    options.settings = COMPOSED;
    options.n_settings = CLLM_LEN(COMPOSED);
    options.resume = again;
    if (again) options.dataset = options.backbone = options.preset = NULL;
    if (again) options.n_settings = 0;
    return cllm_train(&options, NULL, err);
}

static cllm_status call_composed(cllm_error *err) {
    return train_composed("new", false, err);
}

/* Whatever was stopped goes on to the same files. */
static void goes_on(void) {
    if (!is_there("new")) return;
    OK(train_composed("new", true, ERR));
    for (size_t i = 0; i < CLLM_LEN(FILES); i++) {
        char made[64], kept[64];
        snprintf(made, sizeof made, "new/%s", FILES[i]);
        snprintf(kept, sizeof kept, "composed/%s", FILES[i]);
        if (hash_of(made) != hash_of(kept)) fail_msg("%s has other bits", FILES[i]);
    }
}

static void test_composed(void **state) {
    (void)state;
    setenv("CLLM4REC_CACHE", in("cache"), 1); /* of text states, and nowhere else when that cannot be written */
    OK(train_composed("composed", false, ERR));
    answers("composed");
    const trial t = {.prepare = remove_new, .call = call_composed, .check = goes_on, .stride = 2, .tolerates_writing = true};
    assert_true(try_io(&t) > 20);
    const trial memory = {.prepare = remove_new, .call = call_composed, .check = goes_on};
    assert_true(try_memory(&memory) > 20);
}

/* A text's token comes from the run's words and states. */
static cllm_status call_similar(cllm_error *err) {
    cllm_model *model = NULL;
    cllm_session *session = NULL;
    cllm_answer answer;
    cllm_status status = cllm_model_open(&model, in("composed"), NULL, err);
    if (status == CLLM_OK) status = cllm_session_open(&session, model, 1, err);
    if (status == CLLM_OK) status = cllm_similar(session, NULL, "a chair of wood", NULL, 2, &answer, err);
    if (status == CLLM_OK) {
        assert_int_equal(answer.count, 2);
        cllm_answer_free(&answer);
    }
    cllm_session_close(session);
    cllm_model_close(model);
    return status;
}

static void test_words(void **state) {
    (void)state;
    const trial t = {.call = call_similar};
    assert_true(try_io(&t) > 10);
    assert_true(try_memory(&t) > 20);
}

/* ---- baselines alone ---- */

static cllm_status call_baselines(cllm_error *err) {
    cllm_evaluate_options options;
    cllm_evaluate_options_init(&options);
    options.dataset = in("data");
    options.threads = 1;
    char *json = NULL;
    cllm_status status = cllm_evaluate(&options, &json, err);
    assert_true((status == CLLM_OK) == (json != NULL));
    cllm_text_free(json);
    return status;
}

static void remove_cache(void) {
    unlink(in("data/baselines.json"));
}

static void test_baselines(void **state) {
    (void)state;
    const trial t = {.prepare = remove_cache, .call = call_baselines, .tolerates_writing = true};
    assert_true(try_io(&t) > 5);
    const trial memory = {.prepare = remove_cache, .call = call_baselines};
    assert_true(try_memory(&memory) > 20);
}

/* ---- sweep, ablate ---- */

static cllm_status sweep(const char *output, bool again, cllm_error *err) {
    static const char *const settings[] = {"epochs=0/0/2", "content=0", "batch=4"};
    cllm_sweep_options options = {.output = in(output), .resume = again, .threads = 1};
    if (!again) {
        options.dataset = in("data");
        options.backbone = in("backbone");
        options.space = in("space.json");
        options.settings = settings;
        options.n_settings = CLLM_LEN(settings);
        options.trials = 2;
        options.rungs = "0.5,1";
    }
    return cllm_sweep(&options, NULL, err);
}

static cllm_status call_sweep(cllm_error *err) {
    return sweep("new", false, err);
}

/* What was stopped goes on to the same table. */
static void sweep_goes_on(void) {
    if (!is_there("new")) return;
    OK(sweep("new", true, ERR));
    assert_true(hash_of("new/results.tsv") == hash_of("swept/results.tsv"));
    answers("new/best");
}

static void test_sweep(void **state) {
    (void)state;
    put("space.json", "{\"lr\": [\"1e-3\", \"1e-2\"]}");
    OK(sweep("swept", false, ERR));
    const trial t = {.prepare = remove_new, .call = call_sweep, .check = sweep_goes_on, .stride = 5, .tolerates_writing = true};
    assert_true(try_io(&t) > 20);
    const trial memory = {.prepare = remove_new, .call = call_sweep, .check = sweep_goes_on};
    assert_true(try_memory(&memory) > 20);
}

static bool at_once(void *user) {
    (void)user;
    return true;
}

/* --force, stopped before the first trial: the sweep that was there stays until the new one is set up. */
static cllm_status call_sweep_force(cllm_error *err) {
    static const char *const settings[] = {"epochs=0/0/1", "content=0"};
    const cllm_sweep_options options = {.dataset = in("data"), .backbone = in("backbone"), .output = in("new"), .space = in("space.json"),
                                        .settings = settings, .n_settings = CLLM_LEN(settings), .trials = 2, .force = true, .threads = 1,
                                        .host.cancelled = at_once};
    cllm_status status = cllm_sweep(&options, NULL, err);
    return status == CLLM_ERR_INTERRUPTED ? CLLM_OK : status;
}

static void copy_swept(void) {
    copy("swept", "new");
}

static void sweep_old_or_new(void) {
    char *state;
    size_t size;
    OK(cllm__read_file(in("new/sweep.json"), (size_t)1 << 20, &state, &size, ERR));
    bool old = strstr(state, "epochs=0/0/2") != NULL;
    assert_true(old || strstr(state, "epochs=0/0/1") != NULL);
    assert_true(old == is_there("new/results.tsv") && old == is_there("new/best"));
    cllm__free(state);
    if (old) answers("new/best");
}

static void test_sweep_force(void **state) {
    (void)state;
    const trial t = {.prepare = copy_swept, .call = call_sweep_force, .check = sweep_old_or_new, .every_allocation = true};
    assert_true(try_io(&t) > 8);
    assert_true(try_memory(&t) > 40);
}

/* A sweep that is done and asked to go on: reads and writes its results again, and nothing is lost. */
static cllm_status call_sweep_again(cllm_error *err) {
    return sweep("new", true, err);
}

static void test_sweep_again(void **state) {
    (void)state;
    const trial t = {.prepare = copy_swept, .call = call_sweep_again, .check = sweep_goes_on};
    assert_true(try_io(&t) > 8);
    assert_true(try_memory(&t) > 4);
}

static cllm_status ablate(const char *output, bool again, cllm_error *err) {
    const char *const datasets[] = {in("data")};
    static const char *const settings[] = {"epochs=0/1/1", "max-text-tokens=6"};
    cllm_ablate_options options = {.study = "variants", .output = in(output), .resume = again, .threads = 1};
    if (!again) {
        options.datasets = datasets;
        options.n_datasets = 1;
        options.backbone = in("backbone");
        options.scale = "smoke";
        options.settings = settings;
        options.n_settings = CLLM_LEN(settings);
    }
    return cllm_ablate(&options, NULL, err);
}

static cllm_status call_ablate(cllm_error *err) {
    return ablate("new", false, err);
}

/* A study's table without the column of seconds, which differ from one time to the next; the caller frees. */
static char *read_table(const char *name) {
    char *text;
    size_t size, dropped = 0, column = 0, used = 0;
    OK(cllm__read_file(in(name), (size_t)1 << 20, &text, &size, ERR));
    const char *title = strstr(text, "\tseconds");
    assert_non_null(title);
    for (const char *c = text; c <= title; c++) dropped += *c == '\t';
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\t') column++;
        if (text[i] == '\n') column = 0;
        if (column != dropped) text[used++] = text[i];
    }
    text[used] = '\0';
    return text;
}

static void ablation_goes_on(void) {
    if (!is_there("new")) return;
    OK(ablate("new", true, ERR));
    char *made = read_table("new/table.tsv"), *whole = read_table("ablated/table.tsv");
    assert_string_equal(made, whole);
    cllm__free(made);
    cllm__free(whole);
}

static void test_ablate(void **state) {
    (void)state;
    OK(ablate("ablated", false, ERR));
    const trial t = {.prepare = remove_new, .call = call_ablate, .check = ablation_goes_on, .stride = 25, .tolerates_writing = true};
    assert_true(try_io(&t) > 5);
}

/* ---- report ---- */

static cllm_status call_report(cllm_error *err) {
    const char *const runs[] = {in("run"), in("finished")};
    cllm_report_options options;
    cllm_report_options_init(&options);
    options.runs = runs;
    options.n_runs = 2;
    options.output = in("new.html");
    options.baselines = "popularity,ease";
    options.threads = 1;
    options.force = true;
    return cllm_report(&options, NULL, err);
}

/* The old page or the new one, which differ in nothing but their time of making. */
static void page_whole(void) {
    char *page;
    size_t size;
    OK(cllm__read_file(in("new.html"), (size_t)1 << 26, &page, &size, ERR));
    assert_non_null(strstr(page, "</html>"));
    cllm__free(page);
}

static cllm_status call_new_report(cllm_error *err) {
    const char *const runs[] = {in("run")};
    cllm_report_options options;
    cllm_report_options_init(&options);
    options.runs = runs;
    options.n_runs = 1;
    options.output = in("fresh.html");
    options.baselines = "popularity";
    options.threads = 1;
    char *json = NULL;
    cllm_status status = cllm_report(&options, &json, err);
    assert_true((status == CLLM_OK) == (json != NULL));
    cllm_text_free(json);
    return status;
}

static void remove_page(void) {
    unlink(in("fresh.html"));
}

/* Where no page was, there is none or a whole one. */
static void page_whole_or_none(void) {
    if (!is_there("fresh.html")) return;
    copy("fresh.html", "new.html");
    page_whole();
}

static void test_new_report(void **state) {
    (void)state;
    const trial t = {.prepare = remove_page, .call = call_new_report, .check = page_whole_or_none, .tolerates_writing = true};
    assert_true(try_io(&t) > 20);
    assert_true(try_memory(&t) > 20);
}

static void test_report(void **state) {
    (void)state;
    OK(call_report(ERR));
    page_whole();
    const trial t = {.call = call_report, .check = page_whole, .stride = 2, .tolerates_writing = true};
    assert_true(try_io(&t) > 20);
    assert_true(try_memory(&t) > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_composed), cmocka_unit_test(test_words),  cmocka_unit_test(test_baselines),
        cmocka_unit_test(test_sweep),    cmocka_unit_test(test_sweep_force), cmocka_unit_test(test_sweep_again),
        cmocka_unit_test(test_ablate),   cmocka_unit_test(test_report), cmocka_unit_test(test_new_report),
    };
    return cmocka_run_group_tests(tests, make_world, remove_world);
}
