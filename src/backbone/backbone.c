#include "backbone/backbone.h"

#include <stdio.h>
#include <string.h>

#include "backbone/family.h"
#include "base/alloc.h"
#include "base/hash.h"

/* A new family is one line here. */
static const cllm__family *const FAMILIES[] = {&cllm__family_gpt2, &cllm__family_llama};

cllm_status cllm__family_describe(cllm__config config, const cllm__family **family, cllm__architecture *out, cllm_error *err) {
    const char *type;
    CLLM_TRY(cllm__config_text(config, "model_type", NULL, &type, err));
    if (type == NULL) return cllm__fail(err, CLLM_ERR_DATA, "%s: model_type is missing", config.place);
    for (size_t i = 0; i < CLLM_LEN(FAMILIES); i++) {
        if (!FAMILIES[i]->matches(type)) continue;
        cllm__architecture architecture = {0};
        cllm_status status = FAMILIES[i]->describe(config, &architecture, err);
        if (status != CLLM_OK) {
            cllm__free(architecture.rotary);
            return status;
        }
        architecture.file_layers = architecture.layers;
        *family = FAMILIES[i];
        *out = architecture;
        return CLLM_OK;
    }
    char known[128] = "";
    for (size_t i = 0, n = 0; i < CLLM_LEN(FAMILIES) && n < sizeof known; i++)
        n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", i == 0 ? "" : ", ", FAMILIES[i]->name);
    return cllm__fail(err, CLLM_ERR_UNSUPPORTED, "%s: model_type '%.40s' is not supported; families: %s", config.place, type, known);
}

/* The weights' bytes and everything that the computation takes from the configuration. */
static cllm_status hash_of(const cllm__backbone *backbone, uint64_t *hash, cllm_error *err) {
    const cllm__architecture *a = &backbone->architecture;
    cllm__hasher *hasher = cllm__hasher_new();
    if (hasher == NULL) return cllm__fail_nomem(err);
    char text[512];
    int n = snprintf(text, sizeof text, "%s %zu %zu %zu %zu %zu %zu %zu %zu %.17g %d %d %d %d %zu", backbone->info.family,
                     a->layers, a->heads, a->kv_heads, a->head_width, a->width, a->inner, a->vocabulary, a->context,
                     a->norm_epsilon, (int)a->norm, (int)a->activation, a->tied_head, a->learned_position, a->rotary_width);
    cllm__hasher_add(hasher, text, (size_t)n);
    for (size_t i = 0; i < a->layers; i++)
        cllm__hasher_add(hasher, &backbone->layers[i].attention_scale, sizeof backbone->layers[i].attention_scale);
    if (a->rotary_width > 0) cllm__hasher_add(hasher, a->rotary, a->rotary_width / 2 * sizeof *a->rotary);
    cllm__hasher_add(hasher, &backbone->checkpoint.hash, sizeof backbone->checkpoint.hash);
    *hash = cllm__hasher_end(hasher);
    return CLLM_OK;
}

static cllm_status load_all(cllm__backbone *backbone, cllm__backbone_options options, cllm_error *err) {
    cllm__loader loader = {.backbone = backbone, .prefix = "", .options = options};
    cllm_status status = backbone->family->load(&loader, err);
    cllm__free(loader.scratch);
    return status;
}

cllm_status cllm__backbone_open(cllm__backbone **out, const char *path, cllm__backbone_options options, cllm_error *err) {
    cllm__backbone *backbone;
    cllm_status status;
    CLLM_TRY(CLLM_NEW(backbone, 1, err));
    CLLM_TRY_CLEAN(cllm__checkpoint_open(&backbone->checkpoint, path, err));
    CLLM_TRY_CLEAN(cllm__family_describe(backbone->checkpoint.config, &backbone->family, &backbone->architecture, err));
    cllm__architecture *a = &backbone->architecture;
    if (options.layers > a->layers) CLLM_TRY_CLEAN(cllm__fail(err, CLLM_ERR_USAGE, "the first %zu layers: '%s' has %zu", options.layers, path, a->layers));
    if (options.layers > 0) a->layers = options.layers;
    backbone->info = (cllm__backbone_info){
        .family = backbone->family->name,
        .layers = a->layers,
        .heads = a->heads,
        .kv_heads = a->kv_heads,
        .head_width = a->head_width,
        .width = a->width,
        .inner = a->inner,
        .mlp_matrices = a->activation == CLLM__SWIGLU ? 3 : 2,
        .vocabulary = a->vocabulary,
        .words = options.words > 0 && options.words < a->vocabulary ? options.words : a->vocabulary,
        .context = a->context,
        .window = a->window,
        .dtype = options.dtype,
        .file_bytes = backbone->checkpoint.file_bytes,
    };
    backbone->bare = options.bare || options.look;
    CLLM_TRY_CLEAN(CLLM_NEW(backbone->layers, a->layers, err));
    CLLM_TRY_CLEAN(load_all(backbone, options, err));
    CLLM_TRY_CLEAN(hash_of(backbone, &backbone->info.hash, err));
    *out = backbone;
    return CLLM_OK;
cleanup:
    cllm__backbone_close(backbone);
    return status;
}

static void free_norm(cllm__norm *norm) {
    cllm__free(norm->gain);
    cllm__free(norm->bias);
}

void cllm__backbone_close(cllm__backbone *backbone) {
    if (backbone == NULL) return;
    for (size_t i = 0; backbone->layers != NULL && i < backbone->architecture.layers; i++) {
        cllm__layer *layer = &backbone->layers[i];
        free_norm(&layer->norm1);
        free_norm(&layer->norm2);
        cllm__linear *linears[] = {&layer->query, &layer->key_value, &layer->projection, &layer->up, &layer->gate, &layer->down};
        for (size_t j = 0; j < CLLM_LEN(linears); j++) cllm__linear_free(linears[j]);
    }
    cllm__free(backbone->layers);
    free_norm(&backbone->final_norm);
    cllm__linear_free(&backbone->head);
    cllm__free(backbone->positions);
    cllm__free(backbone->architecture.rotary);
    cllm__checkpoint_close(&backbone->checkpoint);
    cllm__free(backbone);
}

cllm_status cllm__backbone_can_compute(const cllm__backbone *backbone, cllm_error *err) {
    if (!backbone->bare) return CLLM_OK;
    return cllm__fail(err, CLLM_ERR_USAGE, "the backbone was opened for its word embeddings alone, so there is nothing to compute with");
}

const cllm__backbone_info *cllm__backbone_info_of(const cllm__backbone *backbone) {
    return &backbone->info;
}

/* Each part's hash is hashed with those before it. */
static uint64_t mix(uint64_t hash, uint64_t part) {
    uint64_t both[2] = {hash, part};
    return cllm__hash(both, sizeof both);
}

static uint64_t mix_values(uint64_t hash, const cllm__real *values, size_t count) {
    return values == NULL ? hash : mix(hash, cllm__hash(values, count * sizeof *values));
}

static uint64_t mix_linear(uint64_t hash, const cllm__linear *linear) {
    if (linear->weight == NULL) return hash;
    hash = mix(hash, cllm__weight_hash(linear->weight));
    if (linear->transposed != NULL) hash = mix(hash, cllm__weight_hash(linear->transposed));
    return mix_values(hash, linear->bias, cllm__weight_columns(linear->weight));
}

uint64_t cllm__backbone_memory_hash(const cllm__backbone *backbone) {
    const cllm__architecture *a = &backbone->architecture;
    size_t size;
    const void *words = cllm__stored_bytes(&backbone->words, &size);
    uint64_t hash = cllm__hash(words, size);
    hash = mix_values(hash, backbone->positions, a->context * a->width);
    for (size_t i = 0; i < a->layers; i++) {
        const cllm__layer *layer = &backbone->layers[i];
        const cllm__norm *norms[] = {&layer->norm1, &layer->norm2};
        for (size_t j = 0; j < CLLM_LEN(norms); j++)
            hash = mix_values(mix_values(hash, norms[j]->gain, a->width), norms[j]->bias, a->width);
        const cllm__linear *linears[] = {&layer->query, &layer->key_value, &layer->projection,
                                         &layer->up,    &layer->gate,      &layer->down};
        for (size_t j = 0; j < CLLM_LEN(linears); j++) hash = mix_linear(hash, linears[j]);
    }
    hash = mix_values(mix_values(hash, backbone->final_norm.gain, a->width), backbone->final_norm.bias, a->width);
    return mix_linear(hash, &backbone->head);
}

void cllm__backbone_embed(const cllm__backbone *backbone, int32_t token, cllm__real *row) {
    CLLM_ASSERT(token >= 0 && (size_t)token < backbone->architecture.vocabulary);
    cllm__stored_row(&backbone->words, (size_t)token, row);
}

const cllm__weight *cllm__backbone_head(const cllm__backbone *backbone) {
    return backbone->head.weight;
}

const cllm__weight *cllm__backbone_head_transposed(const cllm__backbone *backbone) {
    return backbone->head.transposed;
}

double cllm__backbone_flops(const cllm__backbone_info *info, cllm__ragged ragged, size_t n_out) {
    double A = (double)(info->heads * info->head_width), K = (double)(info->kv_heads * info->head_width);
    double C = (double)info->width, T = (double)ragged.start[ragged.sequences], share = T > 0 ? (double)n_out / T : 0;
    double pairs = 0; /* of a query and a key that it sees */
    for (size_t s = 0; s < ragged.sequences; s++) {
        double length = (double)(ragged.start[s + 1] - ragged.start[s]);
        pairs += length * (length + 1) / 2;
    }
    double key_value = 2 * T * C * 2 * K;
    double rest = 2 * T * (C * A + A * C + (double)info->mlp_matrices * C * (double)info->inner) + 4 * A * pairs;
    return (double)info->layers * key_value + ((double)info->layers - 1 + share) * rest;
}
