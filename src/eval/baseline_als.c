#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/host.h"
#include "base/rng.h"
#include "eval/blas.h"
#include "eval/columns.h"
#include "eval/factors.h"

/* Rows that one task solves, and into how many sums the product FᵀF is cut: fixed, so that bits don't depend on threads. */
enum { BLOCK = 64, SUMS = 16 };

/* Rows to solve: who has what of the other side. */
typedef struct side {
    size_t rows;
    const uint64_t *start;
    const int32_t *others;
    double *factors; /* [rows × f] */
} side;

typedef struct fitting {
    size_t f;
    double regularization, alpha;
    side users, items;
    cllm__columns columns;
    double *sums;     /* [SUMS × f × f] */
    double *cholesky; /* [f × f] lower L, L·Lᵀ = FᵀF + λI */
    double *whitened; /* [max(users, items) × f] rows Z = F·L⁻ᵀ */
    double *scratch;  /* by worker: [2·f·f + 2·f] */
    const side *from; /* of this half step: the fixed side F */
    side *to;
} fitting;

static void add_products(void *context, size_t index, int worker) {
    (void)worker;
    fitting *t = context;
    size_t f = t->f, rows = t->from->rows, first = rows * index / SUMS, last = rows * (index + 1) / SUMS;
    double *sum = t->sums + index * f * f;
    if (first == last) memset(sum, 0, f * f * sizeof *sum);
    else {
        cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, (int)f, (int)(last - first), 1, t->from->factors + first * f,
                    (int)f, 0, sum, (int)f);
    }
}

static void whiten_block(void *context, size_t index, int worker) {
    (void)worker;
    fitting *t = context;
    size_t f = t->f, first = index * BLOCK, rows = t->from->rows - first < BLOCK ? t->from->rows - first : BLOCK;
    double *z = t->whitened + first * f;
    memcpy(z, t->from->factors + first * f, rows * f * sizeof *z);
    cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, (int)rows, (int)f, 1, t->cholesky, (int)f,
                z, (int)f);
}

/* S ← (S + I)⁻¹ applied to `vector`; S [n × n] lower, positive semidefinite, so that this cannot fail. Row-major lower is
 * what LAPACK, which counts by column, calls upper. */
static void solve(double *s, size_t n, size_t ld, double *vector) {
    for (size_t i = 0; i < n; i++) s[i * ld + i] += 1;
    lapack_int info = LAPACKE_dposv_work(LAPACK_COL_MAJOR, 'U', (lapack_int)n, 1, s, (lapack_int)ld, vector, (lapack_int)n);
    CLLM_ASSERT(info == 0);
    (void)info;
}

/* One row of Hu, Koren & Volinsky's step, x = (FᵀF + λI + α·Σ y yᵀ)⁻¹·(1 + α)·Σ y over the row's vectors y. With z = L⁻¹y
 * as rows of P it is Lᵀx = (1 + α)·(I + α·PᵀP)⁻¹·Pᵀ1 = (1 + α)·Pᵀ·(I + α·PPᵀ)⁻¹·1: a system as small as the row is short.
 */
static void solve_row(const fitting *t, const int32_t *others, size_t n, double *scratch, double *x) {
    size_t f = t->f;
    double *p = scratch, *s = p + f * f, *ones = s + f * f;
    memset(x, 0, f * sizeof *x);
    if (n == 0) return;
    bool is_short = n <= f;
    for (size_t first = 0; first < n; first += f) { /* at most f vectors at once */
        size_t count = n - first < f ? n - first : f;
        for (size_t i = 0; i < count; i++) {
            const double *z = t->whitened + (size_t)others[first + i] * f;
            memcpy(p + i * f, z, f * sizeof *p);
            ones[i] = 1;
            for (size_t d = 0; !is_short && d < f; d++) x[d] += z[d];
        }
        if (is_short) {
            cblas_dsyrk(CblasRowMajor, CblasLower, CblasNoTrans, (int)n, (int)f, t->alpha, p, (int)f, 0, s, (int)f);
        } else {
            cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, (int)f, (int)count, t->alpha, p, (int)f, first == 0 ? 0 : 1,
                        s, (int)f);
        }
    }
    if (is_short) {
        solve(s, n, f, ones);
        for (size_t i = 0; i < n; i++) {
            for (size_t d = 0; d < f; d++) x[d] += ones[i] * p[i * f + d];
        }
    } else {
        solve(s, f, f, x);
    }
    for (size_t d = 0; d < f; d++) x[d] *= 1 + t->alpha;
}

static void solve_block(void *context, size_t index, int worker) {
    fitting *t = context;
    size_t f = t->f, first = index * BLOCK, rows = t->to->rows - first < BLOCK ? t->to->rows - first : BLOCK;
    double *scratch = t->scratch + (size_t)worker * (2 * f * f + 2 * f), *x = t->to->factors + first * f;
    for (size_t r = 0; r < rows; r++) {
        const uint64_t *start = t->to->start + first + r;
        solve_row(t, t->to->others + start[0], (size_t)(start[1] - start[0]), scratch, x + r * f);
    }
    cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasNoTrans, CblasNonUnit, (int)rows, (int)f, 1, t->cholesky,
                (int)f, x, (int)f);
}

/* Half an iteration: the rows of `to` given those of `from`. */
static cllm_status half_step(fitting *t, const side *from, side *to, cllm__pool *pool, const cllm_host *host,
                             cllm_error *err) {
    CLLM_TRY(cllm__check_cancelled(host, err));
    size_t f = t->f;
    t->from = from;
    t->to = to;
    cllm__pool_run(pool, SUMS, add_products, t);
    for (size_t e = 0; e < f * f; e++) {
        double sum = 0;
        for (size_t s = 0; s < SUMS; s++) sum += t->sums[s * f * f + e];
        t->cholesky[e] = sum + (e / f == e % f ? t->regularization : 0);
    }
    if (LAPACKE_dpotrf(LAPACK_COL_MAJOR, 'U', (lapack_int)f, t->cholesky, (lapack_int)f) != 0) {
        return cllm__fail(err, CLLM_ERR_DATA,
                          "als: the factors' products are not positive definite: a larger regularization than "
                          "%g helps",
                          t->regularization);
    }
    cllm__pool_run(pool, (from->rows + BLOCK - 1) / BLOCK, whiten_block, t);
    cllm__pool_run(pool, (to->rows + BLOCK - 1) / BLOCK, solve_block, t);
    return CLLM_OK;
}

static cllm_status fit(fitting *t, const cllm__interactions *train, const cllm__als_options *o, cllm__pool *pool,
                       const cllm_host *host, cllm_error *err) {
    size_t f = t->f, most = train->n_users > train->n_items ? train->n_users : train->n_items;
    CLLM_TRY(cllm__columns_create(&t->columns, train, err));
    t->users = (side){.rows = train->n_users, .start = train->start, .others = train->items};
    t->items = (side){.rows = train->n_items, .start = t->columns.start, .others = t->columns.users};
    CLLM_TRY(CLLM_NEW(t->users.factors, train->n_users * f, err));
    CLLM_TRY(CLLM_NEW(t->items.factors, train->n_items * f, err));
    CLLM_TRY(CLLM_NEW(t->sums, SUMS * f * f, err));
    CLLM_TRY(CLLM_NEW(t->cholesky, f * f, err));
    CLLM_TRY(CLLM_NEW(t->whitened, most * f, err));
    CLLM_TRY(CLLM_NEW(t->scratch, (size_t)cllm__pool_threads(pool) * (2 * f * f + 2 * f), err));
    for (size_t i = 0; i < train->n_items; i++) {
        cllm__rng rng = cllm__rng_make(o->seed, CLLM_RNG_BASELINE, 0, i);
        for (size_t d = 0; d < f; d++) {
            t->items.factors[i * f + d] = o->initial != NULL ? o->initial[i * f + d] : 0.01 * cllm__rng_normal(&rng);
        }
    }
    cllm__meter meter = cllm__meter_begin(host, "als", "iterations", (double)o->iterations);
    for (size_t i = 0; i < o->iterations; i++) {
        CLLM_TRY(half_step(t, &t->items, &t->users, pool, host, err));
        CLLM_TRY(half_step(t, &t->users, &t->items, pool, host, err));
        cllm__meter_update(&meter, (double)(i + 1), NULL);
    }
    CLLM_TRY(half_step(t, &t->items, &t->users, pool, host, err));
    cllm__meter_end(&meter, (double)o->iterations, NULL);
    return CLLM_OK;
}

static float *to_floats(const double *values, size_t count) {
    float *floats = cllm__alloc(count, sizeof *floats);
    for (size_t i = 0; floats != NULL && i < count; i++) floats[i] = (float)values[i];
    return floats;
}

/* The scorer of what was fitted. */
static cllm_status finish(cllm__baseline *out, const fitting *t, cllm__pool *pool, cllm_error *err) {
    float *users = to_floats(t->users.factors, t->users.rows * t->f),
          *items = to_floats(t->items.factors, t->items.rows * t->f);
    cllm_status status;
    if (users == NULL || items == NULL) {
        cllm__free(users);
        status = cllm__fail_nomem(err);
    } else {
        status = cllm__factors_create(out, "als", users, items, NULL, t->items.rows, t->f, pool, err);
    }
    cllm__free(items);
    return status;
}

/* What histories of anybody need: after the last half step the items' vectors stand there whitened. */
static cllm_status finish_fold_in(cllm__fold_in *out, const fitting *t, cllm_error *err) {
    size_t n = t->items.rows, f = t->f;
    CLLM_TRY(CLLM_NEW(out->columns, n * f + 1, err));
    out->n_items = n;
    out->factors = f;
    out->alpha = t->alpha;
    for (size_t i = 0; i < n; i++) {
        for (size_t d = 0; d < f; d++) out->columns[d * n + i] = (float)t->whitened[i * f + d];
    }
    return CLLM_OK;
}

static cllm_status check_options(const cllm__als_options *options, cllm_error *err) {
    if (options->factors == 0 || options->factors > CLLM__MOST_FACTORS)
        return cllm__fail(err, CLLM_ERR_USAGE, "als: %zu factors: give 1 to %d", options->factors, CLLM__MOST_FACTORS);
    if (!(options->regularization > 0 && options->regularization < INFINITY))
        return cllm__fail(err, CLLM_ERR_USAGE, "als: a regularization of %g: give more than 0", options->regularization);
    if (!(options->alpha >= 0 && options->alpha < INFINITY))
        return cllm__fail(err, CLLM_ERR_USAGE, "als: an alpha of %g: give 0 or more", options->alpha);
    return CLLM_OK;
}

/* Exactly one of `scorer` and `fold_in` is made. */
static cllm_status create(cllm__baseline *scorer, cllm__fold_in *fold_in, const cllm__interactions *train,
                          const cllm__als_options *options, cllm__pool *pool, const cllm_host *host, cllm_error *err) {
    CLLM_TRY(check_options(options, err));
    fitting t = {.f = options->factors, .regularization = options->regularization, .alpha = options->alpha};
    int threads = cllm__blas_begin();
    cllm_status status = fit(&t, train, options, pool, host, err);
    cllm__blas_end(threads);
    if (status == CLLM_OK) status = scorer != NULL ? finish(scorer, &t, pool, err) : finish_fold_in(fold_in, &t, err);
    cllm__columns_free(&t.columns);
    cllm__free(t.users.factors);
    cllm__free(t.items.factors);
    cllm__free(t.sums);
    cllm__free(t.cholesky);
    cllm__free(t.whitened);
    cllm__free(t.scratch);
    return status;
}

cllm_status cllm__als_create(cllm__baseline *out, const cllm__interactions *train, const cllm__als_options *options,
                             cllm__pool *pool, const cllm_host *host, cllm_error *err) {
    CLLM_TRY(create(out, NULL, train, options, pool, host, err));
    snprintf(out->parameters, sizeof out->parameters, "factors=%zu,regularization=%g,alpha=%g,iterations=%zu",
             options->factors, options->regularization, options->alpha, options->iterations);
    return CLLM_OK;
}

cllm_status cllm__als_fold_in(cllm__fold_in *out, const cllm__interactions *train, const cllm__als_options *options, cllm__pool *pool,
                              const cllm_host *host, cllm_error *err) {
    return create(NULL, out, train, options, pool, host, err);
}
