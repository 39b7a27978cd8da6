/*
 * GPT-2 (Radford et al. 2019) as Hugging Face's transformers stores it: learned positions, LayerNorm before each half of a
 * layer, one matrix for query, key and value, matrices as [in × out] ("Conv1D").
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "backbone/family.h"

static bool matches(const char *model_type) {
    return strcmp(model_type, "gpt2") == 0;
}

static cllm_status describe(cllm__config config, cllm__architecture *a, cllm_error *err) {
    CLLM_TRY(cllm__config_size(config, "n_layer", 1, CLLM__LAYERS_MAX, NULL, &a->layers, err));
    CLLM_TRY(cllm__config_size(config, "n_embd", 1, CLLM__WIDTH_MAX, NULL, &a->width, err));
    CLLM_TRY(cllm__config_size(config, "n_head", 1, CLLM__WIDTH_MAX, NULL, &a->heads, err));
    const char *context = cllm__config_has(config, "n_positions") ? "n_positions" : "n_ctx"; /* the second is the older name */
    CLLM_TRY(cllm__config_size(config, context, 1, CLLM__CONTEXT_MAX, NULL, &a->context, err));
    CLLM_TRY(cllm__config_size(config, "vocab_size", 1, CLLM__VOCABULARY_MAX, NULL, &a->vocabulary, err));
    CLLM_TRY(cllm__config_size(config, "n_inner", 1, CLLM__INNER_MAX, &(size_t){4 * a->width}, &a->inner, err));
    CLLM_TRY(cllm__config_number(config, "layer_norm_epsilon", 0, 1, &(double){1e-5}, &a->norm_epsilon, err));
    CLLM_TRY(cllm__config_bool(config, "tie_word_embeddings", true, &a->tied_head, err));
    if (a->width % a->heads != 0)
        return cllm__fail(err, CLLM_ERR_DATA, "%s: n_embd %zu is not divisible by n_head %zu", config.place, a->width, a->heads);
    a->kv_heads = a->heads;
    a->head_width = a->width / a->heads;
    a->norm = CLLM__LAYER_NORM;
    a->activation = CLLM__GELU_TANH;
    a->learned_position = true;

    const char *activation;
    CLLM_TRY(cllm__config_text(config, "activation_function", "gelu_new", &activation, err));
    if (strcmp(activation, "gelu_new") != 0 && strcmp(activation, "gelu_pytorch_tanh") != 0)
        return cllm__fail(err, CLLM_ERR_UNSUPPORTED, "%s: activation_function '%.40s' is not supported; gelu_new is", config.place,
                          activation);
    CLLM_TRY(cllm__config_refuse(config, "add_cross_attention", err));
    CLLM_TRY(cllm__config_refuse(config, "quantization_config", err));
    return cllm__check_heads(config, a, err);
}

/* 1/sqrt(head width), unless the configuration scales otherwise. reorder_and_upcast_attn needs nothing: sums are exact enough. */
static cllm_status read_scales(cllm__backbone *backbone, cllm_error *err) {
    const cllm__architecture *a = &backbone->architecture;
    bool scaled, by_layer;
    CLLM_TRY(cllm__config_bool(backbone->checkpoint.config, "scale_attn_weights", true, &scaled, err));
    CLLM_TRY(cllm__config_bool(backbone->checkpoint.config, "scale_attn_by_inverse_layer_idx", false, &by_layer, err));
    for (size_t i = 0; i < a->layers; i++)
        backbone->layers[i].attention_scale = (scaled ? 1 / sqrt((double)a->head_width) : 1) / (by_layer ? (double)i + 1 : 1);
    return CLLM_OK;
}

static cllm_status load_norm(cllm__loader *loader, cllm__norm *norm, const char *name, cllm_error *err) {
    size_t width = loader->backbone->architecture.width;
    CLLM_TRY(cllm__load_array(loader, &norm->gain, 0, width, err, "%s.weight", name));
    return cllm__load_array(loader, &norm->bias, 0, width, err, "%s.bias", name);
}

static cllm_status load_linear(cllm__loader *loader, cllm__linear *linear, size_t in, size_t out, size_t layer, const char *name,
                               cllm_error *err) {
    CLLM_TRY(cllm__load_matrix(loader, linear, in, out, false, err, "h.%zu.%s.weight", layer, name));
    return cllm__load_array(loader, &linear->bias, 0, out, err, "h.%zu.%s.bias", layer, name);
}

/* c_attn is [C × 3C]: query, key and value side by side. Packs the columns [first, first + count) of it. */
static cllm_status load_columns(cllm__loader *loader, cllm__linear *linear, const cllm__real *weight, const cllm__real *bias,
                                cllm__real *part, size_t first, size_t count, cllm_error *err) {
    size_t C = loader->backbone->architecture.width;
    for (size_t i = 0; i < C; i++) memcpy(part + i * count, weight + i * 3 * C + first, count * sizeof *part);
    CLLM_TRY(cllm__load_pack(loader, linear, part, C, count, false, err));
    return cllm__load_copy(loader, &linear->bias, bias + first, count, err);
}

static cllm_status load_attention(cllm__loader *loader, cllm__layer *layer, size_t i, cllm_error *err) {
    size_t C = loader->backbone->architecture.width;
    cllm__stored stored_weight, stored_bias;
    CLLM_TRY(cllm__load_find(loader, &stored_weight, C, 3 * C, err, "h.%zu.attn.c_attn.weight", i));
    CLLM_TRY(cllm__load_find(loader, &stored_bias, 0, 3 * C, err, "h.%zu.attn.c_attn.bias", i));
    cllm__real *weight;
    CLLM_TRY(cllm__load_scratch(loader, 5 * C * C + 3 * C, &weight, err));
    cllm__real *bias = weight + 3 * C * C, *part = bias + 3 * C;
    cllm__stored_read(&stored_weight, weight);
    cllm__stored_read(&stored_bias, bias);
    CLLM_TRY(load_columns(loader, &layer->query, weight, bias, part, 0, C, err));
    CLLM_TRY(load_columns(loader, &layer->key_value, weight, bias, part, C, 2 * C, err));
    return load_linear(loader, &layer->projection, C, C, i, "attn.c_proj", err);
}

static cllm_status load(cllm__loader *loader, cllm_error *err) {
    cllm__backbone *backbone = loader->backbone;
    const cllm__architecture *a = &backbone->architecture;
    CLLM_TRY(read_scales(backbone, err));
    loader->prefix = cllm__checkpoint_has(&backbone->checkpoint, "transformer.wte.weight") ? "transformer." : "";
    if (cllm__load_has(loader, "h.%zu.ln_1.weight", a->file_layers))
        return cllm__fail(err, CLLM_ERR_MISMATCH, "%s: n_layer is %zu, but %s has tensors of layer %zu (they count from 0)",
                          backbone->checkpoint.config_path, a->file_layers, backbone->checkpoint.weights_path, a->file_layers);
    CLLM_TRY(cllm__load_words(loader, err, "wte.weight"));
    CLLM_TRY(cllm__load_array(loader, &backbone->positions, a->context, a->width, err, "wpe.weight"));
    for (size_t i = 0; i < a->layers; i++) {
        cllm__layer *layer = &backbone->layers[i];
        char name[32];
        snprintf(name, sizeof name, "h.%zu.ln_1", i);
        CLLM_TRY(load_norm(loader, &layer->norm1, name, err));
        CLLM_TRY(load_attention(loader, layer, i, err));
        snprintf(name, sizeof name, "h.%zu.ln_2", i);
        CLLM_TRY(load_norm(loader, &layer->norm2, name, err));
        CLLM_TRY(load_linear(loader, &layer->up, a->width, a->inner, i, "mlp.c_fc", err));
        CLLM_TRY(load_linear(loader, &layer->down, a->inner, a->width, i, "mlp.c_proj", err));
    }
    CLLM_TRY(load_norm(loader, &backbone->final_norm, "ln_f", err));
    return cllm__load_head(loader, err, "lm_head.weight");
}

const cllm__family cllm__family_gpt2 = {"gpt2", matches, describe, load, cllm__layers_forward, cllm__layers_backward};
