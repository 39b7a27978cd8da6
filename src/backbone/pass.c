/*
 * One forward and backward computation through the layers of a frozen transformer.
 *
 * Shapes: T rows of tokens, C width, A = heads · head width, Q = A + 2·kv_heads · head width, I inner width, R the rows that
 * go through a layer's second part: T, but in the last layer only the n_out rows that were asked for. Nothing but the
 * attention mixes rows, so there those few can be taken together in one dense block ("compact").
 *
 * There are no gradients of weights, so the backward pass needs of each layer only what its norms, attention and activation
 * saw: about 10·C values a row in GPT-2.
 */
#include <math.h>
#include <string.h>

#include "backbone/family.h"
#include "backbone/rotary.h"
#include "base/alloc.h"
#include "kernels/ops.h"

/* What one layer leaves for the backward pass. Without `keep` all layers share their buffers. */
typedef struct activations {
    cllm__real *in;           /* [T × C] the residual stream before the layer */
    cllm__real *mean1, *rstd1; /* [T] */
    cllm__real *qkv;          /* [T × Q] after rotation */
    cllm__real *attended;     /* [T × A] */
    cllm__real *lse;          /* [T × heads], NULL unless kept */
    cllm__real *middle;       /* [R × C] the residual stream after attention */
    cllm__real *mean2, *rstd2; /* [R] */
    cllm__real *up, *gate;    /* [R × I]; gate in SwiGLU only */
    cllm__real *activated;    /* [R × I] scratch; may be `up` */
    cllm__real *out;          /* [R × C] the residual stream after the layer: the next layer's `in` */
} activations;

struct cllm__pass {
    const cllm__backbone *backbone;
    cllm__pool *pool;
    cllm__arena arena;
    activations *layers;
    cllm__rotary rotary;

    /* The batch of the last forward pass. */
    bool kept;
    cllm__forward_options options;
    size_t depth; /* layers that are computed */
    size_t sequences, rows, n_out;
    size_t *start, *query_first, *out_rows;
    cllm__real *final, *final_mean, *final_rstd; /* [n_out × C], [n_out] before the final norm */

    cllm__real *normed;        /* [T × C] scratch */
    cllm__real *big;           /* scratch of the backward pass, see plan_backward */
    cllm__real *rows_c, *rows_c2, *rows_a; /* [n_out × C], [n_out × C], [n_out × A] scratch */
};

typedef enum site { SITE_EMBEDDING, SITE_ATTENTION, SITE_MLP } site;

/* ---- Buffers ---- */

/* The same plan measures the memory (arena = NULL) and then hands it out. */
typedef struct planner {
    cllm__arena *arena;
    size_t need;
} planner;

static void *take(planner *plan, size_t count, size_t size) {
    if (plan->arena != NULL) return cllm__arena_take(plan->arena, count, size);
    plan->need += cllm__arena_need(count, size);
    return NULL;
}

static cllm__real *take_real(planner *plan, size_t count) {
    return take(plan, count, sizeof(cllm__real));
}

static void plan_kept_layer(planner *plan, activations *l, const cllm__architecture *a, size_t T, size_t R) {
    size_t A = cllm__attention_width(a);
    bool means = a->norm == CLLM__LAYER_NORM, gated = a->activation == CLLM__SWIGLU;
    l->mean1 = means ? take_real(plan, T) : NULL;
    l->rstd1 = take_real(plan, T);
    l->qkv = take_real(plan, T * cllm__qkv_width(a));
    l->attended = take_real(plan, T * A);
    l->lse = take_real(plan, T * a->heads);
    l->middle = take_real(plan, R * a->width);
    l->mean2 = means ? take_real(plan, R) : NULL;
    l->rstd2 = take_real(plan, R);
    l->up = take_real(plan, R * a->inner);
    l->gate = gated ? take_real(plan, R * a->inner) : NULL;
    l->out = take_real(plan, R * a->width);
}

static void plan_kept(planner *plan, cllm__pass *pass, const cllm__architecture *a) {
    size_t T = pass->rows, n = pass->n_out;
    cllm__real *stream = take_real(plan, T * a->width), *activated = take_real(plan, T * a->inner);
    for (size_t i = 0; i < pass->depth; i++) {
        activations *l = &pass->layers[i];
        l->in = stream;
        l->activated = activated;
        plan_kept_layer(plan, l, a, T, i + 1 < pass->depth ? T : n);
        stream = l->out;
    }
    pass->final = stream;
    /* Gradients: of the MLP's inside, then of attention's output and q, k, v. */
    size_t mlp = a->inner * (a->activation == CLLM__SWIGLU ? 3 : 1), attention = cllm__attention_width(a) + cllm__qkv_width(a);
    pass->big = take_real(plan, T * (mlp > attention ? mlp : attention));
}

/* One residual stream, updated in place; the MLP reuses the attention's memory. */
static void plan_shared(planner *plan, cllm__pass *pass, const cllm__architecture *a) {
    size_t T = pass->rows, n = pass->n_out, Q = cllm__qkv_width(a), A = cllm__attention_width(a);
    bool means = a->norm == CLLM__LAYER_NORM, gated = a->activation == CLLM__SWIGLU;
    size_t attention = Q + A, mlp = a->inner * (gated ? 3 : 1);
    cllm__real *stream = take_real(plan, T * a->width), *big = take_real(plan, T * (attention > mlp ? attention : mlp));
    cllm__real *mean = means ? take_real(plan, T) : NULL, *rstd = take_real(plan, T);
    pass->final = take_real(plan, n * a->width);
    pass->big = NULL;
    for (size_t i = 0; i < pass->depth && plan->arena != NULL; i++) {
        bool last = i + 1 == pass->depth;
        cllm__real *tail = last ? pass->final : stream;
        pass->layers[i] = (activations){.in = stream, .mean1 = mean, .rstd1 = rstd, .qkv = big, .attended = big + T * Q,
                                        .middle = tail, .mean2 = mean, .rstd2 = rstd, .up = big, .activated = big, .out = tail};
        if (gated) {
            pass->layers[i].gate = big + T * a->inner;
            pass->layers[i].activated = big + 2 * T * a->inner;
        }
    }
}

static void plan_all(planner *plan, cllm__pass *pass) {
    const cllm__architecture *a = &pass->backbone->architecture;
    size_t T = pass->rows, n = pass->n_out;
    pass->start = take(plan, pass->sequences + 1, sizeof(size_t));
    pass->query_first = take(plan, pass->sequences, sizeof(size_t));
    pass->out_rows = take(plan, n, sizeof(size_t));
    pass->normed = take_real(plan, T * a->width);
    pass->rows_c = take_real(plan, n * a->width);
    pass->rows_c2 = take_real(plan, n * a->width);
    pass->rows_a = take_real(plan, n * cllm__attention_width(a));
    pass->final_mean = take_real(plan, n);
    pass->final_rstd = take_real(plan, n);
    if (pass->options.keep) plan_kept(plan, pass, a);
    else plan_shared(plan, pass, a);
}

static cllm_status reserve(cllm__pass *pass, cllm_error *err) {
    planner plan = {0};
    plan_all(&plan, pass);
    pass->arena.used = 0;
    /* A little more than needed, so that batches of about the same size settle at once. */
    if (plan.need > pass->arena.size) CLLM_TRY(cllm__arena_reserve(&pass->arena, plan.need + plan.need / 8, err));
    plan.arena = &pass->arena;
    plan_all(&plan, pass);
    return CLLM_OK;
}

cllm_status cllm__pass_create(cllm__pass **out, const cllm__backbone *backbone, cllm__pool *pool, cllm_error *err) {
    cllm__pass *pass;
    CLLM_TRY(CLLM_NEW(pass, 1, err));
    pass->backbone = backbone;
    pass->pool = pool;
    cllm_status status = CLLM_NEW(pass->layers, backbone->architecture.layers, err);
    if (status == CLLM_OK) *out = pass;
    else cllm__pass_free(pass);
    return status;
}

void cllm__pass_free(cllm__pass *pass) {
    if (pass == NULL) return;
    cllm__arena_free(&pass->arena);
    cllm__rotary_free(&pass->rotary);
    cllm__free(pass->layers);
    cllm__free(pass);
}

/* ---- Pieces ---- */

static cllm_status linear(cllm__pass *pass, cllm__real *y, size_t ld_y, const cllm__real *x, size_t ld_x, size_t m,
                          const cllm__linear *layer, cllm__gemm_flags flags, cllm_error *err) {
    if (m == 0) return CLLM_OK;
    return cllm__gemm_frozen(pass->pool, y, ld_y, x, ld_x, m, layer->weight, layer->bias, flags, err);
}

/* dx = dy·Wᵀ, or dx += */
static cllm_status linear_backward(cllm__pass *pass, cllm__real *dx, size_t ld_dx, const cllm__real *dy, size_t ld_dy, size_t m,
                                   const cllm__linear *layer, cllm__gemm_flags flags, cllm_error *err) {
    if (m == 0) return CLLM_OK;
    return cllm__gemm_frozen(pass->pool, dx, ld_dx, dy, ld_dy, m, layer->transposed, NULL, flags, err);
}

void cllm__norm_forward(cllm__pool *pool, const cllm__architecture *a, const cllm__norm *norm, cllm__real *y, cllm__real *mean,
                        cllm__real *rstd, const cllm__real *x, size_t rows) {
    if (rows == 0) return;
    if (a->norm == CLLM__LAYER_NORM) cllm__layernorm(pool, y, mean, rstd, x, norm->gain, norm->bias, a->norm_epsilon, rows, a->width);
    else cllm__rmsnorm(pool, y, rstd, x, norm->gain, a->norm_epsilon, rows, a->width);
}

static void norm(cllm__pass *pass, cllm__real *y, cllm__real *mean, cllm__real *rstd, const cllm__real *x, const cllm__norm *layer,
                 size_t m) {
    cllm__norm_forward(pass->pool, &pass->backbone->architecture, layer, y, mean, rstd, x, m);
}

/* dx += */
static void norm_backward(cllm__pass *pass, cllm__real *dx, const cllm__real *dy, const cllm__real *x, const cllm__real *mean,
                          const cllm__real *rstd, const cllm__norm *layer, size_t m) {
    const cllm__architecture *a = &pass->backbone->architecture;
    if (m == 0) return;
    if (a->norm == CLLM__LAYER_NORM)
        cllm__layernorm_backward(pass->pool, dx, dy, x, mean, rstd, layer->gain, m, a->width);
    else
        cllm__rmsnorm_backward(pass->pool, dx, dy, x, rstd, layer->gain, m, a->width);
}

/* dst[i] = src[rows[i]], for rows of `width` values at a distance of `ld`. */
static void gather(cllm__real *dst, const cllm__real *src, size_t ld, const size_t *rows, size_t n, size_t width) {
    for (size_t i = 0; i < n; i++) memcpy(dst + i * width, src + rows[i] * ld, width * sizeof *dst);
}

static void scatter(cllm__real *dst, size_t ld, const cllm__real *src, const size_t *rows, size_t n, size_t width) {
    for (size_t i = 0; i < n; i++) memcpy(dst + rows[i] * ld, src + i * width, width * sizeof *dst);
}

/* One task drops out one row: its mask is keyed by its number in the batch, whichever rows are computed beside it. */
typedef struct dropout_job {
    cllm__real *x;
    const size_t *rows; /* numbers of the rows in the batch; NULL: 0, 1, … */
    size_t width;
    double p;
    uint64_t key;
} dropout_job;

/* The finaliser of SplitMix64 (Steele, Lea, Flood 2014), to spread neighbouring keys. */
static uint64_t spread(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static void dropout_task(void *context, size_t index, int worker) {
    (void)worker;
    const dropout_job *job = context;
    size_t row = job->rows != NULL ? job->rows[index] : index;
    cllm__dropout(NULL, job->x + index * job->width, job->width, job->p, spread(job->key + row));
}

/* The same call masks the values and, in the backward pass, their gradient. */
static void dropout(cllm__pass *pass, cllm__real *x, const size_t *rows, size_t m, size_t layer, site where) {
    dropout_job job = {x, rows, pass->backbone->architecture.width, pass->options.dropout,
                       spread(spread(pass->options.key) ^ (4 * (uint64_t)layer + (uint64_t)where))};
    if (job.p > 0) cllm__pool_run(pass->pool, m, dropout_task, &job);
}

/* to = from + dropout(x·W + bias), for a branch of the residual stream. `from` may be `to`. */
static cllm_status branch(cllm__pass *pass, cllm__real *to, const cllm__real *from, const cllm__real *x, size_t ld_x, size_t m,
                          const cllm__linear *layer, const size_t *rows, size_t index, site where, cllm_error *err) {
    size_t C = pass->backbone->architecture.width;
    if (to != from) memcpy(to, from, m * C * sizeof *to);
    if (pass->options.dropout == 0) return linear(pass, to, C, x, ld_x, m, layer, CLLM__GEMM_ADD, err);
    CLLM_TRY(linear(pass, pass->normed, C, x, ld_x, m, layer, CLLM__GEMM_PLAIN, err));
    dropout(pass, pass->normed, rows, m, index, where);
    cllm__add(pass->pool, to, pass->normed, m * C);
    return CLLM_OK;
}

/* The gradient that arrives at the product inside branch(): dy, or a masked copy of it. */
static const cllm__real *branch_gradient(cllm__pass *pass, const cllm__real *dy, size_t m, const size_t *rows, size_t index,
                                         site where) {
    if (pass->options.dropout == 0) return dy;
    memcpy(pass->normed, dy, m * pass->backbone->architecture.width * sizeof *dy);
    dropout(pass, pass->normed, rows, m, index, where);
    return pass->normed;
}

static cllm__attention_shape attention_shape(const cllm__architecture *a, const cllm__layer *layer) {
    return (cllm__attention_shape){a->heads, a->kv_heads, a->head_width, layer->attention_scale};
}

/* ---- Forward ---- */

/* The queries of the rows that were asked for; the attention looks at others behind query_first, so they must be numbers. */
static cllm_status last_queries(cllm__pass *pass, const activations *l, const cllm__layer *layer, cllm_error *err) {
    const cllm__architecture *a = &pass->backbone->architecture;
    size_t A = cllm__attention_width(a), Q = cllm__qkv_width(a), n = pass->n_out;
    gather(pass->rows_c, pass->normed, a->width, pass->out_rows, n, a->width);
    CLLM_TRY(linear(pass, pass->rows_a, A, pass->rows_c, a->width, n, &layer->query, CLLM__GEMM_PLAIN, err));
    for (size_t t = 0; t < pass->rows; t++) memset(l->qkv + t * Q, 0, A * sizeof *l->qkv);
    scatter(l->qkv, Q, pass->rows_a, pass->out_rows, n, A);
    return CLLM_OK;
}

static cllm_status attention_forward(cllm__pass *pass, const activations *l, const cllm__layer *layer, size_t index,
                                     cllm_error *err) {
    const cllm__architecture *a = &pass->backbone->architecture;
    size_t A = cllm__attention_width(a), Q = cllm__qkv_width(a), T = pass->rows, C = a->width, n = pass->n_out;
    bool last = index + 1 == pass->depth;
    norm(pass, pass->normed, l->mean1, l->rstd1, l->in, &layer->norm1, T);
    CLLM_TRY(linear(pass, l->qkv + A, Q, pass->normed, C, T, &layer->key_value, CLLM__GEMM_PLAIN, err));
    if (last) CLLM_TRY(last_queries(pass, l, layer, err));
    else CLLM_TRY(linear(pass, l->qkv, Q, pass->normed, C, T, &layer->query, CLLM__GEMM_PLAIN, err));
    cllm__rotary_apply(&pass->rotary, pass->pool, l->qkv, a, pass->start, pass->sequences, false);
    CLLM_TRY(cllm__attention(pass->pool, l->attended, l->lse, l->qkv, attention_shape(a, layer), pass->sequences, pass->start,
                             last ? pass->query_first : NULL, err));
    if (!last)
        return branch(pass, l->middle, l->in, l->attended, A, T, &layer->projection, NULL, index, SITE_ATTENTION, err);
    gather(pass->rows_a, l->attended, A, pass->out_rows, n, A);
    gather(l->middle, l->in, C, pass->out_rows, n, C);
    return branch(pass, l->middle, l->middle, pass->rows_a, A, n, &layer->projection, pass->out_rows, index, SITE_ATTENTION, err);
}

static cllm_status mlp_forward(cllm__pass *pass, const activations *l, const cllm__layer *layer, size_t index, cllm_error *err) {
    const cllm__architecture *a = &pass->backbone->architecture;
    bool last = index + 1 == pass->depth;
    size_t R = last ? pass->n_out : pass->rows, C = a->width, I = a->inner;
    norm(pass, pass->normed, l->mean2, l->rstd2, l->middle, &layer->norm2, R);
    CLLM_TRY(linear(pass, l->up, I, pass->normed, C, R, &layer->up, CLLM__GEMM_PLAIN, err));
    if (a->activation == CLLM__SWIGLU) {
        CLLM_TRY(linear(pass, l->gate, I, pass->normed, C, R, &layer->gate, CLLM__GEMM_PLAIN, err));
        cllm__swiglu(pass->pool, l->activated, l->gate, l->up, R * I);
    } else {
        cllm__gelu(pass->pool, l->activated, l->up, R * I);
    }
    return branch(pass, l->out, l->middle, l->activated, I, R, &layer->down, last ? pass->out_rows : NULL, index, SITE_MLP, err);
}

static cllm_status check_batch(const cllm__pass *pass, cllm__ragged ragged, const size_t *out_rows, size_t n_out,
                               const cllm__forward_options *options, cllm_error *err) {
    const cllm__architecture *a = &pass->backbone->architecture;
    CLLM_ASSERT(ragged.start[0] == 0);
    for (size_t s = 0; s < ragged.sequences; s++) {
        if (ragged.start[s + 1] <= ragged.start[s])
            return cllm__fail(err, CLLM_ERR_USAGE, "sequence %zu of the batch is empty", s);
        size_t length = ragged.start[s + 1] - ragged.start[s];
        if (length > a->context)
            return cllm__fail(err, CLLM_ERR_USAGE, "sequence %zu of the batch has %zu tokens; the backbone takes at most %zu", s, length,
                              a->context);
    }
    for (size_t i = 0; i < n_out; i++)
        if (out_rows[i] >= ragged.start[ragged.sequences] || (i > 0 && out_rows[i] <= out_rows[i - 1]))
            return cllm__fail(err, CLLM_ERR_USAGE, "output row %zu (entry %zu) is not ascending and below %zu", out_rows[i], i,
                              ragged.start[ragged.sequences]);
    if (!(options->dropout >= 0 && options->dropout < 1))
        return cllm__fail(err, CLLM_ERR_USAGE, "dropout %g is not in [0, 1)", options->dropout);
    if (options->layers > a->layers)
        return cllm__fail(err, CLLM_ERR_USAGE, "layer %zu is asked for; the backbone has %zu", options->layers, a->layers);
    if (options->keep && pass->backbone->layers[0].query.transposed == NULL)
        return cllm__fail(err, CLLM_ERR_USAGE, "the backbone was not opened for training, so there is nothing to keep for");
    return CLLM_OK;
}

static void take_batch(cllm__pass *pass, cllm__ragged ragged, const size_t *out_rows) {
    memcpy(pass->start, ragged.start, (pass->sequences + 1) * sizeof *pass->start);
    if (pass->n_out > 0) memcpy(pass->out_rows, out_rows, pass->n_out * sizeof *pass->out_rows);
    size_t i = 0;
    for (size_t s = 0; s < pass->sequences; s++) {
        size_t end = pass->start[s + 1];
        pass->query_first[s] = i < pass->n_out && out_rows[i] < end ? out_rows[i] : end;
        while (i < pass->n_out && out_rows[i] < end) i++;
    }
}

/* The residual stream's beginning: input embeddings, positions where they are learned, dropout. */
static void embed(cllm__pass *pass, const cllm__real *x) {
    size_t C = pass->backbone->architecture.width;
    cllm__real *stream = pass->layers[0].in;
    memcpy(stream, x, pass->rows * C * sizeof *x);
    for (size_t s = 0; s < pass->sequences && pass->backbone->positions != NULL; s++) {
        size_t first = pass->start[s], length = pass->start[s + 1] - first;
        cllm__add(pass->pool, stream + first * C, pass->backbone->positions, length * C);
    }
    dropout(pass, stream, NULL, pass->rows, 0, SITE_EMBEDDING);
}

cllm_status cllm__layers_forward(cllm__pass *pass, const cllm__real *x, cllm__real *h, cllm_error *err) {
    const cllm__backbone *backbone = pass->backbone;
    CLLM_TRY(cllm__rotary_prepare(&pass->rotary, &backbone->architecture, pass->start, pass->sequences, err));
    if (pass->n_out == 0) return CLLM_OK;
    embed(pass, x);
    for (size_t i = 0; i < pass->depth; i++) {
        CLLM_TRY(attention_forward(pass, &pass->layers[i], &backbone->layers[i], i, err));
        CLLM_TRY(mlp_forward(pass, &pass->layers[i], &backbone->layers[i], i, err));
    }
    norm(pass, h, pass->final_mean, pass->final_rstd, pass->final, &backbone->final_norm, pass->n_out);
    return CLLM_OK;
}

cllm_status cllm__pass_forward(cllm__pass *pass, cllm__ragged ragged, const cllm__real *x, const size_t *out_rows, size_t n_out,
                               cllm__forward_options options, cllm__real *h, cllm_error *err) {
    const cllm__backbone *backbone = pass->backbone;
    CLLM_TRY(cllm__backbone_can_compute(backbone, err));
    CLLM_TRY(check_batch(pass, ragged, out_rows, n_out, &options, err));
    pass->kept = false;
    pass->options = options;
    pass->depth = options.layers > 0 ? options.layers : backbone->architecture.layers;
    pass->sequences = ragged.sequences;
    pass->rows = ragged.start[ragged.sequences];
    pass->n_out = n_out;
    CLLM_TRY(reserve(pass, err));
    take_batch(pass, ragged, out_rows);
    CLLM_TRY(backbone->family->forward(pass, x, h, err));
    pass->kept = options.keep;
    return CLLM_OK;
}

/* ---- Backward ---- */

/* d [R × C] is the gradient at the layer's output and becomes that at its middle. */
static cllm_status mlp_backward(cllm__pass *pass, const activations *l, const cllm__layer *layer, size_t index, cllm__real *d,
                                cllm_error *err) {
    const cllm__architecture *a = &pass->backbone->architecture;
    bool last = index + 1 == pass->depth;
    size_t R = last ? pass->n_out : pass->rows, C = a->width, I = a->inner;
    const cllm__real *dy = branch_gradient(pass, d, R, last ? pass->out_rows : NULL, index, SITE_MLP);
    cllm__real *dup = pass->big;
    CLLM_TRY(linear_backward(pass, dup, I, dy, C, R, &layer->down, CLLM__GEMM_PLAIN, err));
    if (a->activation == CLLM__SWIGLU) {
        cllm__real *dactivated = dup, *dgate = dup + R * I;
        dup = dgate + R * I;
        cllm__swiglu_backward(pass->pool, dgate, dup, dactivated, l->gate, l->up, R * I);
        CLLM_TRY(linear_backward(pass, pass->normed, C, dgate, I, R, &layer->gate, CLLM__GEMM_PLAIN, err));
        CLLM_TRY(linear_backward(pass, pass->normed, C, dup, I, R, &layer->up, CLLM__GEMM_ADD, err));
    } else {
        cllm__gelu_backward(pass->pool, dup, l->up, R * I);
        CLLM_TRY(linear_backward(pass, pass->normed, C, dup, I, R, &layer->up, CLLM__GEMM_PLAIN, err));
    }
    norm_backward(pass, d, pass->normed, l->middle, l->mean2, l->rstd2, &layer->norm2, R);
    return CLLM_OK;
}

/* d [R × C] is the gradient at the layer's middle; dx [T × C] becomes that at its input. They are one buffer except in the
 * last layer. */
static cllm_status attention_backward(cllm__pass *pass, const activations *l, const cllm__layer *layer, size_t index,
                                      const cllm__real *d, cllm__real *dx, cllm_error *err) {
    const cllm__architecture *a = &pass->backbone->architecture;
    bool last = index + 1 == pass->depth;
    size_t A = cllm__attention_width(a), Q = cllm__qkv_width(a), T = pass->rows, C = a->width, n = pass->n_out;
    cllm__real *dattended = pass->big, *dqkv = dattended + T * A;
    if (last) {
        const cllm__real *dy = branch_gradient(pass, d, n, pass->out_rows, index, SITE_ATTENTION);
        CLLM_TRY(linear_backward(pass, pass->rows_a, A, dy, C, n, &layer->projection, CLLM__GEMM_PLAIN, err));
        memset(dattended, 0, T * A * sizeof *dattended);
        scatter(dattended, A, pass->rows_a, pass->out_rows, n, A);
    } else {
        const cllm__real *dy = branch_gradient(pass, d, T, NULL, index, SITE_ATTENTION);
        CLLM_TRY(linear_backward(pass, dattended, A, dy, C, T, &layer->projection, CLLM__GEMM_PLAIN, err));
    }
    CLLM_TRY(cllm__attention_backward(pass->pool, dqkv, dattended, l->attended, l->lse, l->qkv, attention_shape(a, layer),
                                      pass->sequences, pass->start, last ? pass->query_first : NULL, err));
    cllm__rotary_apply(&pass->rotary, pass->pool, dqkv, a, pass->start, pass->sequences, true);
    CLLM_TRY(linear_backward(pass, pass->normed, C, dqkv + A, Q, T, &layer->key_value, CLLM__GEMM_PLAIN, err));
    if (last) {
        gather(pass->rows_a, dqkv, Q, pass->out_rows, n, A);
        CLLM_TRY(linear_backward(pass, pass->rows_c2, C, pass->rows_a, A, n, &layer->query, CLLM__GEMM_PLAIN, err));
        for (size_t i = 0; i < n; i++) cllm__axpy(pass->normed + pass->out_rows[i] * C, 1, pass->rows_c2 + i * C, C);
        memset(dx, 0, T * C * sizeof *dx);
        scatter(dx, C, d, pass->out_rows, n, C);
    } else {
        CLLM_TRY(linear_backward(pass, pass->normed, C, dqkv, Q, T, &layer->query, CLLM__GEMM_ADD, err));
    }
    norm_backward(pass, dx, pass->normed, l->in, l->mean1, l->rstd1, &layer->norm1, T);
    return CLLM_OK;
}

cllm_status cllm__layers_backward(cllm__pass *pass, const cllm__real *dh, cllm__real *dx, cllm_error *err) {
    const cllm__backbone *backbone = pass->backbone;
    cllm__real *d = pass->rows_c; /* of the last layer's few rows; dx itself from there on */
    memset(d, 0, pass->n_out * backbone->architecture.width * sizeof *d);
    norm_backward(pass, d, dh, pass->final, pass->final_mean, pass->final_rstd, &backbone->final_norm, pass->n_out);
    for (size_t i = pass->depth; i-- > 0; d = dx) {
        CLLM_TRY(mlp_backward(pass, &pass->layers[i], &backbone->layers[i], i, d, err));
        CLLM_TRY(attention_backward(pass, &pass->layers[i], &backbone->layers[i], i, d, dx, err));
    }
    dropout(pass, dx, NULL, pass->rows, 0, SITE_EMBEDDING);
    return CLLM_OK;
}

cllm_status cllm__pass_backward(cllm__pass *pass, const cllm__real *dh, cllm__real *dx, cllm_error *err) {
    const cllm__backbone *backbone = pass->backbone;
    if (!pass->kept) return cllm__fail(err, CLLM_ERR_USAGE, "a backward pass needs a forward pass with `keep` before it");
    if (pass->n_out > 0) return backbone->family->backward(pass, dh, dx, err);
    memset(dx, 0, pass->rows * backbone->architecture.width * sizeof *dx);
    return CLLM_OK;
}
