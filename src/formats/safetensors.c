#include "formats/safetensors.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"

enum { LENGTH_BYTES = 8, HEADER_MAX = 100 * 1000 * 1000, TENSORS_MAX = 1 << 18 };

#define METADATA "__metadata__"

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {
    [CLLM_ST_F64] = {"F64", 8},  [CLLM_ST_F32] = {"F32", 4}, [CLLM_ST_F16] = {"F16", 2}, [CLLM_ST_BF16] = {"BF16", 2},
    [CLLM_ST_I64] = {"I64", 8},  [CLLM_ST_I32] = {"I32", 4}, [CLLM_ST_I16] = {"I16", 2}, [CLLM_ST_I8] = {"I8", 1},
    [CLLM_ST_U64] = {"U64", 8},  [CLLM_ST_U32] = {"U32", 4}, [CLLM_ST_U16] = {"U16", 2}, [CLLM_ST_U8] = {"U8", 1},
    [CLLM_ST_BOOL] = {"BOOL", 1}};

const char *cllm__st_dtype_name(cllm__st_dtype dtype) {
    return dtypes[dtype].name;
}

size_t cllm__st_dtype_size(cllm__st_dtype dtype) {
    return dtypes[dtype].size;
}

/* Elements and bytes of a shape; false if either does not fit 63 bits. */
static bool measure(cllm__st_dtype dtype, size_t rank, const uint64_t *shape, uint64_t *count, uint64_t *bytes) {
    uint64_t n = 1;
    bool empty = false;
    for (size_t i = 0; i < rank; i++) empty |= shape[i] == 0;
    for (size_t i = 0; i < rank && !empty; i++) {
        if (n > (uint64_t)INT64_MAX / shape[i]) return false;
        n *= shape[i];
    }
    if (n > (uint64_t)INT64_MAX / dtypes[dtype].size) return false;
    *count = empty ? 0 : n;
    *bytes = *count * dtypes[dtype].size;
    return true;
}

size_t cllm__tensor_count(const cllm__tensor *tensor) {
    uint64_t count = 0, bytes;
    bool fits = measure(tensor->dtype, tensor->rank, tensor->shape, &count, &bytes);
    CLLM_ASSERT(fits);
    return fits ? (size_t)count : 0;
}

bool cllm__tensor_aligned(const cllm__tensor *tensor) {
    return (uintptr_t)tensor->data % dtypes[tensor->dtype].size == 0;
}

const char *cllm__shape_text(char *text, size_t size, size_t rank, const uint64_t *shape) {
    size_t used = (size_t)snprintf(text, size, "[");
    for (size_t i = 0; i < rank && used < size; i++) {
        const char *comma = i == 0 ? "" : ", ";
        int n = shape[i] == UINT64_MAX ? snprintf(text + used, size - used, "%sany", comma)
                                       : snprintf(text + used, size - used, "%s%" PRIu64, comma, shape[i]);
        used += (size_t)n;
    }
    if (used < size) snprintf(text + used, size - used, "]");
    return text;
}

/* ---- Reading ---- */

struct cllm__safetensors {
    char *path;
    cllm__map map;
    struct json_object *header; /* owns the tensors' names and the metadata */
    cllm__tensor *tensors;      /* by place of the data */
    const cllm__tensor **by_name;
    size_t count;
};

typedef struct reader {
    cllm__safetensors *file;
    const char *json;
    size_t json_size;
    const unsigned char *data;
    uint64_t data_size;
    cllm_error *err;
} reader;

#define BAD(r, ...) bad_file((r)->file->path, (r)->err, __VA_ARGS__)

static cllm_status bad_file(const char *path, cllm_error *err, const char *format, ...) CLLM_PRINTF(3, 4);
static cllm_status bad_file(const char *path, cllm_error *err, const char *format, ...) {
    char what[512];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return cllm__fail(err, CLLM_ERR_DATA, "'%s' is not a valid safetensors file: %s", path, what);
}

/* Adds the quoted name to the set, which must not have it. */
static cllm_status see_name(const reader *r, struct json_object *seen, const char *quoted, size_t size) {
    struct json_tokener *tokener = json_tokener_new();
    if (tokener == NULL) return cllm__fail_nomem(r->err);
    struct json_object *name = json_tokener_parse_ex(tokener, quoted, (int)size);
    json_tokener_free(tokener);
    const char *text = json_object_get_string(name);
    cllm_status status = CLLM_OK;
    if (text == NULL) status = cllm__fail_nomem(r->err);
    else if (json_object_object_get_ex(seen, text, NULL))
        status = BAD(r, "the name '%.200s' stands twice in its header", text);
    else if (json_object_object_add(seen, text, NULL) != 0) status = cllm__fail_nomem(r->err);
    json_object_put(name);
    return status;
}

/* json-c keeps the last of two equal keys, and builds any tree that is asked for. So the header is walked beforehand: what
 * a list of tensors cannot hold is refused, and keys are counted. With `seen` (an empty object) a name that stands twice in
 * the outermost object is refused by its name. */
static cllm_status scan_header(const reader *r, struct json_object *seen, size_t *keys) {
    char open[4] = {0};
    size_t depth = 0, items = 0, objects = 0, string = 0, string_end = 0;
    *keys = 0;
    for (size_t i = 0; i < r->json_size; i++) {
        char c = r->json[i];
        if (c == '"') {
            string = i;
            for (i++; i < r->json_size && r->json[i] != '"'; i++) {
                if (r->json[i] != '\\') continue;
                if (r->json_size - i > 6 && memcmp(r->json + i, "\\u0000", 6) == 0)
                    return BAD(r, "a NUL stands in its header");
                i++;
            }
            string_end = i + 1;
        } else if (c == '\'' || c == '\0') { /* json-c would take it */
            return BAD(r, "byte %zu of its header is not JSON", i);
        } else if (c == '{' || c == '[') {
            if (depth == 3 || open[depth] == '[') return BAD(r, "its header is nested too deeply");
            open[++depth] = c;
            items = 0;
            if (c == '{' && ++objects > TENSORS_MAX) return BAD(r, "its header has more than %d tensors", TENSORS_MAX);
        } else if (c == '}' || c == ']') {
            if (depth > 0) depth--;
        } else if (c == ',' && open[depth] == '[' && ++items >= CLLM_ST_RANK_MAX) {
            return BAD(r, "a list in its header has more than %d members", CLLM_ST_RANK_MAX);
        } else if (c == ':') {
            ++*keys;
            if (seen != NULL && depth == 1) CLLM_TRY(see_name(r, seen, r->json + string, string_end - string));
        }
    }
    return CLLM_OK;
}

static cllm_status parse_header(const reader *r, struct json_object **header) {
    struct json_tokener *tokener = json_tokener_new_ex(4);
    if (tokener == NULL) return cllm__fail_nomem(r->err);
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    struct json_object *value = json_tokener_parse_ex(tokener, r->json, (int)r->json_size);
    enum json_tokener_error problem = json_tokener_get_error(tokener);
    size_t end = json_tokener_get_parse_end(tokener);
    json_tokener_free(tokener);
    for (; end < r->json_size && r->json[end] == ' '; end++) {
    }
    if (problem == json_tokener_success && end == r->json_size && json_object_is_type(value, json_type_object)) {
        *header = value;
        return CLLM_OK;
    }
    json_object_put(value);
    return BAD(r, "byte %zu of its header is not the JSON that is expected (%s)", end,
               problem == json_tokener_continue ? "it ends too early" : json_tokener_error_desc(problem));
}

static bool read_u64(struct json_object *value, uint64_t *out) {
    if (!json_object_is_type(value, json_type_int) || json_object_get_int64(value) < 0) return false;
    uint64_t number = json_object_get_uint64(value);
    if (number > (uint64_t)INT64_MAX) return false;
    *out = number;
    return true;
}

static cllm_status read_dtype(const reader *r, const char *name, struct json_object *value, cllm__st_dtype *dtype) {
    if (!json_object_is_type(value, json_type_string)) return BAD(r, "tensor '%.200s' has no dtype", name);
    const char *text = json_object_get_string(value);
    for (size_t i = 0; i < CLLM_LEN(dtypes); i++) {
        if (strcmp(text, dtypes[i].name) == 0) {
            *dtype = (cllm__st_dtype)i;
            return CLLM_OK;
        }
    }
    return cllm__fail(r->err, CLLM_ERR_UNSUPPORTED,
                      "'%s': tensor '%.200s' has the dtype '%.40s', which is not read: convert it to F32, "
                      "F16 or BF16",
                      r->file->path, name, text);
}

static cllm_status read_tensor(const reader *r, const char *name, struct json_object *value, cllm__tensor *tensor,
                               size_t *keys) {
    if (!json_object_is_type(value, json_type_object)) return BAD(r, "tensor '%.200s' has no description", name);
    *keys += (size_t)json_object_object_length(value);
    cllm__tensor t = {.name = name};
    CLLM_TRY(read_dtype(r, name, json_object_object_get(value, "dtype"), &t.dtype));

    struct json_object *shape = json_object_object_get(value, "shape");
    if (!json_object_is_type(shape, json_type_array)) return BAD(r, "tensor '%.200s' has no shape", name);
    t.rank = json_object_array_length(shape); /* ≤ CLLM_ST_RANK_MAX: scan_header */
    for (size_t i = 0; i < t.rank; i++) {
        if (!read_u64(json_object_array_get_idx(shape, i), &t.shape[i])) {
            return BAD(r, "the shape of tensor '%.200s' is not a list of sizes", name);
        }
    }
    struct json_object *offsets = json_object_object_get(value, "data_offsets");
    uint64_t begin, end, count, bytes;
    if (!json_object_is_type(offsets, json_type_array) || json_object_array_length(offsets) != 2 ||
        !read_u64(json_object_array_get_idx(offsets, 0), &begin) ||
        !read_u64(json_object_array_get_idx(offsets, 1), &end)) {
        return BAD(r, "tensor '%.200s' has no data_offsets [begin, end]", name);
    }
    if (begin > end || end > r->data_size) {
        return BAD(r,
                   "the data of tensor '%.200s' lies at bytes %" PRIu64 " to %" PRIu64 ", but there are only %" PRIu64
                   " (is the file truncated?)",
                   name, begin, end, r->data_size);
    }
    char text[200];
    if (!measure(t.dtype, t.rank, t.shape, &count, &bytes) || bytes != end - begin) {
        return BAD(r, "tensor '%.200s' has %" PRIu64 " bytes, which do not fit %s of shape %s", name, end - begin,
                   dtypes[t.dtype].name, cllm__shape_text(text, sizeof text, t.rank, t.shape));
    }
    t.data = r->data + begin;
    t.bytes = (size_t)bytes;
    *tensor = t;
    return CLLM_OK;
}

static cllm_status check_metadata(const reader *r, struct json_object *value, size_t *keys) {
    if (!json_object_is_type(value, json_type_object)) return BAD(r, "its " METADATA " is not an object");
    *keys += (size_t)json_object_object_length(value);
    json_object_object_foreach(value, key, text) {
        if (!json_object_is_type(text, json_type_string))
            return BAD(r, "the value of '%.200s' in " METADATA " is not a string", key);
    }
    return CLLM_OK;
}

static int by_place(const void *a, const void *b) {
    const cllm__tensor *x = a, *y = b;
    if (x->data != y->data) return (const char *)x->data < (const char *)y->data ? -1 : 1;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b) {
    return strcmp((*(const cllm__tensor *const *)a)->name, (*(const cllm__tensor *const *)b)->name);
}

/* The format demands that the tensors cover the data without overlap and without holes. */
static cllm_status check_places(const reader *r) {
    const unsigned char *at = r->data;
    const char *before = NULL;
    for (size_t i = 0; i < r->file->count; i++) {
        const cllm__tensor *t = &r->file->tensors[i];
        if ((const unsigned char *)t->data < at) return BAD(r, "tensors '%.200s' and '%.200s' overlap", before, t->name);
        if ((const unsigned char *)t->data > at)
            return BAD(r, "there are bytes before tensor '%.200s' that belong to none", t->name);
        at += t->bytes;
        before = t->name;
    }
    size_t rest = (size_t)(r->data + r->data_size - at);
    return rest == 0 ? CLLM_OK : BAD(r, "%zu bytes at its end belong to no tensor", rest);
}

static cllm_status refuse_duplicate(const reader *r) {
    struct json_object *seen = json_object_new_object();
    if (seen == NULL) return cllm__fail_nomem(r->err);
    size_t keys;
    cllm_status status = scan_header(r, seen, &keys);
    json_object_put(seen);
    return status != CLLM_OK ? status : BAD(r, "a key stands twice in the description of a tensor");
}

static cllm_status read_tensors(const reader *r, size_t keys) {
    cllm__safetensors *file = r->file;
    size_t members = (size_t)json_object_object_length(file->header), counted = members;
    CLLM_TRY(CLLM_NEW(file->tensors, members, r->err));
    CLLM_TRY(CLLM_NEW(file->by_name, members, r->err));
    json_object_object_foreach(file->header, name, value) {
        if (strcmp(name, METADATA) == 0) {
            CLLM_TRY(check_metadata(r, value, &counted));
        } else {
            CLLM_TRY(read_tensor(r, name, value, &file->tensors[file->count], &counted));
            file->count++;
        }
    }
    if (counted != keys) return refuse_duplicate(r);
    if (file->count > 0) qsort(file->tensors, file->count, sizeof *file->tensors, by_place);
    for (size_t i = 0; i < file->count; i++) file->by_name[i] = &file->tensors[i];
    if (file->count > 0) qsort(file->by_name, file->count, sizeof *file->by_name, by_name);
    return check_places(r);
}

static cllm_status read_file(cllm__safetensors *file, cllm_error *err) {
    CLLM_TRY(cllm__map_open(&file->map, file->path, err));
    reader r = {.file = file, .err = err};
    const unsigned char *data = file->map.data;
    size_t size = file->map.size;
    if (size < LENGTH_BYTES) return BAD(&r, "it has %zu bytes, too few for a header", size);
    uint64_t length = 0;
    for (int i = LENGTH_BYTES - 1; i >= 0; i--) length = length << 8 | data[i];
    if (length > HEADER_MAX)
        return BAD(&r, "its header claims %" PRIu64 " bytes, more than the %d allowed", length, HEADER_MAX);
    if (length > size - LENGTH_BYTES) {
        return BAD(&r, "its header claims %" PRIu64 " bytes, but the file ends after %zu (is it truncated?)", length,
                   size - LENGTH_BYTES);
    }
    r.json = (const char *)data + LENGTH_BYTES;
    r.json_size = (size_t)length;
    r.data = data + LENGTH_BYTES + r.json_size;
    r.data_size = size - LENGTH_BYTES - length;
    size_t keys;
    CLLM_TRY(scan_header(&r, NULL, &keys));
    CLLM_TRY(parse_header(&r, &file->header));
    return read_tensors(&r, keys);
}

cllm_status cllm__safetensors_open(cllm__safetensors **out, const char *path, cllm_error *err) {
    cllm__safetensors *file;
    CLLM_TRY(CLLM_NEW(file, 1, err));
    file->path = cllm__strdup(path);
    cllm_status status = file->path == NULL ? cllm__fail_nomem(err) : read_file(file, err);
    if (status != CLLM_OK) {
        cllm__safetensors_close(file);
        return status;
    }
    *out = file;
    return CLLM_OK;
}

void cllm__safetensors_rest(const cllm__safetensors *file) {
    cllm__map_rest(&file->map);
}

void cllm__safetensors_close(cllm__safetensors *file) {
    if (file == NULL) return;
    json_object_put(file->header);
    cllm__map_close(&file->map);
    cllm__free(file->tensors);
    cllm__free(file->by_name);
    cllm__free(file->path);
    cllm__free(file);
}

const char *cllm__safetensors_path(const cllm__safetensors *file) {
    return file->path;
}

size_t cllm__safetensors_count(const cllm__safetensors *file) {
    return file->count;
}

const cllm__tensor *cllm__safetensors_at(const cllm__safetensors *file, size_t index) {
    CLLM_ASSERT(index < file->count);
    return &file->tensors[index];
}

const cllm__tensor *cllm__safetensors_find(const cllm__safetensors *file, const char *name) {
    cllm__tensor key = {.name = name};
    const cllm__tensor *wanted = &key;
    if (file->count == 0) return NULL;
    const cllm__tensor **found = bsearch(&wanted, file->by_name, file->count, sizeof *file->by_name, by_name);
    return found != NULL ? *found : NULL;
}

const char *cllm__safetensors_metadata(const cllm__safetensors *file, const char *key) {
    struct json_object *metadata = json_object_object_get(file->header, METADATA);
    struct json_object *value = metadata == NULL ? NULL : json_object_object_get(metadata, key);
    return value == NULL ? NULL : json_object_get_string(value);
}

static bool same_shape(const cllm__tensor *t, size_t rank, const uint64_t *shape) {
    if (t->rank != rank) return false;
    for (size_t i = 0; i < rank; i++) {
        if (shape[i] != UINT64_MAX && shape[i] != t->shape[i]) return false;
    }
    return true;
}

bool cllm__st_dtype_is_float(cllm__st_dtype dtype) {
    return dtype == CLLM_ST_F64 || dtype == CLLM_ST_F32 || dtype == CLLM_ST_F16 || dtype == CLLM_ST_BF16;
}

/* `dtype` NULL: any floating-point type. */
static cllm_status require(const cllm__safetensors *file, const char *name, const cllm__st_dtype *dtype, size_t rank,
                           const uint64_t *shape, const cllm__tensor **tensor, cllm_error *err) {
    const cllm__tensor *t = cllm__safetensors_find(file, name);
    if (t == NULL) return cllm__fail(err, CLLM_ERR_NOT_FOUND, "'%s' has no tensor '%s'", file->path, name);
    bool fits = dtype == NULL ? cllm__st_dtype_is_float(t->dtype) : t->dtype == *dtype;
    if (!fits || !same_shape(t, rank, shape)) {
        char have[200], want[200];
        return cllm__fail(err, CLLM_ERR_MISMATCH, "'%s': tensor '%s' is %s %s, but %s %s is expected", file->path, name,
                          dtypes[t->dtype].name, cllm__shape_text(have, sizeof have, t->rank, t->shape),
                          dtype == NULL ? "F32, F16, BF16 or F64" : dtypes[*dtype].name,
                          cllm__shape_text(want, sizeof want, rank, shape));
    }
    *tensor = t;
    return CLLM_OK;
}

cllm_status cllm__safetensors_require(const cllm__safetensors *file, const char *name, cllm__st_dtype dtype, size_t rank,
                                      const uint64_t *shape, const cllm__tensor **tensor, cllm_error *err) {
    return require(file, name, &dtype, rank, shape, tensor, err);
}

cllm_status cllm__safetensors_require_float(const cllm__safetensors *file, const char *name, size_t rank,
                                            const uint64_t *shape, const cllm__tensor **tensor, cllm_error *err) {
    return require(file, name, NULL, rank, shape, tensor, err);
}
