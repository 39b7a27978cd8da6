#include "formats/gguf.h"

#include <math.h>

#include "format_test.h"
#include "formats/safetensors.h"
#include "gguf_build.h"

static cllm_error err;
static gguf_build b;

static bool is_gguf(const char *path) {
    bool is;
    assert_ok(cllm__gguf_recognise(path, &is, &err));
    return is;
}

/* ---- Number formats, against the format's own package ---- */

static void test_blocks(void **state) {
    (void)state;
    cllm__gguf *file;
    cllm__safetensors *wanted;
    assert_true(is_gguf(TEST_DATA "/golden/gguf_blocks.gguf"));
    assert_ok(cllm__gguf_open(&file, TEST_DATA "/golden/gguf_blocks.gguf", &err));
    assert_ok(cllm__safetensors_open(&wanted, TEST_DATA "/golden/gguf_blocks.safetensors", &err));
    assert_int_equal(cllm__gguf_tensors(file), 15);
    assert_int_equal(cllm__safetensors_count(wanted), 15);
    for (size_t i = 0; i < cllm__gguf_tensors(file); i++) {
        const cllm__gguf_tensor *t = cllm__gguf_tensor_at(file, i);
        char name[16];
        snprintf(name, sizeof name, "%.*s", (int)t->name.length, t->name.data);
        const cllm__tensor *w = cllm__safetensors_find(wanted, name);
        assert_true(w != NULL && cllm__tensor_count(w) == t->count);
        assert_int_equal(t->bytes, t->count / cllm__gguf_block_count(t->type) * cllm__gguf_block_bytes(t->type));
        float *values = calloc(t->count, sizeof *values);
        cllm__gguf_dequantise(t->type, t->data, t->count / cllm__gguf_block_count(t->type), values);
        for (size_t j = 0; j < t->count; j++) {
            float expected;
            memcpy(&expected, (const char *)w->data + 4 * j, 4);
            if (memcmp(&expected, &values[j], 4) != 0)
                fail_msg("%s: element %zu is %a, not %a", name, j, values[j], expected);
        }
        free(values);
    }
    cllm__safetensors_close(wanted);
    cllm__gguf_close(file);
    cllm__gguf_close(NULL);
}

static void test_type_names(void **state) {
    (void)state;
    assert_string_equal(cllm__gguf_type_name(12), "Q4_K");
    assert_string_equal(cllm__gguf_type_name(16), "IQ2_XXS");
    assert_null(cllm__gguf_type_name(4));
    assert_null(cllm__gguf_type_name(UINT32_MAX));
    assert_true(cllm__gguf_type_known(30) && !cllm__gguf_type_known(31) && !cllm__gguf_type_known(16));
}

/* ---- Metadata ---- */

static const char *put(void) {
    return put_file("a.gguf", b.data, b.size);
}

static cllm_status open_built(cllm__gguf **file) {
    return cllm__gguf_open(file, put(), &err);
}

/* One value of each kind. */
static void build_values(void) {
    gguf_begin(&b, 2, 0, 16);
    for (uint32_t kind = 0; kind < 6; kind++) { /* u8 to i32: all bits set */
        static const char *const KEYS[] = {"u8", "i8", "u16", "i16", "u32", "i32"};
        gguf_key(&b, KEYS[kind], kind);
        gguf_number(&b, UINT64_MAX, (size_t)1 << kind / 2);
    }
    float f = 2.5f;
    double d = 1e300;
    uint32_t f_bits;
    uint64_t d_bits;
    memcpy(&f_bits, &f, 4);
    memcpy(&d_bits, &d, 8);
    gguf_key(&b, "f32", CLLM_GGUF_F32), gguf_number(&b, f_bits, 4);
    gguf_key(&b, "bool", CLLM_GGUF_BOOL), gguf_number(&b, 1, 1);
    gguf_key_string(&b, "string", "caf\xc3\xa9");
    gguf_key(&b, "u64", CLLM_GGUF_U64), gguf_number(&b, UINT64_MAX, 8);
    gguf_key(&b, "i64", CLLM_GGUF_I64), gguf_number(&b, (uint64_t)INT64_MIN, 8);
    gguf_key(&b, "f64", CLLM_GGUF_F64), gguf_number(&b, d_bits, 8);
    gguf_key(&b, "strings", CLLM_GGUF_ARRAY), gguf_number(&b, CLLM_GGUF_STRING, 4), gguf_number(&b, 3, 8);
    gguf_string(&b, "one"), gguf_string(&b, ""), gguf_string(&b, "three");
    gguf_key(&b, "shorts", CLLM_GGUF_ARRAY), gguf_number(&b, CLLM_GGUF_I16, 4), gguf_number(&b, 2, 8);
    gguf_number(&b, 7, 2), gguf_number(&b, 0xFFFE, 2);
    gguf_key(&b, "floats", CLLM_GGUF_ARRAY), gguf_number(&b, CLLM_GGUF_F32, 4), gguf_number(&b, 1, 8),
        gguf_number(&b, f_bits, 4);
    gguf_key(&b, "nested", CLLM_GGUF_ARRAY), gguf_number(&b, CLLM_GGUF_ARRAY, 4), gguf_number(&b, 2, 8);
    gguf_number(&b, CLLM_GGUF_U8, 4), gguf_number(&b, 3, 8), gguf_number(&b, 0x030201, 3);
    gguf_number(&b, CLLM_GGUF_STRING, 4), gguf_number(&b, 1, 8), gguf_string(&b, "in");
}

static void test_values(void **state) {
    (void)state;
    cllm__gguf *file;
    build_values();
    assert_ok(open_built(&file));
    assert_int_equal(cllm__gguf_version(file), 2);
    assert_int_equal(cllm__gguf_values(file), 16);
    assert_int_equal(cllm__gguf_files(file), 1);
    assert_int_equal(cllm__gguf_bytes(file), b.size);
    assert_true(cllm__gguf_text_is(cllm__gguf_value_at(file, 0)->key, "u8"));
    static const struct {
        const char *key;
        int64_t value;
    } INTEGERS[] = {{"u8", 255},         {"i8", -1},  {"u16", 65535},     {"i16", -1},
                    {"u32", 4294967295}, {"i32", -1}, {"u64", INT64_MAX}, {"i64", INT64_MIN}};
    for (size_t i = 0; i < CLLM_LEN(INTEGERS); i++) {
        int64_t value;
        assert_ok(cllm__gguf_integer(file, INTEGERS[i].key, INT64_MIN, INT64_MAX, NULL, &value, &err));
        assert_true(value == INTEGERS[i].value);
    }
    int64_t integer;
    double number;
    bool truth;
    cllm__gguf_text text;
    assert_ok(cllm__gguf_integer(file, "missing", 0, 1, &(int64_t){5}, &integer, &err));
    assert_true(integer == 5);
    assert_fails(cllm__gguf_integer(file, "missing", 0, 1, NULL, &integer, &err), CLLM_ERR_DATA, "missing is missing");
    assert_fails(cllm__gguf_integer(file, "i8", 0, 9, NULL, &integer, &err), CLLM_ERR_DATA,
                 "i8 is -1; it must be from 0 to 9");
    assert_fails(cllm__gguf_integer(file, "f32", 0, 9, NULL, &integer, &err), CLLM_ERR_DATA, "f32 is of the type f32");
    assert_fails(cllm__gguf_integer(file, "shorts", 0, 9, NULL, &integer, &err), CLLM_ERR_DATA,
                 "shorts is an array of i16");
    assert_ok(cllm__gguf_number(file, "f32", NULL, &number, &err));
    assert_true(number == 2.5);
    assert_ok(cllm__gguf_number(file, "f64", NULL, &number, &err));
    assert_true(number == 1e300);
    assert_ok(cllm__gguf_number(file, "u16", NULL, &number, &err));
    assert_true(number == 65535);
    assert_ok(cllm__gguf_number(file, "missing", &(double){1.5}, &number, &err));
    assert_true(number == 1.5);
    assert_fails(cllm__gguf_number(file, "string", NULL, &number, &err), CLLM_ERR_DATA, "string");
    assert_ok(cllm__gguf_bool(file, "bool", NULL, &truth, &err));
    assert_true(truth);
    assert_ok(cllm__gguf_bool(file, "missing", &(bool){false}, &truth, &err));
    assert_false(truth);
    assert_fails(cllm__gguf_bool(file, "u8", NULL, &truth, &err), CLLM_ERR_DATA, "u8");
    assert_ok(cllm__gguf_string(file, "string", NULL, &text, &err));
    assert_true(cllm__gguf_text_is(text, "caf\xc3\xa9") && !cllm__gguf_text_is(text, "caf"));
    assert_fails(cllm__gguf_string(file, "bool", NULL, &text, &err), CLLM_ERR_DATA, "a string is expected");
    cllm__gguf_close(file);
}

static void test_arrays(void **state) {
    (void)state;
    cllm__gguf *file;
    const cllm__gguf_value *array;
    build_values();
    assert_ok(open_built(&file));
    assert_ok(cllm__gguf_array(file, "strings", CLLM_GGUF_STRING, &array, &err));
    assert_int_equal(array->count, 3);
    static const char *const STRINGS[] = {"one", "", "three"};
    size_t n = 0;
    cllm__gguf_strings at = cllm__gguf_strings_of(array);
    for (cllm__gguf_text text; cllm__gguf_next(&at, &text); n++) assert_true(cllm__gguf_text_is(text, STRINGS[n]));
    assert_int_equal(n, 3);
    assert_ok(cllm__gguf_array(file, "shorts", CLLM_GGUF_I64, &array, &err));
    assert_true(cllm__gguf_integer_at(array, 0) == 7 && cllm__gguf_integer_at(array, 1) == -2);
    assert_ok(cllm__gguf_array(file, "floats", CLLM_GGUF_F64, &array, &err));
    assert_true(cllm__gguf_number_at(array, 0) == 2.5);
    assert_ok(cllm__gguf_array(file, "missing", CLLM_GGUF_F64, &array, &err));
    assert_null(array);
    assert_fails(cllm__gguf_array(file, "strings", CLLM_GGUF_I64, &array, &err), CLLM_ERR_DATA,
                 "an array of integers is expected");
    assert_fails(cllm__gguf_array(file, "string", CLLM_GGUF_STRING, &array, &err), CLLM_ERR_DATA,
                 "an array of strings is expected");
    const cllm__gguf_value *nested = cllm__gguf_find(file, "nested");
    assert_true(nested->kind == CLLM_GGUF_ARRAY && nested->member == CLLM_GGUF_ARRAY && nested->count == 2);
    cllm__gguf_close(file);
}

/* ---- Tensors ---- */

/* a: [2 × 3] F32 at 0; b: [32] Q8_0 at 32, or at the next multiple of the alignment. */
static void build_tensors(uint32_t alignment) {
    gguf_begin(&b, 3, 2, alignment == 0 ? 1 : 2);
    gguf_key_string(&b, "general.name", "a test");
    if (alignment != 0) gguf_key_u32(&b, "general.alignment", alignment);
    size_t step = alignment == 0 ? 32 : alignment;
    size_t second = (24 + step - 1) / step * step;
    gguf_tensor(&b, "a", 3, 2, 0, 0);
    gguf_tensor(&b, "b", 32, 0, 8, second);
    gguf_pad(&b, step);
    size_t start = b.size;
    for (uint32_t i = 0; i < 6; i++) gguf_number(&b, 0x3F800000 + (i << 20), 4);
    while (b.size < start + second) b.data[b.size++] = 0xEE;
    gguf_number(&b, 0x3C00, 2); /* one */
    for (int i = -16; i < 16; i++) gguf_number(&b, (uint64_t)i, 1);
}

static void test_tensors(void **state) {
    (void)state;
    static const uint32_t ALIGNMENTS[] = {0, 8, 32, 1024, 1};
    for (size_t i = 0; i < CLLM_LEN(ALIGNMENTS); i++) {
        cllm__gguf *file;
        build_tensors(ALIGNMENTS[i]);
        assert_ok(open_built(&file));
        const cllm__gguf_tensor *t = cllm__gguf_find_tensor(file, "a");
        assert_true(t != NULL && t->rank == 2 && t->shape[0] == 2 && t->shape[1] == 3 && t->count == 6 && t->bytes == 24);
        float values[32], first;
        memcpy(&first, t->data, 4);
        assert_true(first == 1);
        t = cllm__gguf_find_tensor(file, "b");
        assert_true(t != NULL && t->rank == 1 && t->shape[0] == 32 && t->type == CLLM_GGUF_TYPE_Q8_0 && t->bytes == 34);
        cllm__gguf_dequantise(t->type, t->data, 1, values);
        for (int j = 0; j < 32; j++) assert_true(values[j] == (float)(j - 16));
        assert_string_equal(cllm__gguf_tensor_path(file, t), cllm__gguf_path(file, 0));
        assert_null(cllm__gguf_find_tensor(file, "c"));
        assert_true(cllm__gguf_tensor_at(file, 1) == t);
        cllm__gguf_close(file);
    }
}

/* ---- Several files ---- */

static void build_part(size_t number, size_t count, const char *tensor, bool total) {
    gguf_begin(&b, 3, 1, total ? 3 : 2);
    gguf_key(&b, "split.no", CLLM_GGUF_U16), gguf_number(&b, number, 2);
    gguf_key(&b, "split.count", CLLM_GGUF_U16), gguf_number(&b, count, 2);
    if (total) gguf_key_u32(&b, "split.tensors.count", 2);
    gguf_tensor(&b, tensor, 4, 0, 0, 0);
    gguf_pad(&b, 32);
    for (uint32_t i = 0; i < 4; i++) gguf_number(&b, (uint64_t)number, 4);
}

static void test_split(void **state) {
    (void)state;
    cllm__gguf *file;
    build_part(0, 2, "a", true);
    put_file("m-00001-of-00002.gguf", b.data, b.size);
    put_file("other.gguf", b.data, b.size);
    assert_fails(cllm__gguf_open(&file, scratch_path("m-00001-of-00002.gguf"), &err), CLLM_ERR_NOT_FOUND,
                 "m-00002-of-00002.gguf' is missing");
    assert_fails(cllm__gguf_open(&file, scratch_path("other.gguf"), &err), CLLM_ERR_USAGE, "-00001-of-00002.gguf");
    build_part(1, 2, "b", false);
    put_file("m-00002-of-00002.gguf", b.data, b.size);
    assert_ok(cllm__gguf_open(&file, scratch_path("m-00001-of-00002.gguf"), &err));
    assert_int_equal(cllm__gguf_files(file), 2);
    assert_int_equal(cllm__gguf_tensors(file), 2);
    const cllm__gguf_tensor *t = cllm__gguf_find_tensor(file, "b");
    assert_non_null(t);
    assert_int_equal(t->data[0], 1);
    assert_non_null(strstr(cllm__gguf_tensor_path(file, t), "m-00002"));
    assert_non_null(strstr(cllm__gguf_tensor_path(file, cllm__gguf_find_tensor(file, "a")), "m-00001"));
    cllm__gguf_close(file);
    assert_fails(cllm__gguf_open(&file, scratch_path("m-00002-of-00002.gguf"), &err), CLLM_ERR_USAGE, "file 2 of 2");
    build_part(1, 2, "a", false);
    put_file("m-00002-of-00002.gguf", b.data, b.size);
    assert_fails(cllm__gguf_open(&file, scratch_path("m-00001-of-00002.gguf"), &err), CLLM_ERR_DATA, "'a' stands twice");
    build_part(2, 3, "b", false);
    put_file("m-00002-of-00002.gguf", b.data, b.size);
    assert_fails(cllm__gguf_open(&file, scratch_path("m-00001-of-00002.gguf"), &err), CLLM_ERR_DATA, "file 2 of 2");
    build_part(0, 60000, "a", false);
    put_file("m-00001-of-00002.gguf", b.data, b.size);
    assert_fails(cllm__gguf_open(&file, scratch_path("m-00001-of-00002.gguf"), &err), CLLM_ERR_DATA, "60000");
}

/* ---- Damage ---- */

static void refuse(cllm_status status, const char *text) {
    cllm__gguf *file;
    assert_fails(open_built(&file), status, text);
    assert_non_null(strstr(err.message, "a.gguf"));
}

static void test_header(void **state) {
    (void)state;
    gguf_begin(&b, 3, 0, 0);
    b.data[3] = 'X';
    refuse(CLLM_ERR_DATA, "does not begin with GGUF");
    assert_false(is_gguf(put()));
    assert_false(is_gguf(scratch));
    bool is;
    assert_int_equal(cllm__gguf_recognise(scratch_path("no-such"), &is, &err), CLLM_ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "no-such"));
    gguf_begin(&b, 1, 0, 0);
    refuse(CLLM_ERR_UNSUPPORTED, "version 1");
    gguf_begin(&b, 3 << 24, 0, 0);
    refuse(CLLM_ERR_UNSUPPORTED, "big-endian");
    gguf_begin(&b, 3, UINT64_MAX, 0);
    refuse(CLLM_ERR_DATA, "claims");
    gguf_begin(&b, 3, 0, UINT64_MAX / 2);
    refuse(CLLM_ERR_DATA, "claims");
    b.size = 0;
    refuse(CLLM_ERR_DATA, "does not begin");
    cllm__gguf *file;
    assert_fails(cllm__gguf_open(&file, scratch_path("no-such"), &err), CLLM_ERR_NOT_FOUND, "no-such");
}

static void test_bad_values(void **state) {
    (void)state;
    gguf_begin(&b, 3, 0, 1);
    gguf_key(&b, "x", 13), gguf_number(&b, 0, 8);
    refuse(CLLM_ERR_DATA, "unknown type 13");
    gguf_begin(&b, 3, 0, 1);
    gguf_key(&b, "x", CLLM_GGUF_STRING), gguf_number(&b, UINT64_MAX, 8);
    refuse(CLLM_ERR_DATA, "truncated");
    gguf_begin(&b, 3, 0, 1);
    gguf_key(&b, "x", CLLM_GGUF_ARRAY), gguf_number(&b, CLLM_GGUF_U64, 4), gguf_number(&b, (uint64_t)1 << 61, 8);
    refuse(CLLM_ERR_DATA, "claims an array");
    gguf_begin(&b, 3, 0, 1);
    gguf_key(&b, "x", CLLM_GGUF_ARRAY), gguf_number(&b, CLLM_GGUF_STRING, 4), gguf_number(&b, UINT64_MAX, 8);
    refuse(CLLM_ERR_DATA, "claims an array");
    gguf_begin(&b, 3, 0, 1);
    gguf_key(&b, "x", CLLM_GGUF_ARRAY);
    for (int i = 0; i < 6; i++) gguf_number(&b, CLLM_GGUF_ARRAY, 4), gguf_number(&b, 1, 8);
    gguf_pad(&b, 512);
    refuse(CLLM_ERR_DATA, "nested");
    gguf_begin(&b, 3, 0, 1);
    gguf_key(&b, "x", CLLM_GGUF_BOOL), gguf_number(&b, 2, 1);
    refuse(CLLM_ERR_DATA, "truth value of 2");
    gguf_begin(&b, 3, 0, 2);
    gguf_key_u32(&b, "x\n", 1), gguf_key_u32(&b, "x\n", 2);
    refuse(CLLM_ERR_DATA, "'x?' stands twice");
    gguf_begin(&b, 3, 0, 1);
    gguf_key_u32(&b, "", 1);
    refuse(CLLM_ERR_DATA, "without a key");
    static const uint32_t ALIGNMENTS[] = {3, 1 << 21, 0x80000000};
    for (size_t i = 0; i < CLLM_LEN(ALIGNMENTS); i++) {
        build_tensors(32);
        unsigned char *at = b.data + 24 + 8 + 12 + 4 + 8 + 6 + 8 + 17 + 4; /* the alignment's four bytes */
        assert_int_equal(at[0], 32);
        for (int j = 0; j < 4; j++) at[j] = (unsigned char)(ALIGNMENTS[i] >> 8 * j);
        refuse(CLLM_ERR_DATA, "general.alignment must be a power of two");
    }
}

static void one_tensor(uint64_t columns, uint64_t rows, uint32_t type, uint64_t offset, size_t bytes) {
    gguf_begin(&b, 3, 1, 0);
    gguf_tensor(&b, "t", columns, rows, type, offset);
    gguf_pad(&b, 32);
    for (size_t i = 0; i < bytes; i++) b.data[b.size++] = 0;
}

static void test_bad_tensors(void **state) {
    (void)state;
    one_tensor(32, 1, 16, 0, 64);
    refuse(CLLM_ERR_UNSUPPORTED, "tensor 't' has the type IQ2_XXS (16), which is not read");
    one_tensor(32, 1, 999, 0, 64);
    refuse(CLLM_ERR_UNSUPPORTED, "(999)");
    one_tensor(33, 1, 8, 0, 64);
    refuse(CLLM_ERR_DATA, "whole blocks of Q8_0 (32)");
    one_tensor(0, 1, 0, 0, 64);
    refuse(CLLM_ERR_DATA, "empty");
    one_tensor((uint64_t)1 << 40, (uint64_t)1 << 40, 0, 0, 64);
    refuse(CLLM_ERR_DATA, "too many elements");
    one_tensor((uint64_t)1 << 30, (uint64_t)1 << 31, 0, 0, 64);
    refuse(CLLM_ERR_DATA, "too many");
    one_tensor(16, 1, 0, 16, 96);
    refuse(CLLM_ERR_DATA, "no multiple of the alignment 32");
    one_tensor(16, 1, 0, 0, 60);
    refuse(CLLM_ERR_DATA, "truncated");
    one_tensor(16, 1, 0, 32, 64);
    refuse(CLLM_ERR_DATA, "truncated");
    one_tensor(16, 1, 0, UINT64_MAX - 31, 64);
    refuse(CLLM_ERR_DATA, "truncated");
    one_tensor(16, 1, 0, 0, 64);
    memset(b.data + 24 + 9, 9, 4); /* the rank */
    refuse(CLLM_ERR_DATA, "dimensions");
    gguf_begin(&b, 3, 2, 0);
    gguf_tensor(&b, "s", 16, 0, 0, 0), gguf_tensor(&b, "t", 8, 0, 0, 32);
    gguf_pad(&b, 32);
    b.size += 128;
    refuse(CLLM_ERR_DATA, "'s' and 't' overlap");
    gguf_begin(&b, 3, 2, 0);
    gguf_tensor(&b, "t", 8, 0, 0, 0), gguf_tensor(&b, "t", 8, 0, 0, 32);
    gguf_pad(&b, 32);
    b.size += 128;
    refuse(CLLM_ERR_DATA, "'t' stands twice");
}

/* Cut anywhere, a file is refused and named. */
static void test_cuts(void **state) {
    (void)state;
    build_tensors(0);
    for (size_t size = b.size; size-- > 0;) {
        b.size = size;
        refuse(CLLM_ERR_DATA, "");
    }
    build_values();
    for (size_t size = b.size; size-- > 0;) {
        b.size = size;
        refuse(CLLM_ERR_DATA, "");
    }
}

static cllm_status open_and_close(cllm_error *e) {
    cllm__gguf *file;
    cllm_status status = cllm__gguf_open(&file, scratch_path("m-00001-of-00002.gguf"), e);
    if (status == CLLM_OK) cllm__gguf_close(file);
    return status;
}

static void test_memory(void **state) {
    (void)state;
    build_part(0, 2, "a", true);
    put_file("m-00001-of-00002.gguf", b.data, b.size);
    build_part(1, 2, "b", false);
    put_file("m-00002-of-00002.gguf", b.data, b.size);
    sweep_allocations(open_and_close);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks), cmocka_unit_test(test_type_names), cmocka_unit_test(test_values),
        cmocka_unit_test(test_arrays), cmocka_unit_test(test_tensors),    cmocka_unit_test(test_split),
        cmocka_unit_test(test_header), cmocka_unit_test(test_bad_values), cmocka_unit_test(test_bad_tensors),
        cmocka_unit_test(test_cuts),   cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
