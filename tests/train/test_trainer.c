/*
 * Whole runs on a tiny backbone: the same bits with one thread and two, and when interrupted at any step and resumed; the
 * backbone untouched; the loss falling.
 */
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/host.h"
#include "base/io.h"
#include "base/rng.h"
#include "text/bpe_train.h"
#include "train/checkpoint.h"

#define OK(call) do { cllm_error error_ = {0}; if ((call) != CLLM_OK) fail_msg("%s: %s", #call, error_.message); } while (0)
#define ERR (&error_)

enum { USERS = 23, ITEMS = 17, WORDS = 6 };

/* What is learnt from: histories of items of one parity, texts that tell the parity. */
typedef struct world {
    cllm__interactions train;
    uint64_t start[USERS + 1];
    int32_t items[USERS * ITEMS];
    cllm__corpus corpus;
    cllm__tokenizer *tokenizer;
    cllm__prompts prompts;
    cllm__backbone *backbone;
    cllm__pool *pool;
    char folder[64];
    cllm__features features; /* of items: their parity, and for every third one more */
    uint64_t feature_start[ITEMS + 1];
    int32_t feature_indices[2 * ITEMS];
    float feature_weights[2 * ITEMS];
} world;

static void make_tokenizer(world *w) {
    cllm__bpe_trainer *trainer;
    OK(cllm__bpe_trainer_create(&trainer, ERR));
    const char *text = "odd even plain round sharp soft user has interacted with wrote the following review for";
    OK(cllm__bpe_trainer_feed(trainer, text, strlen(text), ERR));
    OK(cllm__bpe_trainer_run(trainer, 300, 0, NULL, &w->tokenizer, ERR));
    cllm__bpe_trainer_free(trainer);
    OK(cllm__prompts_compile(&w->prompts, w->tokenizer, NULL, ERR));
}

static void add_review(world *w, int32_t user, int32_t item) {
    static const char *const words[2][WORDS] = {{"even", " round", " soft", " plain", " even", " soft"}, {"odd", " sharp", " plain", " odd", " sharp", " odd"}};
    cllm__corpus *c = &w->corpus;
    cllm__tokens tokens = {0};
    for (int i = 0; i < WORDS; i++) OK(cllm__tokenizer_encode(w->tokenizer, words[item % 2][i], strlen(words[item % 2][i]), &tokens, ERR));
    size_t d = c->count++;
    c->kinds[d] = CLLM__TEXT_REVIEW;
    c->users[d] = user;
    c->items[d] = item;
    c->start[d] = c->n_tokens;
    c->length[d] = (uint32_t)tokens.count;
    memcpy(c->tokens + c->n_tokens, tokens.ids, tokens.count * sizeof *tokens.ids);
    c->n_tokens += tokens.count;
    cllm__tokens_free(&tokens);
}

static void make_data(world *w) {
    size_t n = 0;
    cllm__rng rng = cllm__rng_make(3, CLLM_RNG_TEST, 0, 0);
    cllm__corpus *c = &w->corpus;
    OK(CLLM_NEW(c->kinds, USERS * ITEMS, ERR));
    OK(CLLM_NEW(c->users, USERS * ITEMS, ERR));
    OK(CLLM_NEW(c->items, USERS * ITEMS, ERR));
    OK(CLLM_NEW(c->start, USERS * ITEMS, ERR));
    OK(CLLM_NEW(c->length, USERS * ITEMS, ERR));
    OK(CLLM_NEW(c->tokens, USERS * ITEMS * 64, ERR));
    for (int32_t user = 0; user < USERS; user++) {
        w->start[user] = n;
        for (int32_t item = user % 2; item < ITEMS - 1; item += 2) { /* the last item is cold */
            if (user != 5 && cllm__rng_uniform(&rng) < 0.4) continue;
            if (user == 7) continue; /* a user without a history */
            w->items[n++] = item;
            add_review(w, user, item);
        }
    }
    w->start[USERS] = n;
    w->train = (cllm__interactions){.n_users = USERS, .n_items = ITEMS, .count = n, .start = w->start, .items = w->items};
}

static void make_features(world *w) {
    size_t n = 0;
    for (int item = 0; item < ITEMS; item++) {
        w->feature_start[item] = n;
        w->feature_indices[n] = item % 2;
        w->feature_weights[n++] = 0.75F;
        if (item % 3 != 0) continue;
        w->feature_indices[n] = 2;
        w->feature_weights[n++] = 0.5F;
    }
    w->feature_start[ITEMS] = n;
    w->features = (cllm__features){ITEMS, 3, w->feature_start, w->feature_indices, w->feature_weights};
}

static void open_world(world *w, int threads) {
    *w = (world){0};
    snprintf(w->folder, sizeof w->folder, "trainer-%ld", (long)getpid());
    cllm__remove_tree(w->folder);
    make_tokenizer(w);
    make_data(w);
    make_features(w);
    OK(cllm__pool_create(&w->pool, threads, ERR));
    OK(cllm__gpt2_init(w->folder, (cllm__gpt2_shape){.layers = 1, .heads = 2, .width = 16, .vocabulary = cllm__tokenizer_size(w->tokenizer), .context = 64}, 5, ERR));
    OK(cllm__backbone_open(&w->backbone, w->folder, (cllm__backbone_options){.dtype = CLLM__F32, .training = true, .pool = w->pool}, ERR));
}

static void close_world(world *w) {
    cllm__backbone_close(w->backbone);
    cllm__pool_free(w->pool);
    cllm__corpus_free(&w->corpus);
    cllm__prompts_free(&w->prompts);
    cllm__tokenizer_close(w->tokenizer);
    cllm__remove_tree(w->folder);
}

/* ---- A run that may stop after a number of steps ---- */

typedef struct run {
    cllm__trainer trainer;
    cllm_host host;
    char checkpoint[96];
    int stop_after; /* polls until it is cancelled; < 0: never */
    int saves;
    double first_nll, last_nll; /* of collaborative epochs */
    int validations;
} run;

static bool cancelled(void *user) {
    run *r = user;
    return r->stop_after >= 0 && r->stop_after-- == 0;
}

static cllm_status save(void *context, cllm_error *err) {
    run *r = context;
    r->saves++;
    return cllm__checkpoint_save(&r->trainer, r->checkpoint, "extra", err);
}

static cllm_status epoch_done(void *context, const cllm__epoch_report *report, cllm_error *err) {
    (void)err;
    run *r = context;
    if (report->phase == CLLM__PHASE_COLLAB) {
        if (report->epoch == 0) r->first_nll = report->nll;
        r->last_nll = report->nll;
    }
    return CLLM_OK;
}

/* A validation that peaks at its third epoch. */
static cllm_status validate(void *context, const cllm__tables *tables, cllm__validation *result, cllm_error *err) {
    (void)tables, (void)err;
    run *r = context;
    r->validations++;
    *result = (cllm__validation){.monitor = r->trainer.at.epoch == 2 ? 1 : 0.5};
    return CLLM_OK;
}

static cllm__train_config config_of(const char *preset, const char *const *settings) {
    cllm__train_config config;
    OK(cllm__train_config_preset(&config, preset, ERR));
    for (; *settings != NULL; settings++) OK(cllm__train_config_set(&config, *settings, ERR));
    return config;
}

/* The presets in short, and what goes across them. */
static const struct variant {
    const char *name, *preset, *settings[8];
} VARIANTS[] = {
    {"paper", "paper", {"epochs=1/2/4", "batch=5", "lr=1e-2", "patience=0"}},
    {"faithful", "faithful", {"epochs=1/2/4", "batch=5", "lr=1e-2", "patience=0"}},
    {"accurate", "accurate", {"epochs=0/0/16", "batch=5", "lr=1e-2", "width=24", "mask-share=0.2:0.7"}},
    {"composed", "paper", {"epochs=1/2/4", "batch=5", "lr=1e-2", "patience=0", "item-tokens=id+text", "lr-decay=0.5"}},
    {"one table", "paper", {"epochs=1/2/4", "batch=5", "lr=1e-2", "patience=0", "lambda-c=inf"}},
    {"LLM-FixOrd", "llm-fixord", {"epochs=1/2/4", "batch=5", "lr=1e-2", "patience=0"}},
    {"LLM-PreRec", "llm-prerec", {"epochs=1/3/4", "batch=5", "lr=1e-2", "keep=best-loss"}},
};
enum { N_VARIANTS = sizeof VARIANTS / sizeof VARIANTS[0] };

static const char *const SHORT[] = {"epochs=1/2/4", "batch=5", "lr=1e-2", "patience=0", NULL};

static void begin_run(run *r, world *w, const cllm__train_config *config) {
    *r = (run){.stop_after = -1};
    snprintf(r->checkpoint, sizeof r->checkpoint, "%s/checkpoint.safetensors", w->folder);
    r->host = (cllm_host){.cancelled = cancelled, .user = r};
    cllm__trainer_inputs inputs = {.train = &w->train, .corpus = &w->corpus, .prompts = &w->prompts, .features = &w->features, .backbone = w->backbone, .dtype = CLLM__F32,
                                   .pool = w->pool, .host = &r->host, .context = r, .validate = validate, .epoch_done = epoch_done, .save = save};
    OK(cllm__trainer_create(&r->trainer, config, &inputs, ERR));
}

/* Hash of all that a run ends in. */
static uint64_t result_of(run *r) {
    return cllm__tables_hash(&r->trainer.collab) ^ (cllm__tables_hash(&r->trainer.content) << 1);
}

static uint64_t whole_run(world *w, const cllm__train_config *config) {
    run r;
    begin_run(&r, w, config);
    OK(cllm__trainer_run(&r.trainer, ERR));
    uint64_t result = result_of(&r);
    cllm__trainer_free(&r.trainer);
    return result;
}

/* ---- Tests ---- */

static void threads_do_not_change_the_bits(void **state) {
    (void)state;
    for (size_t p = 0; p < N_VARIANTS; p++) {
        cllm__train_config config = config_of(VARIANTS[p].preset, VARIANTS[p].settings);
        uint64_t results[2];
        for (int threads = 1; threads <= 2; threads++) {
            world w;
            open_world(&w, threads);
            results[threads - 1] = whole_run(&w, &config);
            close_world(&w);
        }
        assert_true(results[0] == results[1]);
    }
}

static void interrupted_anywhere_and_resumed_ends_in_the_same_bits(void **state) {
    (void)state;
    for (size_t p = 0; p < N_VARIANTS; p++) {
        world w;
        open_world(&w, 1);
        cllm__train_config config = config_of(VARIANTS[p].preset, VARIANTS[p].settings);
        uint64_t expected = whole_run(&w, &config);
        int stops = 0;
        for (int stop = 0;; stop += 3) {
            run r;
            begin_run(&r, &w, &config);
            r.stop_after = stop;
            cllm_status status = cllm__trainer_run(&r.trainer, NULL);
            if (status == CLLM_OK) { /* beyond the last step */
                cllm__trainer_free(&r.trainer);
                break;
            }
            assert_int_equal(status, CLLM_ERR_INTERRUPTED);
            assert_int_equal(r.saves, 1);
            cllm__trainer_free(&r.trainer);
            stops++;

            run again;
            begin_run(&again, &w, &config);
            char *extra = NULL;
            OK(cllm__checkpoint_load(&again.trainer, again.checkpoint, &extra, ERR));
            assert_string_equal(extra, "extra");
            cllm__free(extra);
            OK(cllm__trainer_run(&again.trainer, ERR));
            if (result_of(&again) != expected) fail_msg("%s: stopped at step %d and resumed: other bits", VARIANTS[p].name, stop);
            cllm__trainer_free(&again.trainer);
        }
        assert_true(stops > 20);
        close_world(&w);
    }
}

static void seeds_and_settings_change_the_result(void **state) {
    (void)state;
    world w;
    open_world(&w, 1);
    cllm__train_config config = config_of("paper", SHORT);
    uint64_t base = whole_run(&w, &config);
    static const char *const changes[] = {"seed=2", "lambda-c=0", "target=all", "predict-first=0", "reorder=0", "dropout=0.1", "mask-share=0.1:0.6", "reg=code",
                                          "item-tokens=text", "item-tokens=id+text", "readout=bag", "init-deviation=0.05", "lr-decay=1", "select=last", "validate-every=2", "user-token=shuffled", "main-text=joint",
                                          "item-tokens=spelled"};
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        cllm__train_config changed = config;
        OK(cllm__train_config_set(&changed, changes[i], ERR));
        if (whole_run(&w, &changed) == base) fail_msg("'%s' changed nothing", changes[i]);
    }
    close_world(&w);
}

/* −log p of a plain text, in which no user and no item stands. */
static void plain_text(const world *w, const run *r, double nll[3]) {
    static const char *const texts[] = {"user has interacted", "plain round sharp soft odd even", "the following review for the user"};
    cllm__batch batch = {0};
    cllm__tokens tokens = {0};
    size_t counts[3];
    cllm__batch_clear(&batch, CLLM__STAGE_CONTENT);
    for (size_t i = 0; i < 3; i++) {
        tokens.count = 0;
        OK(cllm__tokenizer_encode(w->tokenizer, texts[i], strlen(texts[i]), &tokens, ERR));
        OK(cllm__batch_add_tokens(&batch, &r->trainer.rules, tokens.ids, 1, tokens.ids + 1, tokens.count - 1, ERR));
    }
    OK(cllm__engine_text_nll(r->trainer.engine, &r->trainer.content, &batch, nll, counts, ERR));
    cllm__tokens_free(&tokens);
    cllm__batch_free(&batch);
}

static void training_learns_keeps_the_best_and_leaves_the_backbone_alone(void **state) {
    (void)state;
    world w;
    open_world(&w, 1);
    uint64_t before = cllm__backbone_memory_hash(w.backbone);
    const char *const settings[] = {"epochs=2/12/9", "batch=5", "lr=1e-2", "patience=4", NULL};
    cllm__train_config config = config_of("paper", settings);
    run r;
    begin_run(&r, &w, &config);
    double text_before[3], text_after[3];
    plain_text(&w, &r, text_before);
    OK(cllm__trainer_run(&r.trainer, ERR));
    plain_text(&w, &r, text_after); /* to the last bit */
    assert_memory_equal(text_before, text_after, sizeof text_before);
    assert_true(text_before[0] > 0);
    assert_true(r.first_nll > 2 && r.last_nll < 0.85 * r.first_nll);
    assert_int_equal(r.trainer.best_epoch, 2);
    assert_int_equal(r.validations, 7); /* the best at the third, then four without a better one */
    assert_int_equal(r.trainer.cold[ITEMS - 1], 1);
    assert_true(before == cllm__backbone_memory_hash(w.backbone));
    cllm__trainer_free(&r.trainer);
    close_world(&w);
}

static void a_plan_leaves_the_trainer_as_new_and_fits_a_budget(void **state) {
    (void)state;
    world w;
    open_world(&w, 1);
    cllm__train_config config = config_of("paper", SHORT);
    uint64_t expected = whole_run(&w, &config);
    run r;
    begin_run(&r, &w, &config);
    cllm__plan plan;
    OK(cllm__trainer_plan(&r.trainer, 0.02, &plan, ERR));
    assert_true(plan.seconds > 0 && plan.tokens > 0 && plan.flops > 0 && plan.memory > 0);
    assert_true(plan.phase[CLLM__PHASE_CONTENT].examples == w.corpus.count);
    OK(cllm__trainer_run(&r.trainer, ERR));
    assert_true(result_of(&r) == expected);
    cllm__trainer_free(&r.trainer);

    cllm__train_config fitted = config_of("paper", (const char *const[]){"epochs=10/100/150", NULL});
    plan = (cllm__plan){.phase = {{.seconds = 2}, {.seconds = 1}, {.seconds = 2}, {.seconds = 1}, {.seconds = 2}}, .validation_seconds = 150};
    OK(cllm__plan_fit(&plan, 400, &fitted, ERR));
    assert_true(fitted.epochs[0] == 5 && fitted.epochs[1] == 50 && fitted.epochs[2] == 75);
    double seconds = 1.0 * 50 + 2 * 75 + fitted.content_share * (2 * 5 + 2 * 50 + 2 * 75); /* collab; rec and validation; content */
    assert_true(fabs(seconds - 400) < 1e-6);
    fitted = config_of("paper", (const char *const[]){"epochs=10/100/150", NULL});
    OK(cllm__plan_fit(&plan, 920, &fitted, ERR));
    assert_true(fitted.epochs[2] == 150 && fitted.content_share == 1);
    OK(cllm__plan_fit(&plan, 850, &fitted, ERR)); /* only fewer texts */
    assert_true(fitted.epochs[2] == 150 && fabs(fitted.content_share - 450.0 / 520) < 1e-9);
    fitted = config_of("paper", (const char *const[]){"epochs=10/100/150", NULL});
    OK(cllm__plan_fit(&plan, 6, &fitted, ERR));
    assert_true(fitted.epochs[0] == 1 && fitted.epochs[1] == 1 && fitted.epochs[2] == 1);
    assert_true(fabs(fitted.content_share - 0.5) < 1e-9);
    cllm_error err = {0};
    assert_int_equal(cllm__plan_fit(&plan, 1, &fitted, &err), CLLM_ERR_USAGE);
    assert_non_null(strstr(err.message, "too short"));
    close_world(&w);
}

static void damaged_checkpoints_are_refused(void **state) {
    (void)state;
    world w;
    open_world(&w, 1);
    cllm__train_config config = config_of("paper", SHORT);
    run r;
    begin_run(&r, &w, &config);
    OK(save(&r, ERR));
    char *data;
    size_t size;
    OK(cllm__read_file(r.checkpoint, SIZE_MAX, &data, &size, ERR));
    cllm_error err = {0};
    for (size_t cut = 0; cut < size; cut += size / 7) {
        OK(cllm__write_file(r.checkpoint, data, cut, ERR));
        assert_int_not_equal(cllm__checkpoint_load(&r.trainer, r.checkpoint, NULL, &err), CLLM_OK);
        assert_non_null(strstr(err.message, "checkpoint"));
    }
    /* Steps that the schedule does not have: rows would replay them for ever. */
    uint64_t *steps[] = {&r.trainer.collab_users.step, &r.trainer.content_users.step};
    for (size_t i = 0; i < CLLM_LEN(steps); i++) {
        uint64_t before = *steps[i];
        *steps[i] = (uint64_t)1 << 60;
        OK(save(&r, ERR));
        assert_int_equal(cllm__checkpoint_load(&r.trainer, r.checkpoint, NULL, &err), CLLM_ERR_DATA);
        assert_non_null(strstr(err.message, "1152921504606846976"));
        *steps[i] = before;
    }
    size_t steps_of_warmup = (w.corpus.count + 4) / 5;
    r.trainer.at.batch = steps_of_warmup; /* stopped before the epoch was told of */
    OK(save(&r, ERR));
    OK(cllm__checkpoint_load(&r.trainer, r.checkpoint, NULL, ERR));
    r.trainer.at.batch = steps_of_warmup + 1; /* which would leave the epoch out */
    OK(save(&r, ERR));
    assert_int_equal(cllm__checkpoint_load(&r.trainer, r.checkpoint, NULL, &err), CLLM_ERR_DATA);
    r.trainer.at.batch = 0;
    /* Numbers that no training has. */
    const struct {
        double *at, value;
    } numbers[] = {{&r.trainer.best_monitor, NAN}, {&r.trainer.lowest_content_loss, NAN}, {&r.trainer.sums.nll, INFINITY}};
    for (size_t i = 0; i < CLLM_LEN(numbers); i++) {
        double before = *numbers[i].at;
        *numbers[i].at = numbers[i].value;
        OK(save(&r, ERR));
        assert_int_equal(cllm__checkpoint_load(&r.trainer, r.checkpoint, NULL, &err), CLLM_ERR_DATA);
        *numbers[i].at = before;
    }
    for (int i = 0; i < 3; i++) {
        r.trainer.best_epoch = (int[]){INT_MIN, -2, 4}[i];
        OK(save(&r, ERR));
        assert_int_equal(cllm__checkpoint_load(&r.trainer, r.checkpoint, NULL, &err), CLLM_ERR_DATA);
        assert_non_null(strstr(err.message, "best.epoch"));
    }
    r.trainer.best_epoch = -1;
    r.trainer.content.users[3] = NAN;
    OK(save(&r, ERR));
    assert_int_equal(cllm__checkpoint_load(&r.trainer, r.checkpoint, NULL, &err), CLLM_ERR_DATA);
    assert_non_null(strstr(err.message, "content.users"));
    /* A position that the schedule does not have. */
    OK(cllm__write_file(r.checkpoint, data, size, ERR));
    r.trainer.config.epochs[0] = 0;
    assert_int_equal(cllm__checkpoint_load(&r.trainer, r.checkpoint, NULL, &err), CLLM_ERR_MISMATCH);
    cllm__trainer_free(&r.trainer);
    cllm__free(data);

    /* Data of other sizes. */
    w.train.n_items = ITEMS + 1;
    begin_run(&r, &w, &config);
    assert_int_equal(cllm__checkpoint_load(&r.trainer, r.checkpoint, NULL, &err), CLLM_ERR_MISMATCH);
    assert_non_null(strstr(err.message, "collab.items"));
    cllm__trainer_free(&r.trainer);
    close_world(&w);
}

/* What would read tokens that it can't, and tokens composed of nothing. */
static void settings_that_do_not_fit_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *settings[4];
        const char *message;
        cllm_status status;
    } cases[] = {
        {{"width=24", "epochs=0/0/1"}, "--readout bag", CLLM_ERR_USAGE},
        {{"width=24", "epochs=0/1/1", "readout=bag"}, "--epochs 0/0/N", CLLM_ERR_USAGE},
        {{"width=24", "epochs=0/0/1", "readout=bag"}, "--content 0", CLLM_ERR_USAGE},
        {{"bag-biases=1", "epochs=0/0/1"}, "--bag-sharpness", CLLM_ERR_USAGE},
        {{"bag-biases=1", "readout=bag", "epochs=0/0/1"}, "--bag-sharpness", CLLM_ERR_USAGE},
        {{"item-tokens=text", "epochs=0/0/1"}, "no item has a text", CLLM_ERR_DATA},
        {{"item-tokens=id+text", "init=text-mean", "epochs=0/0/1"}, "take --init normal", CLLM_ERR_USAGE},
        {{"item-tokens=spelled", "init=text-mean", "epochs=0/0/1"}, "or --item-tokens id", CLLM_ERR_USAGE},
    };
    world w;
    open_world(&w, 1);
    w.features.n_features = 0;
    memset(w.feature_start, 0, sizeof w.feature_start);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cllm__train_config config = config_of("paper", cases[i].settings);
        cllm__trainer_inputs inputs = {.train = &w.train, .corpus = &w.corpus, .prompts = &w.prompts, .features = &w.features,
                                       .backbone = w.backbone, .dtype = CLLM__F32, .pool = w.pool};
        cllm__trainer trainer = {0};
        cllm_error err = {0};
        assert_int_equal(cllm__trainer_create(&trainer, &config, &inputs, &err), cases[i].status);
        if (strstr(err.message, cases[i].message) == NULL) fail_msg("'%s' does not say '%s'", err.message, cases[i].message);
        cllm__trainer_free(&trainer);
    }
    close_world(&w);
}

/* Vectors that are given stand where the first features begin, but for the columns that are numbers of their own; a restart begins there
 * again. */
static void vectors_begin_where_they_are_told(void **state) {
    (void)state;
    enum { GIVEN = 2 };
    static float given[GIVEN * 64];
    world w;
    open_world(&w, 1);
    cllm__train_config config = config_of("accurate", VARIANTS[2].settings);
    run usual, told;
    begin_run(&usual, &w, &config);
    begin_run(&told, &w, &config);
    cllm__trainer *t = &told.trainer;
    size_t width = t->composer.width, whole = t->composer.whole;
    assert_true(width <= 64 && whole == CLLM__BAG_BIASES && w.features.n_features > GIVEN);
    for (size_t i = 0; i < GIVEN * width; i++) given[i] = (float)i;
    t->in.vectors = given;
    t->in.n_vectors = GIVEN;
    OK(cllm__trainer_restart(t, ERR));
    for (size_t i = 0; i < w.features.n_features * width; i++) {
        bool stands = i < GIVEN * width && i % width >= whole;
        assert_true(t->composer.vectors[i] == (stands ? (cllm__real)given[i] : usual.trainer.composer.vectors[i]));
    }
    assert_true(result_of(&told) != result_of(&usual)); /* the tokens are of them */
    cllm__trainer_free(&usual.trainer);
    cllm__trainer_free(&told.trainer);
    close_world(&w);
}

/* The cold item has the words of its kind: it goes to those who like the kind, though nobody ever had it. */
static void a_composed_cold_item_is_near_its_kind(void **state) {
    (void)state;
    world w;
    open_world(&w, 1);
    cllm__train_config config = config_of("accurate", VARIANTS[2].settings);
    run r;
    begin_run(&r, &w, &config);
    OK(cllm__trainer_run(&r.trainer, ERR));
    const cllm__tables *t = &r.trainer.collab;
    size_t cold = (ITEMS - 1) * t->width;
    double same = 0, other = 0;
    for (size_t item = 0; item < ITEMS - 1; item++) {
        double product = 0;
        for (size_t c = 0; c < t->width; c++) product += (double)t->items[cold + c] * (double)t->items[item * t->width + c];
        *(item % 2 == (ITEMS - 1) % 2 ? &same : &other) += product;
    }
    if (!(same > 0 && same > 3 * other)) fail_msg("products with its kind %g, with the others %g", same, other);
    cllm__trainer_free(&r.trainer);
    close_world(&w);
}

static double distance(const cllm__tables *t, size_t a, size_t b) {
    double square = 0;
    for (size_t c = 0; c < t->width; c++) square += pow((double)t->items[a * t->width + c] - (double)t->items[b * t->width + c], 2);
    return square;
}

/* Items whose texts have the same words begin close together; at random they don't. A restart begins there again; a cold item, of
 * which nothing is written, stays where the random numbers put it. */
static void tokens_begin_at_their_texts(void **state) {
    (void)state;
    static const char *const with[] = {"epochs=1/1/1", "init=text-mean", NULL}, *const without[] = {"epochs=1/1/1", NULL};
    for (int on = 0; on < 2; on++) {
        world w;
        open_world(&w, 1);
        run r;
        cllm__train_config config = config_of("paper", on ? with : without);
        begin_run(&r, &w, &config);
        const cllm__tables *sets[] = {&r.trainer.collab, &r.trainer.content};
        for (size_t i = 0; i < 2; i++) {
            double same = distance(sets[i], 0, 2) + distance(sets[i], 1, 3), other = distance(sets[i], 0, 1) + distance(sets[i], 2, 3);
            assert_true(on ? other > 10 * same : other < 5 * same && same < 5 * other);
        }
        cllm__tables normal = {0};
        OK(cllm__tables_create(&normal, USERS, ITEMS, r.trainer.collab.width, ERR));
        cllm__tables_init_normal(&normal, 0.02, config.seed, CLLM__TABLES_COLLAB);
        size_t last = (ITEMS - 1) * normal.width;
        assert_memory_equal(normal.items + last, r.trainer.collab.items + last, normal.width * sizeof *normal.items);
        cllm__tables_free(&normal);
        uint64_t hash = result_of(&r);
        OK(cllm__trainer_run(&r.trainer, ERR));
        assert_true(hash != result_of(&r));
        OK(cllm__trainer_restart(&r.trainer, ERR));
        assert_true(hash == result_of(&r));
        cllm__trainer_free(&r.trainer);
        close_world(&w);
    }
}

/* Infinite coupling is one table for both models; a strong one comes near it, and stages that count for nothing are none at all. */
static void coupling_goes_from_none_to_one_table(void **state) {
    (void)state;
    world w;
    open_world(&w, 1);
    const struct {
        const char *lambda, *stages;
    } arms[] = {{"lambda-c=0", "lambda-stages=1"}, {"lambda-c=1e4", "lambda-stages=1"}, {"lambda-c=inf", "lambda-stages=1"},
                {"lambda-c=1e4", "lambda-stages=0/0/0"}, {"lambda-c=1e4", "lambda-stages=1/1/0"}};
    enum { ARMS = sizeof arms / sizeof arms[0] };
    double apart[ARMS];
    uint64_t hash[ARMS];
    for (size_t i = 0; i < ARMS; i++) {
        const char *const settings[] = {"epochs=1/3/3", "batch=5", "lr=1e-2", "patience=0", arms[i].lambda, arms[i].stages, NULL};
        cllm__train_config config = config_of("paper", settings);
        run r;
        begin_run(&r, &w, &config);
        OK(cllm__trainer_run(&r.trainer, ERR));
        const cllm__tables *x = &r.trainer.collab, *y = &r.trainer.content;
        apart[i] = 0;
        for (size_t j = 0; j < x->n_items * x->width; j++) apart[i] += ((double)x->items[j] - (double)y->items[j]) * ((double)x->items[j] - (double)y->items[j]);
        hash[i] = result_of(&r);
        cllm__trainer_free(&r.trainer);
    }
    assert_true(apart[1] < 0.5 * apart[0]);
    assert_true(apart[2] == 0);
    assert_true(hash[3] == hash[0]);
    assert_true(hash[4] != hash[0] && hash[4] != hash[1]);
    close_world(&w);

    open_world(&w, 1);
    const char *const composed[] = {"epochs=0/0/1", "lambda-c=inf", "item-tokens=id+text", NULL};
    cllm__train_config config = config_of("paper", composed);
    cllm__trainer trainer = {0};
    cllm__trainer_inputs inputs = {.train = &w.train, .corpus = &w.corpus, .prompts = &w.prompts, .features = &w.features, .backbone = w.backbone,
                                   .dtype = CLLM__F32, .pool = w.pool};
    cllm_error err = {0};
    assert_int_equal(cllm__trainer_create(&trainer, &config, &inputs, &err), CLLM_ERR_USAGE);
    assert_non_null(strstr(err.message, "one table"));
    cllm__trainer_free(&trainer);
    close_world(&w);
}

/* Without finetuning the run ends with its last pretraining epoch, and with nothing to do it says so. */
static void no_finetuning_ends_after_pretraining(void **state) {
    (void)state;
    world w;
    open_world(&w, 1);
    const char *const whole[] = {"epochs=1/3/4", "batch=5", "lr=1e-2", NULL}, *const none[] = {"epochs=1/3/0", "batch=5", "lr=1e-2", NULL};
    cllm__train_config config = config_of("llm-prerec", whole), short_one = config_of("paper", none);
    assert_int_equal(cllm__schedule_epochs(&config, CLLM__PHASE_REC), 0);
    assert_true(whole_run(&w, &config) == whole_run(&w, &short_one));
    const char *const nothing[] = {"epochs=0/0/4", NULL};
    config = config_of("llm-prerec", nothing);
    run r;
    begin_run(&r, &w, &short_one);
    r.trainer.config = config;
    cllm_error err = {0};
    assert_int_equal(cllm__trainer_restart(&r.trainer, &err), CLLM_ERR_USAGE);
    assert_non_null(strstr(err.message, "epochs 0/0/4 without finetuning: there is nothing to do"));
    cllm__trainer_free(&r.trainer);
    close_world(&w);
}

/* A backbone that holds no more than what the settings have read gives the same bits. */
static void what_nothing_reads_is_not_needed(void **state) {
    (void)state;
    static const struct {
        const char *preset, *settings[8];
        bool layers, head;
    } CASES[] = {
        {"accurate", {"epochs=0/0/3", "batch=5", "width=24"}, false, false},
        {"paper", {"epochs=0/0/3", "batch=5", "readout=bag", "content=0", "init=text-mean", "main-text=joint"}, false, false},
        {"paper", {"epochs=0/1/2", "batch=5", "readout=bag", "content=0"}, true, false},
        {"paper", {"epochs=0/1/2", "batch=5", "readout=bag", "content=0", "main-text=joint"}, true, true},
        {"paper", {"epochs=0/0/2", "batch=5", "content=0"}, true, false},
        {"paper", {"epochs=1/0/2", "batch=5", "readout=bag"}, true, true},
    };
    for (size_t i = 0; i < CLLM_LEN(CASES); i++) {
        world w;
        open_world(&w, 1);
        cllm__train_config config = config_of(CASES[i].preset, CASES[i].settings);
        assert_int_equal(cllm__train_config_reads(&config), CASES[i].layers);
        assert_int_equal(cllm__train_config_reads_words(&config), CASES[i].head);
        uint64_t whole = whole_run(&w, &config);
        cllm__backbone_close(w.backbone);
        OK(cllm__backbone_open(&w.backbone, w.folder, (cllm__backbone_options){.dtype = CLLM__F32, .training = true, .pool = w.pool, .headless = !CASES[i].head, .bare = !CASES[i].layers}, ERR));
        assert_true(whole_run(&w, &config) == whole);
        close_world(&w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_nothing_reads_is_not_needed),
        cmocka_unit_test(coupling_goes_from_none_to_one_table),
        cmocka_unit_test(no_finetuning_ends_after_pretraining),
        cmocka_unit_test(threads_do_not_change_the_bits),
        cmocka_unit_test(interrupted_anywhere_and_resumed_ends_in_the_same_bits),
        cmocka_unit_test(seeds_and_settings_change_the_result),
        cmocka_unit_test(training_learns_keeps_the_best_and_leaves_the_backbone_alone),
        cmocka_unit_test(a_plan_leaves_the_trainer_as_new_and_fits_a_budget),
        cmocka_unit_test(damaged_checkpoints_are_refused),
        cmocka_unit_test(settings_that_do_not_fit_are_refused),
        cmocka_unit_test(vectors_begin_where_they_are_told),
        cmocka_unit_test(a_composed_cold_item_is_near_its_kind),
        cmocka_unit_test(tokens_begin_at_their_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
