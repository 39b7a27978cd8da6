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

/* A batch with its inputs and w, the gradient that arrives at the hidden states. */
typedef struct gradient_setup {
    const cllm__backbone *backbone;
    const gradient_case *c;
    size_t start[16], width, n; /* n = rows × width */
    cllm__pass *pass;
    cllm__real *x, *w, *h;
} gradient_setup;

static inline gradient_setup gradient_begin(const cllm__backbone *backbone, const gradient_case *c) {
    gradient_setup g = {.backbone = backbone, .c = c, .width = cllm__backbone_info_of(backbone)->width};
    g.n = row_pointers(g.start, c->lengths, c->sequences) * g.width;
    cllm__rng rng = cllm__rng_make(5, CLLM_RNG_TEST, 0, 1);
    g.x = random_numbers(&rng, g.n);
    g.w = random_numbers(&rng, c->n_out * g.width);
    g.h = numbers(c->n_out * g.width);
    for (size_t i = 0; i < g.n; i++) g.x[i] *= 0.5;
    MUST(cllm__pass_create(&g.pass, backbone, NULL, &test_error));
    return g;
}

static inline void gradient_end(gradient_setup *g) {
    cllm__pass_free(g->pass);
    cllm__free(g->x);
    cllm__free(g->w);
    cllm__free(g->h);
}

static inline double projected(gradient_setup *g, bool keep) {
    cllm__forward_options options = {.keep = keep, .dropout = g->c->dropout, .key = 77};
    cllm__ragged ragged = {g->c->sequences, g->start};
    MUST(cllm__pass_forward(g->pass, ragged, g->x, g->c->out_rows, g->c->n_out, options, g->h, &test_error));
    double sum = 0;
    for (size_t i = 0; i < g->c->n_out * g->width; i++) sum += g->w[i] * g->h[i];
    return sum;
}

static inline void numeric_gradient(gradient_setup *g, double *out) {
    double eps = 1e-5;
    for (size_t i = 0; i < g->n; i++) {
        double at = g->x[i], f[5];
        for (int j = -2; j <= 2; j++) {
            g->x[i] = at + j * eps;
            f[j + 2] = projected(g, false);
        }
        g->x[i] = at;
        out[i] = (8 * (f[3] - f[1]) - (f[4] - f[0])) / (12 * eps);
    }
}

/* max |analytic − numeric| / max(1, |numeric|), with the sign. `around` is called before and after the backward pass, if not
 * NULL. */
static inline double gradient_error(gradient_setup *g, const double *numeric, void (*around)(bool begin)) {
    cllm__real *dx = numbers(g->n);
    for (size_t i = 0; i < g->n; i++) dx[i] = 1e30; /* must be overwritten */
    projected(g, true);
    if (around != NULL) around(true);
    MUST(cllm__pass_backward(g->pass, g->w, dx, &test_error));
    if (around != NULL) around(false);
    double worst = 0;
    for (size_t i = 0; i < g->n; i++) {
        double error = fabs(dx[i] - numeric[i]) / fmax(1, fabs(numeric[i]));
        if (!(error <= worst)) worst = error;
    }
    cllm__free(dx);
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
