#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/host.h"
#include "base/rng.h"
#include "eval/factors.h"

/* Vectors are padded to whole groups, whose sums are kept apart: one order of addition whatever the compiler makes of it.
 */
enum { GROUP = 16, MOST_FACTORS = 4096, STEPS_BETWEEN_LOOKS = 1 << 16 };

typedef struct fitting {
    const cllm__interactions *train;
    size_t width; /* factors, padded with zeros, which stay zero */
    float *users, *items, *bias;
    int32_t *owners; /* [count] the user of each row */
    int32_t *sorted; /* the training rows, ascending within a user */
} fitting;

static int compare(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static bool has(const fitting *t, size_t user, int32_t item) {
    uint64_t low = t->train->start[user], high = t->train->start[user + 1];
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (t->sorted[middle] < item) low = middle + 1;
        else high = middle;
    }
    return low < t->train->start[user + 1] && t->sorted[low] == item;
}

/* In [0, n) without bias; one draw and no division nearly always (Lemire 2019). */
static size_t draw(cllm__rng *rng, size_t n) {
    if (n > UINT32_MAX) return (size_t)cllm__rng_below(rng, n);
    uint32_t bound = (uint32_t)n;
    uint64_t product = (uint64_t)cllm__rng_u32(rng) * bound;
    if ((uint32_t)product < bound) {
        uint32_t reject = (0 - bound) % bound;
        while ((uint32_t)product < reject) product = (uint64_t)cllm__rng_u32(rng) * bound;
    }
    return (size_t)(product >> 32);
}

/* u·(i − j) */
static float margin(const float *restrict u, const float *restrict i, const float *restrict j, size_t width) {
    float sums[GROUP] = {0};
    for (size_t d = 0; d < width; d += GROUP) {
        for (size_t g = 0; g < GROUP; g++) sums[g] += u[d + g] * (i[d + g] - j[d + g]);
    }
    for (size_t half = GROUP / 2; half > 0; half /= 2) {
        for (size_t g = 0; g < half; g++) sums[g] += sums[g + half];
    }
    return sums[0];
}

/* Ascends the gradient of ln σ(x) − reg/2·(|u|² + |i|² + |j|²), of which `pull` is rate·σ(−x) and `keep` 1 − rate·reg. */
static void move(float *restrict u, float *restrict i, float *restrict j, size_t width, float pull, float keep) {
    for (size_t d = 0; d < width; d += GROUP) {
        for (size_t g = 0; g < GROUP; g++) {
            float a = u[d + g], b = i[d + g], c = j[d + g];
            u[d + g] = keep * a + pull * (b - c);
            i[d + g] = keep * b + pull * a;
            j[d + g] = keep * c - pull * a;
        }
    }
}

static void step(fitting *t, const cllm__bpr_options *o, cllm__rng *rng) {
    size_t row = draw(rng, t->train->count), user = (size_t)t->owners[row];
    int32_t liked = t->train->items[row], other;
    if (o->popular_negatives) other = t->train->items[draw(rng, t->train->count)];
    else other = (int32_t)draw(rng, t->train->n_items);
    if (has(t, user, other)) return;
    float *u = t->users + user * t->width, *i = t->items + (size_t)liked * t->width,
          *j = t->items + (size_t)other * t->width;
    float rate = (float)o->learning_rate, keep = 1 - rate * (float)o->regularization;
    float x = margin(u, i, j, t->width) + t->bias[liked] - t->bias[other];
    float pull = rate / (1 + expf(x));
    move(u, i, j, t->width, pull, keep);
    t->bias[liked] = keep * t->bias[liked] + pull;
    t->bias[other] = keep * t->bias[other] - pull;
}

/* Uniform in ±1/(2·factors). Rows that no step reaches, of users or items without training rows, stay zero: an unknown user
 * is ranked by the items' biases. */
static void draw_table(float *table, size_t row, size_t factors, size_t width, cllm__rng rng) {
    for (size_t d = 0; d < factors; d++)
        table[row * width + d] = (float)((cllm__rng_uniform(&rng) - 0.5) / (double)factors);
}

static cllm_status begin(fitting *t, const cllm__bpr_options *o, cllm_error *err) {
    const cllm__interactions *train = t->train;
    CLLM_TRY(CLLM_NEW(t->users, train->n_users * t->width, err));
    CLLM_TRY(CLLM_NEW(t->items, train->n_items * t->width, err));
    CLLM_TRY(CLLM_NEW(t->bias, train->n_items, err));
    CLLM_TRY(CLLM_NEW(t->owners, train->count, err));
    CLLM_TRY(CLLM_NEW(t->sorted, train->count, err));
    for (size_t u = 0; u < train->n_users; u++) {
        size_t n = cllm__row_count(train, u);
        int32_t *sorted = t->sorted + train->start[u];
        for (size_t r = 0; r < n; r++) {
            t->owners[train->start[u] + r] = (int32_t)u;
            sorted[r] = cllm__row(train, u)[r];
        }
        if (n == 0) continue;
        qsort(sorted, n, sizeof *sorted, compare);
        draw_table(t->users, u, o->factors, t->width, cllm__rng_make(o->seed, CLLM_RNG_BASELINE, 1, u));
    }
    for (size_t r = 0; r < train->count; r++) {
        size_t item = (size_t)train->items[r];
        draw_table(t->items, item, o->factors, t->width, cllm__rng_make(o->seed, CLLM_RNG_BASELINE, 2, item));
    }
    return CLLM_OK;
}

static cllm_status fit(fitting *t, const cllm__bpr_options *o, const cllm_host *host, cllm_error *err) {
    CLLM_TRY(begin(t, o, err));
    size_t steps = 0;
    cllm__meter meter = cllm__meter_begin(host, "bpr", "epochs", (double)o->epochs);
    for (size_t epoch = 0; epoch < o->epochs; epoch++) {
        CLLM_TRY(cllm__check_cancelled(host, err));
        cllm__rng rng = cllm__rng_make(o->seed, CLLM_RNG_BASELINE, 3, epoch);
        for (size_t s = 0; s < t->train->count; s++) {
            if (++steps % STEPS_BETWEEN_LOOKS == 0) CLLM_TRY(cllm__check_cancelled(host, err));
            step(t, o, &rng);
        }
        cllm__meter_update(&meter, (double)(epoch + 1), NULL);
    }
    cllm__meter_end(&meter, (double)o->epochs, NULL);
    for (size_t v = 0; v < t->train->n_users * t->width; v++) {
        if (!isfinite(t->users[v]))
            return cllm__fail(err, CLLM_ERR_DATA, "bpr diverges with a learning rate of %g: give a smaller one",
                              o->learning_rate);
    }
    return CLLM_OK;
}

cllm_status cllm__bpr_create(cllm__baseline *out, const cllm__interactions *train, const cllm__bpr_options *options,
                             cllm__pool *pool, const cllm_host *host, cllm_error *err) {
    if (options->factors == 0 || options->factors > MOST_FACTORS)
        return cllm__fail(err, CLLM_ERR_USAGE, "bpr: %zu factors: give 1 to %d", options->factors, MOST_FACTORS);
    if (!(options->learning_rate > 0 && options->learning_rate <= 10))
        return cllm__fail(err, CLLM_ERR_USAGE, "bpr: a learning rate of %g: give more than 0, at most 10",
                          options->learning_rate);
    if (!(options->regularization >= 0 && options->regularization <= 10))
        return cllm__fail(err, CLLM_ERR_USAGE, "bpr: a regularization of %g: give 0 to 10", options->regularization);
    fitting t = {.train = train, .width = (options->factors + GROUP - 1) / GROUP * GROUP};
    cllm_status status = fit(&t, options, host, err);
    if (status == CLLM_OK) {
        float *users = t.users;
        t.users = NULL;
        status = cllm__factors_create(out, "bpr", users, t.items, t.bias, train->n_items, t.width, pool, err);
    }
    cllm__free(t.users);
    cllm__free(t.items);
    cllm__free(t.bias);
    cllm__free(t.owners);
    cllm__free(t.sorted);
    if (status != CLLM_OK) return status;
    snprintf(out->parameters, sizeof out->parameters,
             "factors=%zu,learning_rate=%g,regularization=%g,epochs=%zu,%s negatives", options->factors,
             options->learning_rate, options->regularization, options->epochs,
             options->popular_negatives ? "popular" : "uniform");
    return CLLM_OK;
}
