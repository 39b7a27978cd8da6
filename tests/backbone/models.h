/*
 * Small random models for the tests of this layer: a list of tensors and a configuration that a test may spoil before it is
 * written as a Hugging Face folder. No tensor is trivial: gains away from one, biases away from zero.
 */
#ifndef TEST_MODELS_H
#define TEST_MODELS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <math.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "backbone/backbone.h"
#include "base/alloc.h"
#include "base/io.h"
#include "base/rng.h"
#include "formats/safetensors.h"

typedef struct spec {
    size_t layers, heads, width, inner, vocabulary, context;
    const char *prefix;  /* "transformer." or "" */
    const char *extra;   /* further configuration, ", \"key\": value" */
    bool head;           /* lm_head.weight is there */
    uint64_t seed;
    /* LLaMA only. */
    size_t kv_heads, head_width;
    const char *type;    /* "llama", "mistral", "qwen2" */
    bool attention_bias, projection_bias, mlp_bias;
} spec;

#define MODEL_TENSORS 256
typedef struct model {
    cllm__tensor tensors[MODEL_TENSORS];
    size_t n;
    char config[4096];
    cllm__rng rng;
} model;

static cllm_error test_error;
#define MUST(call) \
    do { \
        if ((call) != CLLM_OK) fail_msg("%s: %s", #call, test_error.message); \
    } while (0)

static inline cllm__real *numbers(size_t n) {
    cllm__real *values = cllm__zalloc(n + 1, sizeof *values);
    assert_non_null(values);
    return values;
}

static inline cllm__real *random_numbers(cllm__rng *rng, size_t n) {
    cllm__real *values = numbers(n);
    for (size_t i = 0; i < n; i++) values[i] = (cllm__real)cllm__rng_normal(rng);
    return values;
}

/* rows = 0: a vector. */
static inline void model_add(model *m, const char *prefix, const char *name, size_t rows, size_t columns, double sd, double mean) {
    assert_true(m->n < MODEL_TENSORS);
    size_t count = (rows == 0 ? 1 : rows) * columns;
    cllm__real *values = numbers(count);
    for (size_t i = 0; i < count; i++) values[i] = (cllm__real)(mean + sd * cllm__rng_normal(&m->rng));
    char full[200];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    m->tensors[m->n++] = (cllm__tensor){.name = cllm__strdup(full),
                                        .dtype = sizeof(cllm__real) == 8 ? CLLM_ST_F64 : CLLM_ST_F32,
                                        .rank = rows == 0 ? 1 : 2,
                                        .shape = {rows == 0 ? columns : rows, rows == 0 ? 0 : columns},
                                        .data = values,
                                        .bytes = count * sizeof *values};
}

static inline void model_gpt2(model *m, spec s) {
    *m = (model){.rng = cllm__rng_make(s.seed, CLLM_RNG_TEST, 0, 0)};
    size_t C = s.width, I = s.inner;
    double in_c = 0.8 / sqrt((double)C), in_i = 0.8 / sqrt((double)I);
    model_add(m, s.prefix, "wte.weight", s.vocabulary, C, 0.4, 0);
    model_add(m, s.prefix, "wpe.weight", s.context, C, 0.2, 0);
    for (size_t i = 0; i < s.layers; i++) {
        char p[100];
        snprintf(p, sizeof p, "%sh.%zu.", s.prefix, i);
        model_add(m, p, "ln_1.weight", 0, C, 0.2, 1);
        model_add(m, p, "ln_1.bias", 0, C, 0.1, 0);
        model_add(m, p, "attn.c_attn.weight", C, 3 * C, 2 * in_c, 0);
        model_add(m, p, "attn.c_attn.bias", 0, 3 * C, 0.1, 0);
        model_add(m, p, "attn.c_proj.weight", C, C, in_c, 0);
        model_add(m, p, "attn.c_proj.bias", 0, C, 0.1, 0);
        model_add(m, p, "ln_2.weight", 0, C, 0.2, 1);
        model_add(m, p, "ln_2.bias", 0, C, 0.1, 0);
        model_add(m, p, "mlp.c_fc.weight", C, I, in_c, 0);
        model_add(m, p, "mlp.c_fc.bias", 0, I, 0.1, 0);
        model_add(m, p, "mlp.c_proj.weight", I, C, in_i, 0);
        model_add(m, p, "mlp.c_proj.bias", 0, C, 0.1, 0);
    }
    model_add(m, s.prefix, "ln_f.weight", 0, C, 0.2, 1);
    model_add(m, s.prefix, "ln_f.bias", 0, C, 0.1, 0);
    if (s.head) model_add(m, "", "lm_head.weight", s.vocabulary, C, 0.4, 0);
    snprintf(m->config, sizeof m->config,
             "{\"model_type\": \"gpt2\", \"n_layer\": %zu, \"n_head\": %zu, \"n_embd\": %zu, \"n_inner\": %zu, \"n_positions\": %zu, "
             "\"vocab_size\": %zu, \"layer_norm_epsilon\": 1e-5, \"activation_function\": \"gelu_new\"%s}",
             s.layers, s.heads, C, I, s.context, s.vocabulary, s.extra != NULL ? s.extra : "");
}

static inline void model_llama(model *m, spec s) {
    *m = (model){.rng = cllm__rng_make(s.seed, CLLM_RNG_TEST, 0, 0)};
    size_t C = s.width, I = s.inner, A = s.heads * s.head_width, K = s.kv_heads * s.head_width;
    double in_c = 0.8 / sqrt((double)C);
    model_add(m, s.prefix, "embed_tokens.weight", s.vocabulary, C, 0.4, 0);
    for (size_t i = 0; i < s.layers; i++) {
        char p[100];
        snprintf(p, sizeof p, "%slayers.%zu.", s.prefix, i);
        model_add(m, p, "input_layernorm.weight", 0, C, 0.2, 1);
        model_add(m, p, "post_attention_layernorm.weight", 0, C, 0.2, 1);
        const struct {
            const char *name;
            size_t out, in;
            double sd;
            bool bias;
        } MATRICES[] = {
            {"self_attn.q_proj", A, C, 2 * in_c, s.attention_bias},
            {"self_attn.k_proj", K, C, 2 * in_c, s.attention_bias},
            {"self_attn.v_proj", K, C, in_c, s.attention_bias},
            {"self_attn.o_proj", C, A, 0.8 / sqrt((double)A), s.projection_bias},
            {"mlp.gate_proj", I, C, in_c, s.mlp_bias},
            {"mlp.up_proj", I, C, in_c, s.mlp_bias},
            {"mlp.down_proj", C, I, 0.8 / sqrt((double)I), s.mlp_bias},
        };
        for (size_t j = 0; j < CLLM_LEN(MATRICES); j++) {
            char name[60];
            snprintf(name, sizeof name, "%s.weight", MATRICES[j].name);
            model_add(m, p, name, MATRICES[j].out, MATRICES[j].in, MATRICES[j].sd, 0);
            snprintf(name, sizeof name, "%s.bias", MATRICES[j].name);
            if (MATRICES[j].bias) model_add(m, p, name, 0, MATRICES[j].out, 0.1, 0);
        }
    }
    model_add(m, s.prefix, "norm.weight", 0, C, 0.2, 1);
    if (s.head) model_add(m, "", "lm_head.weight", s.vocabulary, C, 0.4, 0);
    snprintf(m->config, sizeof m->config,
             "{\"model_type\": \"%s\", \"num_hidden_layers\": %zu, \"num_attention_heads\": %zu, \"num_key_value_heads\": %zu, "
             "\"head_dim\": %zu, \"hidden_size\": %zu, \"intermediate_size\": %zu, \"max_position_embeddings\": %zu, "
             "\"vocab_size\": %zu, \"rms_norm_eps\": 1e-5, \"hidden_act\": \"silu\", \"attention_bias\": %s, "
             "\"mlp_bias\": %s, \"tie_word_embeddings\": %s%s}",
             s.type, s.layers, s.heads, s.kv_heads, s.head_width, C, I, s.context, s.vocabulary, s.projection_bias ? "true" : "false",
             s.mlp_bias ? "true" : "false", s.head ? "false" : "true", s.extra != NULL ? s.extra : "");
}

static inline void model_free(model *m) {
    for (size_t i = 0; i < m->n; i++) {
        cllm__free((char *)m->tensors[i].name);
        cllm__free((void *)m->tensors[i].data);
    }
    m->n = 0;
}

static inline cllm__tensor *model_find(model *m, const char *name) {
    for (size_t i = 0; i < m->n; i++)
        if (strcmp(m->tensors[i].name, name) == 0) return &m->tensors[i];
    fail_msg("no tensor '%s'", name);
    return NULL;
}

/* A tensor's values in other numbers: F16 and BF16 by cutting off, which is exact enough for a random model. */
static inline void model_retype(cllm__tensor *tensor, cllm__st_dtype dtype) {
    size_t n = cllm__tensor_count(tensor), size = cllm__st_dtype_size(dtype);
    unsigned char *data = cllm__zalloc(n, size);
    const cllm__real *from = tensor->data;
    for (size_t i = 0; i < n; i++) {
        double d = from[i];
        float f = (float)d;
        uint32_t bits;
        memcpy(&bits, &f, sizeof bits);
        if (dtype == CLLM_ST_F64) memcpy(data + i * size, &d, size);
        if (dtype == CLLM_ST_F32) memcpy(data + i * size, &f, size);
        if (dtype == CLLM_ST_BF16) memcpy(data + i * size, &(uint16_t){(uint16_t)(bits >> 16)}, size);
        if (dtype == CLLM_ST_F16) {
            int exponent = (int)(bits >> 23 & 0xff) - 127 + 15;
            uint16_t half = (uint16_t)(exponent <= 0 ? 0 : (bits >> 16 & 0x8000) | (uint32_t)exponent << 10 | (bits >> 13 & 0x3ff));
            memcpy(data + i * size, &half, size);
        }
    }
    cllm__free((void *)tensor->data);
    tensor->data = data;
    tensor->dtype = dtype;
    tensor->bytes = n * size;
}

static inline void write_text(const char *folder, const char *name, const char *text) {
    char *path = cllm__path_join(folder, name);
    MUST(cllm__write_file(path, text, strlen(text), &test_error));
    cllm__free(path);
}

static inline void model_write(const model *m, const char *folder) {
    cllm__remove_tree(folder);
    MUST(cllm__make_folders(folder, &test_error));
    write_text(folder, "config.json", m->config);
    char *path = cllm__path_join(folder, "model.safetensors");
    MUST(cllm__safetensors_write(path, m->tensors, m->n, NULL, 0, &test_error));
    cllm__free(path);
}

/* Writes the model to `folder`, frees it and opens it. */
static inline cllm__backbone *model_open(model *m, const char *folder, cllm__dtype dtype, bool training) {
    cllm__backbone *backbone = NULL;
    model_write(m, folder);
    model_free(m);
    MUST(cllm__backbone_open(&backbone, folder, (cllm__backbone_options){.dtype = dtype, .training = training}, &test_error));
    return backbone;
}

/* Row pointers of sequences with these lengths; returns their sum. */
static inline size_t row_pointers(size_t *start, const size_t *lengths, size_t sequences) {
    start[0] = 0;
    for (size_t s = 0; s < sequences; s++) start[s + 1] = start[s] + lengths[s];
    return start[sequences];
}

static inline size_t *all_rows(size_t n) {
    size_t *rows = cllm__alloc(n + 1, sizeof *rows);
    for (size_t i = 0; i < n; i++) rows[i] = i;
    return rows;
}

/* ||a − b|| / ||b|| */
static inline double relative(const cllm__real *a, const double *b, size_t n) {
    double difference = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        difference += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        norm += b[i] * b[i];
    }
    return sqrt(difference / norm);
}

#endif
