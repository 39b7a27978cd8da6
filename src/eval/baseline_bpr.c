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
enum { GROUP = 16, MOST_FACTORS = 4096, BLOCK = 1 << 15 };

typedef struct triple {
    int32_t user, liked, other;
} triple;

/* The stream of steps. No model has a say in it, so models that are fitted side by side share it. */
typedef struct stream {
    const cllm__interactions *train;
    size_t epochs;
    uint64_t seed;
    bool popular_negatives;
    int32_t *owners; /* [count] the user of each row */
    int32_t *sorted; /* the training rows, ascending within a user */
    triple *steps;   /* [BLOCK] */
    size_t count, epoch, row; /* steps that are there; draws that were made */
    cllm__rng rng;
} stream;

typedef struct model {
    const cllm__bpr_options *options;
    size_t width; /* factors, padded with zeros, which stay zero */
    float *users, *items, *bias;
} model;

typedef struct fitting {
    stream stream;
    model *models; /* [count] */
    size_t count;
    triple *steps; /* [BLOCK] taken now, while the stream draws the next */
    size_t n_steps;
} fitting;

static int compare(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static bool has(const stream *s, size_t user, int32_t item) {
    uint64_t low = s->train->start[user], high = s->train->start[user + 1];
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (s->sorted[middle] < item) low = middle + 1;
        else high = middle;
    }
    return low < s->train->start[user + 1] && s->sorted[low] == item;
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

/* The next block; shorter only at the end. */
static void draw_block(stream *s) {
    size_t rows = s->train->count;
    s->count = 0;
    while (s->epoch < s->epochs && s->count < BLOCK) {
        if (s->row == 0) s->rng = cllm__rng_make(s->seed, CLLM_RNG_BASELINE, 3, s->epoch);
        for (; s->row < rows && s->count < BLOCK; s->row++) {
            size_t row = draw(&s->rng, rows), user = (size_t)s->owners[row];
            int32_t other = s->popular_negatives ? s->train->items[draw(&s->rng, rows)] : (int32_t)draw(&s->rng, s->train->n_items);
            if (!has(s, user, other)) s->steps[s->count++] = (triple){(int32_t)user, s->train->items[row], other};
        }
        if (s->row < rows) return;
        s->row = 0;
        s->epoch++;
    }
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

static void take(model *m, triple step) {
    const cllm__bpr_options *o = m->options;
    float *u = m->users + (size_t)step.user * m->width, *i = m->items + (size_t)step.liked * m->width,
          *j = m->items + (size_t)step.other * m->width;
    float rate = (float)o->learning_rate, keep = 1 - rate * (float)o->regularization;
    float x = margin(u, i, j, m->width) + m->bias[step.liked] - m->bias[step.other];
    float pull = rate / (1 + expf(x));
    move(u, i, j, m->width, pull, keep);
    m->bias[step.liked] = keep * m->bias[step.liked] + pull;
    m->bias[step.other] = keep * m->bias[step.other] - pull;
}

/* Draws the next block, or takes this one with a model: nothing that these write is read by another. */
static void draw_or_take(void *context, size_t index, int worker) {
    (void)worker;
    fitting *t = context;
    if (index == 0) draw_block(&t->stream);
    else {
        for (size_t s = 0; s < t->n_steps; s++) take(&t->models[index - 1], t->steps[s]);
    }
}

/* Uniform in ±1/(2·factors). Rows that no step reaches, of users or items without training rows, stay zero: an unknown user
 * is ranked by the items' biases. */
static void draw_table(float *table, size_t row, size_t factors, size_t width, cllm__rng rng) {
    for (size_t d = 0; d < factors; d++)
        table[row * width + d] = (float)((cllm__rng_uniform(&rng) - 0.5) / (double)factors);
}

static cllm_status begin_stream(stream *s, cllm_error *err) {
    const cllm__interactions *train = s->train;
    CLLM_TRY(CLLM_NEW(s->owners, train->count, err));
    CLLM_TRY(CLLM_NEW(s->sorted, train->count, err));
    CLLM_TRY(CLLM_NEW(s->steps, BLOCK, err));
    for (size_t u = 0; u < train->n_users; u++) {
        size_t n = cllm__row_count(train, u);
        int32_t *sorted = s->sorted + train->start[u];
        for (size_t r = 0; r < n; r++) {
            s->owners[train->start[u] + r] = (int32_t)u;
            sorted[r] = cllm__row(train, u)[r];
        }
        if (n > 0) qsort(sorted, n, sizeof *sorted, compare);
    }
    return CLLM_OK;
}

static cllm_status begin_model(model *m, const cllm__interactions *train, cllm_error *err) {
    const cllm__bpr_options *o = m->options;
    CLLM_TRY(CLLM_NEW(m->users, train->n_users * m->width, err));
    CLLM_TRY(CLLM_NEW(m->items, train->n_items * m->width, err));
    CLLM_TRY(CLLM_NEW(m->bias, train->n_items, err));
    for (size_t u = 0; u < train->n_users; u++) {
        if (cllm__row_count(train, u) == 0) continue;
        draw_table(m->users, u, o->factors, m->width, cllm__rng_make(o->seed, CLLM_RNG_BASELINE, 1, u));
    }
    for (size_t r = 0; r < train->count; r++) {
        size_t item = (size_t)train->items[r];
        draw_table(m->items, item, o->factors, m->width, cllm__rng_make(o->seed, CLLM_RNG_BASELINE, 2, item));
    }
    return CLLM_OK;
}

static cllm_status fit(fitting *t, cllm__pool *pool, const cllm_host *host, cllm_error *err) {
    stream *s = &t->stream;
    CLLM_TRY(begin_stream(s, err));
    CLLM_TRY(CLLM_NEW(t->steps, BLOCK, err));
    for (size_t m = 0; m < t->count; m++) CLLM_TRY(begin_model(&t->models[m], s->train, err));
    cllm__meter meter = cllm__meter_begin(host, "bpr", "epochs", (double)s->epochs);
    for (draw_block(s); s->count > 0;) {
        CLLM_TRY(cllm__check_cancelled(host, err));
        triple *drawn = s->steps;
        double done = (double)s->epoch + (s->row > 0 ? (double)s->row / (double)s->train->count : 0);
        s->steps = t->steps;
        t->steps = drawn;
        t->n_steps = s->count;
        cllm__pool_run(pool, 1 + t->count, draw_or_take, t);
        cllm__meter_update(&meter, done, NULL);
    }
    cllm__meter_end(&meter, (double)s->epochs, NULL);
    for (size_t m = 0; m < t->count; m++) {
        for (size_t v = 0; v < s->train->n_users * t->models[m].width; v++) {
            if (!isfinite(t->models[m].users[v]))
                return cllm__fail(err, CLLM_ERR_DATA, "bpr diverges with a learning rate of %g: give a smaller one",
                                  t->models[m].options->learning_rate);
        }
    }
    return CLLM_OK;
}

static cllm_status check(const cllm__bpr_options *o, const cllm__bpr_options *first, cllm_error *err) {
    if (o->factors == 0 || o->factors > MOST_FACTORS)
        return cllm__fail(err, CLLM_ERR_USAGE, "bpr: %zu factors: give 1 to %d", o->factors, MOST_FACTORS);
    if (!(o->learning_rate > 0 && o->learning_rate <= 10))
        return cllm__fail(err, CLLM_ERR_USAGE, "bpr: a learning rate of %g: give more than 0, at most 10", o->learning_rate);
    if (!(o->regularization >= 0 && o->regularization <= 10))
        return cllm__fail(err, CLLM_ERR_USAGE, "bpr: a regularization of %g: give 0 to 10", o->regularization);
    if (o->epochs != first->epochs || o->seed != first->seed || o->popular_negatives != first->popular_negatives)
        return cllm__fail(err, CLLM_ERR_USAGE, "bpr: models side by side need the same epochs, seed and negatives");
    return CLLM_OK;
}

static cllm_status finish(cllm__baseline *out, model *m, size_t n_items, cllm__pool *pool, cllm_error *err) {
    const cllm__bpr_options *o = m->options;
    float *users = m->users;
    m->users = NULL;
    CLLM_TRY(cllm__factors_create(out, "bpr", users, m->items, m->bias, n_items, m->width, pool, err));
    snprintf(out->parameters, sizeof out->parameters,
             "factors=%zu,learning_rate=%g,regularization=%g,epochs=%zu,%s negatives", o->factors, o->learning_rate,
             o->regularization, o->epochs, o->popular_negatives ? "popular" : "uniform");
    return CLLM_OK;
}

cllm_status cllm__bpr_create_several(cllm__baseline *out, size_t count, const cllm__interactions *train,
                                     const cllm__bpr_options *options, cllm__pool *pool, const cllm_host *host,
                                     cllm_error *err) {
    for (size_t m = 0; m < count; m++) CLLM_TRY(check(&options[m], &options[0], err));
    fitting t = {.stream = {.train = train, .epochs = options->epochs, .seed = options->seed,
                            .popular_negatives = options->popular_negatives}};
    size_t made = 0;
    cllm_status status;
    CLLM_TRY_CLEAN(CLLM_NEW(t.models, count, err));
    for (; t.count < count; t.count++) {
        const cllm__bpr_options *o = &options[t.count];
        t.models[t.count] = (model){.options = o, .width = (o->factors + GROUP - 1) / GROUP * GROUP};
    }
    CLLM_TRY_CLEAN(fit(&t, pool, host, err));
    for (; made < count; made++) CLLM_TRY_CLEAN(finish(&out[made], &t.models[made], train->n_items, pool, err));
cleanup:
    while (status != CLLM_OK && made > 0) cllm__baseline_free(&out[--made]);
    for (size_t m = 0; m < t.count; m++) {
        cllm__free(t.models[m].users);
        cllm__free(t.models[m].items);
        cllm__free(t.models[m].bias);
    }
    cllm__free(t.models);
    cllm__free(t.steps);
    cllm__free(t.stream.steps);
    cllm__free(t.stream.owners);
    cllm__free(t.stream.sorted);
    return status;
}

cllm_status cllm__bpr_create(cllm__baseline *out, const cllm__interactions *train, const cllm__bpr_options *options,
                             cllm__pool *pool, const cllm_host *host, cllm_error *err) {
    return cllm__bpr_create_several(out, 1, train, options, pool, host, err);
}
