/* A pretrained model, SmolLM2-135M-Instruct: fetched by tools/get-backbone where the package index answers, skipped where
 * it doesn't. Against transformers' hidden states, logits and input gradients on the same weights, and against what it is known
 * to say. */
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
    golden g; /* without x */
    int32_t *short_text, *logit_ids; /* tokens of the first sentence and the best next one; columns of the logits */
    size_t logits;
} vectors;

/* What the file has in single precision. */
static double *singles(const golden *g, const char *name) {
    size_t count;
    float *from = golden_tensor(g, name, CLLM_ST_F32, &count);
    double *to = cllm__alloc(count, sizeof *to);
    for (size_t i = 0; i < count; i++) to[i] = (double)from[i];
    cllm__free(from);
    return to;
}

static vectors open_vectors(void) {
    vectors v = {.g = golden_begin("smollm2")};
    v.short_text = golden_tensor(&v.g, "short", CLLM_ST_I32, NULL);
    v.logit_ids = golden_tensor(&v.g, "logit_ids", CLLM_ST_I32, &v.logits);
    v.g.h = singles(&v.g, "h");
    v.g.dh = singles(&v.g, "dh");
    v.g.dx = singles(&v.g, "dx");
    v.g.logits = golden_tensor(&v.g, "logits", CLLM_ST_F64, NULL);
    assert_true(v.g.sequences >= 3); /* of different lengths */
    return v;
}

static void close_vectors(vectors *v) {
    cllm__free(v->short_text);
    cllm__free(v->logit_ids);
    golden_close(&v->g);
}

typedef struct computed {
    cllm__real *h, *logits, *dx; /* [rows × width], [rows × vocabulary], and where dh is given [rows × width] */
} computed;

/* Hidden states and all logits of packed sequences; with dh, what training computes, back to the inputs. */
static computed compute(const cllm__backbone *backbone, const int32_t *ids, cllm__ragged ragged, const double *dh) {
    const cllm__backbone_info *info = cllm__backbone_info_of(backbone);
    size_t C = info->width, rows = ragged.start[ragged.sequences], *all = all_rows(rows);
    computed c = {numbers(rows * C), numbers(rows * info->vocabulary), dh != NULL ? numbers(rows * C) : NULL};
    cllm__real *x = numbers(rows * C);
    cllm__pass *pass;
    for (size_t t = 0; t < rows; t++) cllm__backbone_embed(backbone, ids[t], x + t * C);
    MUST(cllm__pass_create(&pass, backbone, NULL, &test_error));
    MUST(cllm__pass_forward(pass, ragged, x, all, rows, (cllm__forward_options){.keep = dh != NULL}, c.h, &test_error));
    MUST(cllm__gemm_frozen(NULL, c.logits, info->vocabulary, c.h, C, rows, cllm__backbone_head(backbone), NULL,
                           CLLM__GEMM_PLAIN, &test_error));
    if (dh != NULL) {
        for (size_t i = 0; i < rows * C; i++) x[i] = (cllm__real)dh[i];
        MUST(cllm__pass_backward(pass, x, c.dx, &test_error));
    }
    cllm__pass_free(pass);
    cllm__free(x);
    cllm__free(all);
    return c;
}

static void free_computed(computed *c) {
    cllm__free(c->h);
    cllm__free(c->logits);
    cllm__free(c->dx);
}

static size_t best_of(const cllm__real *logits, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (logits[i] > logits[best]) best = i;
    return best;
}

static void compare(cllm__dtype dtype, bounds bound) {
    vectors v = open_vectors();
    const golden *g = &v.g;
    cllm__backbone *backbone = open_model(dtype, true);
    const cllm__backbone_info *info = cllm__backbone_info_of(backbone);
    size_t C = info->width, V = info->vocabulary, next = (size_t)v.short_text[1];
    cllm__real *chosen = numbers(g->rows * v.logits);
    computed c = compute(backbone, g->ids, (cllm__ragged){g->sequences, g->start}, g->dh);
    for (size_t t = 0; t < g->rows; t++)
        for (size_t j = 0; j < v.logits; j++) chosen[t * v.logits + j] = c.logits[t * V + (size_t)v.logit_ids[j]];
    within(MODEL, "hidden states", relative(c.h, g->h, g->rows * C), bound.hidden);
    within(MODEL, "1 − cosine", 1 - cosine(c.h, g->h, g->rows * C), 1 - bound.cosine);
    within(MODEL, "logits", relative(chosen, g->logits, g->rows * v.logits), bound.logits);
    within(MODEL, "input gradients", relative(c.dx, g->dx, g->rows * C), bound.gradient);
    for (size_t s = 0; s < g->sequences; s++) { /* of each, whatever the size of the others' */
        size_t first = g->start[s] * C, n = (g->start[s + 1] - g->start[s]) * C;
        within(MODEL, "input gradients of a sequence", relative(c.dx + first, g->dx + first, n), bound.gradient);
    }
    assert_int_equal(best_of(c.logits + (size_t)(v.short_text[0] - 1) * V, V), next);
    cllm__free(chosen);
    free_computed(&c);
    cllm__backbone_close(backbone);
    close_vectors(&v);
}

static void test_f32(void **state) {
    (void)state;
    compare(CLLM__F32, (bounds){.hidden = 1e-5, .logits = 1e-5, .gradient = 1e-4, .cosine = 1 - 1e-10});
}

static void test_bf16(void **state) {
    (void)state;
    compare(CLLM__BF16, (bounds){.hidden = 2e-2, .logits = 2e-2, .gradient = 5e-2, .cosine = .9995});
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
    computed c = compute(backbone, tokens.ids, (cllm__ragged){1, (size_t[]){0, tokens.count}}, NULL);
    size_t V = cllm__backbone_info_of(backbone)->vocabulary, length;
    int32_t next = (int32_t)best_of(c.logits + (tokens.count - 1) * V, V);
    char *said;
    MUST(cllm__tokenizer_decode(tokenizer, &next, 1, &said, &length, &test_error));
    assert_string_equal(said, " Paris");
    cllm__free(said);
    free_computed(&c);
    cllm__tokens_free(&tokens);
    cllm__backbone_close(backbone);
    cllm__tokenizer_close(tokenizer);
}

/* One token at a time with kept keys and values, against training's packed pass over sequences of different lengths. */
static void test_decoder(void **state) {
    (void)state;
    vectors v = open_vectors();
    const golden *g = &v.g;
    cllm__backbone *backbone = open_model(CLLM__F32, true);
    size_t C = cllm__backbone_info_of(backbone)->width;
    cllm__real *x = numbers(C), *one = numbers(C);
    computed c = compute(backbone, g->ids, (cllm__ragged){g->sequences, g->start}, g->dh);
    for (size_t s = 0; s < g->sequences; s++) {
        cllm__decoder *decoder;
        MUST(cllm__decoder_create(&decoder, backbone, g->start[s + 1] - g->start[s], NULL, &test_error));
        for (size_t t = g->start[s]; t < g->start[s + 1]; t++) {
            cllm__backbone_embed(backbone, g->ids[t], x);
            MUST(cllm__decoder_extend(decoder, x, 1, one, &test_error));
            assert_memory_equal(one, c.h + t * C, C * sizeof *one);
        }
        cllm__decoder_free(decoder);
    }
    free_computed(&c);
    cllm__free(x);
    cllm__free(one);
    cllm__backbone_close(backbone);
    close_vectors(&v);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shape), cmocka_unit_test(test_f32),
                                       cmocka_unit_test(test_bf16), cmocka_unit_test(test_paris), cmocka_unit_test(test_decoder)};
    return cmocka_run_group_tests(tests, fetch, NULL);
}
