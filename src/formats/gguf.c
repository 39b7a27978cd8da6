#include "formats/gguf.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"

enum {
    MAGIC_BYTES = 4,
    ALIGNMENT = 32,
    ALIGNMENT_MAX = 1 << 20,
    DEPTH_MAX = 4, /* of arrays in arrays */
    PARTS_MAX = 4096,
    /* The fewest bytes that these can take: counts are checked against what is left of the file before anything is
       allocated. */
    VALUE_BYTES = 8 + 4 + 1,
    TENSOR_BYTES = 8 + 4 + 8 + 4 + 8
};

static const char MAGIC[] = "GGUF";

static const struct {
    const char *name;
    size_t size; /* in the file; 0: not fixed */
} kinds[] = {
    [CLLM_GGUF_U8] = {"u8", 1},       [CLLM_GGUF_I8] = {"i8", 1},     [CLLM_GGUF_U16] = {"u16", 2},
    [CLLM_GGUF_I16] = {"i16", 2},     [CLLM_GGUF_U32] = {"u32", 4},   [CLLM_GGUF_I32] = {"i32", 4},
    [CLLM_GGUF_F32] = {"f32", 4},     [CLLM_GGUF_BOOL] = {"bool", 1}, [CLLM_GGUF_STRING] = {"string", 0},
    [CLLM_GGUF_ARRAY] = {"array", 0}, [CLLM_GGUF_U64] = {"u64", 8},   [CLLM_GGUF_I64] = {"i64", 8},
    [CLLM_GGUF_F64] = {"f64", 8},
};

typedef struct part {
    char *path;
    cllm__map map;
} part;

struct cllm__gguf {
    part *parts;
    size_t n_parts;
    unsigned version;
    cllm__gguf_value *values;
    const cllm__gguf_value **by_key;
    size_t n_values;
    cllm__gguf_tensor *tensors;
    const cllm__gguf_tensor **by_name;
    size_t n_tensors;
};

const char *cllm__gguf_kind_name(cllm__gguf_kind kind) {
    return kinds[kind].name;
}

/* ---- Names ---- */

const char *cllm__gguf_show(char text[CLLM_GGUF_SHOWN], cllm__gguf_text name) {
    size_t n = name.length < CLLM_GGUF_SHOWN ? name.length : CLLM_GGUF_SHOWN - 1;
    for (size_t i = 0; i < n; i++) text[i] = name.data[i] >= ' ' && name.data[i] < 127 ? name.data[i] : '?';
    text[n] = '\0';
    return text;
}

static int compare(cllm__gguf_text a, cllm__gguf_text b) {
    size_t n = a.length < b.length ? a.length : b.length;
    int order = n > 0 ? memcmp(a.data, b.data, n) : 0;
    return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

static int by_key(const void *a, const void *b) {
    return compare((*(const cllm__gguf_value *const *)a)->key, (*(const cllm__gguf_value *const *)b)->key);
}

static int by_name(const void *a, const void *b) {
    return compare((*(const cllm__gguf_tensor *const *)a)->name, (*(const cllm__gguf_tensor *const *)b)->name);
}

static int by_place(const void *a, const void *b) {
    const cllm__gguf_tensor *x = *(const cllm__gguf_tensor *const *)a, *y = *(const cllm__gguf_tensor *const *)b;
    return ((uintptr_t)x->data > (uintptr_t)y->data) - ((uintptr_t)x->data < (uintptr_t)y->data);
}

bool cllm__gguf_text_is(cllm__gguf_text text, const char *string) {
    return text.length == strlen(string) && memcmp(text.data, string, text.length) == 0;
}

/* ---- Reading ---- */

typedef struct reader {
    const char *path;
    const unsigned char *begin, *at;
    size_t left;
    cllm_error *err;
} reader;

#define BAD(r, ...) bad_file((r)->path, (r)->err, __VA_ARGS__)

static cllm_status bad_file(const char *path, cllm_error *err, const char *format, ...) CLLM_PRINTF(3, 4);
static cllm_status bad_file(const char *path, cllm_error *err, const char *format, ...) {
    char what[512];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return cllm__fail(err, CLLM_ERR_DATA, "'%s' is not a valid GGUF file: %s", path, what);
}

static uint64_t little(const unsigned char *data, size_t size) {
    uint64_t value = 0;
    for (size_t i = size; i-- > 0;) value = value << 8 | data[i];
    return value;
}

/* `size` > 0 bytes at the reader's place, which moves on; `what` stands in the message. */
static cllm_status take(reader *r, size_t size, const unsigned char **data, const char *what) {
    if (size > r->left)
        return BAD(r, "%s at byte %zu needs %zu bytes, but the file ends after %zu (is it truncated?)", what,
                   (size_t)(r->at - r->begin), size, r->left);
    *data = r->at;
    r->at += size;
    r->left -= size;
    return CLLM_OK;
}

static cllm_status take_u32(reader *r, uint32_t *out, const char *what) {
    const unsigned char *data = NULL;
    CLLM_TRY(take(r, 4, &data, what));
    *out = (uint32_t)little(data, 4);
    return CLLM_OK;
}

static cllm_status take_u64(reader *r, uint64_t *out, const char *what) {
    const unsigned char *data = NULL;
    CLLM_TRY(take(r, 8, &data, what));
    *out = little(data, 8);
    return CLLM_OK;
}

static cllm_status take_text(reader *r, cllm__gguf_text *out, const char *what) {
    uint64_t length;
    size_t place = (size_t)(r->at - r->begin);
    CLLM_TRY(take_u64(r, &length, what));
    if (length > r->left)
        return BAD(r, "%s at byte %zu claims %" PRIu64 " bytes, but the file ends after %zu (is it truncated?)", what,
                   place, length, r->left);
    *out = (cllm__gguf_text){(const char *)r->at, (size_t)length};
    r->at += length;
    r->left -= (size_t)length;
    return CLLM_OK;
}

static cllm_status take_kind(reader *r, cllm__gguf_text key, cllm__gguf_kind *out) {
    uint32_t kind;
    char shown[CLLM_GGUF_SHOWN];
    CLLM_TRY(take_u32(r, &kind, "the type of a value"));
    if (kind >= CLLM_LEN(kinds))
        return BAD(r, "'%s' has a value of the unknown type %" PRIu32, cllm__gguf_show(shown, key), kind);
    *out = (cllm__gguf_kind)kind;
    return CLLM_OK;
}

static cllm_status check_bools(const reader *r, cllm__gguf_text key, const unsigned char *data, uint64_t count) {
    char shown[CLLM_GGUF_SHOWN];
    for (uint64_t i = 0; i < count; i++)
        if (data[i] > 1) return BAD(r, "'%s' has a truth value of %u", cllm__gguf_show(shown, key), (unsigned)data[i]);
    return CLLM_OK;
}

static cllm_status skip_array(reader *r, cllm__gguf_text key, size_t depth, cllm__gguf_kind *member, uint64_t *count,
                              const unsigned char **data);

/* Moves over one value, or over an array's members, and checks it. */
static cllm_status skip(reader *r, cllm__gguf_text key, cllm__gguf_kind kind, size_t depth) {
    const unsigned char *data;
    if (kind == CLLM_GGUF_STRING) {
        cllm__gguf_text text;
        return take_text(r, &text, "a string");
    }
    if (kind == CLLM_GGUF_ARRAY) {
        uint64_t count;
        return skip_array(r, key, depth + 1, &kind, &count, &data);
    }
    CLLM_TRY(take(r, kinds[kind].size, &data, "a value"));
    return kind == CLLM_GGUF_BOOL ? check_bools(r, key, data, 1) : CLLM_OK;
}

static cllm_status skip_array(reader *r, cllm__gguf_text key, size_t depth, cllm__gguf_kind *member, uint64_t *count,
                              const unsigned char **data) {
    char shown[CLLM_GGUF_SHOWN];
    if (depth > DEPTH_MAX)
        return BAD(r, "'%s' has arrays nested more than %d deep", cllm__gguf_show(shown, key), DEPTH_MAX);
    CLLM_TRY(take_kind(r, key, member));
    CLLM_TRY(take_u64(r, count, "the length of an array"));
    size_t fixed = kinds[*member].size, least = fixed > 0 ? fixed : *member == CLLM_GGUF_STRING ? 8 : 12;
    if (*count > r->left / least)
        return BAD(r, "'%s' claims an array of %" PRIu64 " members, but the file ends after %zu bytes (is it truncated?)",
                   cllm__gguf_show(shown, key), *count, r->left);
    *data = r->at;
    if (fixed > 0) {
        size_t bytes = (size_t)*count * fixed;
        r->at += bytes;
        r->left -= bytes;
        return *member == CLLM_GGUF_BOOL ? check_bools(r, key, *data, *count) : CLLM_OK;
    }
    for (uint64_t i = 0; i < *count; i++) CLLM_TRY(skip(r, key, *member, depth));
    return CLLM_OK;
}

static cllm_status read_value(reader *r, cllm__gguf_value *value) {
    cllm__gguf_value v = {.count = 1};
    CLLM_TRY(take_text(r, &v.key, "a key"));
    if (v.key.length == 0) return BAD(r, "it has a value without a key");
    CLLM_TRY(take_kind(r, v.key, &v.kind));
    v.member = v.kind;
    v.data = r->at;
    if (v.kind == CLLM_GGUF_ARRAY) CLLM_TRY(skip_array(r, v.key, 1, &v.member, &v.count, &v.data));
    else CLLM_TRY(skip(r, v.key, v.kind, 0));
    v.bytes = (size_t)(r->at - v.data);
    *value = v;
    return CLLM_OK;
}

/* One line of the tensor list; `data` is filled in when the place of the data is known: until then it is the offset. */
static cllm_status read_tensor(reader *r, cllm__gguf_tensor *tensor, uint64_t *offset) {
    char shown[CLLM_GGUF_SHOWN];
    cllm__gguf_tensor t = {.count = 1};
    uint32_t rank, type;
    CLLM_TRY(take_text(r, &t.name, "a tensor's name"));
    cllm__gguf_show(shown, t.name);
    CLLM_TRY(take_u32(r, &rank, "a tensor's rank"));
    if (rank < 1 || rank > CLLM_GGUF_RANK_MAX)
        return BAD(r, "tensor '%s' has %" PRIu32 " dimensions, not 1 to %d", shown, rank, CLLM_GGUF_RANK_MAX);
    t.rank = rank;
    for (size_t i = 0; i < rank; i++) {
        uint64_t *size = &t.shape[rank - 1 - i];
        CLLM_TRY(take_u64(r, size, "a tensor's dimension"));
        if (*size == 0) return BAD(r, "tensor '%s' is empty", shown);
        if (t.count > (uint64_t)INT64_MAX / *size) return BAD(r, "tensor '%s' has too many elements", shown);
        t.count *= *size;
    }
    CLLM_TRY(take_u32(r, &type, "a tensor's type"));
    if (!cllm__gguf_type_known(type)) {
        const char *name = cllm__gguf_type_name(type);
        return cllm__fail(r->err, CLLM_ERR_UNSUPPORTED,
                          "'%s': tensor '%s' has the type %s (%" PRIu32
                          "), which is not read; take a file in Q8_0, Q4_K or "
                          "another of F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K to Q6_K, IQ4_NL, IQ4_XS",
                          r->path, shown, name != NULL ? name : "of an unknown number", type);
    }
    t.type = (cllm__gguf_type)type;
    size_t block = cllm__gguf_block_count(t.type), bytes = cllm__gguf_block_bytes(t.type);
    if (t.shape[rank - 1] % block != 0)
        return BAD(r, "tensor '%s' has rows of %" PRIu64 " elements, which are not whole blocks of %s (%zu)", shown,
                   t.shape[rank - 1], cllm__gguf_type_name(type), block);
    if (t.count / block > (uint64_t)INT64_MAX / bytes) return BAD(r, "tensor '%s' has too many bytes", shown);
    t.bytes = (size_t)(t.count / block * bytes);
    CLLM_TRY(take_u64(r, offset, "a tensor's offset"));
    *tensor = t;
    return CLLM_OK;
}

static cllm_status check_header(reader *r, unsigned *version) {
    const unsigned char *magic;
    uint32_t number;
    if (r->left < MAGIC_BYTES || memcmp(r->at, MAGIC, MAGIC_BYTES) != 0) return BAD(r, "it does not begin with GGUF");
    CLLM_TRY(take(r, MAGIC_BYTES, &magic, "the magic"));
    CLLM_TRY(take_u32(r, &number, "the version"));
    if (number == 2 || number == 3) {
        *version = number;
        return CLLM_OK;
    }
    if (number == (uint32_t)2 << 24 || number == (uint32_t)3 << 24)
        return cllm__fail(r->err, CLLM_ERR_UNSUPPORTED,
                          "'%s' is a big-endian GGUF file, which is not read; take a little-endian one", r->path);
    return cllm__fail(r->err, CLLM_ERR_UNSUPPORTED, "'%s' is GGUF of version %" PRIu32 "; versions 2 and 3 are read",
                      r->path, number);
}

/* What one file holds, before it is made part of the model. */
typedef struct contents {
    cllm__gguf_value *values;
    const cllm__gguf_value **by_key;
    cllm__gguf_tensor *tensors;
    const cllm__gguf_tensor **places;
    uint64_t *offsets;
    size_t n_values, n_tensors;
    unsigned version;
} contents;

static void free_contents(contents *c) {
    cllm__free(c->values);
    cllm__free(c->by_key);
    cllm__free(c->tensors);
    cllm__free(c->places);
    cllm__free(c->offsets);
    *c = (contents){0};
}

static const cllm__gguf_value *find_value(const cllm__gguf_value *const *values, size_t count, const char *key) {
    cllm__gguf_value wanted = {.key = {key, strlen(key)}};
    const cllm__gguf_value *pointer = &wanted;
    if (count == 0) return NULL;
    const cllm__gguf_value *const *found = bsearch(&pointer, values, count, sizeof *values, by_key);
    return found != NULL ? *found : NULL;
}

static cllm_status read_values(reader *r, contents *c, uint64_t count) {
    char shown[CLLM_GGUF_SHOWN];
    CLLM_TRY(CLLM_NEW(c->values, (size_t)count, r->err));
    CLLM_TRY(CLLM_NEW(c->by_key, (size_t)count, r->err));
    c->n_values = (size_t)count;
    for (size_t i = 0; i < count; i++) {
        CLLM_TRY(read_value(r, &c->values[i]));
        c->by_key[i] = &c->values[i];
    }
    if (count > 1) qsort(c->by_key, (size_t)count, sizeof *c->by_key, by_key);
    for (size_t i = 1; i < count; i++)
        if (compare(c->by_key[i - 1]->key, c->by_key[i]->key) == 0)
            return BAD(r, "the key '%s' stands twice", cllm__gguf_show(shown, c->by_key[i]->key));
    return CLLM_OK;
}

static bool is_integer(cllm__gguf_kind kind) {
    return kind != CLLM_GGUF_F32 && kind != CLLM_GGUF_F64 && kind != CLLM_GGUF_BOOL && kind != CLLM_GGUF_STRING &&
           kind != CLLM_GGUF_ARRAY;
}

static cllm_status read_alignment(const reader *r, const contents *c, size_t *alignment) {
    const cllm__gguf_value *value = find_value(c->by_key, c->n_values, "general.alignment");
    *alignment = ALIGNMENT;
    if (value == NULL) return CLLM_OK;
    int64_t number = is_integer(value->kind) ? cllm__gguf_integer_at(value, 0) : -1;
    if (number < 1 || number > ALIGNMENT_MAX || (number & (number - 1)) != 0)
        return BAD(r, "general.alignment must be a power of two up to %d", ALIGNMENT_MAX);
    *alignment = (size_t)number;
    return CLLM_OK;
}

/* Places the tensors' data: they begin at the next multiple of the alignment, lie within the file and don't overlap. */
static cllm_status place_tensors(const reader *r, contents *c) {
    char shown[CLLM_GGUF_SHOWN], before[CLLM_GGUF_SHOWN];
    size_t alignment, listed = (size_t)(r->at - r->begin), size = listed + r->left;
    CLLM_TRY(read_alignment(r, c, &alignment));
    size_t gap = (alignment - listed % alignment) % alignment;
    if (c->n_tensors > 0 && gap > r->left) return BAD(r, "it ends before the tensors' data (is it truncated?)");
    size_t start = listed + (gap <= r->left ? gap : r->left), room = size - start;
    CLLM_TRY(CLLM_NEW(c->places, c->n_tensors, r->err));
    for (size_t i = 0; i < c->n_tensors; i++) {
        cllm__gguf_tensor *t = &c->tensors[i];
        uint64_t offset = c->offsets[i];
        if (offset % alignment != 0)
            return BAD(r, "the data of tensor '%s' begin at %" PRIu64 ", which is no multiple of the alignment %zu",
                       cllm__gguf_show(shown, t->name), offset, alignment);
        if (offset > room || t->bytes > room - (size_t)offset)
            return BAD(r,
                       "the data of tensor '%s' are %zu bytes from %" PRIu64
                       " on, but there are only %zu (is the file truncated?)",
                       cllm__gguf_show(shown, t->name), t->bytes, offset, room);
        t->data = r->begin + start + offset;
        c->places[i] = t;
    }
    if (c->n_tensors > 1) qsort(c->places, c->n_tensors, sizeof *c->places, by_place);
    for (size_t i = 1; i < c->n_tensors; i++) {
        const cllm__gguf_tensor *low = c->places[i - 1], *high = c->places[i];
        if (low->bytes > (size_t)(high->data - low->data))
            return BAD(r, "the data of tensors '%s' and '%s' overlap", cllm__gguf_show(before, low->name),
                       cllm__gguf_show(shown, high->name));
    }
    return CLLM_OK;
}

static cllm_status read_contents(reader *r, contents *c) {
    uint64_t n_tensors, n_values;
    CLLM_TRY(check_header(r, &c->version));
    CLLM_TRY(take_u64(r, &n_tensors, "the number of tensors"));
    CLLM_TRY(take_u64(r, &n_values, "the number of values"));
    if (n_values > r->left / VALUE_BYTES || n_tensors > r->left / TENSOR_BYTES)
        return BAD(r, "it claims %" PRIu64 " values and %" PRIu64 " tensors, but has only %zu bytes (is it truncated?)",
                   n_values, n_tensors, r->left);
    CLLM_TRY(read_values(r, c, n_values));
    if (n_tensors > r->left / TENSOR_BYTES)
        return BAD(r, "it claims %" PRIu64 " tensors, but ends after %zu bytes (is it truncated?)", n_tensors, r->left);
    CLLM_TRY(CLLM_NEW(c->tensors, (size_t)n_tensors, r->err));
    CLLM_TRY(CLLM_NEW(c->offsets, (size_t)n_tensors, r->err));
    c->n_tensors = (size_t)n_tensors;
    for (size_t i = 0; i < n_tensors; i++) CLLM_TRY(read_tensor(r, &c->tensors[i], &c->offsets[i]));
    return place_tensors(r, c);
}

/* Maps a file, takes its path over (also on failure) and reads what it holds. */
static cllm_status add_part(cllm__gguf *file, char *path, contents *out, cllm_error *err) {
    if (path == NULL) return cllm__fail_nomem(err);
    part *parts = cllm__realloc(file->parts, file->n_parts + 1, sizeof *parts);
    if (parts == NULL) {
        cllm__free(path);
        return cllm__fail_nomem(err);
    }
    file->parts = parts;
    part *added = &parts[file->n_parts++];
    *added = (part){.path = path};
    CLLM_TRY(cllm__map_open(&added->map, path, err));
    reader r = {.path = path, .begin = added->map.data, .at = added->map.data, .left = added->map.size, .err = err};
    contents c = {0};
    cllm_status status = read_contents(&r, &c);
    if (status == CLLM_OK) *out = c;
    else free_contents(&c);
    return status;
}

/* ---- Several files ---- */

/* A whole number from the metadata of a part, `missing` if it isn't there, −1 if it is something else. */
static int64_t split_number(const contents *c, const char *key, int64_t missing) {
    const cllm__gguf_value *value = find_value(c->by_key, c->n_values, key);
    if (value == NULL) return missing;
    return is_integer(value->kind) ? cllm__gguf_integer_at(value, 0) : -1;
}

/* "x-00001-of-00003.gguf": whether the path ends so, for that number and count. */
static bool names_part(const char *path, int64_t number, int64_t count) {
    char end[64];
    int n = snprintf(end, sizeof end, "-%05" PRId64 "-of-%05" PRId64 ".gguf", number, count);
    size_t length = strlen(path);
    return length > (size_t)n && strcmp(path + length - (size_t)n, end) == 0;
}

static char *part_path(const char *first, int64_t number, int64_t count) {
    size_t length = strlen(first), room = length + 64;
    char *path = cllm__alloc(room, 1);
    if (path == NULL) return NULL;
    char end[64];
    int n = snprintf(end, sizeof end, "-%05" PRId64 "-of-%05" PRId64 ".gguf", number, count);
    snprintf(path, room, "%.*s%s", (int)(length - (size_t)n), first, end); /* numbers below 100,000 have one length */
    return path;
}

static cllm_status add_tensors(cllm__gguf *file, const contents *c, cllm_error *err) {
    if (c->n_tensors == 0) return CLLM_OK;
    cllm__gguf_tensor *tensors = cllm__realloc(file->tensors, file->n_tensors + c->n_tensors, sizeof *tensors);
    if (tensors == NULL) return cllm__fail_nomem(err);
    memcpy(tensors + file->n_tensors, c->tensors, c->n_tensors * sizeof *tensors);
    file->tensors = tensors;
    file->n_tensors += c->n_tensors;
    return CLLM_OK;
}

static cllm_status read_others(cllm__gguf *file, const contents *first, int64_t count, cllm_error *err) {
    const char *path = file->parts[0].path; /* the string stays where it is when the list grows */
    if (count > PARTS_MAX) return bad_file(path, err, "split.count is %" PRId64 ", more than %d", count, PARTS_MAX);
    int64_t number = split_number(first, "split.no", 0);
    if (number != 0)
        return cllm__fail(err, CLLM_ERR_USAGE,
                          "'%s' is file %" PRId64 " of %" PRId64 " of a model; give the first, which ends in "
                          "-00001-of-%05" PRId64 ".gguf",
                          path, number + 1, count, count);
    if (!names_part(path, 1, count))
        return cllm__fail(err, CLLM_ERR_USAGE,
                          "'%s' is the first of %" PRId64 " files; its name must end in -00001-of-%05" PRId64
                          ".gguf, so that the others are found",
                          path, count, count);
    for (int64_t i = 1; i < count; i++) {
        contents c = {0};
        char *name = part_path(path, i + 1, count);
        if (name != NULL && !cllm__path_exists(name)) {
            cllm_status status =
                cllm__fail(err, CLLM_ERR_NOT_FOUND, "'%s' is missing: it is file %" PRId64 " of %" PRId64 " of the model",
                           name, i + 1, count);
            cllm__free(name);
            return status;
        }
        CLLM_TRY(add_part(file, name, &c, err));
        cllm_status status = CLLM_OK;
        if (split_number(&c, "split.no", -1) != i || split_number(&c, "split.count", -1) != count)
            status = bad_file(name, err, "its split.no and split.count do not say that it is file %" PRId64 " of %" PRId64,
                              i + 1, count);
        else status = add_tensors(file, &c, err);
        free_contents(&c);
        CLLM_TRY(status);
    }
    int64_t total = split_number(first, "split.tensors.count", (int64_t)file->n_tensors);
    if (total != (int64_t)file->n_tensors)
        return bad_file(path, err, "split.tensors.count is %" PRId64 ", but its files have %zu tensors", total,
                        file->n_tensors);
    return CLLM_OK;
}

static cllm_status index_tensors(cllm__gguf *file, cllm_error *err) {
    char shown[CLLM_GGUF_SHOWN];
    CLLM_TRY(CLLM_NEW(file->by_name, file->n_tensors, err));
    for (size_t i = 0; i < file->n_tensors; i++) file->by_name[i] = &file->tensors[i];
    if (file->n_tensors > 1) qsort(file->by_name, file->n_tensors, sizeof *file->by_name, by_name);
    for (size_t i = 1; i < file->n_tensors; i++)
        if (compare(file->by_name[i - 1]->name, file->by_name[i]->name) == 0)
            return bad_file(file->parts[0].path, err, "the tensor '%s' stands twice",
                            cllm__gguf_show(shown, file->by_name[i]->name));
    return CLLM_OK;
}

static cllm_status open_all(cllm__gguf *file, const char *path, cllm_error *err) {
    contents first = {0};
    CLLM_TRY(add_part(file, cllm__strdup(path), &first, err));
    file->version = first.version;
    cllm_status status = add_tensors(file, &first, err);
    int64_t count = split_number(&first, "split.count", 1);
    if (status == CLLM_OK && count > 1) status = read_others(file, &first, count, err);
    file->values = first.values;
    file->by_key = first.by_key;
    file->n_values = first.n_values;
    first.values = NULL;
    first.by_key = NULL;
    free_contents(&first);
    CLLM_TRY(status);
    return index_tensors(file, err);
}

cllm_status cllm__gguf_open(cllm__gguf **out, const char *path, cllm_error *err) {
    cllm__gguf *file;
    CLLM_TRY(CLLM_NEW(file, 1, err));
    cllm_status status = open_all(file, path, err);
    if (status == CLLM_OK) *out = file;
    else cllm__gguf_close(file);
    return status;
}

void cllm__gguf_rest(const cllm__gguf *file) {
    for (size_t i = 0; i < file->n_parts; i++) cllm__map_rest(&file->parts[i].map);
}

void cllm__gguf_close(cllm__gguf *file) {
    if (file == NULL) return;
    for (size_t i = 0; i < file->n_parts; i++) {
        cllm__map_close(&file->parts[i].map);
        cllm__free(file->parts[i].path);
    }
    cllm__free(file->parts);
    cllm__free(file->values);
    cllm__free(file->by_key);
    cllm__free(file->tensors);
    cllm__free(file->by_name);
    cllm__free(file);
}

cllm_status cllm__gguf_recognise(const char *path, bool *is, cllm_error *err) {
    cllm__map map;
    *is = false;
    if (cllm__path_is_folder(path)) return CLLM_OK;
    CLLM_TRY(cllm__map_open(&map, path, err));
    *is = map.size >= MAGIC_BYTES && memcmp(map.data, MAGIC, MAGIC_BYTES) == 0;
    cllm__map_close(&map);
    return CLLM_OK;
}

/* ---- What the file says ---- */

unsigned cllm__gguf_version(const cllm__gguf *file) {
    return file->version;
}

size_t cllm__gguf_files(const cllm__gguf *file) {
    return file->n_parts;
}

const char *cllm__gguf_path(const cllm__gguf *file, size_t index) {
    CLLM_ASSERT(index < file->n_parts);
    return file->parts[index].path;
}

uint64_t cllm__gguf_bytes(const cllm__gguf *file) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < file->n_parts; i++) bytes += file->parts[i].map.size;
    return bytes;
}

size_t cllm__gguf_values(const cllm__gguf *file) {
    return file->n_values;
}

const cllm__gguf_value *cllm__gguf_value_at(const cllm__gguf *file, size_t index) {
    CLLM_ASSERT(index < file->n_values);
    return &file->values[index];
}

const cllm__gguf_value *cllm__gguf_find(const cllm__gguf *file, const char *key) {
    return find_value(file->by_key, file->n_values, key);
}

size_t cllm__gguf_tensors(const cllm__gguf *file) {
    return file->n_tensors;
}

const cllm__gguf_tensor *cllm__gguf_tensor_at(const cllm__gguf *file, size_t index) {
    CLLM_ASSERT(index < file->n_tensors);
    return &file->tensors[index];
}

const cllm__gguf_tensor *cllm__gguf_find_tensor(const cllm__gguf *file, const char *name) {
    cllm__gguf_tensor wanted = {.name = {name, strlen(name)}};
    const cllm__gguf_tensor *pointer = &wanted;
    if (file->n_tensors == 0) return NULL;
    const cllm__gguf_tensor **found = bsearch(&pointer, file->by_name, file->n_tensors, sizeof *file->by_name, by_name);
    return found != NULL ? *found : NULL;
}

const char *cllm__gguf_tensor_path(const cllm__gguf *file, const cllm__gguf_tensor *tensor) {
    size_t i = 0;
    while (i + 1 < file->n_parts &&
           ((uintptr_t)tensor->data < (uintptr_t)file->parts[i].map.data ||
            (uintptr_t)tensor->data - (uintptr_t)file->parts[i].map.data >= file->parts[i].map.size))
        i++;
    return file->parts[i].path;
}

/* ---- Values ---- */

int64_t cllm__gguf_integer_at(const cllm__gguf_value *array, uint64_t index) {
    size_t size = kinds[array->member].size;
    CLLM_ASSERT(index < array->count && is_integer(array->member));
    uint64_t bits = little(array->data + index * size, size);
    switch (array->member) {
    case CLLM_GGUF_I8: return (int64_t)(bits ^ 0x80) - 0x80;
    case CLLM_GGUF_I16: return (int64_t)(bits ^ 0x8000) - 0x8000;
    case CLLM_GGUF_I32: return (int64_t)(bits ^ 0x80000000) - (int64_t)0x80000000;
    case CLLM_GGUF_I64: {
        int64_t value;
        memcpy(&value, &bits, sizeof value);
        return value;
    }
    default: return bits > (uint64_t)INT64_MAX ? INT64_MAX : (int64_t)bits;
    }
}

double cllm__gguf_number_at(const cllm__gguf_value *array, uint64_t index) {
    CLLM_ASSERT(index < array->count);
    if (array->member == CLLM_GGUF_F32) {
        uint32_t bits = (uint32_t)little(array->data + index * 4, 4);
        float value;
        memcpy(&value, &bits, sizeof value);
        return (double)value;
    }
    if (array->member == CLLM_GGUF_F64) {
        uint64_t bits = little(array->data + index * 8, 8);
        double value;
        memcpy(&value, &bits, sizeof value);
        return value;
    }
    return (double)cllm__gguf_integer_at(array, index);
}

static cllm_status missing(const cllm__gguf *file, const char *key, cllm_error *err) {
    return cllm__fail(err, CLLM_ERR_DATA, "'%s': %s is missing in its metadata", file->parts[0].path, key);
}

static cllm_status wrong_kind(const cllm__gguf *file, const char *key, const cllm__gguf_value *value, const char *wanted,
                              cllm_error *err) {
    bool array = value->kind == CLLM_GGUF_ARRAY;
    return cllm__fail(err, CLLM_ERR_DATA, "'%s': %s is %s%s, but %s is expected", file->parts[0].path, key,
                      array ? "an array of " : "of the type ", kinds[value->member].name, wanted);
}

cllm_status cllm__gguf_integer(const cllm__gguf *file, const char *key, int64_t low, int64_t high, const int64_t *fallback,
                               int64_t *out, cllm_error *err) {
    const cllm__gguf_value *value = cllm__gguf_find(file, key);
    if (value == NULL && fallback == NULL) return missing(file, key, err);
    if (value == NULL) {
        *out = *fallback;
        return CLLM_OK;
    }
    if (!is_integer(value->kind)) return wrong_kind(file, key, value, "an integer", err);
    int64_t number = cllm__gguf_integer_at(value, 0);
    if (number < low || number > high)
        return cllm__fail(err, CLLM_ERR_DATA, "'%s': %s is %" PRId64 "; it must be from %" PRId64 " to %" PRId64,
                          file->parts[0].path, key, number, low, high);
    *out = number;
    return CLLM_OK;
}

cllm_status cllm__gguf_number(const cllm__gguf *file, const char *key, const double *fallback, double *out,
                              cllm_error *err) {
    const cllm__gguf_value *value = cllm__gguf_find(file, key);
    if (value == NULL && fallback == NULL) return missing(file, key, err);
    if (value == NULL) {
        *out = *fallback;
        return CLLM_OK;
    }
    if (!is_integer(value->kind) && value->kind != CLLM_GGUF_F32 && value->kind != CLLM_GGUF_F64)
        return wrong_kind(file, key, value, "a number", err);
    double number = cllm__gguf_number_at(value, 0);
    if (!isfinite(number))
        return cllm__fail(err, CLLM_ERR_DATA, "'%s': %s is %f; it must be a finite number", file->parts[0].path, key,
                          number);
    *out = number;
    return CLLM_OK;
}

cllm_status cllm__gguf_bool(const cllm__gguf *file, const char *key, const bool *fallback, bool *out, cllm_error *err) {
    const cllm__gguf_value *value = cllm__gguf_find(file, key);
    if (value == NULL && fallback == NULL) return missing(file, key, err);
    if (value != NULL && value->kind != CLLM_GGUF_BOOL) return wrong_kind(file, key, value, "a truth value", err);
    *out = value != NULL ? value->data[0] != 0 : *fallback;
    return CLLM_OK;
}

cllm_status cllm__gguf_string(const cllm__gguf *file, const char *key, const cllm__gguf_text *fallback,
                              cllm__gguf_text *out, cllm_error *err) {
    const cllm__gguf_value *value = cllm__gguf_find(file, key);
    if (value == NULL && fallback == NULL) return missing(file, key, err);
    if (value == NULL) {
        *out = *fallback;
        return CLLM_OK;
    }
    if (value->kind != CLLM_GGUF_STRING) return wrong_kind(file, key, value, "a string", err);
    cllm__gguf_strings one = {value->data, 1};
    cllm__gguf_next(&one, out);
    return CLLM_OK;
}

cllm_status cllm__gguf_array(const cllm__gguf *file, const char *key, cllm__gguf_kind member, const cllm__gguf_value **out,
                             cllm_error *err) {
    const cllm__gguf_value *value = cllm__gguf_find(file, key);
    *out = NULL;
    if (value == NULL) return CLLM_OK;
    cllm__gguf_kind have = value->member;
    bool floating = have == CLLM_GGUF_F32 || have == CLLM_GGUF_F64;
    bool fits = member == CLLM_GGUF_I64 ? is_integer(have) : member == CLLM_GGUF_F64 ? floating : have == member;
    if (value->kind != CLLM_GGUF_ARRAY || !fits) {
        const char *wanted = member == CLLM_GGUF_I64   ? "an array of integers"
                             : member == CLLM_GGUF_F64 ? "an array of floats"
                                                       : "an array of strings";
        return wrong_kind(file, key, value, wanted, err);
    }
    *out = value;
    return CLLM_OK;
}

cllm__gguf_strings cllm__gguf_strings_of(const cllm__gguf_value *array) {
    CLLM_ASSERT(array->member == CLLM_GGUF_STRING);
    return (cllm__gguf_strings){array->data, array->count};
}

bool cllm__gguf_next(cllm__gguf_strings *strings, cllm__gguf_text *text) {
    if (strings->left == 0) return false;
    size_t length = (size_t)little(strings->next, 8); /* fits: checked when the file was opened */
    *text = (cllm__gguf_text){(const char *)strings->next + 8, length};
    strings->next += 8 + length;
    strings->left--;
    return true;
}
