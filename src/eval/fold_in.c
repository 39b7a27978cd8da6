#include "eval/fold_in.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "formats/safetensors.h"

void cllm__fold_in_free(cllm__fold_in *model) {
    cllm__free(model->columns);
    *model = (cllm__fold_in){0};
}

/* ---- Files ---- */

cllm_status cllm__fold_in_save(const cllm__fold_in *model, const char *path, cllm_error *err) {
    const cllm__tensor tensors[] = {
        {.name = "alpha", .dtype = CLLM_ST_F64, .rank = 1, .shape = {1}, .data = &model->alpha, .bytes = sizeof model->alpha},
        {.name = "columns", .dtype = CLLM_ST_F32, .rank = 2, .shape = {model->factors, model->n_items}, .data = model->columns,
         .bytes = model->factors * model->n_items * sizeof *model->columns},
    };
    const char *metadata[] = {"format", "cllm4rec factors 1"};
    return cllm__safetensors_write(path, tensors, CLLM_LEN(tensors), metadata, 1, err);
}

static cllm_status check(const cllm__fold_in *model, const char *path, cllm_error *err) {
    bool sound = model->factors > 0 && model->factors <= CLLM__MOST_FACTORS && model->alpha >= 0 && model->alpha < INFINITY;
    for (size_t e = 0; sound && e < model->factors * model->n_items; e++) sound = isfinite(model->columns[e]);
    return sound ? CLLM_OK : cllm__fail(err, CLLM_ERR_DATA, "'%s' is damaged: train the run anew", path);
}

cllm_status cllm__fold_in_load(cllm__fold_in *model, const char *path, cllm_error *err) {
    cllm__safetensors *file;
    CLLM_TRY(cllm__safetensors_open(&file, path, err));
    cllm_status status;
    const uint64_t one[] = {1}, any[] = {UINT64_MAX, UINT64_MAX};
    const cllm__tensor *alpha, *columns;
    CLLM_TRY_CLEAN(cllm__safetensors_require(file, "alpha", CLLM_ST_F64, 1, one, &alpha, err));
    CLLM_TRY_CLEAN(cllm__safetensors_require(file, "columns", CLLM_ST_F32, 2, any, &columns, err));
    model->factors = (size_t)columns->shape[0];
    model->n_items = (size_t)columns->shape[1];
    memcpy(&model->alpha, alpha->data, sizeof model->alpha);
    CLLM_TRY_CLEAN(CLLM_NEW(model->columns, model->factors * model->n_items, err));
    if (columns->bytes > 0) memcpy(model->columns, columns->data, columns->bytes);
    status = check(model, path, err);
cleanup:
    cllm__safetensors_close(file);
    return status;
}

/* ---- Scoring ---- */

size_t cllm__fold_in_scratch(const cllm__fold_in *model, size_t longest) {
    size_t system = longest < model->factors ? longest : model->factors;
    return model->factors + system * system + longest + longest * model->factors;
}

/* vector ← (I + S)⁻¹·vector by Cholesky's L·Lᵀ; S [n × n], of which the lower half is read and overwritten, is positive semidefinite, so
 * that this cannot fail. Systems are small and many threads ask: a BLAS with threads of its own would be in the way. */
static void solve(double *s, size_t n, double *vector) {
    for (size_t j = 0; j < n; j++) {
        double *row = s + j * n;
        for (size_t k = 0; k < j; k++) {
            double sum = row[k];
            for (size_t d = 0; d < k; d++) sum -= row[d] * s[k * n + d];
            row[k] = sum / s[k * n + k];
        }
        double square = 1 + row[j], value = vector[j];
        for (size_t d = 0; d < j; d++) {
            square -= row[d] * row[d];
            value -= row[d] * vector[d];
        }
        row[j] = sqrt(square);
        vector[j] = value / row[j];
    }
    for (size_t j = n; j-- > 0;) {
        vector[j] /= s[j * n + j];
        for (size_t d = 0; d < j; d++) vector[d] -= s[j * n + d] * vector[j];
    }
}

static double dot(const double *a, const double *b, size_t n) {
    double sum = 0;
    for (size_t d = 0; d < n; d++) sum += a[d] * b[d];
    return sum;
}

/* w [factors] = (1 + α)·Pᵀ·(I + α·P·Pᵀ)⁻¹·1; s [count × count]. */
static void fold_short(const cllm__fold_in *m, const double *p, size_t count, double *w, double *s, double *ones) {
    size_t f = m->factors;
    for (size_t a = 0; a < count; a++) {
        ones[a] = 1;
        for (size_t b = 0; b <= a; b++) s[a * count + b] = m->alpha * dot(p + a * f, p + b * f, f);
    }
    solve(s, count, ones);
    for (size_t h = 0; h < count; h++) {
        for (size_t d = 0; d < f; d++) w[d] += (1 + m->alpha) * ones[h] * p[h * f + d];
    }
}

/* The same as (1 + α)·(I + α·PᵀP)⁻¹·Pᵀ·1; s [factors × factors]. */
static void fold_long(const cllm__fold_in *m, const double *p, size_t count, double *w, double *s) {
    size_t f = m->factors;
    memset(s, 0, f * f * sizeof *s);
    for (size_t h = 0; h < count; h++) {
        const double *z = p + h * f;
        for (size_t a = 0; a < f; a++) {
            w[a] += (1 + m->alpha) * z[a];
            for (size_t b = 0; b <= a; b++) s[a * f + b] += m->alpha * z[a] * z[b];
        }
    }
    solve(s, f, w);
}

void cllm__fold_in_score(const cllm__fold_in *m, const int32_t *items, size_t count, double *scratch, float *scores) {
    memset(scores, 0, m->n_items * sizeof *scores);
    if (count == 0) return;
    size_t system = count < m->factors ? count : m->factors;
    double *w = scratch, *s = w + m->factors, *ones = s + system * system, *p = ones + count;
    for (size_t h = 0; h < count; h++) {
        for (size_t d = 0; d < m->factors; d++) p[h * m->factors + d] = (double)m->columns[d * m->n_items + (size_t)items[h]];
    }
    memset(w, 0, m->factors * sizeof *w);
    if (count <= m->factors) fold_short(m, p, count, w, s, ones);
    else fold_long(m, p, count, w, s);
    for (size_t d = 0; d < m->factors; d++) {
        const float *column = m->columns + d * m->n_items;
        float weight = (float)w[d];
        for (size_t i = 0; i < m->n_items; i++) scores[i] += weight * column[i];
    }
}
