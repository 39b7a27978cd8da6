#include "api/step_bench.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/host.h"
#include "eval/topk.h"
#include "model/engine.h"
#include "train/adam_table.h"

/* Words that stand around items in a recommendation prompt: user, 3 words, items, 1 word, user, 3 words. */
enum { COLLAB_PROMPT = 4, CONTENT_PROMPT = 8, REC_BESIDE = 9 };

typedef struct bench {
    const cllm__bench_shapes *shapes;
    const cllm__backbone_info *info;
    cllm__pool *pool;
    cllm__engine *engine;
    cllm__batch_rules rules;
    cllm__batch batch;
    cllm__tables own, other;
    cllm__gradient gradient;
    cllm__adam_table users, items;
    cllm__ties ties;
    cllm__weight *packed; /* items */
    float *scores;
    uint64_t *scratch; /* [threads × top] */
    int32_t *best;     /* [users × top] */
    int32_t *ids;      /* of one sequence */
    cllm__dtype dtype;
    double flops;           /* of the step at hand */
    double optimiser_total; /* seconds of all its runs */
    int runs;
} bench;

/* ---- Sequences: ids as bench/shapes.json defines them ---- */

static int32_t user_of(const bench *b, size_t r) {
    return (int32_t)(b->info->vocabulary + r * 37 % b->shapes->n_users);
}

static int32_t item_of(const bench *b, size_t r, size_t k) {
    return (int32_t)((r * 131 + k * 17) % b->shapes->n_items);
}

static int32_t item_token(const bench *b, size_t r, size_t k) {
    return (int32_t)(b->info->vocabulary + b->shapes->n_users) + item_of(b, r, k);
}

static cllm_status add_main(bench *b, size_t r, size_t n, cllm_error *err) {
    int32_t *ids = b->ids;
    size_t prompt = b->batch.stage == CLLM__STAGE_COLLAB ? COLLAB_PROMPT : CONTENT_PROMPT;
    ids[0] = user_of(b, r);
    for (size_t t = 1; t < prompt; t++) ids[t] = (int32_t)t - 1;
    if (b->batch.stage == CLLM__STAGE_COLLAB) {
        for (size_t k = 0; k < n; k++) ids[prompt + k] = item_token(b, r, k);
    } else {
        ids[prompt - 2] = item_token(b, r, 0);
        ids[prompt - 1] = CONTENT_PROMPT - 3;
        for (size_t k = 0; k < n; k++) ids[prompt + k] = (int32_t)((r * 7919 + k * 104729) % b->info->vocabulary);
    }
    return cllm__batch_add_tokens(&b->batch, &b->rules, ids, prompt, ids + prompt, n, err);
}

static cllm_status add_prompt(bench *b, size_t r, size_t length, size_t n_targets, cllm_error *err) {
    int32_t *ids = b->ids, targets[64];
    size_t n_items = length - REC_BESIDE, at = 0;
    CLLM_ASSERT(length >= REC_BESIDE && n_targets <= CLLM_LEN(targets));
    ids[at++] = user_of(b, r);
    for (int32_t word = 0; word < 3; word++) ids[at++] = word;
    for (size_t k = 0; k < n_items; k++) ids[at++] = item_token(b, r, k);
    ids[at++] = 3;
    ids[at++] = user_of(b, r);
    for (int32_t word = 4; word < 7; word++) ids[at++] = word;
    for (size_t k = 0; k < n_targets; k++) targets[k] = (item_of(b, r, k) + 5) % (int32_t)b->shapes->n_items;
    return cllm__batch_add_readout(&b->batch, &b->rules, ids, length, targets, n_targets, err);
}

static cllm_status fill(bench *b, cllm__stage stage, const struct cllm__bench_list *list, cllm_error *err) {
    cllm__batch_clear(&b->batch, stage);
    for (size_t r = 0; r < list->count; r++)
        if (stage == CLLM__STAGE_COLLAB || stage == CLLM__STAGE_CONTENT) CLLM_TRY(add_main(b, r, list->lengths[r], err));
        else CLLM_TRY(add_prompt(b, r, list->lengths[r], list->targets != NULL ? list->targets[r] : 0, err));
    return CLLM_OK;
}

/* ---- One run ---- */

static cllm_status run_training(bench *b, cllm_error *err) {
    const cllm__objective objective = {.reg = CLLM__REG_MAP, .lambda_c = 100};
    cllm__gradient *g = &b->gradient;
    cllm__loss loss;
    CLLM_TRY(cllm__engine_step(b->engine, &b->batch, &b->own, &b->other, &objective, g, &loss, err));
    double began = cllm__now();
    /* Train does this before the step reads the rows; the cost is the same. */
    cllm__adam_table_catch_up(&b->users, g->touched_users, g->n_touched_users, b->pool);
    cllm__adam_table_step(&b->users, g->touched_users, g->n_touched_users, g->users, b->pool);
    if (g->items_dense) {
        cllm__adam_table_step_dense(&b->items, g->items, b->pool);
    } else {
        cllm__adam_table_catch_up(&b->items, g->touched_items, g->n_touched_items, b->pool);
        cllm__adam_table_step(&b->items, g->touched_items, g->n_touched_items, g->items, b->pool);
    }
    b->optimiser_total += cllm__now() - began;
    return CLLM_OK;
}

/* In an epoch most rows wait for their turn, and replay the steps that they missed when it comes: as many as there are batches
 * in a round through the table. Lets the rows that the batch touches have waited that long. */
static void let_rows_wait(bench *b) {
    size_t sequences = b->batch.sequences;
    b->users.step += b->shapes->n_users / sequences;
    if (b->batch.stage == CLLM__STAGE_CONTENT) b->items.step += b->shapes->n_items / sequences;
    else cllm__adam_table_flush(&b->items, b->pool);
}

/* The prompt's own items are not candidates. */
static void best_task(void *context, size_t s, int worker) {
    bench *b = context;
    size_t n_items = b->shapes->n_items, top = b->shapes->top, first_item = b->info->vocabulary + b->shapes->n_users, count = 0;
    float *scores = b->scores + s * n_items;
    for (size_t t = b->batch.start[s]; t < b->batch.start[s + 1]; t++)
        if ((size_t)b->batch.tokens[t] >= first_item) scores[(size_t)b->batch.tokens[t] - first_item] = -INFINITY;
    if (cllm__topk(&b->ties, scores, top, b->scratch + (size_t)worker * top, b->best + s * top, NULL, &count, NULL) != CLLM_OK)
        b->best[s * top] = -1;
}

static cllm_status run_recommending(bench *b, cllm_error *err) {
    CLLM_TRY(cllm__engine_score(b->engine, &b->own, &b->batch, b->scores, err));
    cllm__pool_run(b->pool, b->batch.sequences, best_task, b);
    for (size_t s = 0; s < b->batch.sequences; s++)
        if (b->best[s * b->shapes->top] < 0) return cllm__fail(err, CLLM_ERR_FAILED, "the scores of prompt %zu are not finite", s);
    return CLLM_OK;
}

/* ---- Floors ---- */

static double weights_of(const cllm__backbone_info *info) {
    size_t attention = info->width * info->head_width * (2 * info->heads + 2 * info->kv_heads);
    return (double)(info->layers * (attention + info->mlp_matrices * info->width * info->inner));
}

/* Weights once for each token, pairs of a query and a key once for each sequence (T²/2 of them, a product for the score and
 * one for the sum), heads for each prediction. Backward to the inputs: weights once more, attention twice more, the vocabulary
 * head once more, the tied item head twice more (its own gradient). */
static void count_flops(const bench *b, const struct cllm__bench_list *list, cllm__step_time *time) {
    cllm__stage stage = b->batch.stage;
    size_t prompt = stage == CLLM__STAGE_COLLAB ? COLLAB_PROMPT : stage == CLLM__STAGE_CONTENT ? CONTENT_PROMPT : 0;
    double pairs = 0, tokens = 0;
    for (size_t r = 0; r < list->count; r++) {
        double length = (double)(prompt + list->lengths[r]);
        tokens += length;
        pairs += length * length / 2;
    }
    bool words = stage == CLLM__STAGE_CONTENT, training = stage != CLLM__STAGE_PROMPT;
    double dense = 2 * weights_of(b->info) * tokens;
    double attention = 4.0 * (double)(b->info->layers * b->info->heads * b->info->head_width) * pairs;
    double head = 2.0 * (double)b->batch.n_out * (double)(b->info->width * (words ? b->info->words : b->shapes->n_items));
    time->flops = training ? 2 * dense + 3 * attention + head * (words ? 2 : 3) : dense + attention + head;
    time->exact_flops = cllm__engine_flops(b->engine, &b->batch, b->shapes->n_items, training);
    time->tokens = (size_t)tokens;
    time->sequences = list->count;
}

static double floor_of(const void *context, const cllm__bench_peaks *peaks) {
    const bench *b = context;
    double compute = b->flops / peaks->flops;
    double stream = weights_of(b->info) * (b->dtype == CLLM__BF16 ? 2 : sizeof(cllm__real)) / peaks->bandwidth;
    return b->batch.sequences == 1 && stream > compute ? stream : compute;
}

static cllm_status run_once(void *context, double *seconds, cllm_error *err) {
    bench *b = context;
    bool training = b->batch.stage != CLLM__STAGE_PROMPT;
    if (training) let_rows_wait(b);
    double began = cllm__now();
    CLLM_TRY(training ? run_training(b, err) : run_recommending(b, err));
    *seconds = cllm__now() - began;
    b->runs++;
    return CLLM_OK;
}

static cllm_status time_step(bench *b, cllm__step_time *time, cllm__stage stage, const struct cllm__bench_list *list,
                             const cllm__bench_peaks *peaks, int repeats, const cllm_host *host, cllm_error *err) {
    cllm__timing timing = {.context = b, .run = run_once, .floor = floor_of, .dtype = b->dtype, .peaks = peaks, .pool = b->pool, .host = host};
    cllm__timed timed;
    CLLM_TRY(fill(b, stage, list, err));
    count_flops(b, list, time);
    b->flops = time->flops;
    b->optimiser_total = b->runs = 0;
    CLLM_TRY(cllm__bench_time(&timed, &timing, repeats, err));
    time->seconds = timed.seconds;
    time->floor = timed.floor;
    time->share = timed.floor / timed.seconds;
    time->peaks = timed.peaks;
    time->best = timed.best;
    time->allocations = timed.allocations;
    time->optimiser_seconds = b->optimiser_total / b->runs;
    return CLLM_OK;
}

/* ---- */

static cllm_status check(const bench *b, cllm_error *err) {
    if (b->info->context < b->shapes->backbone.context)
        return cllm__fail(err, CLLM_ERR_MISMATCH, "the benchmark's sequences need a context of %zu, and the backbone's is %zu",
                          b->shapes->backbone.context, b->info->context);
    return cllm__backbone_info_of(cllm__engine_backbone(b->engine))->vocabulary >= 8
               ? CLLM_OK
               : cllm__fail(err, CLLM_ERR_MISMATCH, "the benchmark's prompts need a vocabulary of at least 8 words");
}

static cllm_status set_up(bench *b, const cllm__backbone *backbone, cllm__dtype dtype, cllm_error *err) {
    const cllm__bench_shapes *s = b->shapes;
    const cllm__adam adam = {1e-3, 0.9, 0.999, 1e-8};
    size_t width = b->info->width;
    b->rules = (cllm__batch_rules){.space = {(int32_t)b->info->vocabulary, (int32_t)s->n_users, (int32_t)s->n_items},
                                   .reg = CLLM__REG_MAP, .predict_first = true, .context = b->info->context};
    CLLM_TRY(cllm__engine_create(&b->engine, backbone, dtype, b->pool, err));
    CLLM_TRY(check(b, err));
    CLLM_TRY(cllm__tables_create(&b->own, s->n_users, s->n_items, width, err));
    CLLM_TRY(cllm__tables_create(&b->other, s->n_users, s->n_items, width, err));
    cllm__tables_init_normal(&b->own, 0.02, 1, CLLM__TABLES_COLLAB);
    cllm__tables_init_normal(&b->other, 0.02, 1, CLLM__TABLES_CONTENT);
    CLLM_TRY(cllm__gradient_create(&b->gradient, s->n_users, s->n_items, width, err));
    CLLM_TRY(cllm__adam_table_create(&b->users, b->own.users, s->n_users, width, adam, err));
    CLLM_TRY(cllm__adam_table_create(&b->items, b->own.items, s->n_items, width, adam, err));
    CLLM_TRY(cllm__ties_create(&b->ties, s->n_items, 1, err));
    CLLM_TRY(cllm__weight_pack(&b->packed, b->own.items, width, s->n_items, true, dtype, b->pool, err));
    cllm__engine_set_packed_items(b->engine, b->packed); /* as an opened model does */
    CLLM_TRY(CLLM_NEW(b->scores, s->users.count * s->n_items, err));
    CLLM_TRY(CLLM_NEW(b->scratch, (size_t)cllm__pool_threads(b->pool) * s->top, err));
    CLLM_TRY(CLLM_NEW(b->best, s->users.count * s->top, err));
    return CLLM_NEW(b->ids, b->info->context, err);
}

static void tear_down(bench *b) {
    cllm__engine_free(b->engine);
    cllm__batch_free(&b->batch);
    cllm__gradient_free(&b->gradient);
    cllm__adam_table_free(&b->users);
    cllm__adam_table_free(&b->items);
    cllm__tables_free(&b->own);
    cllm__tables_free(&b->other);
    cllm__ties_free(&b->ties);
    cllm__weight_free(b->packed);
    cllm__free(b->scores);
    cllm__free(b->scratch);
    cllm__free(b->best);
    cllm__free(b->ids);
}

const char *const cllm__bench_step_names[CLLM__BENCH_STEPS] = {"collab", "content", "ragged", "rec", "users", "one"};

cllm_status cllm__bench_steps(cllm__step_time times[CLLM__BENCH_STEPS], const cllm__backbone *backbone, cllm__dtype dtype,
                              cllm__pool *pool, const cllm__bench_shapes *shapes, const char *only, const cllm__bench_peaks *peaks,
                              int repeats, const cllm_host *host, cllm_error *err) {
    const struct {
        cllm__stage stage;
        const struct cllm__bench_list *list;
    } steps[CLLM__BENCH_STEPS] = {
        {CLLM__STAGE_COLLAB, &shapes->collab}, {CLLM__STAGE_CONTENT, &shapes->content}, {CLLM__STAGE_CONTENT, &shapes->ragged},
        {CLLM__STAGE_REC, &shapes->rec},       {CLLM__STAGE_PROMPT, &shapes->users},    {CLLM__STAGE_PROMPT, &shapes->one},
    };
    cllm__step_time found[CLLM__BENCH_STEPS] = {0};
    bench b = {.shapes = shapes, .info = cllm__backbone_info_of(backbone), .pool = pool, .dtype = dtype};
    cllm_status status = CLLM_OK;
    CLLM_ASSERT(repeats >= 1);
    cllm__meter meter = cllm__meter_begin(host, "bench", "steps", CLLM__BENCH_STEPS);
    CLLM_TRY_CLEAN(set_up(&b, backbone, dtype, err));
    for (size_t i = 0; i < CLLM__BENCH_STEPS; i++) {
        const char *name = cllm__bench_step_names[i];
        found[i] = (cllm__step_time){.name = name, .dtype = dtype};
        if (only != NULL && strcmp(only, name) != 0) continue;
        /* A single prompt is soon done, and the more easily disturbed. */
        int times_run = steps[i].list->count == 1 ? 10 * repeats : repeats;
        CLLM_TRY_CLEAN(time_step(&b, &found[i], steps[i].stage, steps[i].list, peaks, times_run, host, err));
        cllm__meter_update(&meter, (double)(i + 1), name);
    }
    cllm__meter_end(&meter, CLLM__BENCH_STEPS, NULL);
    for (size_t i = 0; i < CLLM__BENCH_STEPS; i++) times[i] = found[i];
cleanup:
    tear_down(&b);
    return status;
}
