#include "eval/evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/host.h"
#include "eval/topk.h"

/* Users at once, and the bytes of scores that they may take. */
enum { CHUNK = 256, CHUNK_BYTES = 256 << 20 };

/* Counts from the end of the bucket before up to and with `upto`; the last bucket of a list takes all the rest. */
typedef struct bucket_rule {
    const char *name;
    size_t upto;
} bucket_rule;

static const bucket_rule g_buckets[CLLM__BUCKETS] = {{"0", 0}, {"1-2", 2}, {"3-5", 5}, {"6-10", 10}, {"11-20", 20}, {"21+", SIZE_MAX}};
static const bucket_rule g_item_buckets[CLLM__ITEM_BUCKETS] = {{"0", 0},      {"1-3", 3},      {"4-10", 10},      {"11-30", 30},
                                                          {"31-100", 100}, {"101-300", 300}, {"301+", SIZE_MAX}};

static size_t find_bucket(const bucket_rule *buckets, size_t count) {
    size_t found = 0;
    while (count > buckets[found].upto) found++;
    return found;
}

const char *cllm__bucket_name(size_t bucket) {
    return g_buckets[bucket].name;
}

size_t cllm__bucket_of(size_t history) {
    return find_bucket(g_buckets, history);
}

const char *cllm__item_bucket_name(size_t bucket) {
    return g_item_buckets[bucket].name;
}

size_t cllm__item_bucket_of(size_t rows) {
    return find_bucket(g_item_buckets, rows);
}

/* Everything that lives while the users stream through. Rankings are kept for all scorers of a chunk, slot = scorer × chunk
 * + row. */
typedef struct stream {
    const cllm__eval_data *data;
    const cllm__eval_options *options;
    const cllm__interactions *targets;
    cllm__evaluation *out;
    size_t n_items, chunk, depth;
    cllm__ties ties;
    float *scores;         /* [chunk × n_items] */
    size_t first, count;   /* users of this chunk: out->users + first */
    size_t scorer;         /* whose scores are being ranked */
    int32_t *items;        /* [slots × depth] */
    float *ranked_scores;  /* [slots × depth] */
    unsigned char *hits;   /* [slots × depth] */
    size_t *n_ranked;      /* [slots] */
    double *values;        /* [slots × values] */
    size_t *n_targets;     /* [chunk] */
    unsigned char *failed; /* [chunk] */
    uint64_t *heaps;       /* [workers × depth] */
    unsigned char *marks;  /* [workers × n_items], all zero between tasks */
    uint32_t *had;         /* [n_items] training rows */
    uint32_t *shown;       /* [scorers × cut-offs × n_items]: lists that hold the item behind the cut-off before */
} stream;

static void mask_row(float *scores, const cllm__interactions *rows, size_t user) {
    const int32_t *items = cllm__row(rows, user);
    for (size_t i = 0, n = cllm__row_count(rows, user); i < n; i++) scores[items[i]] = -INFINITY;
}

/* Ranks one user of the chunk for the current scorer. */
static void rank_user(void *context, size_t row, int worker) {
    stream *s = context;
    size_t slot = s->scorer * s->chunk + row, user = (size_t)s->out->users[s->first + row];
    float *scores = s->scores + row * s->n_items;
    mask_row(scores, s->data->train, user);
    if (s->options->mask_valid && s->options->split == CLLM__TEST) mask_row(scores, s->data->valid, user);

    int32_t *items = s->items + slot * s->depth;
    size_t n_ranked;
    if (cllm__topk(&s->ties, scores, s->depth, s->heaps + (size_t)worker * s->depth, items,
                   s->ranked_scores + slot * s->depth, &n_ranked, NULL) != CLLM_OK) {
        s->failed[row] = 1;
        return;
    }
    unsigned char *marks = s->marks + (size_t)worker * s->n_items, *hits = s->hits + slot * s->depth;
    const int32_t *targets = cllm__row(s->targets, user);
    size_t n_row = cllm__row_count(s->targets, user), n_targets = 0;
    for (size_t i = 0; i < n_row; i++) {
        n_targets += !marks[targets[i]];
        marks[targets[i]] = 1;
    }
    for (size_t r = 0; r < n_ranked; r++) hits[r] = marks[items[r]];
    for (size_t i = 0; i < n_row; i++) marks[targets[i]] = 0;
    s->n_ranked[slot] = n_ranked;
    s->n_targets[row] = n_targets;
    cllm__metrics_user(&s->out->cutoffs, hits, n_ranked, n_targets, s->values + slot * s->out->values);
}

/* Adds the chunk's users to a model's sums, in their order. */
static void take_in(stream *s, size_t scorer) {
    cllm__evaluation *out = s->out;
    cllm__eval_model *model = &out->models[scorer];
    uint32_t *shown = s->shown + scorer * out->cutoffs.count * s->n_items;
    for (size_t row = 0; row < s->count; row++) {
        size_t slot = scorer * s->chunk + row, user = (size_t)out->users[s->first + row];
        const double *values = s->values + slot * out->values;
        double *bucket = model->bucket + cllm__bucket_of(cllm__row_count(s->data->train, user)) * out->values;
        for (size_t v = 0; v < out->values; v++) {
            model->mean[v] += values[v];
            bucket[v] += values[v];
        }
        float *kept = model->kept + (s->first + row) * out->n_kept;
        for (size_t v = 0; v < out->n_kept; v++) kept[v] = (float)values[out->kept[v]];
        const int32_t *items = s->items + slot * s->depth;
        for (size_t r = 0, c = 0; r < s->n_ranked[slot]; r++) {
            while (r >= out->cutoffs.ks[c]) c++;
            shown[c * s->n_items + (size_t)items[r]]++;
            if (!s->hits[slot * s->depth + r]) continue;
            double *recall = model->item_recall[cllm__item_bucket_of(s->had[items[r]])];
            for (size_t larger = c; larger < out->cutoffs.count; larger++) recall[larger]++;
        }
    }
}

static cllm_status visit_chunk(stream *s, cllm_error *err) {
    cllm__evaluation *out = s->out;
    for (size_t row = 0; row < s->count; row++) {
        for (size_t scorer = 0; scorer < out->n_models; scorer++) {
            size_t slot = scorer * s->chunk + row;
            cllm__eval_user user = {.scorer = scorer,
                                    .name = out->models[scorer].name,
                                    .user = out->users[s->first + row],
                                    .n_targets = s->n_targets[row],
                                    .n_ranked = s->n_ranked[slot],
                                    .items = s->items + slot * s->depth,
                                    .scores = s->ranked_scores + slot * s->depth,
                                    .hits = s->hits + slot * s->depth,
                                    .cutoffs = &out->cutoffs,
                                    .values = s->values + slot * out->values};
            CLLM_TRY(s->options->visit(s->options->visit_context, &user, err));
        }
    }
    return CLLM_OK;
}

static cllm_status score_chunk(stream *s, const cllm__scorer *scorer, cllm_error *err) {
    size_t batch = scorer->batch == 0 ? s->count : scorer->batch;
    for (size_t row = 0; row < s->count; row += batch) {
        size_t count = s->count - row < batch ? s->count - row : batch;
        CLLM_TRY(cllm__check_cancelled(s->options->host, err));
        CLLM_TRY(scorer->score(scorer->context, s->out->users + s->first + row, count, s->scores + row * s->n_items, err));
    }
    return CLLM_OK;
}

static cllm_status find_failure(stream *s, const cllm__scorer *scorer, cllm_error *err) {
    for (size_t row = 0; row < s->count; row++) {
        if (!s->failed[row]) continue;
        size_t unused;
        cllm_status status =
            cllm__topk(&s->ties, s->scores + row * s->n_items, s->depth, s->heaps, s->items, NULL, &unused, err);
        if (status == CLLM_OK) continue;
        cllm__error_prefix(err, "%s, user %d", scorer->name, s->out->users[s->first + row]);
        return status;
    }
    return CLLM_OK;
}

static cllm_status run_stream(stream *s, const cllm__scorer *scorers, size_t n_scorers, cllm_error *err) {
    size_t n_users = s->out->n_users;
    cllm__meter meter = cllm__meter_begin(s->options->host, "evaluate", "users", (double)n_users);
    for (s->first = 0; s->first < n_users; s->first += s->count) {
        s->count = n_users - s->first < s->chunk ? n_users - s->first : s->chunk;
        for (s->scorer = 0; s->scorer < n_scorers; s->scorer++) {
            const cllm__scorer *scorer = &scorers[s->scorer];
            CLLM_TRY(score_chunk(s, scorer, err));
            cllm__pool_run(s->options->pool, s->count, rank_user, s);
            CLLM_TRY(find_failure(s, scorer, err));
            take_in(s, s->scorer);
            double part = (double)(s->scorer + 1) / (double)n_scorers;
            cllm__meter_update(&meter, (double)s->first + part * (double)s->count, scorer->name);
        }
        if (s->options->visit != NULL) CLLM_TRY(visit_chunk(s, err));
    }
    cllm__meter_end(&meter, (double)n_users, NULL);
    return CLLM_OK;
}

static int compare_counts(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Gini coefficient; sorts the counts. */
static double gini(uint32_t *counts, size_t n) {
    qsort(counts, n, sizeof *counts, compare_counts);
    double weighted = 0, total = 0;
    for (size_t i = 0; i < n; i++) {
        weighted += (2.0 * (double)i + 1 - (double)n) * counts[i];
        total += counts[i];
    }
    return total > 0 ? weighted / ((double)n * total) : 0;
}

/* From the counts of recommended items to coverage, popularity, novelty and Gini at each cut-off. `had` is each item's
 * number of training rows, n_active the number of users with any. */
static void judge_lists(cllm__eval_model *model, const cllm__cutoffs *cutoffs, uint32_t *shown, const uint32_t *had,
                        double n_active, size_t n_items) {
    for (size_t c = 0; c < cutoffs->count; c++) {
        if (c + 1 < cutoffs->count) { /* what the first k hold, the first k' > k hold too */
            for (size_t i = 0; i < n_items; i++) shown[(c + 1) * n_items + i] += shown[c * n_items + i];
        }
    }
    for (size_t c = 0; c < cutoffs->count; c++) {
        uint32_t *counts = shown + c * n_items;
        double covered = 0, total = 0, share = 0, surprise = 0;
        for (size_t i = 0; i < n_items; i++) {
            if (counts[i] == 0) continue;
            covered++;
            total += counts[i];
            share += counts[i] * (had[i] / n_active);
            surprise -= counts[i] * log2((had[i] > 0 ? had[i] : 1) / n_active);
        }
        model->coverage[c] = n_items > 0 ? covered / (double)n_items : 0;
        model->popularity[c] = total > 0 ? share / total : 0;
        model->novelty[c] = total > 0 ? surprise / total : 0;
        model->gini[c] = gini(counts, n_items);
    }
}

static void finish(stream *s) {
    cllm__evaluation *out = s->out;
    const cllm__interactions *train = s->data->train;
    double n_active = 0;
    for (size_t u = 0; u < train->n_users; u++) n_active += cllm__row_count(train, u) > 0;
    if (n_active == 0) n_active = 1;
    for (size_t m = 0; m < out->n_models; m++) {
        cllm__eval_model *model = &out->models[m];
        for (size_t v = 0; v < out->values; v++) {
            if (out->n_users > 0) model->mean[v] /= (double)out->n_users;
            for (size_t b = 0; b < CLLM__BUCKETS; b++) {
                if (out->bucket_users[b] > 0) model->bucket[b * out->values + v] /= (double)out->bucket_users[b];
            }
        }
        for (size_t b = 0; b < CLLM__ITEM_BUCKETS; b++) {
            for (size_t c = 0; c < out->cutoffs.count && out->bucket_targets[b] > 0; c++) model->item_recall[b][c] /= (double)out->bucket_targets[b];
        }
        judge_lists(model, &out->cutoffs, s->shown + m * out->cutoffs.count * s->n_items, s->had, n_active, s->n_items);
    }
}

/* ---- Setting up ---- */

static cllm_status check_shapes(const cllm__eval_data *data, const cllm__eval_options *options, cllm_error *err) {
    const cllm__interactions *train = data->train, *targets = options->split == CLLM__TEST ? data->test : data->valid;
    const cllm__interactions *masks = options->mask_valid && options->split == CLLM__TEST ? data->valid : targets;
    if (options->split == CLLM__TRAIN)
        return cllm__fail(err, CLLM_ERR_USAGE, "evaluate the valid or the test split, not train");
    if (train == NULL || targets == NULL || masks == NULL) return cllm__fail(err, CLLM_ERR_USAGE, "a split is missing");
    if (train->n_users != targets->n_users || train->n_items != targets->n_items || train->n_users != masks->n_users ||
        train->n_items != masks->n_items) {
        return cllm__fail(err, CLLM_ERR_MISMATCH, "splits of different shapes: %zu x %zu and %zu x %zu", train->n_users,
                          train->n_items, targets->n_users, targets->n_items);
    }
    for (size_t i = 0; options->users != NULL && i < options->n_users; i++) {
        if (options->users[i] < 0 || (size_t)options->users[i] >= train->n_users) {
            return cllm__fail(err, CLLM_ERR_USAGE, "user %d: the data has %zu users", options->users[i], train->n_users);
        }
    }
    return CLLM_OK;
}

/* The users that have targets, and their buckets. */
static cllm_status choose_users(cllm__evaluation *out, const stream *s, cllm_error *err) {
    const cllm__eval_options *options = s->options;
    size_t asked = options->users != NULL ? options->n_users : s->data->train->n_users;
    CLLM_TRY(CLLM_NEW(out->users, asked, err));
    for (size_t i = 0; i < asked; i++) {
        size_t user = options->users != NULL ? (size_t)options->users[i] : i;
        if (cllm__row_count(s->targets, user) == 0) {
            out->without_targets++;
            continue;
        }
        out->users[out->n_users++] = (int32_t)user;
        out->bucket_users[cllm__bucket_of(cllm__row_count(s->data->train, user))]++;
    }
    return CLLM_OK;
}

/* How often each item was had in training, and the buckets that follow from it. */
static cllm_status count_items(cllm__evaluation *out, stream *s, cllm_error *err) {
    unsigned char *marks;
    CLLM_TRY(CLLM_NEW(s->had, s->n_items, err));
    CLLM_TRY(CLLM_NEW(marks, s->n_items, err));
    for (size_t i = 0; i < s->data->train->count; i++) s->had[s->data->train->items[i]]++;
    for (size_t i = 0; i < s->n_items; i++) out->bucket_items[cllm__item_bucket_of(s->had[i])]++;
    for (size_t i = 0; i < out->n_users; i++) {
        size_t user = (size_t)out->users[i], n = cllm__row_count(s->targets, user);
        const int32_t *targets = cllm__row(s->targets, user);
        for (size_t j = 0; j < n; j++) {
            out->bucket_targets[cllm__item_bucket_of(s->had[targets[j]])] += !marks[targets[j]];
            marks[targets[j]] = 1;
        }
        for (size_t j = 0; j < n; j++) marks[targets[j]] = 0;
    }
    cllm__free(marks);
    return CLLM_OK;
}

static cllm_status make_models(cllm__evaluation *out, const cllm__scorer *scorers, size_t n_scorers, cllm_error *err) {
    size_t n_ks = out->cutoffs.count;
    CLLM_TRY(CLLM_NEW(out->kept, 3 * n_ks, err));
    for (size_t i = 0; i < 3 * n_ks; i++) {
        static const cllm__metric kept[] = {CLLM__RECALL, CLLM__RECALL_CAPPED, CLLM__NDCG};
        out->kept[out->n_kept++] = (size_t)kept[i / n_ks] * n_ks + i % n_ks;
    }
    CLLM_TRY(CLLM_NEW(out->models, n_scorers, err));
    for (; out->n_models < n_scorers; out->n_models++) {
        cllm__eval_model *model = &out->models[out->n_models];
        model->name = cllm__strdup(scorers[out->n_models].name);
        model->mean = cllm__zalloc(out->values, sizeof *model->mean);
        model->bucket = cllm__zalloc(out->values, CLLM__BUCKETS * sizeof *model->bucket);
        model->kept = cllm__zalloc(out->n_users, out->n_kept * sizeof *model->kept);
        if (model->name == NULL || model->mean == NULL || model->bucket == NULL || model->kept == NULL) {
            out->n_models++; /* so that what there is gets freed */
            return cllm__fail_nomem(err);
        }
    }
    return CLLM_OK;
}

static cllm_status make_buffers(stream *s, size_t n_scorers, cllm_error *err) {
    size_t row_bytes = s->n_items * sizeof(float), fitting = CHUNK_BYTES / (row_bytes > 0 ? row_bytes : 1);
    s->chunk = s->options->chunk > 0 ? s->options->chunk : CHUNK < fitting ? CHUNK : fitting;
    if (s->chunk > s->out->n_users) s->chunk = s->out->n_users;
    if (s->chunk == 0) s->chunk = 1;
    size_t slots = n_scorers * s->chunk, workers = (size_t)cllm__pool_threads(s->options->pool);
    s->scores = cllm__alloc(s->chunk, row_bytes);
    CLLM_TRY(CLLM_NEW(s->items, slots * s->depth, err));
    CLLM_TRY(CLLM_NEW(s->ranked_scores, slots * s->depth, err));
    CLLM_TRY(CLLM_NEW(s->hits, slots * s->depth, err));
    CLLM_TRY(CLLM_NEW(s->n_ranked, slots, err));
    CLLM_TRY(CLLM_NEW(s->values, slots * s->out->values, err));
    CLLM_TRY(CLLM_NEW(s->n_targets, s->chunk, err));
    CLLM_TRY(CLLM_NEW(s->failed, s->chunk, err));
    CLLM_TRY(CLLM_NEW(s->heaps, workers * s->depth, err));
    CLLM_TRY(CLLM_NEW(s->marks, workers * s->n_items, err));
    CLLM_TRY(CLLM_NEW(s->shown, n_scorers * s->out->cutoffs.count * s->n_items, err));
    return s->scores != NULL ? CLLM_OK : cllm__fail_nomem(err);
}

static void free_buffers(stream *s) {
    cllm__ties_free(&s->ties);
    cllm__free(s->scores);
    cllm__free(s->items);
    cllm__free(s->ranked_scores);
    cllm__free(s->hits);
    cllm__free(s->n_ranked);
    cllm__free(s->values);
    cllm__free(s->n_targets);
    cllm__free(s->failed);
    cllm__free(s->heaps);
    cllm__free(s->marks);
    cllm__free(s->had);
    cllm__free(s->shown);
}

cllm_status cllm__evaluate(cllm__evaluation **out, const cllm__eval_data *data, const cllm__scorer *scorers,
                           size_t n_scorers, const cllm__eval_options *options, cllm_error *err) {
    CLLM_TRY(check_shapes(data, options, err));
    cllm_status status;
    cllm__evaluation *made;
    CLLM_TRY(CLLM_NEW(made, 1, err));
    made->split = options->split;
    made->mask_valid = options->mask_valid && options->split == CLLM__TEST;
    made->seed = options->seed;
    stream s = {.data = data,
                .options = options,
                .targets = options->split == CLLM__TEST ? data->test : data->valid,
                .out = made,
                .n_items = data->train->n_items};
    CLLM_TRY_CLEAN(cllm__cutoffs_create(&made->cutoffs, options->ks, options->n_ks, s.n_items, err));
    made->values = cllm__cutoffs_values(&made->cutoffs);
    s.depth = made->cutoffs.depth;
    CLLM_TRY_CLEAN(choose_users(made, &s, err));
    CLLM_TRY_CLEAN(count_items(made, &s, err));
    CLLM_TRY_CLEAN(make_models(made, scorers, n_scorers, err));
    CLLM_TRY_CLEAN(cllm__ties_create(&s.ties, s.n_items, options->seed, err));
    CLLM_TRY_CLEAN(make_buffers(&s, n_scorers, err));
    CLLM_TRY_CLEAN(run_stream(&s, scorers, n_scorers, err));
    finish(&s);
    *out = made;
    made = NULL;
cleanup:
    free_buffers(&s);
    cllm__evaluation_free(made);
    return status;
}

void cllm__evaluation_free(cllm__evaluation *evaluation) {
    if (evaluation == NULL) return;
    for (size_t m = 0; m < evaluation->n_models; m++) {
        cllm__free(evaluation->models[m].name);
        cllm__free(evaluation->models[m].mean);
        cllm__free(evaluation->models[m].bucket);
        cllm__free(evaluation->models[m].kept);
    }
    cllm__free(evaluation->models);
    cllm__free(evaluation->kept);
    cllm__free(evaluation->users);
    cllm__cutoffs_free(&evaluation->cutoffs);
    cllm__free(evaluation);
}

cllm_status cllm__evaluation_mean(const cllm__evaluation *evaluation, size_t model, cllm__metric metric, size_t k,
                                  double *mean, cllm_error *err) {
    size_t index = cllm__cutoffs_index(&evaluation->cutoffs, metric, k);
    if (index == SIZE_MAX) {
        return cllm__fail(err, CLLM_ERR_USAGE, "%s@%zu was not measured: add %zu to the cut-offs",
                          cllm__metric_name(metric), k, k);
    }
    *mean = evaluation->models[model].mean[index];
    return CLLM_OK;
}

cllm_status cllm__evaluation_monitor(const cllm__evaluation *evaluation, size_t model, const cllm__monitor *monitor,
                                     double *value, cllm_error *err) {
    double sum = 0;
    for (size_t i = 0; i < monitor->count; i++) {
        double mean = 0;
        CLLM_TRY(cllm__evaluation_mean(evaluation, model, monitor->metric[i], monitor->k[i], &mean, err));
        sum += mean;
    }
    *value = sum;
    return CLLM_OK;
}
