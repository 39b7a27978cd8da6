/* The simple models beside the arms of a study: popularity, item-kNN and EASE, for the same users. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/ablation_state.h"
#include "base/alloc.h"
#include "base/host.h"
#include "base/io.h"
#include "eval/baseline.h"
#include "eval/topk.h"
#include "eval/held_out.h"

static const struct {
    const char *name, *list; /* as `eval --baselines` calls it */
} BASELINES[] = {{"popularity", "popularity"}, {"item-kNN", "itemknn"}, {"EASE", "ease"}};

/* What they are compared with: the first arm of the data set that trains and stands for itself, which is the method as it
 * is. */
static size_t method_of(const cllm__ablation *a, size_t data) {
    for (size_t i = 0; i < a->n_arms; i++) {
        const cllm__arm *arm = &a->arms[i];
        if (arm->data == data && arm->run == CLLM__OWN_RUN && (arm->reference == CLLM__NO_REFERENCE || arm->reference == i))
            return i;
    }
    return CLLM__NO_REFERENCE;
}

void cllm__ablation_add_baselines(cllm__ablation *a) {
    for (size_t data = 0; data < a->n_data && !a->study->own_baselines; data++) {
        size_t method = method_of(a, data);
        for (size_t i = 0; i < CLLM_LEN(BASELINES); i++) {
            cllm__arm *arm = cllm__ablation_add(a, data, CLLM__BASELINES, "%s", BASELINES[i].name);
            arm->run = CLLM__NO_RUN;
            arm->baseline = BASELINES[i].list;
            arm->reference = method;
        }
    }
}

/* ---- Measuring ---- */

/* The first items of a model's ranking, and nothing behind them: what a study of short lists compares. */
typedef struct first_items {
    cllm__scorer inner;
    const cllm__interactions *train;
    size_t list;
    cllm__ties ties;
    uint64_t *scratch; /* [list] */
    int32_t *items;    /* [list] */
} first_items;

static void first_items_free(first_items *f) {
    cllm__ties_free(&f->ties);
    cllm__free(f->scratch);
    cllm__free(f->items);
}

static cllm_status first_items_open(first_items *f, cllm_error *err) {
    CLLM_TRY(cllm__ties_create(&f->ties, f->train->n_items, 1, err));
    CLLM_TRY(CLLM_NEW(f->scratch, f->list, err));
    return CLLM_NEW(f->items, f->list, err);
}

static cllm_status score_first(void *context, const int32_t *users, size_t count, float *scores, cllm_error *err) {
    first_items *f = context;
    size_t n_items = f->train->n_items, listed;
    CLLM_TRY(f->inner.score(f->inner.context, users, count, scores, err));
    for (size_t u = 0; u < count; u++) {
        float *own = scores + u * n_items;
        const int32_t *had = cllm__row(f->train, (size_t)users[u]);
        for (size_t i = 0; i < cllm__row_count(f->train, (size_t)users[u]); i++) own[had[i]] = -INFINITY;
        CLLM_TRY(cllm__topk(&f->ties, own, f->list, f->scratch, f->items, NULL, &listed, err));
        for (size_t i = 0; i < n_items; i++) own[i] = -INFINITY;
        for (size_t i = 0; i < listed; i++) own[f->items[i]] = -(float)i;
    }
    return CLLM_OK;
}

static cllm_status rank(cllm__measuring *m, const cllm__scorer *scorer, const cllm__eval_data *data, cllm_error *err) {
    first_items first = {.inner = *scorer, .train = data->train, .list = m->ablation->study->list};
    if (first.list == 0) return cllm__measure_ranking(m, scorer, data, NULL, 0, err);
    const cllm__scorer cut = {.name = scorer->name, .context = &first, .score = score_first, .batch = scorer->batch};
    cllm_status status = first_items_open(&first, err);
    if (status == CLLM_OK) status = cllm__measure_ranking(m, &cut, data, NULL, 0, err);
    first_items_free(&first);
    return status;
}

static cllm_status measure_on(cllm__measuring *m, const cllm__dataset *dataset, cllm_error *err) {
    const cllm__eval_data data = {.train = cllm__dataset_interactions(dataset, CLLM__TRAIN),
                                  .valid = cllm__dataset_interactions(dataset, CLLM__VALID),
                                  .test = cllm__dataset_interactions(dataset, CLLM__TEST)};
    if (strcmp(m->arm->baseline, "ease") == 0 && cllm__ease_memory(data.train->n_items) > cllm__ease_memory_limit()) {
        cllm__log(&m->host, CLLM_LOG_WARN, "EASE on %zu items needs %.1f GB, more than it may take here: it is left out",
                  data.train->n_items, 1e-9 * (double)cllm__ease_memory(data.train->n_items));
        return CLLM_OK;
    }
    char *cache = cllm__path_join(cllm__dataset_path(dataset), "baselines.json");
    if (cache == NULL) return cllm__fail_nomem(err);
    const cllm__baselines_options options = {.list = m->arm->baseline,
                                             .cache = cache,
                                             .data_hash = cllm__dataset_hash(dataset),
                                             .seed = m->seed,
                                             .held_out = cllm__held_out_of(dataset),
                                             .pool = m->pool,
                                             .host = &m->host};
    cllm__baselines baselines = {0};
    cllm_status status = cllm__baselines_create(&baselines, data.train, &options, err);
    if (status == CLLM_OK) status = rank(m, &baselines.models[0].scorer, &data, err);
    cllm__baselines_free(&baselines);
    cllm__free(cache);
    return status;
}

cllm_status cllm__ablation_measure_baseline(cllm__measuring *m, cllm_error *err) {
    cllm__dataset *dataset;
    CLLM_TRY(cllm__dataset_open(&dataset, m->ablation->data[m->arm->data].path, true, err));
    cllm_status status = measure_on(m, dataset, err);
    cllm__dataset_close(dataset);
    return status;
}

/* ---- The sentence ---- */

/* The baseline with the highest NDCG@100, SIZE_MAX if none ranked; all of them into `names`, "popularity 0.2718, …". */
static size_t best_of(const cllm__ablation *a, size_t data, char *names, size_t size) {
    size_t best = SIZE_MAX;
    double most = -1;
    for (size_t i = 0, used = 0; i < a->n_arms; i++) {
        double value = cllm__ablation_value(a, i, "ndcg@100", NULL);
        if (a->arms[i].data != data || a->arms[i].baseline == NULL || !isfinite(value)) continue;
        int n = snprintf(names + used, size - used, "%s%s %.4f", used > 0 ? ", " : "", a->arms[i].name, value);
        used += n > 0 && (size_t)n < size - used ? (size_t)n : 0;
        if (value <= most) continue;
        most = value;
        best = i;
    }
    return best;
}

static cllm_status say(cllm__ablation *a, size_t data, cllm_error *err) {
    char names[128] = "", text[96];
    size_t best = best_of(a, data, names, sizeof names), method = method_of(a, data);
    cllm__difference d;
    if (best == SIZE_MAX || method == CLLM__NO_REFERENCE) return CLLM_OK;
    CLLM_TRY(cllm__ablation_compare(a, best, method, NULL, &d, err));
    cllm__difference_text(&d, text);
    const cllm__arm *by = &a->arms[method];
    cllm__ablation_say(a, " Simple models for the same users%s%s: %s; the best, %s, %s \"%s%s%s\" (%.4f): %s.",
                       a->n_data > 1 ? " of " : "", a->n_data > 1 ? a->data[data].name : "", names, a->arms[best].name,
                       !d.counts               ? "does not differ beyond the noise from"
                       : d.test.difference > 0 ? "is better than"
                                               : "is worse than",
                       by->series, by->series[0] != '\0' ? ", " : "", by->name,
                       cllm__ablation_value(a, method, "ndcg@100", NULL), text);
    return CLLM_OK;
}

cllm_status cllm__ablation_say_baselines(cllm__ablation *a, cllm_error *err) {
    for (size_t data = 0; data < a->n_data && !a->study->own_baselines; data++) CLLM_TRY(say(a, data, err));
    return CLLM_OK;
}
