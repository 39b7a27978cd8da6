#include "backbone/convert.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "backbone/family.h"
#include "base/alloc.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/rng.h"
#include "formats/utf8.h"

/* ---- What the files hold ---- */

enum { SHORT_ARRAY = 16 };

static struct json_object *tell_text(cllm__gguf_text text) {
    if (cllm__utf8_check(text.data, text.length) == text.length && text.length < INT32_MAX)
        return json_object_new_string_len(text.data, (int)text.length);
    char shown[CLLM_GGUF_SHOWN];
    return json_object_new_string(cllm__gguf_show(shown, text));
}

static struct json_object *tell_member(const cllm__gguf_value *value, uint64_t index) {
    switch (value->member) {
    case CLLM_GGUF_BOOL: return json_object_new_boolean(value->data[index] != 0);
    case CLLM_GGUF_F32:
    case CLLM_GGUF_F64: return json_object_new_double(cllm__gguf_number_at(value, index));
    default: return json_object_new_int64(cllm__gguf_integer_at(value, index));
    }
}

static struct json_object *tell_value(const cllm__gguf_value *value) {
    bool array = value->kind == CLLM_GGUF_ARRAY;
    if (array && (value->count > SHORT_ARRAY || value->member == CLLM_GGUF_ARRAY)) {
        char text[80];
        snprintf(text, sizeof text, "[%llu × %s]", (unsigned long long)value->count, cllm__gguf_kind_name(value->member));
        return json_object_new_string(text);
    }
    if (!array && value->kind != CLLM_GGUF_STRING) return tell_member(value, 0);
    struct json_object *list = json_object_new_array();
    cllm__gguf_strings strings = {value->data, value->member == CLLM_GGUF_STRING ? value->count : 0};
    for (cllm__gguf_text text; cllm__gguf_next(&strings, &text);) json_object_array_add(list, tell_text(text));
    for (uint64_t i = 0; i < value->count && value->member != CLLM_GGUF_STRING; i++)
        json_object_array_add(list, tell_member(value, i));
    if (array) return list;
    struct json_object *one = json_object_get(json_object_array_get_idx(list, 0));
    json_object_put(list);
    return one;
}

static struct json_object *tell_metadata(const cllm__gguf *file) {
    struct json_object *metadata = json_object_new_object();
    for (size_t i = 0; i < cllm__gguf_values(file); i++) {
        const cllm__gguf_value *value = cllm__gguf_value_at(file, i);
        char shown[CLLM_GGUF_SHOWN];
        json_object_object_add(metadata, cllm__gguf_show(shown, value->key), tell_value(value));
    }
    return metadata;
}

static void tell_tensor(struct json_object *types, struct json_object *list, const char *name, const char *type,
                        size_t rank, const uint64_t *shape) {
    struct json_object *tensor = json_object_new_object(), *sizes = json_object_new_array(), *before;
    int64_t count = json_object_object_get_ex(types, type, &before) ? json_object_get_int64(before) : 0;
    json_object_object_add(types, type, json_object_new_int64(count + 1));
    for (size_t i = 0; i < rank; i++) json_object_array_add(sizes, json_object_new_int64((int64_t)shape[i]));
    json_object_object_add(tensor, "name", json_object_new_string(name));
    json_object_object_add(tensor, "type", json_object_new_string(type));
    json_object_object_add(tensor, "shape", sizes);
    json_object_array_add(list, tensor);
}

void cllm__backbone_tell(const cllm__backbone *backbone, struct json_object *object) {
    const cllm__checkpoint *checkpoint = &backbone->checkpoint;
    struct json_object *types = json_object_new_object(), *list = json_object_new_array();
    json_object_object_add(object, "format", json_object_new_string(checkpoint->gguf != NULL ? "gguf" : "safetensors"));
    json_object_object_add(object, "tensor_types", types);
    if (checkpoint->gguf != NULL) {
        const cllm__gguf *file = cllm__gguf_model_file(checkpoint->gguf);
        json_object_object_add(object, "metadata", tell_metadata(file));
        for (size_t i = 0; i < cllm__gguf_tensors(file); i++) {
            const cllm__gguf_tensor *t = cllm__gguf_tensor_at(file, i);
            char shown[CLLM_GGUF_SHOWN];
            tell_tensor(types, list, cllm__gguf_show(shown, t->name), cllm__gguf_type_name((uint32_t)t->type), t->rank,
                        t->shape);
        }
    }
    for (size_t f = 0; f < checkpoint->n_files; f++) {
        for (size_t i = 0; i < cllm__safetensors_count(checkpoint->files[f]); i++) {
            const cllm__tensor *t = cllm__safetensors_at(checkpoint->files[f], i);
            tell_tensor(types, list, t->name, cllm__st_dtype_name(t->dtype), t->rank, t->shape);
        }
    }
    json_object_object_add(object, "tensors", list);
}

/* ---- Conversion ---- */

/* Rounded to the nearest, ties to even. Finite numbers only. */
static uint16_t to_bfloat(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

typedef struct conversion {
    cllm__tensor *tensors;
    cllm__listed *listed; /* the tensors' names */
    size_t count;
} conversion;

static void free_conversion(conversion *c) {
    for (size_t i = 0; i < c->count; i++) cllm__free((void *)(uintptr_t)c->tensors[i].data);
    cllm__free(c->tensors);
    cllm__free(c->listed);
}

/* The values of one tensor into a new block; those of a matrix shuffled, if `shuffle` is not NULL. */
static cllm_status convert_values(const cllm__listed *listed, cllm__dtype dtype, cllm__rng *shuffle, cllm__tensor *out, cllm_error *err) {
    size_t count = cllm__stored_count(&listed->stored);
    cllm__tensor t = {
        .name = listed->name, .dtype = dtype == CLLM__BF16 ? CLLM_ST_BF16 : CLLM_ST_F32, .rank = listed->rank};
    memcpy(t.shape, listed->shape, sizeof t.shape);
    const cllm__tensor *plain = listed->stored.plain;
    if (plain != NULL && !cllm__st_dtype_is_float(plain->dtype)) { /* masks and the like stay as they are */
        t.dtype = plain->dtype;
        t.bytes = plain->bytes;
        void *copy = cllm__alloc(t.bytes, 1);
        if (copy == NULL) return cllm__fail_nomem(err);
        if (t.bytes > 0) memcpy(copy, listed->stored.plain->data, t.bytes);
        t.data = copy;
        *out = t;
        return CLLM_OK;
    }
    cllm__real *values = cllm__alloc(count, sizeof *values);
    if (values == NULL) return cllm__fail_nomem(err);
    cllm__stored_read(&listed->stored, values);
    for (size_t i = shuffle != NULL && t.rank > 1 ? count : 0; i > 1; i--) {
        size_t other = (size_t)cllm__rng_below(shuffle, i);
        cllm__real value = values[i - 1];
        values[i - 1] = values[other];
        values[other] = value;
    }
    t.bytes = count * cllm__st_dtype_size(t.dtype);
    t.data = values;
    /* In place: the result's numbers are no wider. */
    unsigned char *to = (unsigned char *)values;
    for (size_t i = 0; i < count; i++) {
        float value = (float)values[i];
        uint16_t narrow = to_bfloat(value);
        if (t.dtype == CLLM_ST_BF16) memcpy(to + 2 * i, &narrow, 2);
        else memcpy(to + 4 * i, &value, 4);
    }
    *out = t;
    return CLLM_OK;
}

static cllm_status convert_tensors(const cllm__checkpoint *checkpoint, cllm__dtype dtype, const uint64_t *seed, conversion *c, cllm_error *err) {
    size_t n = cllm__checkpoint_count(checkpoint);
    CLLM_TRY(CLLM_NEW(c->tensors, n, err));
    CLLM_TRY(CLLM_NEW(c->listed, n, err));
    for (size_t i = 0; i < n; i++) {
        bool there;
        cllm__listed *listed = &c->listed[c->count];
        CLLM_TRY(cllm__checkpoint_at(checkpoint, i, &there, listed, err));
        if (!there) continue;
        cllm__rng rng = cllm__rng_make(seed != NULL ? *seed : 0, CLLM_RNG_INIT_BACKBONE, 1, cllm__hash(listed->name, strlen(listed->name)));
        CLLM_TRY(convert_values(listed, dtype, seed != NULL ? &rng : NULL, &c->tensors[c->count], err));
        c->count++;
    }
    return CLLM_OK;
}

static cllm_status write_config(const cllm__checkpoint *checkpoint, const char *folder, cllm__dtype dtype,
                                cllm_error *err) {
    struct json_object *config = NULL;
    char *path = cllm__path_join(folder, "config.json");
    if (path == NULL || json_object_deep_copy(checkpoint->config.object, &config, NULL) != 0) {
        cllm__free(path);
        return cllm__fail_nomem(err);
    }
    json_object_object_add(config, "torch_dtype", json_object_new_string(dtype == CLLM__BF16 ? "bfloat16" : "float32"));
    json_object_object_del(config, "dtype"); /* what transformers 5 calls it, of the weights as they were */
    const char *text = json_object_to_json_string_ext(config, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED);
    cllm_status status = text == NULL ? cllm__fail_nomem(err) : cllm__write_file(path, text, strlen(text), err);
    json_object_put(config);
    cllm__free(path);
    return status;
}

static cllm_status convert(const cllm__checkpoint *checkpoint, const char *folder, cllm__dtype dtype, const uint64_t *seed, cllm_error *err) {
    static const char *const METADATA[] = {"format", "pt"};
    conversion c = {0};
    char *path = cllm__path_join(folder, "model.safetensors");
    cllm_status status = path == NULL ? cllm__fail_nomem(err) : convert_tensors(checkpoint, dtype, seed, &c, err);
    if (status == CLLM_OK) status = cllm__safetensors_write(path, c.tensors, c.count, METADATA, 1, err);
    if (status == CLLM_OK) status = write_config(checkpoint, folder, dtype, err);
    cllm__free(path);
    free_conversion(&c);
    return status;
}

/* What transformers' model of this kind would read otherwise. */
static cllm_status check_writable(const cllm__checkpoint *checkpoint, const cllm__architecture *a, cllm_error *err) {
    if (a->rotary_width == 0 || a->rotary_width == a->head_width) return CLLM_OK;
    return cllm__fail(err, CLLM_ERR_UNSUPPORTED,
                      "'%s': rotary positions turn %zu of a head's %zu values; transformers' LLaMA turns all of them, whatever the configuration says, so "
                      "a folder would be another model; use '%s' itself as the backbone",
                      checkpoint->config_path, a->rotary_width, a->head_width, checkpoint->config_path);
}

cllm_status cllm__backbone_convert(const char *path, const char *folder, cllm__dtype dtype, const uint64_t *shuffle_seed, cllm_error *err) {
    cllm__checkpoint checkpoint;
    const cllm__family *family;
    cllm__architecture architecture = {0};
    CLLM_TRY(cllm__checkpoint_open(&checkpoint, path, err));
    cllm_status status = cllm__family_describe(checkpoint.config, &family, &architecture, err);
    if (status == CLLM_OK) status = check_writable(&checkpoint, &architecture, err);
    if (status == CLLM_OK) status = convert(&checkpoint, folder, dtype, shuffle_seed, err);
    cllm__free(architecture.rotary);
    cllm__checkpoint_close(&checkpoint);
    return status;
}
