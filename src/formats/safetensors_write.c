#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "formats/safetensors.h"
#include "formats/utf8.h"

enum { LENGTH_BYTES = 8, DATA_ALIGNMENT = 64 };

/* Falling element size, then name. */
static int by_size(const void *a, const void *b) {
    const cllm__tensor *x = *(const cllm__tensor *const *)a, *y = *(const cllm__tensor *const *)b;
    size_t x_size = cllm__st_dtype_size(x->dtype), y_size = cllm__st_dtype_size(y->dtype);
    if (x_size != y_size) return x_size > y_size ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int by_key(const void *a, const void *b) {
    return strcmp(**(const char *const *const *)a, **(const char *const *const *)b);
}

static bool is_text(const char *text) {
    return cllm__utf8_check(text, strlen(text)) == strlen(text);
}

/* Adds `value`, which may be NULL for want of memory, to the object. */
static cllm_status add(struct json_object *object, const char *key, struct json_object *value, cllm_error *err) {
    if (value != NULL && json_object_object_add(object, key, value) == 0) return CLLM_OK;
    json_object_put(value);
    return cllm__fail_nomem(err);
}

static cllm_status append_number(struct json_object *list, uint64_t number, cllm_error *err) {
    struct json_object *value = json_object_new_uint64(number);
    if (value != NULL && json_object_array_add(list, value) == 0) return CLLM_OK;
    json_object_put(value);
    return cllm__fail_nomem(err);
}

static cllm_status check_tensor(const cllm__tensor *t, cllm_error *err) {
    if (!is_text(t->name) || strcmp(t->name, "__metadata__") == 0) {
        return cllm__fail(err, CLLM_ERR_USAGE, "'%s' cannot be the name of a tensor", t->name);
    }
    uint64_t bytes = cllm__st_dtype_size(t->dtype);
    bool fits = t->rank <= CLLM_ST_RANK_MAX;
    for (size_t i = 0; fits && i < t->rank; i++) {
        fits = t->shape[i] == 0 || bytes <= (uint64_t)INT64_MAX / t->shape[i];
        bytes *= t->shape[i];
    }
    if (!fits || bytes != t->bytes) {
        return cllm__fail(err, CLLM_ERR_USAGE, "tensor '%s' has %zu bytes, which do not fit its shape", t->name, t->bytes);
    }
    return CLLM_OK;
}

static cllm_status describe(struct json_object *header, const cllm__tensor *t, uint64_t *offset, cllm_error *err) {
    CLLM_TRY(check_tensor(t, err));
    if (json_object_object_get_ex(header, t->name, NULL)) {
        return cllm__fail(err, CLLM_ERR_USAGE, "two tensors have the name '%s'", t->name);
    }
    struct json_object *entry = json_object_new_object();
    CLLM_TRY(add(header, t->name, entry, err));
    CLLM_TRY(add(entry, "dtype", json_object_new_string(cllm__st_dtype_name(t->dtype)), err));
    struct json_object *shape = json_object_new_array();
    CLLM_TRY(add(entry, "shape", shape, err));
    for (size_t i = 0; i < t->rank; i++) CLLM_TRY(append_number(shape, t->shape[i], err));
    struct json_object *offsets = json_object_new_array();
    CLLM_TRY(add(entry, "data_offsets", offsets, err));
    CLLM_TRY(append_number(offsets, *offset, err));
    *offset += t->bytes;
    return append_number(offsets, *offset, err);
}

static cllm_status describe_metadata(struct json_object *header, const char *const *metadata, size_t n_pairs,
                                     cllm_error *err) {
    if (n_pairs == 0) return CLLM_OK;
    struct json_object *entry = json_object_new_object();
    CLLM_TRY(add(header, "__metadata__", entry, err));
    const char *const **pairs;
    CLLM_TRY(CLLM_NEW(pairs, n_pairs, err));
    for (size_t i = 0; i < n_pairs; i++) pairs[i] = metadata + 2 * i;
    qsort(pairs, n_pairs, sizeof *pairs, by_key);
    cllm_status status = CLLM_OK;
    for (size_t i = 0; i < n_pairs && status == CLLM_OK; i++) {
        const char *key = pairs[i][0], *value = pairs[i][1];
        if (!is_text(key) || !is_text(value) || json_object_object_get_ex(entry, key, NULL)) {
            status = cllm__fail(err, CLLM_ERR_USAGE, "the metadata '%s' is not UTF-8, or there twice", key);
        } else {
            status = add(entry, key, json_object_new_string(value), err);
        }
    }
    cllm__free(pairs);
    return status;
}

static cllm_status write_file(const char *path, struct json_object *header, const cllm__tensor *const *order, size_t n,
                              cllm_error *err) {
    size_t length;
    const char *json =
        json_object_to_json_string_length(header, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &length);
    if (json == NULL) return cllm__fail_nomem(err);
    static const char blanks[] = "                                                                ";
    size_t padding = (DATA_ALIGNMENT - (LENGTH_BYTES + length) % DATA_ALIGNMENT) % DATA_ALIGNMENT;
    unsigned char head[LENGTH_BYTES];
    for (int i = 0; i < LENGTH_BYTES; i++) head[i] = (unsigned char)((uint64_t)(length + padding) >> 8 * i);

    cllm__out *out;
    CLLM_TRY(cllm__out_create(&out, path, err));
    cllm_status status = cllm__out_write(out, head, sizeof head, err);
    if (status == CLLM_OK) status = cllm__out_write(out, json, length, err);
    if (status == CLLM_OK) status = cllm__out_write(out, blanks, padding, err);
    for (size_t i = 0; i < n && status == CLLM_OK; i++) status = cllm__out_write(out, order[i]->data, order[i]->bytes, err);
    if (status == CLLM_OK) return cllm__out_commit(out, err);
    cllm__out_abort(out);
    return status;
}

cllm_status cllm__safetensors_write(const char *path, const cllm__tensor *tensors, size_t n, const char *const *metadata,
                                    size_t n_pairs, cllm_error *err) {
    const cllm__tensor **order;
    CLLM_TRY(CLLM_NEW(order, n, err));
    for (size_t i = 0; i < n; i++) order[i] = &tensors[i];
    if (n > 0) qsort(order, n, sizeof *order, by_size);
    struct json_object *header = json_object_new_object();
    uint64_t offset = 0;
    cllm_status status = header == NULL ? cllm__fail_nomem(err) : describe_metadata(header, metadata, n_pairs, err);
    for (size_t i = 0; i < n && status == CLLM_OK; i++) status = describe(header, order[i], &offset, err);
    if (status == CLLM_OK) status = write_file(path, header, order, n, err);
    json_object_put(header);
    cllm__free(order);
    return status;
}
