#include "formats/npy.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "formats/pyliteral.h"

static const struct {
    const char *descr;
    size_t item;
} types[] = {
    [CLLM_NPY_BOOL] = {"|b1", 1},  [CLLM_NPY_I8] = {"|i1", 1},  [CLLM_NPY_U8] = {"|u1", 1},  [CLLM_NPY_I16] = {"<i2", 2},
    [CLLM_NPY_U16] = {"<u2", 2},   [CLLM_NPY_I32] = {"<i4", 4}, [CLLM_NPY_U32] = {"<u4", 4}, [CLLM_NPY_I64] = {"<i8", 8},
    [CLLM_NPY_U64] = {"<u8", 8},   [CLLM_NPY_F32] = {"<f4", 4}, [CLLM_NPY_F64] = {"<f8", 8}, [CLLM_NPY_BYTES] = {"|S", 0},
    [CLLM_NPY_UNICODE] = {"<U", 0}};

static const char magic[6] = {'\x93', 'N', 'U', 'M', 'P', 'Y'};

size_t cllm__npy_item(cllm__npy_type type) {
    return types[type].item;
}

bool cllm__npy_prefix(const unsigned char prefix[CLLM_NPY_PREFIX], size_t *begin, size_t *length) {
    if (memcmp(prefix, magic, sizeof magic) != 0 || prefix[6] < 1 || prefix[6] > 3 || prefix[7] != 0) return false;
    bool narrow = prefix[6] == 1;
    *begin = narrow ? 10 : 12;
    *length = prefix[8] | (size_t)prefix[9] << 8;
    if (!narrow) *length |= (size_t)prefix[10] << 16 | (size_t)prefix[11] << 24;
    return *length <= CLLM_NPY_HEADER_MAX;
}

static cllm_status parse_descr(const char *descr, const char *name, cllm__array *array, cllm_error *err) {
    for (size_t i = 0; i < CLLM_LEN(types); i++) {
        size_t n = strlen(types[i].descr);
        if (strncmp(descr, types[i].descr, n) != 0) continue;
        array->type = (cllm__npy_type)i;
        array->item = types[i].item;
        if (array->item > 0 && descr[n] == '\0') return CLLM_OK;
        if (array->item > 0) continue;
        char *end;
        unsigned long width = strtoul(descr + n, &end, 10);
        if (descr[n] < '0' || descr[n] > '9' || *end != '\0' || width > 1 << 24) continue;
        array->item = width * (array->type == CLLM_NPY_UNICODE ? 4 : 1);
        return CLLM_OK;
    }
    if (strchr(descr, 'O') != NULL) {
        return cllm__fail(err, CLLM_ERR_UNSUPPORTED,
                          "array '%s' holds pickled Python objects, which are never read: save it with numbers "
                          "or strings (dtype 'U' or 'S')",
                          name);
    }
    return cllm__fail(err, CLLM_ERR_UNSUPPORTED,
                      "array '%s' has the dtype '%.40s', which is not read: save it with .astype('<f4'), '<i8' or "
                      "the like",
                      name, descr);
}

static cllm_status parse_shape(struct json_object *shape, const char *name, cllm__array *array, cllm_error *err) {
    size_t rank = json_object_array_length(shape);
    if (rank > CLLM_NPY_RANK_MAX)
        return cllm__fail(err, CLLM_ERR_UNSUPPORTED, "array '%s' has %zu axes, more than %d", name, rank,
                          CLLM_NPY_RANK_MAX);
    uint64_t count = 1, limit = (uint64_t)INT64_MAX / (array->item > 0 ? array->item : 1);
    bool empty = false, fits = true;
    for (size_t i = 0; i < rank; i++) {
        struct json_object *size = json_object_array_get_idx(shape, i);
        if (!json_object_is_type(size, json_type_int) || json_object_get_int64(size) < 0) {
            return cllm__fail(err, CLLM_ERR_DATA, "array '%s' has no valid shape in its header", name);
        }
        array->shape[i] = (uint64_t)json_object_get_int64(size);
        empty |= array->shape[i] == 0;
    }
    for (size_t i = 0; i < rank && !empty && fits; i++) {
        fits = count <= limit / array->shape[i];
        count *= array->shape[i];
    }
    if (!fits) return cllm__fail(err, CLLM_ERR_DATA, "array '%s' claims an impossible size in its header", name);
    array->rank = rank;
    array->count = empty ? 0 : (size_t)count;
    return CLLM_OK;
}

static cllm_status parse_members(struct json_object *header, const char *name, cllm__array *array, cllm_error *err) {
    struct json_object *descr = json_object_object_get(header, "descr"), *shape = json_object_object_get(header, "shape"),
                       *fortran = json_object_object_get(header, "fortran_order");
    if (json_object_is_type(descr, json_type_array)) {
        return cllm__fail(err, CLLM_ERR_UNSUPPORTED,
                          "array '%s' is a structured array, which is not read: save each field by itself", name);
    }
    if (!json_object_is_type(descr, json_type_string) || !json_object_is_type(shape, json_type_array) ||
        !json_object_is_type(fortran, json_type_boolean)) {
        return cllm__fail(err, CLLM_ERR_DATA, "array '%s' has no descr, fortran_order or shape in its header", name);
    }
    CLLM_TRY(parse_descr(json_object_get_string(descr), name, array, err));
    CLLM_TRY(parse_shape(shape, name, array, err));
    if (array->rank > 1 && json_object_get_boolean(fortran)) {
        return cllm__fail(err, CLLM_ERR_UNSUPPORTED,
                          "array '%s' is in Fortran order, which is not read: save numpy.ascontiguousarray() of it", name);
    }
    return CLLM_OK;
}

cllm_status cllm__npy_parse(const char *text, size_t length, const char *name, cllm__array *array, cllm_error *err) {
    cllm__pyliteral_buffer buffer = {0};
    struct json_object *header = NULL;
    cllm__array result = {0};
    cllm_status status = cllm__pyliteral_parse(&buffer, text, length, &header, err);
    if (status != CLLM_OK) {
        cllm__error_prefix(err, "the header of array '%s' cannot be read", name);
    } else {
        status = parse_members(header, name, &result, err);
        json_object_put(header);
    }
    cllm__free(buffer.data);
    if (status == CLLM_OK) *array = result;
    return status;
}

size_t cllm__npy_format(char out[512], cllm__npy_type type, size_t item, size_t rank, const uint64_t *shape) {
    enum { PREFIX = 10, SIZE = 512 };
    char descr[32];
    snprintf(descr, sizeof descr, "%s", types[type].descr);
    if (type == CLLM_NPY_BYTES) snprintf(descr, sizeof descr, "|S%zu", item);
    if (type == CLLM_NPY_UNICODE) snprintf(descr, sizeof descr, "<U%zu", item / 4);
    size_t n =
        PREFIX + (size_t)snprintf(out + PREFIX, SIZE - PREFIX, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
    for (size_t i = 0; i < rank; i++) n += (size_t)snprintf(out + n, SIZE - n, "%s%" PRIu64, i > 0 ? ", " : "", shape[i]);
    n += (size_t)snprintf(out + n, SIZE - n, "%s), }", rank == 1 ? "," : "");
    size_t padded = (n + 1 + 63) / 64 * 64;
    memset(out + n, ' ', padded - n);
    out[padded - 1] = '\n';
    memcpy(out, magic, sizeof magic);
    out[6] = 1;
    out[7] = 0;
    out[8] = (char)((padded - PREFIX) & 0xFF);
    out[9] = (char)((padded - PREFIX) >> 8);
    return padded;
}
