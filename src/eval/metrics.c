#include "eval/metrics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

static const struct {
    const char *name, *definition;
} g_metrics[CLLM__METRICS] = {
    {"recall", "hits in the first k / |T|"},
    {"recall_capped", "hits in the first k / min(k, |T|)"},
    {"ndcg",
     "sum over hits at rank r <= k of 1/log2(r + 1), divided by the same sum of a perfect list of min(k, |T|) hits"},
    {"hit", "1 if there is a hit in the first k, else 0"},
    {"mrr", "1 / rank of the first hit, 0 if it lies beyond k"},
    {"map", "sum over hits at rank r <= k of (hits in the first r) / r, divided by min(k, |T|)"},
    {"precision", "hits in the first k / k"},
};

const char *cllm__metric_name(cllm__metric metric) {
    return g_metrics[metric].name;
}

const char *cllm__metric_definition(cllm__metric metric) {
    return g_metrics[metric].definition;
}

void cllm__metric_label(cllm__metric metric, size_t k, char text[CLLM__METRIC_NAME]) {
    snprintf(text, CLLM__METRIC_NAME, "%s@%zu", g_metrics[metric].name, k);
}

/* The metric that text[0 … length) names, e.g. "ndcg@100". */
static cllm_status parse_label(const char *text, size_t length, cllm__metric *metric, size_t *k, cllm_error *err) {
    const char *at = memchr(text, '@', length);
    if (at != NULL) {
        size_t cut = 0, digits = 0;
        for (const char *c = at + 1; c < text + length && *c >= '0' && *c <= '9' && digits < 10; c++, digits++) {
            cut = 10 * cut + (size_t)(*c - '0');
        }
        for (int m = 0; m < CLLM__METRICS; m++) {
            bool same = strlen(g_metrics[m].name) == (size_t)(at - text) &&
                        memcmp(g_metrics[m].name, text, (size_t)(at - text)) == 0;
            if (!same || cut == 0 || at + 1 + digits != text + length) continue;
            *metric = (cllm__metric)m;
            *k = cut;
            return CLLM_OK;
        }
    }
    return cllm__fail(
        err, CLLM_ERR_USAGE,
        "'%.*s' is no metric: write recall, recall_capped, ndcg, hit, mrr, map or precision, then @ and a cut-off, "
        "as in ndcg@100",
        (int)(length < 200 ? length : 200), text);
}

cllm_status cllm__metric_parse(const char *text, cllm__metric *metric, size_t *k, cllm_error *err) {
    return parse_label(text, strlen(text), metric, k, err);
}

cllm_status cllm__monitor_parse(const char *text, cllm__monitor *monitor, cllm_error *err) {
    cllm__monitor read = {0};
    for (const char *c = text;; c++) {
        size_t length = strcspn(c, "+");
        if (read.count == CLLM__MONITOR_MAX) {
            return cllm__fail(err, CLLM_ERR_USAGE, "'%.200s' has more than %d metrics", text, CLLM__MONITOR_MAX);
        }
        CLLM_TRY(parse_label(c, length, &read.metric[read.count], &read.k[read.count], err));
        read.count++;
        c += length;
        if (*c == '\0') break;
    }
    *monitor = read;
    return CLLM_OK;
}

static int compare_sizes(const void *a, const void *b) {
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

cllm_status cllm__cutoffs_create(cllm__cutoffs *cutoffs, const size_t *ks, size_t n_ks, size_t n_items, cllm_error *err) {
    static const size_t usual[] = {5, 10, 20, 40, 100};
    if (ks == NULL) {
        ks = usual;
        n_ks = CLLM_LEN(usual);
    }
    if (n_ks == 0 || n_ks > CLLM__MAX_KS) {
        return cllm__fail(err, CLLM_ERR_USAGE, "%zu cut-offs: give 1 to %d", n_ks, CLLM__MAX_KS);
    }
    cllm__cutoffs made = {0};
    size_t sorted[CLLM__MAX_KS];
    memcpy(sorted, ks, n_ks * sizeof *ks);
    qsort(sorted, n_ks, sizeof *sorted, compare_sizes);
    if (sorted[0] == 0) return cllm__fail(err, CLLM_ERR_USAGE, "a cut-off of 0: give 1 or more");
    for (size_t i = 0; i < n_ks; i++) {
        if (i == 0 || sorted[i] != sorted[i - 1]) made.ks[made.count++] = sorted[i];
    }
    size_t deepest = made.ks[made.count - 1];
    made.depth = deepest < n_items ? deepest : n_items;
    made.discount = cllm__alloc(made.depth, sizeof *made.discount);
    made.ideal = cllm__alloc(made.depth + 1, sizeof *made.ideal);
    if (made.discount == NULL || made.ideal == NULL) {
        cllm__cutoffs_free(&made);
        return cllm__fail_nomem(err);
    }
    made.ideal[0] = 0;
    for (size_t r = 0; r < made.depth; r++) {
        made.discount[r] = 1 / log2((double)r + 2);
        made.ideal[r + 1] = made.ideal[r] + made.discount[r];
    }
    *cutoffs = made;
    return CLLM_OK;
}

void cllm__cutoffs_free(cllm__cutoffs *cutoffs) {
    cllm__free(cutoffs->discount);
    cllm__free(cutoffs->ideal);
    *cutoffs = (cllm__cutoffs){0};
}

size_t cllm__cutoffs_index(const cllm__cutoffs *cutoffs, cllm__metric metric, size_t k) {
    for (size_t c = 0; c < cutoffs->count; c++) {
        if (cutoffs->ks[c] == k) return (size_t)metric * cutoffs->count + c;
    }
    return SIZE_MAX;
}

void cllm__metrics_user(const cllm__cutoffs *cutoffs, const unsigned char *hits, size_t n_ranked, size_t n_targets,
                        double *values) {
    CLLM_ASSERT(n_targets > 0 && n_ranked <= cutoffs->depth);
    size_t rank = 0, found = 0, first = 0;
    double gain = 0, precisions = 0;
    for (size_t c = 0; c < cutoffs->count; c++) {
        size_t k = cutoffs->ks[c];
        for (; rank < k && rank < n_ranked; rank++) {
            if (!hits[rank]) continue;
            if (found++ == 0) first = rank + 1;
            gain += cutoffs->discount[rank];
            precisions += (double)found / (double)(rank + 1);
        }
        size_t capped = k < n_targets ? k : n_targets;
        double *value = values + c;
        size_t step = cutoffs->count;
        value[CLLM__RECALL * step] = (double)found / (double)n_targets;
        value[CLLM__RECALL_CAPPED * step] = (double)found / (double)capped;
        value[CLLM__NDCG * step] = gain / cutoffs->ideal[capped];
        value[CLLM__HIT * step] = found > 0;
        value[CLLM__MRR * step] = found > 0 ? 1 / (double)first : 0;
        value[CLLM__MAP * step] = precisions / (double)capped;
        value[CLLM__PRECISION * step] = (double)found / (double)k;
    }
}
