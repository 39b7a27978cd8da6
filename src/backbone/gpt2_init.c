/* A GPT-2 with random weights, so that everything can be tried without a download. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "backbone/family.h"
#include "base/alloc.h"
#include "base/io.h"
#include "base/rng.h"

enum { NAME_SIZE = 48, TENSORS_OF_LAYER = 12, TENSORS_BESIDE = 4 };

/* The constant in the last state that carries the head's bias: large enough that in the words' embeddings the bias, some nats, is
 * no larger than the rest. */
enum { HEAD_BIAS_STATE = 20 };

typedef struct writer {
    cllm__tensor *tensors;
    char (*names)[NAME_SIZE];
    size_t count;
    float *values;
    size_t used;
    uint64_t seed;
} writer;

/* The next `n` values: N(0, sd²), or all `fill` where sd is 0. Each tensor has a random stream of its own. */
static const float *make_values(writer *w, size_t n, double sd, float fill) {
    float *values = w->values + w->used;
    cllm__rng rng = cllm__rng_make(w->seed, CLLM_RNG_INIT_BACKBONE, 0, w->count);
    for (size_t i = 0; i < n; i++) values[i] = sd > 0 ? (float)(sd * cllm__rng_normal(&rng)) : fill;
    w->used += n;
    return values;
}

/* rows = 0: a vector. `layer` < 0: a name without one. */
static void add(writer *w, int layer, const char *name, size_t rows, size_t columns, double sd, float fill) {
    cllm__tensor *tensor = &w->tensors[w->count];
    size_t n = (rows == 0 ? 1 : rows) * columns;
    if (layer < 0) snprintf(w->names[w->count], NAME_SIZE, "%s", name);
    else snprintf(w->names[w->count], NAME_SIZE, "h.%d.%s", layer, name);
    *tensor = (cllm__tensor){.name = w->names[w->count], .dtype = CLLM_ST_F32, .rank = rows == 0 ? 1 : 2, .bytes = n * sizeof(float)};
    tensor->shape[0] = rows == 0 ? columns : rows;
    tensor->shape[1] = rows == 0 ? 0 : columns;
    tensor->data = make_values(w, n, sd, fill);
    w->count++;
}

static void add_all(writer *w, cllm__gpt2_shape shape) {
    size_t C = shape.width;
    /* Deviations of word embeddings, of matrices that read the width, and of the two that write to the residual. */
    double words = 0.02, reading = 0.02, attention = 0.02 / sqrt(2 * (double)shape.layers), mlp = attention;
    if (shape.lively) {
        words = 0.1;
        reading = attention = 1 / sqrt((double)C);
        mlp = 1 / sqrt(4 * (double)C);
    }
    add(w, -1, "wte.weight", shape.vocabulary, C, words, 0);
    add(w, -1, "wpe.weight", shape.context, C, 0.02, 0);
    for (int i = 0; i < (int)shape.layers; i++) {
        add(w, i, "ln_1.weight", 0, C, 0, 1);
        add(w, i, "ln_1.bias", 0, C, 0, 0);
        add(w, i, "attn.c_attn.weight", C, 3 * C, reading, 0);
        add(w, i, "attn.c_attn.bias", 0, 3 * C, 0, 0);
        add(w, i, "attn.c_proj.weight", C, C, attention, 0);
        add(w, i, "attn.c_proj.bias", 0, C, 0, 0);
        add(w, i, "ln_2.weight", 0, C, 0, 1);
        add(w, i, "ln_2.bias", 0, C, 0, 0);
        add(w, i, "mlp.c_fc.weight", C, 4 * C, reading, 0);
        add(w, i, "mlp.c_fc.bias", 0, 4 * C, 0, 0);
        add(w, i, "mlp.c_proj.weight", 4 * C, C, mlp, 0);
        add(w, i, "mlp.c_proj.bias", 0, C, 0, 0);
    }
    add(w, -1, "ln_f.weight", 0, C, 0, 1);
    add(w, -1, "ln_f.bias", 0, C, 0, 0);
}

/* The bias of the vocabulary head, which GPT-2 lacks: see the header. */
static void bias_head(writer *w, cllm__gpt2_shape shape) {
    size_t last = shape.width - 1;
    float *words = w->values, *bias = w->values + w->used - shape.width, *weight = bias - shape.width;
    double mean = 0;
    for (size_t v = 0; v < shape.vocabulary; v++) mean += shape.word_logits[v] / (double)shape.vocabulary;
    for (size_t v = 0; v < shape.vocabulary; v++) words[v * shape.width + last] = (float)((shape.word_logits[v] - mean) / HEAD_BIAS_STATE);
    weight[last] = 0;
    bias[last] = HEAD_BIAS_STATE;
}

static cllm_status write_config(const char *folder, cllm__gpt2_shape shape, cllm_error *err) {
    char *path = cllm__path_join(folder, "config.json");
    if (path == NULL) return cllm__fail_nomem(err);
    char text[1024];
    int n = snprintf(text, sizeof text,
                     "{\n  \"architectures\": [\"GPT2LMHeadModel\"],\n  \"model_type\": \"gpt2\",\n"
                     "  \"activation_function\": \"gelu_new\",\n  \"layer_norm_epsilon\": 1e-05,\n  \"n_layer\": %zu,\n"
                     "  \"n_head\": %zu,\n  \"n_embd\": %zu,\n  \"n_positions\": %zu,\n  \"n_ctx\": %zu,\n  \"vocab_size\": %zu\n}\n",
                     shape.layers, shape.heads, shape.width, shape.context, shape.context, shape.vocabulary);
    cllm_status status = cllm__write_file(path, text, (size_t)n, err);
    cllm__free(path);
    return status;
}

static cllm_status write_weights(const char *folder, cllm__gpt2_shape shape, uint64_t seed, cllm_error *err) {
    static const char *const METADATA[] = {"format", "pt"}; /* which transformers asks for */
    size_t C = shape.width, tensors = TENSORS_BESIDE + TENSORS_OF_LAYER * shape.layers;
    size_t values = (shape.vocabulary + shape.context + 2) * C + shape.layers * (12 * C * C + 13 * C);
    writer w = {.seed = seed};
    char *path = NULL;
    cllm_status status;
    CLLM_TRY_CLEAN(CLLM_NEW(w.tensors, tensors, err));
    CLLM_TRY_CLEAN(CLLM_NEW(w.names, tensors, err));
    CLLM_TRY_CLEAN((w.values = cllm__alloc(values, sizeof *w.values)) != NULL ? CLLM_OK : cllm__fail_nomem(err));
    CLLM_TRY_CLEAN((path = cllm__path_join(folder, "model.safetensors")) != NULL ? CLLM_OK : cllm__fail_nomem(err));
    add_all(&w, shape);
    CLLM_ASSERT(w.count == tensors && w.used == values);
    if (shape.word_logits != NULL) bias_head(&w, shape);
    status = cllm__safetensors_write(path, w.tensors, w.count, METADATA, 1, err);
cleanup:
    cllm__free(path);
    cllm__free(w.values);
    cllm__free(w.names);
    cllm__free(w.tensors);
    return status;
}

static cllm_status check(const char *name, size_t value, size_t high, cllm_error *err) {
    if (value >= 1 && value <= high) return CLLM_OK;
    return cllm__fail(err, CLLM_ERR_USAGE, "%s %zu: give a number from 1 to %zu", name, value, high);
}

cllm_status cllm__gpt2_init(const char *folder, cllm__gpt2_shape shape, uint64_t seed, cllm_error *err) {
    CLLM_TRY(check("layers", shape.layers, CLLM__LAYERS_MAX, err));
    CLLM_TRY(check("width", shape.width, CLLM__WIDTH_MAX, err));
    CLLM_TRY(check("heads", shape.heads, shape.width, err));
    CLLM_TRY(check("vocabulary", shape.vocabulary, CLLM__VOCABULARY_MAX, err));
    CLLM_TRY(check("context", shape.context, CLLM__CONTEXT_MAX, err));
    if (shape.width % shape.heads != 0)
        return cllm__fail(err, CLLM_ERR_USAGE, "width %zu is not divisible by %zu heads", shape.width, shape.heads);
    char *temporary;
    CLLM_TRY(cllm__folder_begin(folder, false, NULL, &temporary, err));
    cllm_status status = write_config(temporary, shape, err);
    if (status == CLLM_OK) status = write_weights(temporary, shape, seed, err);
    if (status == CLLM_OK) status = cllm__folder_commit(temporary, folder, err);
    if (status != CLLM_OK) cllm__remove_tree(temporary);
    cllm__free(temporary);
    return status;
}
