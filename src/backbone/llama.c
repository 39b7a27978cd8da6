/*
 * LLaMA (Touvron et al. 2023) and its relatives Mistral and Qwen2, as Hugging Face's transformers stores them: RMSNorm,
 * rotary positions, grouped key-value heads, SwiGLU; matrices as [out × in].
 */
#include <json-c/json.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "backbone/family.h"
#include "base/alloc.h"

typedef enum kind { LLAMA, MISTRAL, QWEN2, KINDS } kind;
static const char *const KIND_NAMES[KINDS] = {"llama", "mistral", "qwen2"};

static kind kind_of(const char *model_type) {
    kind which = LLAMA;
    while (which < KINDS && strcmp(model_type, KIND_NAMES[which]) != 0) which++;
    return which;
}

static bool matches(const char *model_type) {
    return kind_of(model_type) < KINDS;
}

static cllm_status read_kind(cllm__config config, kind *out, cllm_error *err) {
    const char *type;
    CLLM_TRY(cllm__config_text(config, "model_type", "llama", &type, err));
    *out = kind_of(type);
    return CLLM_OK;
}

/* ---- Configuration ---- */

static const double PI = 3.14159265358979323846;

/* The scaling of Llama 3.1: wavelengths that the original context holds many times stay, long ones are stretched by the
 * factor, with a smooth passage between. */
static cllm_status scale_llama3(cllm__config rope, const cllm__architecture *a, double factor, cllm_error *err) {
    double low, high, original;
    CLLM_TRY(cllm__config_number(rope, "low_freq_factor", 1e-6, 1e6, NULL, &low, err));
    CLLM_TRY(cllm__config_number(rope, "high_freq_factor", 1e-6, 1e6, NULL, &high, err));
    CLLM_TRY(cllm__config_number(rope, "original_max_position_embeddings", 1, (double)CLLM__CONTEXT_MAX, NULL, &original, err));
    if (!(low < high))
        return cllm__fail(err, CLLM_ERR_DATA, "%s: low_freq_factor %g must be less than high_freq_factor %g", rope.place, low, high);
    for (size_t j = 0; j < a->rotary_width / 2; j++) {
        double turns = original * a->rotary[j] / (2 * PI); /* within the original context */
        double kept = fmin(1, fmax(0, (turns - low) / (high - low)));
        a->rotary[j] *= kept + (1 - kept) / factor;
    }
    return CLLM_OK;
}

/* A factor for each wavelength, written as longrope with the same factors for short and long texts: GGUF files say so what
 * scaling a model has. Longrope proper, whose factors change with the text's length, is refused. */
static cllm_status scale_each(cllm__config rope, const cllm__architecture *a, cllm_error *err) {
    struct json_object *factors = NULL, *others = NULL;
    double attention;
    CLLM_TRY(cllm__config_number(rope, "attention_factor", 0, 1e6, &(double){0}, &attention, err));
    json_object_object_get_ex(rope.object, "short_factor", &factors);
    json_object_object_get_ex(rope.object, "long_factor", &others);
    if (attention != 1 || !json_object_equal(factors, others))
        return cllm__fail(err, CLLM_ERR_UNSUPPORTED, "%s: rotary scaling 'longrope' is supported only with equal short_factor and "
                          "long_factor and an attention_factor of 1; default, linear and llama3 are", rope.place);
    size_t count = json_object_is_type(factors, json_type_array) ? json_object_array_length(factors) : 0;
    if (count != a->rotary_width / 2)
        return cllm__fail(err, CLLM_ERR_DATA, "%s: short_factor must be a list of %zu numbers", rope.place, a->rotary_width / 2);
    for (size_t j = 0; j < count; j++) {
        double factor = json_object_get_double(json_object_array_get_idx(factors, j));
        if (!(factor > 1e-9 && factor < 1e9))
            return cllm__fail(err, CLLM_ERR_DATA, "%s: number %zu of short_factor is %g; it must be positive", rope.place, j, factor);
        a->rotary[j] /= factor;
    }
    return CLLM_OK;
}

/* Angles per position from theta and scaling, which stand in the configuration itself, in rope_scaling (before
 * transformers 5, which still takes it first) or in rope_parameters. */
static cllm_status read_rotary(cllm__config config, cllm__architecture *a, cllm_error *err) {
    cllm__config rope;
    CLLM_TRY(cllm__config_object(config, "rope_scaling", &rope, err));
    if (rope.object == NULL) CLLM_TRY(cllm__config_object(config, "rope_parameters", &rope, err));
    const double theta_default = 10000, whole = 1;
    double theta, part, factor = 1;
    CLLM_TRY(cllm__config_number(config, "rope_theta", 1, 1e15, &theta_default, &theta, err));
    CLLM_TRY(cllm__config_number(config, "partial_rotary_factor", 0, 1, &whole, &part, err));
    const char *type = "default";
    if (rope.object != NULL) {
        CLLM_TRY(cllm__config_number(rope, "rope_theta", 1, 1e15, &theta, &theta, err));
        CLLM_TRY(cllm__config_number(rope, "partial_rotary_factor", 0, 1, &part, &part, err));
        CLLM_TRY(cllm__config_text(rope, cllm__config_has(rope, "rope_type") ? "rope_type" : "type", "default", &type, err));
        if (strcmp(type, "default") != 0 && strcmp(type, "linear") != 0 && strcmp(type, "llama3") != 0 && strcmp(type, "longrope") != 0)
            return cllm__fail(err, CLLM_ERR_UNSUPPORTED, "%s: rotary scaling '%.40s' is not supported; default, linear and llama3 are",
                              config.place, type);
        if (strcmp(type, "linear") == 0 || strcmp(type, "llama3") == 0) CLLM_TRY(cllm__config_number(rope, "factor", 1, 1e6, NULL, &factor, err));
    }
    a->rotary_width = (size_t)((double)a->head_width * part);
    if (a->rotary_width < 2) return cllm__fail(err, CLLM_ERR_DATA, "%s: no value of a head has rotary positions", config.place);
    CLLM_TRY(cllm__check_heads(config, a, err));
    CLLM_TRY(CLLM_NEW(a->rotary, a->rotary_width / 2, err));
    for (size_t j = 0; j < a->rotary_width / 2; j++) {
        a->rotary[j] = pow(theta, -2 * (double)j / (double)a->rotary_width);
        if (strcmp(type, "linear") == 0) a->rotary[j] /= factor;
    }
    if (strcmp(type, "longrope") == 0) return scale_each(rope, a, err);
    return strcmp(type, "llama3") == 0 ? scale_llama3(rope, a, factor, err) : CLLM_OK;
}

/* Whether any of Qwen2's layers sees the window: those that layer_types lists so, without a list those from max_window_layers on. */
static cllm_status window_is_used(cllm__config config, const cllm__architecture *a, bool *used, cllm_error *err) {
    struct json_object *types = NULL;
    size_t first, first_default = 28; /* transformers' */
    CLLM_TRY(cllm__config_bool(config, "use_sliding_window", false, used, err));
    CLLM_TRY(cllm__config_size(config, "max_window_layers", 0, SIZE_MAX, &first_default, &first, err));
    json_object_object_get_ex(config.object, "layer_types", &types);
    if (types == NULL) {
        *used = *used && first < a->layers;
        return CLLM_OK;
    }
    size_t count = json_object_is_type(types, json_type_array) ? json_object_array_length(types) : 0, sliding = 0;
    if (count != a->layers) return cllm__fail(err, CLLM_ERR_DATA, "%s: layer_types must be a list of %zu kinds of layers", config.place, a->layers);
    for (size_t i = 0; i < count; i++) {
        struct json_object *type = json_object_array_get_idx(types, i);
        const char *name = json_object_is_type(type, json_type_string) ? json_object_get_string(type) : "";
        bool slides = strcmp(name, "sliding_attention") == 0;
        if (!slides && strcmp(name, "full_attention") != 0)
            return cllm__fail(err, CLLM_ERR_UNSUPPORTED, "%s: layer %zu of layer_types is '%.40s'; full_attention and sliding_attention are supported",
                              config.place, i, name);
        sliding += slides;
    }
    *used = *used && sliding > 0;
    return CLLM_OK;
}

/* Up to its length a sliding window changes nothing, so it is honoured by taking no longer sequences. */
static cllm_status read_window(cllm__config config, cllm__architecture *a, cllm_error *err) {
    kind which;
    bool used = true;
    size_t window, missing = cllm__config_is_null(config, "sliding_window") ? a->context : 4096; /* transformers' default */
    CLLM_TRY(read_kind(config, &which, err));
    if (which == QWEN2) CLLM_TRY(window_is_used(config, a, &used, err));
    if (which == LLAMA || !used) return CLLM_OK;
    CLLM_TRY(cllm__config_size(config, "sliding_window", 1, SIZE_MAX, &missing, &window, err));
    if (window < a->context) a->context = a->window = window;
    return CLLM_OK;
}

static cllm_status describe(cllm__config config, cllm__architecture *a, cllm_error *err) {
    const double epsilon = 1e-6;
    const char *activation;
    CLLM_TRY(cllm__config_size(config, "num_hidden_layers", 1, CLLM__LAYERS_MAX, NULL, &a->layers, err));
    CLLM_TRY(cllm__config_size(config, "hidden_size", 1, CLLM__WIDTH_MAX, NULL, &a->width, err));
    CLLM_TRY(cllm__config_size(config, "num_attention_heads", 1, CLLM__WIDTH_MAX, NULL, &a->heads, err));
    CLLM_TRY(cllm__config_size(config, "num_key_value_heads", 1, a->heads, &a->heads, &a->kv_heads, err));
    if (!cllm__config_has(config, "head_dim") && a->width % a->heads != 0)
        return cllm__fail(err, CLLM_ERR_DATA, "%s: hidden_size %zu is not divisible by num_attention_heads %zu", config.place, a->width,
                          a->heads);
    CLLM_TRY(cllm__config_size(config, "head_dim", 1, CLLM__WIDTH_MAX, &(size_t){a->width / a->heads}, &a->head_width, err));
    CLLM_TRY(cllm__config_size(config, "intermediate_size", 1, CLLM__INNER_MAX, NULL, &a->inner, err));
    CLLM_TRY(cllm__config_size(config, "max_position_embeddings", 1, CLLM__CONTEXT_MAX, NULL, &a->context, err));
    CLLM_TRY(cllm__config_size(config, "vocab_size", 1, CLLM__VOCABULARY_MAX, NULL, &a->vocabulary, err));
    CLLM_TRY(cllm__config_number(config, "rms_norm_eps", 0, 1, &epsilon, &a->norm_epsilon, err));
    CLLM_TRY(cllm__config_bool(config, "tie_word_embeddings", false, &a->tied_head, err));
    CLLM_TRY(cllm__config_text(config, "hidden_act", "silu", &activation, err));
    if (strcmp(activation, "silu") != 0)
        return cllm__fail(err, CLLM_ERR_UNSUPPORTED, "%s: hidden_act '%.40s' is not supported; silu is", config.place, activation);
    CLLM_TRY(cllm__config_refuse(config, "quantization_config", err));
    a->norm = CLLM__RMS_NORM;
    a->activation = CLLM__SWIGLU;
    CLLM_TRY(read_window(config, a, err));
    return read_rotary(config, a, err);
}

/* ---- Weights ---- */

/* Which matrices have a bias. */
typedef struct biases {
    bool query_key_value, projection, mlp;
} biases;

static cllm_status read_biases(cllm__config config, biases *out, cllm_error *err) {
    kind which;
    *out = (biases){false, false, false};
    CLLM_TRY(read_kind(config, &which, err));
    if (which == QWEN2) out->query_key_value = true;
    if (which != LLAMA) return CLLM_OK;
    CLLM_TRY(cllm__config_bool(config, "attention_bias", false, &out->query_key_value, err));
    out->projection = out->query_key_value;
    return cllm__config_bool(config, "mlp_bias", false, &out->mlp, err);
}

/* The bias of "layers.<i>.<name>"; one that should not be there means that the configuration is another model's. */
static cllm_status find_bias(cllm__loader *loader, cllm__stored *out, size_t count, bool wanted, size_t i, const char *name,
                             cllm_error *err) {
    if (wanted) return cllm__load_find(loader, out, 0, count, err, "layers.%zu.%s.bias", i, name);
    if (!cllm__load_has(loader, "layers.%zu.%s.bias", i, name)) return CLLM_OK;
    return cllm__fail(err, CLLM_ERR_MISMATCH, "%s has a tensor '%slayers.%zu.%s.bias', which the configuration does not speak of",
                      loader->backbone->checkpoint.weights_path, loader->prefix, i, name);
}

/* Two matrices of the same kind, names[1] NULL for one alone, become one: outputs side by side. */
static cllm_status load_linear(cllm__loader *loader, cllm__linear *linear, size_t in, size_t out, bool bias, size_t i,
                               const char *const names[2], cllm_error *err) {
    cllm__stored weights[2], vectors[2];
    size_t parts = names[1] != NULL ? 2 : 1;
    for (size_t p = 0; p < parts; p++) {
        CLLM_TRY(cllm__load_find(loader, &weights[p], out, in, err, "layers.%zu.%s.weight", i, names[p]));
        CLLM_TRY(find_bias(loader, &vectors[p], out, bias, i, names[p], err));
    }
    cllm__real *scratch = NULL;
    CLLM_TRY(cllm__load_scratch(loader, parts * out * in, &scratch, err));
    for (size_t p = 0; p < parts; p++) cllm__load_read(loader, &weights[p], scratch + p * out * in);
    CLLM_TRY(cllm__load_pack(loader, linear, scratch, in, parts * out, true, err));
    if (!bias) return CLLM_OK;
    for (size_t p = 0; p < parts; p++) cllm__load_read(loader, &vectors[p], scratch + p * out);
    return cllm__load_copy(loader, &linear->bias, scratch, parts * out, err);
}

static cllm_status load_layer(cllm__loader *loader, size_t i, const biases *bias, cllm_error *err) {
    const cllm__architecture *a = &loader->backbone->architecture;
    cllm__layer *layer = &loader->backbone->layers[i];
    size_t C = a->width, A = a->heads * a->head_width, K = a->kv_heads * a->head_width;
    const struct {
        cllm__linear *linear;
        size_t in, out;
        bool bias;
        const char *names[2];
    } LINEARS[] = {
        {&layer->query, C, A, bias->query_key_value, {"self_attn.q_proj", NULL}},
        {&layer->key_value, C, K, bias->query_key_value, {"self_attn.k_proj", "self_attn.v_proj"}},
        {&layer->projection, A, C, bias->projection, {"self_attn.o_proj", NULL}},
        {&layer->gate, C, a->inner, bias->mlp, {"mlp.gate_proj", NULL}},
        {&layer->up, C, a->inner, bias->mlp, {"mlp.up_proj", NULL}},
        {&layer->down, a->inner, C, bias->mlp, {"mlp.down_proj", NULL}},
    };
    layer->attention_scale = 1 / sqrt((double)a->head_width);
    CLLM_TRY(cllm__load_array(loader, &layer->norm1.gain, 0, C, err, "layers.%zu.input_layernorm.weight", i));
    CLLM_TRY(cllm__load_array(loader, &layer->norm2.gain, 0, C, err, "layers.%zu.post_attention_layernorm.weight", i));
    for (size_t j = 0; j < CLLM_LEN(LINEARS); j++)
        CLLM_TRY(load_linear(loader, LINEARS[j].linear, LINEARS[j].in, LINEARS[j].out, LINEARS[j].bias, i, LINEARS[j].names, err));
    return CLLM_OK;
}

static cllm_status load(cllm__loader *loader, cllm_error *err) {
    cllm__backbone *backbone = loader->backbone;
    const cllm__architecture *a = &backbone->architecture;
    biases bias;
    CLLM_TRY(read_biases(backbone->checkpoint.config, &bias, err));
    loader->prefix = cllm__checkpoint_has(&backbone->checkpoint, "embed_tokens.weight") ? "" : "model.";
    if (cllm__load_has(loader, "layers.%zu.input_layernorm.weight", a->file_layers))
        return cllm__fail(err, CLLM_ERR_MISMATCH, "%s: num_hidden_layers is %zu, but %s has tensors of layer %zu (they count from 0)",
                          backbone->checkpoint.config_path, a->file_layers, backbone->checkpoint.weights_path, a->file_layers);
    CLLM_TRY(cllm__load_words(loader, err, "embed_tokens.weight"));
    for (size_t i = 0; i < a->layers; i++) CLLM_TRY(load_layer(loader, i, &bias, err));
    CLLM_TRY(cllm__load_array(loader, &backbone->final_norm.gain, 0, a->width, err, "norm.weight"));
    return cllm__load_head(loader, err, "lm_head.weight");
}

const cllm__family cllm__family_llama = {"llama", matches, describe, load, cllm__layers_forward, cllm__layers_backward};
