#include "formats/safetensors.h"

#include <errno.h>
#include <math.h>

#include "base/hash.h"
#include "format_test.h"

#define WRITTEN_HASH "26d97b8e1d24efa8"

static cllm_error err;

/* ---- Reading what the reference implementation wrote ---- */

static void test_reference_file(void **state) {
    (void)state;
    cllm__safetensors *file;
    assert_ok(cllm__safetensors_open(&file, TEST_DATA "/formats/data/hf.safetensors", &err));
    assert_int_equal(cllm__safetensors_count(file), 6);
    assert_string_equal(cllm__safetensors_metadata(file, "format"), "np");
    assert_string_equal(cllm__safetensors_metadata(file, "note"), "café");
    assert_null(cllm__safetensors_metadata(file, "missing"));
    assert_non_null(strstr(cllm__safetensors_path(file), "hf.safetensors"));

    const cllm__tensor *t;
    assert_ok(cllm__safetensors_require(file, "weight", CLLM_ST_F32, 2, (uint64_t[]){2, 3}, &t, &err));
    assert_string_equal(t->name, "weight");
    float values[6];
    assert_ok(cllm__tensor_to_f32(t, values, &err));
    for (int i = 0; i < 6; i++) assert_true(values[i] == (float)i / 4);
    assert_ok(cllm__safetensors_require_float(file, "half", 1, (uint64_t[]){UINT64_MAX}, &t, &err));
    assert_int_equal(t->dtype, CLLM_ST_F16);
    assert_ok(cllm__tensor_to_f32(t, values, &err));
    assert_true(values[0] == 1 && values[1] == -2.5f && values[2] == 65504 && values[3] == 0x1p-24f);
    assert_ok(cllm__safetensors_require(file, "double", CLLM_ST_F64, 1, (uint64_t[]){1}, &t, &err));
    assert_ok(cllm__tensor_to_f32(t, values, &err));
    assert_true(values[0] == 0.1f);
    t = cllm__safetensors_find(file, "ids");
    assert_true(t != NULL && t->dtype == CLLM_ST_I64 && t->bytes == 16);
    t = cllm__safetensors_find(file, "flag");
    assert_true(t != NULL && t->dtype == CLLM_ST_BOOL && t->bytes == 1);
    t = cllm__safetensors_find(file, "none");
    assert_true(t != NULL && t->rank == 2 && t->shape[0] == 0 && t->shape[1] == 3 && t->bytes == 0 &&
                cllm__tensor_count(t) == 0);
    assert_null(cllm__safetensors_find(file, "nothing"));
    const char *before = NULL;
    for (size_t i = 0; i < 6; i++) {
        t = cllm__safetensors_at(file, i);
        assert_true(before == NULL || (const char *)t->data >= before);
        before = t->data;
    }
    cllm__safetensors_close(file);
    cllm__safetensors_close(NULL);
}

static void test_require(void **state) {
    (void)state;
    cllm__safetensors *file;
    const cllm__tensor *t = NULL;
    assert_ok(cllm__safetensors_open(&file, TEST_DATA "/formats/data/hf.safetensors", &err));
    assert_fails(cllm__safetensors_require(file, "wte", CLLM_ST_F32, 0, NULL, &t, &err), CLLM_ERR_NOT_FOUND,
                 "hf.safetensors' has no tensor 'wte'");
    assert_fails(cllm__safetensors_require(file, "weight", CLLM_ST_F32, 2, (uint64_t[]){3, 2}, &t, &err), CLLM_ERR_MISMATCH,
                 "tensor 'weight' is F32 [2, 3], but F32 [3, 2] is expected");
    assert_fails(cllm__safetensors_require(file, "weight", CLLM_ST_BF16, 2, (uint64_t[]){2, UINT64_MAX}, &t, &err),
                 CLLM_ERR_MISMATCH, "is F32 [2, 3], but BF16 [2, any] is expected");
    assert_fails(cllm__safetensors_require(file, "weight", CLLM_ST_F32, 1, (uint64_t[]){6}, &t, &err), CLLM_ERR_MISMATCH,
                 "F32 [6]");
    assert_fails(cllm__safetensors_require_float(file, "ids", 1, (uint64_t[]){2}, &t, &err), CLLM_ERR_MISMATCH,
                 "is I64 [2], but F32, F16, BF16 or F64 [2] is expected");
    assert_null(t);
    cllm__safetensors_close(file);
}

/* ---- Hostile files ---- */

static const char *put_tensors(const char *header, size_t data_size) {
    static char file[1 << 16];
    size_t n = strlen(header);
    for (int i = 0; i < 8; i++) file[i] = (char)(n >> 8 * i);
    memcpy(file + 8, header, n);
    memset(file + 8 + n, 0, data_size);
    return put_file("bad.safetensors", file, 8 + n + data_size);
}

#define T(dtype, shape, begin, end) "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

static void test_hostile_headers(void **state) {
    (void)state;
    static const struct {
        const char *header;
        size_t data;
        cllm_status status;
        const char *message;
    } cases[] = {
        {"", 0, CLLM_ERR_DATA, "it ends too early"},
        {"[]", 0, CLLM_ERR_DATA, "not the JSON that is expected"},
        {"{\"a\"", 0, CLLM_ERR_DATA, "it ends too early"},
        {"{} x", 0, CLLM_ERR_DATA, "not the JSON that is expected"},
        {"{'a':1}", 0, CLLM_ERR_DATA, "byte 1 of its header is not JSON"},
        {"{\"a\":1}", 0, CLLM_ERR_DATA, "tensor 'a' has no description"},
        {"{\"a\":{}}", 0, CLLM_ERR_DATA, "tensor 'a' has no dtype"},
        {"{\"a\":{\"dtype\":5}}", 0, CLLM_ERR_DATA, "tensor 'a' has no dtype"},
        {"{\"a\":" T("F8_E4M3", "[1]", 0, 1) "}", 1, CLLM_ERR_UNSUPPORTED,
         "tensor 'a' has the dtype 'F8_E4M3', which is not read"},
        {"{\"a\":{\"dtype\":\"U8\"}}", 0, CLLM_ERR_DATA, "tensor 'a' has no shape"},
        {"{\"a\":" T("U8", "[-1]", 0, 1) "}", 1, CLLM_ERR_DATA, "shape of tensor 'a' is not a list of sizes"},
        {"{\"a\":" T("U8", "[1.0]", 0, 1) "}", 1, CLLM_ERR_DATA, "shape of tensor 'a' is not a list of sizes"},
        {"{\"a\":" T("U8", "[\"1\"]", 0, 1) "}", 1, CLLM_ERR_DATA, "shape of tensor 'a' is not a list of sizes"},
        {"{\"a\":" T("U8", "[99999999999999999999]", 0, 1) "}", 1, CLLM_ERR_DATA,
         "shape of tensor 'a' is not a list of sizes"},
        {"{\"a\":" T("U8", "[1,1,1,1,1,1,1,1,1]", 0, 1) "}", 1, CLLM_ERR_DATA,
         "a list in its header has more than 8 members"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, CLLM_ERR_DATA, "tensor 'a' has no data_offsets"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}", 1, CLLM_ERR_DATA,
         "tensor 'a' has no data_offsets"},
        {"{\"a\":" T("U8", "[1]", -1, 1) "}", 1, CLLM_ERR_DATA, "tensor 'a' has no data_offsets"},
        {"{\"a\":" T("U8", "[1]", 1, 0) "}", 1, CLLM_ERR_DATA, "bytes 1 to 0"},
        {"{\"a\":" T("U8", "[4]", 0, 4) "}", 3, CLLM_ERR_DATA,
         "lies at bytes 0 to 4, but there are only 3 (is the file truncated?)"},
        {"{\"a\":" T("U8", "[1]", 0, 9223372036854775807) "}", 1, CLLM_ERR_DATA, "but there are only 1"},
        {"{\"a\":" T("F32", "[2]", 0, 4) "}", 4, CLLM_ERR_DATA, "has 4 bytes, which do not fit F32 of shape [2]"},
        {"{\"a\":" T("F32", "[4611686018427387904,4]", 0, 0) "}", 0, CLLM_ERR_DATA, "do not fit F32 of shape"},
        {"{\"a\":" T("U8", "[4294967296,4294967296]", 0, 0) "}", 0, CLLM_ERR_DATA,
         "do not fit U8 of shape [4294967296, 4294967296]"},
        {"{\"a\":" T("U8", "[4]", 0, 4) ",\"b\":" T("U8", "[4]", 2, 6) "}", 6, CLLM_ERR_DATA,
         "tensors 'a' and 'b' overlap"},
        {"{\"a\":" T("U8", "[4]", 0, 4) ",\"b\":" T("U8", "[4]", 0, 4) "}", 4, CLLM_ERR_DATA,
         "tensors 'a' and 'b' overlap"},
        {"{\"a\":" T("U8", "[2]", 0, 2) ",\"b\":" T("U8", "[2]", 3, 5) "}", 5, CLLM_ERR_DATA,
         "bytes before tensor 'b' that belong to none"},
        {"{\"a\":" T("U8", "[2]", 1, 3) "}", 3, CLLM_ERR_DATA, "bytes before tensor 'a' that belong to none"},
        {"{\"a\":" T("U8", "[2]", 0, 2) "}", 5, CLLM_ERR_DATA, "3 bytes at its end belong to no tensor"},
        {"{\"a\":" T("U8", "[1]", 0, 1) ",\"a\":" T("U8", "[1]", 0, 1) "}", 1, CLLM_ERR_DATA, "the name 'a' stands twice"},
        {"{\"a\":" T("U8", "[1]", 0, 1) ",\"\\u0061\":" T("U8", "[1]", 0, 1) "}", 1, CLLM_ERR_DATA,
         "the name 'a' stands twice"},
        {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, CLLM_ERR_DATA,
         "a key stands twice in the description"},
        {"{\"a\\u0000b\":" T("U8", "[1]", 0, 1) "}", 1, CLLM_ERR_DATA, "a NUL stands in its header"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[[1]],\"data_offsets\":[0,1]}}", 1, CLLM_ERR_DATA, "nested too deeply"},
        {"{\"a\":{\"b\":{\"c\":{}}}}", 0, CLLM_ERR_DATA, "nested too deeply"},
        {"{\"a\":[{}]}", 0, CLLM_ERR_DATA, "nested too deeply"},
        {"{\"__metadata__\":[]}", 0, CLLM_ERR_DATA, "__metadata__ is not an object"},
        {"{\"__metadata__\":{\"a\":1}}", 0, CLLM_ERR_DATA, "value of 'a' in __metadata__ is not a string"},
        {"{\"a\xFF\":" T("U8", "[1]", 0, 1) "}", 1, CLLM_ERR_DATA, "not the JSON that is expected"},
    };
    for (size_t i = 0; i < CLLM_LEN(cases); i++) {
        cllm__safetensors *file = NULL;
        assert_fails(cllm__safetensors_open(&file, put_tensors(cases[i].header, cases[i].data), &err), cases[i].status,
                     cases[i].message);
        assert_non_null(strstr(err.message, "bad.safetensors'"));
        assert_null(file);
    }
    cllm__safetensors *file; /* and what is odd but right */
    assert_ok(cllm__safetensors_open(&file,
                                     put_tensors("{\"a\":" T("U8", "[]", 1, 2) ",\"z\":" T(
                                                     "F64", "[0,99999999999]", 1, 1) ",\"b\":" T("I8", "[1]", 0, 1) "}   ",
                                                 2),
                                     &err));
    assert_int_equal(cllm__safetensors_count(file), 3);
    assert_string_equal(cllm__safetensors_at(file, 0)->name, "b");
    assert_string_equal(cllm__safetensors_at(file, 1)->name, "z");
    assert_int_equal(cllm__safetensors_at(file, 2)->rank, 0);
    assert_int_equal(cllm__tensor_count(cllm__safetensors_at(file, 2)), 1);
    cllm__safetensors_close(file);
    assert_ok(cllm__safetensors_open(&file, put_tensors("{}", 0), &err));
    assert_int_equal(cllm__safetensors_count(file), 0);
    assert_null(cllm__safetensors_find(file, "a"));
    assert_null(cllm__safetensors_metadata(file, "a"));
    cllm__safetensors_close(file);
}

static void test_hostile_sizes(void **state) {
    (void)state;
    cllm__safetensors *file;
    assert_fails(cllm__safetensors_open(&file, put_file("short", "", 0), &err), CLLM_ERR_DATA, "it has 0 bytes, too few");
    assert_fails(cllm__safetensors_open(&file, put_file("short", "1234567", 7), &err), CLLM_ERR_DATA,
                 "it has 7 bytes, too few");
    assert_fails(cllm__safetensors_open(&file, put_file("short", "\x03\0\0\0\0\0\0\0{}", 10), &err), CLLM_ERR_DATA,
                 "claims 3 bytes, but the file ends after 2");
    assert_fails(cllm__safetensors_open(&file, put_file("short", "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF{}", 10), &err),
                 CLLM_ERR_DATA, "more than the 100000000 allowed");
    assert_fails(cllm__safetensors_open(&file, scratch_path("missing"), &err), CLLM_ERR_NOT_FOUND, "missing'");
    assert_fails(cllm__safetensors_open(&file, scratch, &err), CLLM_ERR_DATA, "is a folder");
    /* Every truncation of a good file is noticed. */
    char data[1024];
    FILE *in = fopen(TEST_DATA "/formats/data/hf.safetensors", "rb");
    size_t size = fread(data, 1, sizeof data, in);
    fclose(in);
    for (size_t n = 0; n < size; n++) {
        assert_int_equal(cllm__safetensors_open(&file, put_file("cut", data, n), &err), CLLM_ERR_DATA);
    }
    /* A header of many empty objects would cost gigabytes as a tree. */
    enum { MANY = 300000 };
    char *header = malloc(8 + 6 * MANY + 2);
    size_t n = 8;
    header[n++] = '{';
    for (int i = 0; i < MANY; i++) n += (size_t)sprintf(header + n, "%s\"\":{}", i > 0 ? "," : "");
    header[n++] = '}';
    for (int i = 0; i < 8; i++) header[i] = (char)((n - 8) >> 8 * i);
    assert_fails(cllm__safetensors_open(&file, put_file("many", header, n), &err), CLLM_ERR_DATA,
                 "more than 262144 tensors");
    free(header);
}

/* ---- Conversions ---- */

static cllm__tensor vector(cllm__st_dtype dtype, const void *data, size_t n) {
    return (cllm__tensor){
        .name = "v", .dtype = dtype, .rank = 1, .shape = {n}, .data = data, .bytes = n * cllm__st_dtype_size(dtype)};
}

static void test_half_values(void **state) {
    (void)state;
    /* All 65,536 halves and bfloats against their definition, unaligned at that. */
    unsigned char *bytes = malloc(2 * 65536 + 1);
    float *values = malloc(65536 * sizeof *values);
    for (uint32_t i = 0; i < 65536; i++) bytes[1 + 2 * i] = (unsigned char)i, bytes[2 + 2 * i] = (unsigned char)(i >> 8);
    cllm__tensor t = vector(CLLM_ST_F16, bytes + 1, 65536);
    assert_false(cllm__tensor_aligned(&t));
    assert_ok(cllm__tensor_to_f32(&t, values, &err));
    for (uint32_t i = 0; i < 65536; i++) {
        int sign = i >> 15 != 0 ? -1 : 1, exponent = (int)(i >> 10 & 31), mantissa = (int)(i & 1023);
        if (exponent == 31 && mantissa != 0) {
            assert_true(isnan(values[i]));
            continue;
        }
        double expected = exponent == 31  ? HUGE_VAL
                          : exponent == 0 ? ldexp(mantissa, -24)
                                          : ldexp(1024 + mantissa, exponent - 25);
        assert_true((double)values[i] == sign * expected && !signbit(values[i]) == (sign > 0));
    }
    t.dtype = CLLM_ST_BF16;
    assert_ok(cllm__tensor_to_f32(&t, values, &err));
    for (uint32_t i = 0; i < 65536; i++) {
        int sign = i >> 15 != 0 ? -1 : 1, exponent = (int)(i >> 7 & 255), mantissa = (int)(i & 127);
        if (exponent == 255 && mantissa != 0) {
            assert_true(isnan(values[i]));
            continue;
        }
        double expected = exponent == 255 ? HUGE_VAL
                          : exponent == 0 ? ldexp(mantissa, -133)
                                          : ldexp(128 + mantissa, exponent - 134);
        assert_true((double)values[i] == sign * expected);
    }
    free(bytes);
    free(values);
}

static void test_conversions(void **state) {
    (void)state;
    enum { N = 2500 }; /* more than one block of the conversion */
    char *bytes = malloc(8 * N + 1);
    float *f = malloc(N * sizeof *f);
    cllm__real *r = malloc(N * sizeof *r);
    for (int i = 0; i < N; i++) {
        double d = (i - 1000) * 1.1;
        memcpy(bytes + 1 + 8 * i, &d, 8);
    }
    cllm__tensor t = vector(CLLM_ST_F64, bytes + 1, N);
    assert_ok(cllm__tensor_to_f32(&t, f, &err));
    assert_ok(cllm__tensor_to_real(&t, r, &err));
    for (int i = 0; i < N; i++) {
        assert_true(f[i] == (float)((i - 1000) * 1.1));
        assert_true(r[i] == (cllm__real)((i - 1000) * 1.1));
    }
    for (int i = 0; i < N; i++) memcpy(bytes + 1 + 4 * i, &f[i], 4);
    t = vector(CLLM_ST_F32, bytes + 1, N);
    assert_ok(cllm__tensor_to_real(&t, r, &err));
    for (int i = 0; i < N; i++) assert_true(r[i] == (cllm__real)f[i]);
    assert_ok(cllm__tensor_check_finite(&t, &err));

    float bad = NAN;
    memcpy(bytes + 1 + 4 * 2345, &bad, 4);
    assert_fails(cllm__tensor_check_finite(&t, &err), CLLM_ERR_DATA, "element 2345 of tensor 'v' is nan");
    bad = -INFINITY;
    memcpy(bytes + 1 + 4 * 7, &bad, 4);
    assert_fails(cllm__tensor_check_finite(&t, &err), CLLM_ERR_DATA, "element 7 of tensor 'v' is -inf");
    assert_ok(cllm__tensor_to_f32(&t, f, &err)); /* any value passes */
    t.dtype = CLLM_ST_I32;
    assert_fails(cllm__tensor_to_f32(&t, f, &err), CLLM_ERR_MISMATCH, "tensor 'v' is I32");
    assert_fails(cllm__tensor_to_real(&t, r, &err), CLLM_ERR_MISMATCH, "tensor 'v' is I32");
    assert_fails(cllm__tensor_check_finite(&t, &err), CLLM_ERR_MISMATCH, "tensor 'v' is I32");
    cllm__tensor none = vector(CLLM_ST_F32, NULL, 0);
    assert_ok(cllm__tensor_to_f32(&none, NULL, &err));
    free(bytes);
    free(f);
    free(r);
}

/* ---- Writing ---- */

static const float table[6] = {0, 1, 2, 3, 4, 5};
static const double half = 0.5;
static const unsigned char bytes123[3] = {1, 2, 3};
static const int64_t answer = 42;

static const cllm__tensor written[] = {
    {"bytes", CLLM_ST_U8, 1, {3}, bytes123, 3},  {"table", CLLM_ST_F32, 2, {2, 3}, table, sizeof table},
    {"scalar", CLLM_ST_I64, 0, {0}, &answer, 8}, {"none", CLLM_ST_F32, 2, {0, 4}, NULL, 0},
    {"double", CLLM_ST_F64, 1, {1}, &half, 8},
};
static const char *const pairs[] = {"z", "last", "a", "first \"quoted\" / é"};

static cllm_status write_all(const char *path, cllm_error *e) {
    return cllm__safetensors_write(path, written, CLLM_LEN(written), pairs, 2, e);
}

static void test_write(void **state) {
    (void)state;
    const char *path = scratch_path("written.safetensors");
    assert_ok(write_all(path, &err));
    cllm__safetensors *file;
    assert_ok(cllm__safetensors_open(&file, path, &err));
    static const char *const order[] = {"double", "scalar", "none", "table", "bytes"};
    for (size_t i = 0; i < 5; i++) {
        const cllm__tensor *t = cllm__safetensors_at(file, i);
        assert_string_equal(t->name, order[i]);
        assert_true(cllm__tensor_aligned(t));
        for (size_t k = 0; k < 5; k++) {
            if (strcmp(written[k].name, t->name) != 0) continue;
            assert_int_equal(t->dtype, written[k].dtype);
            assert_int_equal(t->rank, written[k].rank);
            assert_memory_equal(t->shape, written[k].shape, t->rank * sizeof t->shape[0]);
            assert_int_equal(t->bytes, written[k].bytes);
            if (t->bytes > 0) assert_memory_equal(t->data, written[k].data, t->bytes);
        }
    }
    assert_int_equal((uintptr_t)cllm__safetensors_at(file, 0)->data % 64, 0);
    assert_string_equal(cllm__safetensors_metadata(file, "a"), "first \"quoted\" / é");
    assert_string_equal(cllm__safetensors_metadata(file, "z"), "last");
    cllm__safetensors_close(file);
    if (keep_path("written.safetensors") != NULL) assert_ok(write_all(keep_path("written.safetensors"), &err));

    /* The bytes are pinned, and do not depend on the order given. `make_fixtures.py check` reads them with the reference
     * implementation. */
    uint64_t hash, again;
    char text[17];
    assert_ok(cllm__hash_file(path, &hash, &err));
    cllm__hash_text(hash, text);
    assert_string_equal(text, WRITTEN_HASH);
    cllm__tensor turned[5];
    for (size_t i = 0; i < 5; i++) turned[i] = written[4 - i];
    static const char *const turned_pairs[] = {"a", "first \"quoted\" / é", "z", "last"};
    assert_ok(cllm__safetensors_write(path, turned, 5, turned_pairs, 2, &err));
    assert_ok(cllm__hash_file(path, &again, &err));
    assert_true(hash == again);

    assert_ok(cllm__safetensors_write(path, NULL, 0, NULL, 0, &err));
    assert_ok(cllm__safetensors_open(&file, path, &err));
    assert_int_equal(cllm__safetensors_count(file), 0);
    cllm__safetensors_close(file);
}

static void test_write_refusals(void **state) {
    (void)state;
    const char *path = scratch_path("refused.safetensors");
    cllm__tensor t[2] = {written[1], written[1]};
    assert_fails(cllm__safetensors_write(path, t, 2, NULL, 0, &err), CLLM_ERR_USAGE, "two tensors have the name 'table'");
    t[1].name = "bad\xFF";
    assert_fails(cllm__safetensors_write(path, t, 2, NULL, 0, &err), CLLM_ERR_USAGE, "cannot be the name");
    t[1].name = "__metadata__";
    assert_fails(cllm__safetensors_write(path, t, 2, NULL, 0, &err), CLLM_ERR_USAGE, "cannot be the name");
    t[1].name = "b";
    t[1].bytes = 20;
    assert_fails(cllm__safetensors_write(path, t, 2, NULL, 0, &err), CLLM_ERR_USAGE,
                 "tensor 'b' has 20 bytes, which do not fit");
    t[1].shape[0] = UINT64_MAX / 2;
    assert_fails(cllm__safetensors_write(path, t, 2, NULL, 0, &err), CLLM_ERR_USAGE, "do not fit its shape");
    t[1].rank = 9;
    assert_fails(cllm__safetensors_write(path, t, 2, NULL, 0, &err), CLLM_ERR_USAGE, "do not fit its shape");
    assert_fails(cllm__safetensors_write(path, t, 1, (const char *const[]){"k", "v", "k", "w"}, 2, &err), CLLM_ERR_USAGE,
                 "'k' is not UTF-8, or there twice");
    assert_fails(cllm__safetensors_write(path, t, 1, (const char *const[]){"k", "\xFF"}, 1, &err), CLLM_ERR_USAGE,
                 "'k' is not UTF-8");
    assert_false(cllm__path_exists(path));
}

static void test_injected_failures(void **state) {
    (void)state;
    const char *path = put_text("kept.safetensors", "what was there");
    static const struct {
        cllm__io_op op;
        int code;
    } faults[] = {{CLLM_IO_CREATE, EROFS}, {CLLM_IO_WRITE, ENOSPC}, {CLLM_IO_FSYNC, EIO}, {CLLM_IO_RENAME, EACCES}};
    for (size_t i = 0; i < CLLM_LEN(faults); i++) {
        injection fault = {faults[i].op, 0, faults[i].code};
        cllm__io_set_hook(inject, &fault);
        assert_fails(write_all(path, &err), CLLM_ERR_IO, strerror(faults[i].code));
        assert_non_null(strstr(err.message, "kept.safetensors'"));
        cllm__io_set_hook(NULL, NULL);
        assert_no_temporaries();
        char *text;
        size_t size;
        assert_ok(cllm__read_file(path, 100, &text, &size, &err));
        assert_string_equal(text, "what was there");
        cllm__free(text);
    }
    injection fault = {CLLM_IO_OPEN_READ, 0, EACCES};
    cllm__safetensors *file;
    cllm__io_set_hook(inject, &fault);
    assert_fails(cllm__safetensors_open(&file, path, &err), CLLM_ERR_IO, "Permission denied");
    cllm__io_set_hook(NULL, NULL);
}

static cllm_status open_body(cllm_error *e) {
    cllm__safetensors *file;
    CLLM_TRY(cllm__safetensors_open(&file, TEST_DATA "/formats/data/hf.safetensors", e));
    cllm__safetensors_close(file);
    return CLLM_OK;
}

static cllm_status write_body(cllm_error *e) {
    return write_all(scratch_path("sweep.safetensors"), e);
}

static void test_allocation_failures(void **state) {
    (void)state;
    sweep_allocations(open_body);
    sweep_allocations(write_body);
    assert_no_temporaries();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference_file),
        cmocka_unit_test(test_require),
        cmocka_unit_test(test_hostile_headers),
        cmocka_unit_test(test_hostile_sizes),
        cmocka_unit_test(test_half_values),
        cmocka_unit_test(test_conversions),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_write_refusals),
        cmocka_unit_test(test_injected_failures),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
