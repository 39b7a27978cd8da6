/* Input gradients by central differences of fourth order, in double: f(x) = Σ w·h(x) for random w, one coordinate of x after
 * the other. */
#ifndef TEST_GRADIENT_H
#define TEST_GRADIENT_H

#include "models.h"

typedef struct gradient_case {
    const size_t *lengths, *out_rows;
    size_t sequences, n_out;
    double dropout;
} gradient_case;

static inline double projected(cllm__pass *pass, cllm__ragged ragged, const cllm__real *x, const gradient_case *c, const cllm__real *w,
                               cllm__real *h, size_t width) {
    MUST(cllm__pass_forward(pass, ragged, x, c->out_rows, c->n_out, (cllm__forward_options){false, c->dropout, 77}, h, &test_error));
    double sum = 0;
    for (size_t i = 0; i < c->n_out * width; i++) sum += w[i] * h[i];
    return sum;
}

/* max |analytic − numeric| / max(1, |numeric|), with the sign; `between` is called before the backward pass, if not NULL. */
static inline double gradient_error(const cllm__backbone *backbone, const gradient_case *c, void (*between)(bool begin)) {
    size_t start[16], C = cllm__backbone_info_of(backbone)->width, T = row_pointers(start, c->lengths, c->sequences);
    cllm__ragged ragged = {c->sequences, start};
    cllm__rng rng = cllm__rng_make(5, CLLM_RNG_TEST, 0, 1);
    cllm__real *x = random_numbers(&rng, T * C), *w = random_numbers(&rng, c->n_out * C), *h = numbers(c->n_out * C);
    cllm__real *dx = numbers(T * C);
    for (size_t i = 0; i < T * C; i++) x[i] *= 0.5, dx[i] = 1e30; /* must be overwritten */
    cllm__pass *pass;
    MUST(cllm__pass_create(&pass, backbone, NULL, &test_error));
    MUST(cllm__pass_forward(pass, ragged, x, c->out_rows, c->n_out, (cllm__forward_options){true, c->dropout, 77}, h, &test_error));
    if (between != NULL) between(true);
    MUST(cllm__pass_backward(pass, w, dx, &test_error));
    if (between != NULL) between(false);
    double worst = 0, eps = 1e-5;
    for (size_t i = 0; i < T * C; i++) {
        double at = x[i], f[5];
        for (int j = -2; j <= 2; j++) {
            x[i] = at + j * eps;
            f[j + 2] = projected(pass, ragged, x, c, w, h, C);
        }
        x[i] = at;
        double numeric = (8 * (f[3] - f[1]) - (f[4] - f[0])) / (12 * eps), error = fabs(dx[i] - numeric) / fmax(1, fabs(numeric));
        if (!(error <= worst)) worst = error;
    }
    cllm__pass_free(pass);
    void *blocks[] = {x, w, h, dx};
    for (size_t i = 0; i < CLLM_LEN(blocks); i++) cllm__free(blocks[i]);
    return worst;
}

/* Ragged batches with every row, a few, none of a sequence, a single one. */
static const size_t GRADIENT_LENGTHS[] = {5, 1, 4, 3};
static const size_t GRADIENT_ALL[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
static const size_t GRADIENT_SOME[] = {1, 3, 9, 10, 12}, GRADIENT_ONE[] = {3}, GRADIENT_LAST[] = {4, 5, 9, 12};
static const gradient_case GRADIENT_CASES[] = {
    {GRADIENT_LENGTHS, GRADIENT_ALL, 4, 13, 0},
    {GRADIENT_LENGTHS, GRADIENT_SOME, 4, 5, 0},
    {GRADIENT_LENGTHS, GRADIENT_ONE, 4, 1, 0},
    {GRADIENT_LENGTHS, GRADIENT_LAST, 4, 4, 0},
    {GRADIENT_LENGTHS, GRADIENT_SOME, 4, 5, 0.3},
    {GRADIENT_LENGTHS, GRADIENT_ALL, 4, 13, 0.1},
};

#endif
