#include "api/pass_bench.h"

#include "base/alloc.h"
#include "base/host.h"
#include "base/rng.h"
#include "model/engine.h"

enum {
    SEQUENCES = CLLM__PASS_SEQUENCES,
    LENGTH = CLLM__PASS_LENGTH,
    ROWS = SEQUENCES * LENGTH,
    GROUP = CLLM__GROUP_ROWS / LENGTH
};

typedef struct bench {
    const cllm__backbone *backbone;
    const cllm__backbone_info *info;
    cllm__pass *pass;
    bool backward;
    double flops;
    cllm__real *x, *h, *dx; /* [ROWS × width]; h is the gradient too */
    size_t start[SEQUENCES + 1], rows[ROWS];
} bench;

static cllm_status run(void *context, double *seconds, cllm_error *err) {
    bench *b = context;
    size_t width = b->info->width;
    double began = cllm__now();
    for (size_t first = 0; first < SEQUENCES; first += GROUP) {
        size_t n = SEQUENCES - first < GROUP ? SEQUENCES - first : GROUP, at = first * LENGTH * width;
        cllm__forward_options options = {.keep = b->backward};
        CLLM_TRY(cllm__pass_forward(b->pass, (cllm__ragged){n, b->start}, b->x + at, b->rows, n * LENGTH, options,
                                    b->h + at, err));
        if (b->backward) CLLM_TRY(cllm__pass_backward(b->pass, b->h + at, b->dx + at, err));
    }
    *seconds = cllm__now() - began;
    return CLLM_OK;
}

static double floor_of(const void *context, const cllm__bench_peaks *peaks) {
    return ((const bench *)context)->flops / peaks->flops;
}

/* Backward to the inputs: the weights once more, attention twice more. */
static double count_flops(const bench *b) {
    double once = cllm__backbone_flops(b->info, (cllm__ragged){SEQUENCES, b->start}, ROWS);
    double pairs = SEQUENCES * (LENGTH * (LENGTH + 1) / 2.0);
    double attention = 4 * (double)(b->info->layers * b->info->heads * b->info->head_width) * pairs;
    return b->backward ? 2 * once + attention : once;
}

static cllm_status set_up(bench *b, cllm__pool *pool, cllm_error *err) {
    size_t width = b->info->width;
    if (b->info->context < LENGTH)
        return cllm__fail(err, CLLM_ERR_MISMATCH,
                          "the benchmark's sequences have %d tokens, and the backbone's context is %zu", LENGTH,
                          b->info->context);
    CLLM_TRY(cllm__pass_create(&b->pass, b->backbone, pool, err));
    CLLM_TRY(CLLM_NEW(b->x, ROWS * width, err));
    CLLM_TRY(CLLM_NEW(b->h, ROWS * width, err));
    if (b->backward) CLLM_TRY(CLLM_NEW(b->dx, ROWS * width, err));
    cllm__rng rng = cllm__rng_make(1, CLLM_RNG_TEST, 0, 0);
    for (size_t i = 0; i < ROWS * width; i++) b->x[i] = (cllm__real)(0.1 * cllm__rng_normal(&rng));
    for (size_t s = 0; s <= SEQUENCES; s++) b->start[s] = s * LENGTH;
    for (size_t t = 0; t < ROWS; t++) b->rows[t] = t;
    b->flops = count_flops(b);
    return CLLM_OK;
}

cllm_status cllm__bench_pass(cllm__pass_time *out, const cllm__backbone *backbone, bool backward, cllm__pool *pool,
                             const cllm__bench_peaks *peaks, int repeats, const cllm_host *host, cllm_error *err) {
    bench *b;
    CLLM_TRY(CLLM_NEW(b, 1, err));
    b->backbone = backbone;
    b->info = cllm__backbone_info_of(backbone);
    b->backward = backward;
    cllm__timing timing = {
        .context = b, .run = run, .floor = floor_of, .dtype = b->info->dtype, .peaks = peaks, .pool = pool, .host = host};
    cllm__pass_time time = {.tokens = ROWS, .sequences = SEQUENCES};
    cllm_status status = set_up(b, pool, err);
    if (status == CLLM_OK) status = cllm__bench_time(&time.timed, &timing, repeats, err);
    time.flops = b->flops;
    if (status == CLLM_OK) *out = time;
    cllm__pass_free(b->pass);
    cllm__free(b->x);
    cllm__free(b->h);
    cllm__free(b->dx);
    cllm__free(b);
    return status;
}
