#include "backbone/gguf_model.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backbone/family.h"
#include "base/alloc.h"

enum { NAME_SIZE = 160, KEY_SIZE = 96 };

/* ---- Names ---- */

typedef enum order { IN_ORDER, TRANSPOSED, QUERY, KEY } order;

typedef struct part {
    const char *theirs, *ours; /* without ".weight" or ".bias": transformers' name, and GGUF's */
    bool layered;              /* after "layers.N." and "blk.N." */
    order order;               /* of matrices, and for QUERY and KEY of biases too */
    bool bias;                 /* it may have one */
} part;

static const part LLAMA_PARTS[] = {
    {"embed_tokens", "token_embd", false, IN_ORDER, false},
    {"norm", "output_norm", false, IN_ORDER, false},
    {"lm_head", "output", false, IN_ORDER, false},
    {"input_layernorm", "attn_norm", true, IN_ORDER, false},
    {"self_attn.q_proj", "attn_q", true, QUERY, true},
    {"self_attn.k_proj", "attn_k", true, KEY, true},
    {"self_attn.v_proj", "attn_v", true, IN_ORDER, true},
    {"self_attn.o_proj", "attn_output", true, IN_ORDER, true},
    {"post_attention_layernorm", "ffn_norm", true, IN_ORDER, false},
    {"mlp.gate_proj", "ffn_gate", true, IN_ORDER, true},
    {"mlp.up_proj", "ffn_up", true, IN_ORDER, true},
    {"mlp.down_proj", "ffn_down", true, IN_ORDER, true},
};

static const part GPT2_PARTS[] = {
    {"wte", "token_embd", false, IN_ORDER, false},
    {"wpe", "position_embd", false, IN_ORDER, false},
    {"ln_f", "output_norm", false, IN_ORDER, true},
    {"lm_head", "output", false, IN_ORDER, false},
    {"ln_1", "attn_norm", true, IN_ORDER, true},
    {"attn.c_attn", "attn_qkv", true, TRANSPOSED, true},
    {"attn.c_proj", "attn_output", true, TRANSPOSED, true},
    {"ln_2", "ffn_norm", true, IN_ORDER, true},
    {"mlp.c_fc", "ffn_up", true, TRANSPOSED, true},
    {"mlp.c_proj", "ffn_down", true, TRANSPOSED, true},
};

typedef struct architecture {
    const char *name, *layer; /* "layers.": before a layer's number in transformers' names */
    const char *prefix;       /* before all of them but the head's */
    const part *parts;
    size_t n_parts;
    bool adjacent; /* rotary pairs are adjacent in the file */
} architecture;

static const architecture ARCHITECTURES[] = {
    {"llama", "layers.", "model.", LLAMA_PARTS, CLLM_LEN(LLAMA_PARTS), true},
    {"qwen2", "layers.", "model.", LLAMA_PARTS, CLLM_LEN(LLAMA_PARTS), false},
    {"gpt2", "h.", "transformer.", GPT2_PARTS, CLLM_LEN(GPT2_PARTS), false},
};

/* The scaling factors of llama3's rotary positions, which stand beside the architecture's own tensors. */
#define ROPE_FACTORS "rope_freqs.weight"

struct cllm__gguf_model {
    cllm__gguf *file;
    const architecture *architecture;
    size_t layers, vocabulary, width, inner, context, heads, kv_heads, head_width, rotary_width;
};

static bool ends_part(const char *text, size_t length, const char *part_name) {
    return strlen(part_name) == length && memcmp(text, part_name, length) == 0;
}

/* "layers.3.self_attn.q_proj.weight" → "blk.3.attn_q.weight"; NULL if the architecture has nothing of that name. */
static const part *translate(const cllm__gguf_model *model, const char *name, char out[NAME_SIZE]) {
    const architecture *a = model->architecture;
    size_t before = strlen(a->layer);
    bool layered = strncmp(name, a->layer, before) == 0;
    unsigned long layer = 0;
    if (layered) {
        char *end;
        layer = strtoul(name + before, &end, 10);
        if (end == name + before || *end != '.') return NULL;
        name = end + 1;
    }
    const char *what = strrchr(name, '.');
    if (what == NULL) return NULL;
    for (size_t i = 0; i < a->n_parts; i++) {
        const part *p = &a->parts[i];
        if (p->layered != layered || !ends_part(name, (size_t)(what - name), p->theirs)) continue;
        int n = layered ? snprintf(out, NAME_SIZE, "blk.%lu.%s%s", layer, p->ours, what)
                        : snprintf(out, NAME_SIZE, "%s%s", p->ours, what);
        return n < NAME_SIZE ? p : NULL;
    }
    return NULL;
}

static const char *path_of(const cllm__gguf_model *model) {
    return cllm__gguf_path(model->file, 0);
}

static const cllm__gguf_tensor *find(const cllm__gguf_model *model, const char *name, char full[NAME_SIZE],
                                     const part **found) {
    const part *p = translate(model, name, full);
    if (found != NULL) *found = p;
    return p == NULL ? NULL : cllm__gguf_find_tensor(model->file, full);
}

bool cllm__gguf_model_has(const cllm__gguf_model *model, const char *name) {
    char full[NAME_SIZE];
    return find(model, name, full, NULL) != NULL;
}

static cllm_status missing(const cllm__gguf_model *model, const char *name, cllm_error *err) {
    return cllm__fail(err, CLLM_ERR_NOT_FOUND,
                      "'%s': tensor '%s' is missing; the file is incomplete: convert or download it again", path_of(model),
                      name);
}

cllm_status cllm__gguf_model_tensor(const cllm__gguf_model *model, const char *name, size_t rows, size_t columns,
                                    cllm__stored *out, cllm_error *err) {
    char full[NAME_SIZE];
    const part *p;
    const cllm__gguf_tensor *t = find(model, name, full, &p);
    if (t == NULL) return missing(model, p == NULL ? name : full, err);
    cllm__stored stored = {.rows = rows == 0 ? 1 : rows, .columns = columns, .blocks = t};
    if (p->order == TRANSPOSED && rows != 0) stored.transposed = true;
    if ((p->order == QUERY || p->order == KEY) && model->architecture->adjacent) {
        stored.head = model->head_width;
        stored.pairs = model->rotary_width / 2;
    }
    uint64_t want[2] = {stored.transposed ? columns : stored.rows, stored.transposed ? rows : columns};
    uint64_t have_columns = t->shape[t->rank - 1];
    if (t->rank > 2 || have_columns != want[1] || t->count / have_columns != want[0]) {
        char have_text[100], want_text[100];
        size_t vector = rows == 0 ? 1 : 0;
        return cllm__fail(err, CLLM_ERR_MISMATCH, "'%s': tensor '%s' is %s %s, but %s is expected",
                          cllm__gguf_tensor_path(model->file, t), full, cllm__gguf_type_name((uint32_t)t->type),
                          cllm__shape_text(have_text, sizeof have_text, t->rank, t->shape),
                          cllm__shape_text(want_text, sizeof want_text, 2 - vector, want + vector));
    }
    cllm_status status = cllm__stored_check_finite(&stored, err);
    if (status != CLLM_OK) {
        cllm__error_prefix(err, "%s", cllm__gguf_tensor_path(model->file, t));
        return status;
    }
    *out = stored;
    return CLLM_OK;
}

/* ---- What is not computed here is refused ---- */

static const part NO_PART = {0}; /* of tensors that are known and left out */

/* The part of the architecture that has the file's name, NULL if none has. *layer is SIZE_MAX where it belongs to none;
 * *what is
 * ".weight" or ".bias". */
static const part *part_of(const architecture *a, const char *name, size_t *layer, const char **what_out) {
    char *end = NULL;
    bool layered = strncmp(name, "blk.", 4) == 0;
    *layer = SIZE_MAX;
    if (layered) {
        if (name[4] < '0' || name[4] > '9' || (name[4] == '0' && name[5] != '.')) return NULL;
        *layer = (size_t)strtoul(name + 4, &end, 10);
        if (*end != '.') return NULL;
        name = end + 1;
    }
    const char *what = strrchr(name, '.');
    if (what == NULL || (strcmp(what, ".weight") != 0 && strcmp(what, ".bias") != 0)) return NULL;
    *what_out = what;
    /* Some converters store the rotary frequencies of every layer; they follow from the metadata. */
    if (layered && ends_part(name, (size_t)(what - name), "attn_rot_embd")) return &NO_PART;
    bool bias = strcmp(what, ".bias") == 0;
    for (size_t i = 0; i < a->n_parts; i++) {
        const part *p = &a->parts[i];
        if (p->layered == layered && (p->bias || !bias) && ends_part(name, (size_t)(what - name), p->ours)) return p;
    }
    return NULL;
}

/* The tensor's name as a string; "" for one that is too long to be known. */
static void copy_name(char name[NAME_SIZE], const cllm__gguf_tensor *t) {
    bool fits = t->name.length < NAME_SIZE;
    if (fits) memcpy(name, t->name.data, t->name.length);
    name[fits ? t->name.length : 0] = '\0';
}

bool cllm__gguf_model_name(const cllm__gguf_model *model, size_t index, char *name, size_t size, size_t *rank,
                           uint64_t *shape) {
    const cllm__gguf_tensor *t = cllm__gguf_tensor_at(model->file, index);
    char ours[NAME_SIZE];
    const char *what;
    size_t layer;
    copy_name(ours, t);
    const part *p = part_of(model->architecture, ours, &layer, &what);
    if (p == NULL || p == &NO_PART) return false;
    if (p->layered) snprintf(name, size, "%s%zu.%s%s", model->architecture->layer, layer, p->theirs, what);
    else snprintf(name, size, "%s%s", p->theirs, what);
    *rank = t->rank == 1 ? 1 : 2;
    bool turned = p->order == TRANSPOSED && *rank == 2;
    shape[0] = *rank == 1 ? t->count : turned ? t->shape[1] : t->shape[0];
    if (*rank == 2) shape[1] = turned ? t->shape[0] : t->shape[1];
    return true;
}

const char *cllm__gguf_model_prefix(const cllm__gguf_model *model) {
    return model->architecture->prefix;
}

static cllm_status check_names(const cllm__gguf_model *model, cllm_error *err) {
    const architecture *a = model->architecture;
    for (size_t i = 0; i < cllm__gguf_tensors(model->file); i++) {
        const cllm__gguf_tensor *t = cllm__gguf_tensor_at(model->file, i);
        char name[NAME_SIZE], shown[CLLM_GGUF_SHOWN];
        const char *what;
        size_t layer = SIZE_MAX;
        copy_name(name, t);
        bool known =
            part_of(a, name, &layer, &what) != NULL || (a->parts == LLAMA_PARTS && strcmp(name, ROPE_FACTORS) == 0);
        if (!known)
            return cllm__fail(err, CLLM_ERR_UNSUPPORTED,
                              "'%s': tensor '%s' is not part of the architecture %s as it is computed here; "
                              "take a model without it",
                              path_of(model), cllm__gguf_show(shown, t->name), a->name);
        if (layer != SIZE_MAX && layer >= model->layers)
            return cllm__fail(err, CLLM_ERR_MISMATCH,
                              "'%s': %s.block_count is %zu, but there is a tensor '%s' (layers count from 0)",
                              path_of(model), a->name, model->layers, name);
    }
    return CLLM_OK;
}

/* Metadata under the architecture's own name: "llama.block_count". */
static void own_key(char key[KEY_SIZE], const cllm__gguf_model *model, const char *name) {
    snprintf(key, KEY_SIZE, "%s.%s", model->architecture->name, name);
}

static cllm_status own_size(const cllm__gguf_model *model, const char *name, size_t high, const size_t *fallback,
                            size_t *out, cllm_error *err) {
    char key[KEY_SIZE];
    own_key(key, model, name);
    int64_t value = 0, missing_value = fallback != NULL ? (int64_t)*fallback : 0;
    CLLM_TRY(cllm__gguf_integer(model->file, key, 1, (int64_t)high, fallback != NULL ? &missing_value : NULL, &value, err));
    *out = (size_t)value;
    return CLLM_OK;
}

static cllm_status own_number(const cllm__gguf_model *model, const char *name, double low, double high,
                              const double *fallback, double *out, cllm_error *err) {
    char key[KEY_SIZE];
    own_key(key, model, name);
    double value;
    CLLM_TRY(cllm__gguf_number(model->file, key, fallback, &value, err));
    if (!(value >= low && value <= high))
        return cllm__fail(err, CLLM_ERR_DATA, "'%s': %s is %g; it must be a number from %g to %g", path_of(model), key,
                          value, low, high);
    *out = value;
    return CLLM_OK;
}

static cllm_status refuse_others(const cllm__gguf_model *model, cllm_error *err) {
    static const struct {
        const char *name;
        double nothing; /* the value besides 0 that changes nothing */
    } NUMBERS[] = {
        {"expert_count", 0},          {"attention.scale", 0},  {"attention.clamp_kqv", 0}, {"attention.max_alibi_bias", 0}, {"logit_scale", 0},
        {"residual_scale", 0},        {"embedding_scale", 0},  {"rope.scaling.attn_factor", 1},
    };
    const bool yes = true;
    bool causal;
    char key[KEY_SIZE];
    for (size_t i = 0; i < CLLM_LEN(NUMBERS); i++) {
        double value;
        CLLM_TRY(own_number(model, NUMBERS[i].name, -1e30, 1e30, &(double){0}, &value, err));
        if (value != 0 && value != NUMBERS[i].nothing)
            return cllm__fail(err, CLLM_ERR_UNSUPPORTED,
                              "'%s': %s.%s is %g, which is not supported; take a model without it", path_of(model),
                              model->architecture->name, NUMBERS[i].name, value);
    }
    own_key(key, model, "attention.causal");
    CLLM_TRY(cllm__gguf_bool(model->file, key, &yes, &causal, err));
    if (causal) return CLLM_OK;
    return cllm__fail(err, CLLM_ERR_UNSUPPORTED, "'%s': %s is false: its tokens see those after them, which is not supported; take a causal model",
                      path_of(model), key);
}

/* ---- The configuration ---- */

static void add(struct json_object *object, const char *key, struct json_object *value) {
    json_object_object_add(object, key, value);
}

static void add_size(struct json_object *object, const char *key, size_t value) {
    add(object, key, json_object_new_int64((int64_t)value));
}

static void add_class(struct json_object *config, const char *name) {
    struct json_object *classes = json_object_new_array();
    json_object_array_add(classes, json_object_new_string(name));
    add(config, "architectures", classes);
}

/* The shortest decimal number that gives the same single, as a double: 1e-5, not 9.99999974737875164e-06, where the file
 * has a rounded 1e-5. */
static double as_written(double number) {
    char text[32];
    float single = (float)number;
    if ((double)single != number) return number;
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtof(text, NULL) == single) return strtod(text, NULL);
    }
    return number;
}

static cllm_status read_shape(cllm__gguf_model *m, cllm_error *err) {
    CLLM_TRY(own_size(m, "block_count", CLLM__LAYERS_MAX, NULL, &m->layers, err));
    CLLM_TRY(own_size(m, "embedding_length", CLLM__WIDTH_MAX, NULL, &m->width, err));
    CLLM_TRY(own_size(m, "feed_forward_length", CLLM__INNER_MAX, NULL, &m->inner, err));
    CLLM_TRY(own_size(m, "context_length", CLLM__CONTEXT_MAX, NULL, &m->context, err));
    CLLM_TRY(own_size(m, "attention.head_count", CLLM__WIDTH_MAX, NULL, &m->heads, err));
    CLLM_TRY(own_size(m, "attention.head_count_kv", m->heads, &m->heads, &m->kv_heads, err));
    size_t even = m->width / m->heads, values;
    if (even == 0) even = 1;
    CLLM_TRY(own_size(m, "attention.key_length", CLLM__WIDTH_MAX, &even, &m->head_width, err));
    CLLM_TRY(own_size(m, "attention.value_length", CLLM__WIDTH_MAX, &m->head_width, &values, err));
    const char *name = m->architecture->name;
    if (values != m->head_width)
        return cllm__fail(err, CLLM_ERR_UNSUPPORTED,
                          "'%s': %s.attention.key_length is %zu and value_length %zu; only equal ones are "
                          "supported",
                          path_of(m), name, m->head_width, values);
    char key[KEY_SIZE];
    own_key(key, m, "attention.key_length");
    if (cllm__gguf_find(m->file, key) == NULL && m->width % m->heads != 0)
        return cllm__fail(err, CLLM_ERR_DATA, "'%s': %s.embedding_length %zu is not divisible by %zu heads", path_of(m),
                          name, m->width, m->heads);
    CLLM_TRY(own_size(m, "rope.dimension_count", m->head_width, &m->head_width, &m->rotary_width, err));
    const cllm__gguf_tensor *words = cllm__gguf_find_tensor(m->file, "token_embd.weight");
    if (words == NULL) return missing(m, "token_embd.weight", err);
    if (words->rank != 2 || words->shape[0] > CLLM__VOCABULARY_MAX)
        return cllm__fail(err, CLLM_ERR_MISMATCH, "'%s': token_embd.weight is not a matrix of at most %zu rows", path_of(m),
                          CLLM__VOCABULARY_MAX);
    m->vocabulary = (size_t)words->shape[0]; /* there may be more rows than pieces */
    return CLLM_OK;
}

/* The factors by which the rotary wavelengths of a head are stretched, as transformers' longrope has them: the same for
 * short and long texts, without a factor on the scores. */
static cllm_status add_factors(const cllm__gguf_model *m, const cllm__gguf_tensor *t, double stretch,
                               struct json_object *scaling, cllm_error *err) {
    struct json_object *factors = json_object_new_array();
    add(scaling, "rope_type", json_object_new_string("longrope"));
    add(scaling, "short_factor", factors);
    add(scaling, "attention_factor", json_object_new_double(1));
    add(scaling, "factor", json_object_new_double(1));
    add_size(scaling, "original_max_position_embeddings", m->context);
    if (t->type != CLLM_GGUF_TYPE_F32 || t->count != m->rotary_width / 2)
        return cllm__fail(err, CLLM_ERR_MISMATCH,
                          "'%s': " ROPE_FACTORS " has %" PRIu64 " values of %s, but %zu of F32 are expected", path_of(m),
                          t->count, cllm__gguf_type_name((uint32_t)t->type), m->rotary_width / 2);
    for (size_t i = 0; i < t->count; i++) {
        float value;
        memcpy(&value, t->data + i * sizeof value, sizeof value);
        if (!(value > 0 && isfinite(value)))
            return cllm__fail(err, CLLM_ERR_DATA, "'%s': element %zu of " ROPE_FACTORS " is %g; it must be positive",
                              path_of(m), i, (double)value);
        json_object_array_add(factors, json_object_new_double((double)value * stretch));
    }
    add(scaling, "long_factor", json_object_get(factors));
    return CLLM_OK;
}

/* The factor of linear scaling, 1 for none; other scalings are refused by name. */
static cllm_status read_stretch(const cllm__gguf_model *m, double *stretch, cllm_error *err) {
    char key[KEY_SIZE], shown[CLLM_GGUF_SHOWN];
    cllm__gguf_text type;
    own_key(key, m, "rope.scaling.type");
    CLLM_TRY(cllm__gguf_string(m->file, key, &(cllm__gguf_text){"linear", 6}, &type, err));
    *stretch = 1;
    if (cllm__gguf_text_is(type, "none")) return CLLM_OK;
    if (!cllm__gguf_text_is(type, "linear"))
        return cllm__fail(err, CLLM_ERR_UNSUPPORTED,
                          "'%s': rotary scaling '%s' (%s) is not supported; none, linear and llama3's " ROPE_FACTORS " are",
                          path_of(m), cllm__gguf_show(shown, type), key);
    double older;
    CLLM_TRY(own_number(m, "rope.scale_linear", 0, 1e6, &(double){0}, &older, err));
    CLLM_TRY(own_number(m, "rope.scaling.factor", 0, 1e6, &older, stretch, err));
    if (*stretch == 0) *stretch = 1;
    *stretch = as_written(*stretch);
    return CLLM_OK;
}

static cllm_status add_rotary(const cllm__gguf_model *m, struct json_object *config, cllm_error *err) {
    double base, stretch;
    CLLM_TRY(own_number(m, "rope.freq_base", 1, 1e15, &(double){10000}, &base, err));
    CLLM_TRY(read_stretch(m, &stretch, err));
    add(config, "rope_theta", json_object_new_double(as_written(base)));
    if (m->rotary_width != m->head_width) {
        double share = (double)m->rotary_width / (double)m->head_width;
        if ((size_t)((double)m->head_width * share) < m->rotary_width) share = nextafter(share, 1);
        add(config, "partial_rotary_factor", json_object_new_double(share));
    }
    const cllm__gguf_tensor *factors = cllm__gguf_find_tensor(m->file, ROPE_FACTORS);
    if (factors == NULL && stretch == 1) return CLLM_OK;
    struct json_object *scaling = json_object_new_object();
    add(config, "rope_scaling", scaling);
    if (factors != NULL) return add_factors(m, factors, stretch, scaling, err);
    add(scaling, "rope_type", json_object_new_string("linear"));
    add(scaling, "factor", json_object_new_double(stretch));
    return CLLM_OK;
}

static cllm_status add_llama(const cllm__gguf_model *m, struct json_object *config, cllm_error *err) {
    const double none = 0;
    double epsilon, window;
    bool attention = cllm__gguf_model_has(m, "layers.0.self_attn.q_proj.bias");
    bool projection = cllm__gguf_model_has(m, "layers.0.self_attn.o_proj.bias");
    bool mlp = cllm__gguf_model_has(m, "layers.0.mlp.up_proj.bias");
    CLLM_TRY(own_number(m, "attention.layer_norm_rms_epsilon", 0, 1, NULL, &epsilon, err));
    CLLM_TRY(own_number(m, "attention.sliding_window", 0, 1e9, &none, &window, err));
    /* Only Qwen2 has biases of query, key and value alone, only Mistral and Qwen2 have a window. */
    bool qwen2 = !m->architecture->adjacent || (attention && !projection), mistral = !qwen2 && window > 0;
    add(config, "model_type", json_object_new_string(qwen2 ? "qwen2" : mistral ? "mistral" : "llama"));
    add_class(config, qwen2 ? "Qwen2ForCausalLM" : mistral ? "MistralForCausalLM" : "LlamaForCausalLM");
    add_size(config, "num_hidden_layers", m->layers);
    add_size(config, "hidden_size", m->width);
    add_size(config, "intermediate_size", m->inner);
    add_size(config, "num_attention_heads", m->heads);
    add_size(config, "num_key_value_heads", m->kv_heads);
    add_size(config, "head_dim", m->head_width);
    add_size(config, "max_position_embeddings", m->context);
    add_size(config, "vocab_size", m->vocabulary);
    add(config, "rms_norm_eps", json_object_new_double(as_written(epsilon)));
    add(config, "hidden_act", json_object_new_string("silu"));
    if (!qwen2 && !mistral) add(config, "attention_bias", json_object_new_boolean(attention));
    if (!qwen2 && !mistral) add(config, "mlp_bias", json_object_new_boolean(mlp));
    if (qwen2) add(config, "use_sliding_window", json_object_new_boolean(window > 0));
    if (qwen2 && window > 0) add_size(config, "max_window_layers", 0); /* the file's window is every layer's */
    if (window > 0) add_size(config, "sliding_window", (size_t)window);
    return add_rotary(m, config, err);
}

static cllm_status add_gpt2(const cllm__gguf_model *m, struct json_object *config, cllm_error *err) {
    double epsilon;
    CLLM_TRY(own_number(m, "attention.layer_norm_epsilon", 0, 1, NULL, &epsilon, err));
    if (m->kv_heads != m->heads || m->head_width * m->heads != m->width)
        return cllm__fail(err, CLLM_ERR_UNSUPPORTED,
                          "'%s': a gpt2 of %zu heads, %zu key-value heads and head width %zu at a width of %zu "
                          "is not supported",
                          path_of(m), m->heads, m->kv_heads, m->head_width, m->width);
    add(config, "model_type", json_object_new_string("gpt2"));
    add_class(config, "GPT2LMHeadModel");
    add_size(config, "n_layer", m->layers);
    add_size(config, "n_embd", m->width);
    add_size(config, "n_inner", m->inner);
    add_size(config, "n_head", m->heads);
    add_size(config, "n_positions", m->context);
    add_size(config, "vocab_size", m->vocabulary);
    add(config, "layer_norm_epsilon", json_object_new_double(as_written(epsilon)));
    add(config, "activation_function", json_object_new_string("gelu_new"));
    return CLLM_OK;
}

/* Tokens that have a meaning, where the metadata name one of the vocabulary's rows. */
static void add_tokens(const cllm__gguf_model *m, struct json_object *config) {
    static const char *const KEYS[][2] = {{"tokenizer.ggml.bos_token_id", "bos_token_id"},
                                          {"tokenizer.ggml.eos_token_id", "eos_token_id"}};
    for (size_t i = 0; i < CLLM_LEN(KEYS); i++) {
        int64_t token;
        bool there = cllm__gguf_find(m->file, KEYS[i][0]) != NULL &&
                     cllm__gguf_integer(m->file, KEYS[i][0], 0, (int64_t)m->vocabulary - 1, NULL, &token, NULL) == CLLM_OK;
        add(config, KEYS[i][1], there ? json_object_new_int64(token) : NULL);
    }
}

static cllm_status read_config(const cllm__gguf_model *m, struct json_object *config, cllm_error *err) {
    CLLM_TRY(m->architecture->parts == GPT2_PARTS ? add_gpt2(m, config, err) : add_llama(m, config, err));
    add(config, "tie_word_embeddings", json_object_new_boolean(cllm__gguf_find_tensor(m->file, "output.weight") == NULL));
    add_tokens(m, config);
    return CLLM_OK;
}

static cllm_status find_architecture(cllm__gguf_model *m, cllm_error *err) {
    cllm__gguf_text name;
    char shown[CLLM_GGUF_SHOWN];
    CLLM_TRY(cllm__gguf_string(m->file, "general.architecture", NULL, &name, err));
    for (size_t i = 0; i < CLLM_LEN(ARCHITECTURES); i++)
        if (cllm__gguf_text_is(name, ARCHITECTURES[i].name)) m->architecture = &ARCHITECTURES[i];
    if (m->architecture != NULL) return CLLM_OK;
    return cllm__fail(err, CLLM_ERR_UNSUPPORTED, "'%s': the architecture '%s' is not supported; llama, qwen2 and gpt2 are",
                      path_of(m), cllm__gguf_show(shown, name));
}

static cllm_status open_model(cllm__gguf_model *model, const char *path, struct json_object *config, cllm_error *err) {
    CLLM_TRY(cllm__gguf_open(&model->file, path, err));
    CLLM_TRY(find_architecture(model, err));
    CLLM_TRY(read_shape(model, err));
    CLLM_TRY(refuse_others(model, err));
    CLLM_TRY(check_names(model, err));
    return read_config(model, config, err);
}

cllm_status cllm__gguf_model_open(cllm__gguf_model **out, const char *path, cllm__config *config, cllm_error *err) {
    cllm__gguf_model *model;
    CLLM_TRY(CLLM_NEW(model, 1, err));
    struct json_object *object = json_object_new_object();
    cllm_status status = object == NULL ? cllm__fail_nomem(err) : open_model(model, path, object, err);
    if (status != CLLM_OK) {
        json_object_put(object);
        cllm__gguf_model_close(model);
        return status;
    }
    *out = model;
    *config = (cllm__config){path_of(model), object};
    return CLLM_OK;
}

void cllm__gguf_model_close(cllm__gguf_model *model) {
    if (model == NULL) return;
    cllm__gguf_close(model->file);
    cllm__free(model);
}

const cllm__gguf *cllm__gguf_model_file(const cllm__gguf_model *model) {
    return model->file;
}
