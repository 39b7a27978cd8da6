/* The committed vectors of transformers' models (tools/golden) against ours, for both builds. */
#ifndef TEST_GOLDEN_H
#define TEST_GOLDEN_H

#include "models.h"

/* The GGUF files among the models, and what their names end in. */
static const char *const GGUF_MODELS[][2] = {
    {"gguf_llama", ".gguf"}, {"gguf_bias", ".gguf"}, {"gguf_qwen2", "-00001-of-00002.gguf"}, {"gguf_gpt2", ".gguf"}};

typedef struct bounds {
    double hidden, logits, gradient, cosine;
} bounds;

typedef struct golden {
    cllm__safetensors *file;
    int32_t *ids;
    double *x, *h, *logits, *dh, *dx;
    size_t *start;
    size_t sequences, rows;
} golden;

/* A copy: in the file a tensor may lie at any address. */
static inline void *golden_tensor(const golden *g, const char *name, cllm__st_dtype dtype, size_t *count) {
    const cllm__tensor *tensor = cllm__safetensors_find(g->file, name);
    if (tensor == NULL || tensor->dtype != dtype) fail_msg("golden tensor '%s'", name);
    void *copy = cllm__alloc(tensor->bytes, 1);
    memcpy(copy, tensor->data, tensor->bytes);
    if (count != NULL) *count = cllm__tensor_count(tensor);
    return copy;
}

/* The file's sequences; the rest of it is read by name. */
static inline golden golden_begin(const char *name) {
    golden g = {0};
    char path[1024];
    snprintf(path, sizeof path, TEST_DATA "/golden/%s.safetensors", name);
    MUST(cllm__safetensors_open(&g.file, path, &test_error));
    size_t count;
    int32_t *offsets = golden_tensor(&g, "offsets", CLLM_ST_I32, &count);
    g.sequences = count - 1;
    g.start = cllm__alloc(count, sizeof *g.start);
    for (size_t s = 0; s < count; s++) g.start[s] = (size_t)offsets[s];
    cllm__free(offsets);
    g.rows = g.start[g.sequences];
    g.ids = golden_tensor(&g, "ids", CLLM_ST_I32, NULL);
    return g;
}

static inline golden golden_open(const char *name) {
    golden g = golden_begin(name);
    g.x = golden_tensor(&g, "x", CLLM_ST_F64, NULL);
    g.h = golden_tensor(&g, "h", CLLM_ST_F64, NULL);
    g.logits = golden_tensor(&g, "logits", CLLM_ST_F64, NULL);
    g.dh = golden_tensor(&g, "dh", CLLM_ST_F64, NULL);
    g.dx = golden_tensor(&g, "dx", CLLM_ST_F64, NULL);
    return g;
}

static inline void golden_close(golden *g) {
    void *blocks[] = {g->start, g->ids, g->x, g->h, g->logits, g->dh, g->dx};
    for (size_t i = 0; i < CLLM_LEN(blocks); i++) cllm__free(blocks[i]);
    cllm__safetensors_close(g->file);
}

static inline double cosine(const cllm__real *a, const double *b, size_t n) {
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++) ab += a[i] * b[i], aa += (double)a[i] * a[i], bb += b[i] * b[i];
    return ab / sqrt(aa * bb);
}

static inline void within(const char *who, const char *what, double error, double bound) {
    print_message("%s %s: %.2e (bound %.0e)\n", who, what, error, bound);
    if (!(error <= bound)) fail_msg("%s %s is off by %g, allowed are %g", who, what, error, bound);
}

/* `ending` after the name makes the model's path: "" for a folder, ".gguf". */
static inline void check_golden(const char *name, const char *ending, cllm__dtype dtype, bounds bound) {
    golden g = golden_open(name);
    char path[1024];
    snprintf(path, sizeof path, TEST_DATA "/golden/%s%s", name, ending);
    cllm__backbone *backbone;
    MUST(cllm__backbone_open(&backbone, path, (cllm__backbone_options){.dtype = dtype, .training = true}, &test_error));
    const cllm__backbone_info *info = cllm__backbone_info_of(backbone);
    size_t C = info->width, V = info->vocabulary, T = g.rows, *rows = all_rows(T);
    cllm__real *x = numbers(T * C), *h = numbers(T * C), *dh = numbers(T * C), *dx = numbers(T * C), *logits = numbers(T * V);

    for (size_t t = 0; t < T; t++) cllm__backbone_embed(backbone, g.ids[t], x + t * C);
    for (size_t i = 0; i < T * C; i++) assert_true(x[i] == (cllm__real)g.x[i]);
    for (size_t i = 0; i < T * C; i++) dh[i] = (cllm__real)g.dh[i];

    cllm__pass *pass;
    MUST(cllm__pass_create(&pass, backbone, NULL, &test_error));
    cllm__ragged ragged = {g.sequences, g.start};
    MUST(cllm__pass_forward(pass, ragged, x, rows, T, (cllm__forward_options){.keep = true}, h, &test_error));
    within(name, "hidden states", relative(h, g.h, T * C), bound.hidden);
    within(name, "1 − cosine", 1 - cosine(h, g.h, T * C), 1 - bound.cosine);
    MUST(cllm__gemm_frozen(NULL, logits, V, h, C, T, cllm__backbone_head(backbone), NULL, CLLM__GEMM_PLAIN, &test_error));
    within(name, "logits", relative(logits, g.logits, T * V), bound.logits);
    MUST(cllm__pass_backward(pass, dh, dx, &test_error));
    within(name, "input gradients", relative(dx, g.dx, T * C), bound.gradient);

    cllm__pass_free(pass);
    cllm__backbone_close(backbone);
    golden_close(&g);
    void *blocks[] = {x, h, dh, dx, logits, rows};
    for (size_t i = 0; i < CLLM_LEN(blocks); i++) cllm__free(blocks[i]);
}

#endif
