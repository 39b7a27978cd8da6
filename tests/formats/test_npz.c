#include "formats/npz.h"

#include <errno.h>
#include <math.h>
#include <time.h>
#include <zip.h>

#include "base/hash.h"
#include "format_test.h"

#define DATA TEST_DATA "/formats/data/"

static cllm_error err;

/* ---- Reading what numpy and scipy wrote ---- */

static cllm__npz *arrays;

static cllm__array get(const char *name, cllm__npy_type type, size_t rank, size_t count) {
    cllm__array a;
    assert_ok(cllm__npz_read(arrays, name, &a, &err));
    assert_int_equal(a.type, type);
    assert_int_equal(a.rank, rank);
    assert_int_equal(a.count, count);
    return a;
}

#define EXPECT(name, type_, ctype, rank, ...) \
    do { \
        const ctype expected_[] = {__VA_ARGS__}; \
        cllm__array a_ = get(name, type_, rank, CLLM_LEN(expected_)); \
        assert_int_equal(a_.item, sizeof expected_[0]); \
        assert_memory_equal(a_.data, expected_, sizeof expected_); \
        cllm__array_free(&a_); \
    } while (0)

static void test_numpy_arrays(void **state) {
    (void)state;
    assert_ok(cllm__npz_open(&arrays, DATA "arrays.npz", &err));
    assert_int_equal(cllm__npz_count(arrays), 19);
    assert_string_equal(cllm__npz_name(arrays, 0), "b1");
    assert_true(cllm__npz_has(arrays, "f8"));
    assert_false(cllm__npz_has(arrays, "f8.npy"));
    EXPECT("b1", CLLM_NPY_BOOL, uint8_t, 1, 1, 0);
    EXPECT("i1", CLLM_NPY_I8, int8_t, 1, -128, 127);
    EXPECT("u1", CLLM_NPY_U8, uint8_t, 1, 0, 255);
    EXPECT("i2", CLLM_NPY_I16, int16_t, 1, -32768, 32767);
    EXPECT("u2", CLLM_NPY_U16, uint16_t, 1, 65535);
    EXPECT("i4", CLLM_NPY_I32, int32_t, 2, 1, -2, 3, 4);
    EXPECT("u4", CLLM_NPY_U32, uint32_t, 1, 4294967295u);
    EXPECT("i8", CLLM_NPY_I64, int64_t, 1, INT64_MIN, INT64_MAX);
    EXPECT("u8", CLLM_NPY_U64, uint64_t, 1, UINT64_MAX);
    EXPECT("f8", CLLM_NPY_F64, double, 0, 0.1);
    cllm__array a = get("f4", CLLM_NPY_F32, 2, 3);
    assert_true(a.shape[0] == 1 && a.shape[1] == 3);
    assert_true(((float *)a.data)[0] == 1.5f && isnan(((float *)a.data)[1]) && ((float *)a.data)[2] == -INFINITY);
    cllm__array_free(&a);
    a = get("empty", CLLM_NPY_F32, 2, 0);
    assert_true(a.shape[0] == 0 && a.shape[1] == 7 && a.data == NULL);
    cllm__array_free(&a);

    static const char *const texts[] = {"kettle", "café", "lamp 😀"}, *const bytes[] = {"ab", "c"};
    char *text;
    a = get("text", CLLM_NPY_UNICODE, 1, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_ok(cllm__array_string(&a, i, &text, &err));
        assert_string_equal(text, texts[i]);
        cllm__free(text);
    }
    ((uint32_t *)a.data)[1] = 0xD800;
    assert_fails(cllm__array_string(&a, 0, &text, &err), CLLM_ERR_DATA, "string 0 of the array holds 0xd800");
    cllm__array_free(&a);
    a = get("bytes", CLLM_NPY_BYTES, 1, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_ok(cllm__array_string(&a, i, &text, &err));
        assert_string_equal(text, bytes[i]);
        cllm__free(text);
    }
    ((char *)a.data)[2] = (char)0xFF;
    assert_fails(cllm__array_string(&a, 1, &text, &err), CLLM_ERR_DATA, "string 1 of the array is not UTF-8");
    cllm__array_free(&a);

    assert_fails(cllm__npz_read(arrays, "fortran", &a, &err), CLLM_ERR_UNSUPPORTED, "array 'fortran' is in Fortran order");
    assert_fails(cllm__npz_read(arrays, "big", &a, &err), CLLM_ERR_UNSUPPORTED, "array 'big' has the dtype '>i4'");
    assert_fails(cllm__npz_read(arrays, "half", &a, &err), CLLM_ERR_UNSUPPORTED, "array 'half' has the dtype '<f2'");
    assert_fails(cllm__npz_read(arrays, "pickled", &a, &err), CLLM_ERR_UNSUPPORTED,
                 "array 'pickled' holds pickled Python objects");
    assert_fails(cllm__npz_read(arrays, "fields", &a, &err), CLLM_ERR_UNSUPPORTED, "array 'fields' is a structured array");
    assert_fails(cllm__npz_read(arrays, "absent", &a, &err), CLLM_ERR_NOT_FOUND, "arrays.npz' has no array 'absent'");
    cllm__npz_close(arrays);
    cllm__npz_close(NULL);
}

static void test_scipy_matrices(void **state) {
    (void)state;
    static const char *const files[] = {DATA "csr.npz", DATA "csr_stored.npz", DATA "csr_wide.npz"};
    static const int64_t indptr[] = {0, 2, 2, 4};
    static const int32_t indices[] = {0, 4, 3, 1};
    static const float values[] = {1, 2.5f, -3, 4}, ones[] = {1, 1, 1, 1};
    for (size_t i = 0; i < CLLM_LEN(files); i++) {
        cllm__csr m;
        assert_ok(cllm__csr_read(files[i], &m, &err));
        assert_true(m.rows == 3 && m.columns == 5 && m.zeros == 1);
        assert_memory_equal(m.indptr, indptr, sizeof indptr);
        assert_memory_equal(m.indices, indices, sizeof indices);
        assert_memory_equal(m.data, i == 2 ? ones : values, sizeof values);
        cllm__csr_free(&m);
    }
    cllm__csr m;
    assert_fails(cllm__csr_read(DATA "csc.npz", &m, &err), CLLM_ERR_UNSUPPORTED,
                 "is a sparse matrix of format 'csc': save its .tocsr()");
    assert_fails(cllm__csr_read(DATA "arrays.npz", &m, &err), CLLM_ERR_DATA, "it has no array 'format'");
}

static void test_real_matrix(void **state) {
    (void)state;
    const char *path = TEST_SHARED_DATA "/beauty-paper/train_matrix.npz";
    if (!cllm__path_exists(path)) skip();
    cllm__csr m;
    assert_ok(cllm__csr_read(path, &m, &err));
    assert_int_equal(m.rows, 10553);
    assert_int_equal(m.columns, 6086);
    assert_int_equal(m.indptr[m.rows], 70614);
    cllm__csr_free(&m);
}

/* ---- Hostile files ---- */

typedef struct file_member {
    const char *name, *header; /* the .npy header's text, or NULL: `data` is the whole member */
    const void *data;
    size_t size;
} file_member;

/* Writes a zip of these members. */
static const char *put_zip(const char *name, const file_member *members, size_t n, int method) {
    const char *path = scratch_path(name);
    unlink(path);
    int code;
    zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_EXCL, &code);
    assert_non_null(zip);
    for (size_t i = 0; i < n; i++) {
        const file_member *m = &members[i];
        size_t text = m->header == NULL ? 0 : strlen(m->header), head = m->header == NULL ? 0 : 10;
        char *bytes = malloc(head + text + m->size + 1);
        if (head > 0) {
            memcpy(bytes, "\x93NUMPY\1\0", 8);
            bytes[8] = (char)text, bytes[9] = (char)(text >> 8);
            memcpy(bytes + 10, m->header, text);
        }
        if (m->size > 0) memcpy(bytes + head + text, m->data, m->size);
        if (head + text + m->size == 0) free(bytes), bytes = NULL; /* libzip does not free an empty block */
        zip_source_t *source = zip_source_buffer(zip, bytes, head + text + m->size, 1);
        zip_int64_t index = zip_file_add(zip, m->name, source, 0);
        assert_true(index >= 0 && zip_set_file_compression(zip, (zip_uint64_t)index, method, 0) == 0);
    }
    assert_int_equal(zip_close(zip), 0);
    return path;
}

static void array_fails(const char *header, const void *data, size_t size, cllm_status status, const char *message) {
    cllm__npz *file;
    cllm__array a = {.count = 77};
    file_member member = {"x.npy", header, data, size};
    assert_ok(cllm__npz_open(&file, put_zip("array.npz", &member, 1, ZIP_CM_STORE), &err));
    assert_fails(cllm__npz_read(file, "x", &a, &err), status, message);
    assert_non_null(strstr(err.message, "array.npz'"));
    assert_non_null(strstr(err.message, "'x"));
    assert_int_equal(a.count, 77);
    cllm__npz_close(file);
}

#define HEADER(descr, shape) "{'descr': " descr ", 'fortran_order': False, 'shape': " shape ", }\n"

static void test_hostile_arrays(void **state) {
    (void)state;
    static const struct {
        const char *header;
        size_t size;
        cllm_status status;
        const char *message;
    } cases[] = {
        {"", 4, CLLM_ERR_DATA, "'x.npy' is not a numpy array"},
        {" \n", 4, CLLM_ERR_DATA, "the header of array 'x' cannot be read: column 3"},
        {"garbage", 4, CLLM_ERR_DATA, "the header of array 'x' cannot be read"},
        {"{'descr': '<i4'", 4, CLLM_ERR_DATA, "the header of array 'x' cannot be read"},
        {"{'descr': '<i4', 'shape': (1,)}", 4, CLLM_ERR_DATA, "no descr, fortran_order or shape"},
        {"{'descr': 4, 'fortran_order': False, 'shape': (1,)}", 4, CLLM_ERR_DATA, "no descr, fortran_order or shape"},
        {HEADER("'<i4'", "1"), 4, CLLM_ERR_DATA, "no descr, fortran_order or shape"},
        {HEADER("'<i4'", "(-1,)"), 4, CLLM_ERR_DATA, "no valid shape"},
        {HEADER("'<i4'", "('1',)"), 4, CLLM_ERR_DATA, "no valid shape"},
        {HEADER("'<i4'", "(1.0,)"), 4, CLLM_ERR_DATA, "no valid shape"},
        {HEADER("'<i4'", "(1,1,1,1,1,1,1,1,1)"), 4, CLLM_ERR_UNSUPPORTED, "9 axes, more than 8"},
        {HEADER("'<i4'", "(4611686018427387904, 4)"), 4, CLLM_ERR_DATA, "impossible size"},
        {HEADER("'<i4'", "(9223372036854775807,)"), 4, CLLM_ERR_DATA, "impossible size"},
        {HEADER("'<i4'", "(2,)"), 4, CLLM_ERR_DATA, "has 4 bytes, but its header says 8"},
        {HEADER("'<i4'", "(0,)"), 4, CLLM_ERR_DATA, "has 4 bytes, but its header says 0"},
        {HEADER("'<i4x'", "(1,)"), 4, CLLM_ERR_UNSUPPORTED, "dtype '<i4x'"},
        {HEADER("'|S'", "(1,)"), 4, CLLM_ERR_UNSUPPORTED, "dtype '|S'"},
        {HEADER("'|S-4'", "(1,)"), 4, CLLM_ERR_UNSUPPORTED, "dtype '|S-4'"},
        {HEADER("'<U99999999999'", "(1,)"), 4, CLLM_ERR_UNSUPPORTED, "dtype '<U99999999999'"},
        {HEADER("'<M8[s]'", "(1,)"), 8, CLLM_ERR_UNSUPPORTED, "dtype '<M8[s]'"},
        {NULL, 0, CLLM_ERR_DATA, "'x.npy' is not a numpy array"},
        {NULL, 30, CLLM_ERR_DATA, "'x.npy' is not a numpy array"},
    };
    static const char zeros[64];
    for (size_t i = 0; i < CLLM_LEN(cases); i++)
        array_fails(cases[i].header, zeros, cases[i].size, cases[i].status, cases[i].message);
    array_fails(NULL, "\x93NUMPY\4\0\x10\0{'descr': '<i4'", 26, CLLM_ERR_DATA, "version 1 to 3");
    array_fails(NULL, "\x93NUMPY\1\0\xFF\xFF{'descr': '<i4'", 26, CLLM_ERR_DATA,
                "is not a numpy array"); /* longer than the member */
    array_fails(NULL, "\x93NUMPY\2\0\xFF\xFF\xFF\x7F{'descr': '<i4'", 28, CLLM_ERR_DATA, "is not a numpy array");
}

static void test_hostile_archives(void **state) {
    (void)state;
    cllm__npz *file = NULL;
    cllm__array a;
    assert_fails(cllm__npz_open(&file, put_file("x.npz", "", 0), &err), CLLM_ERR_DATA, "x.npz' is not an .npz file");
    assert_fails(cllm__npz_open(&file, put_text("x.npz", "user,item\n"), &err), CLLM_ERR_DATA,
                 "does not begin like a zip archive");
    assert_fails(cllm__npz_open(&file, put_text("x.npz", "PK\3\4 and then nothing"), &err), CLLM_ERR_DATA,
                 "cannot be read as .npz");
    assert_fails(cllm__npz_open(&file, scratch_path("missing.npz"), &err), CLLM_ERR_NOT_FOUND, "missing.npz'");
    assert_null(file);

    /* Every truncation of a good file, and every bit of it flipped: an error or the same matrix, never a crash. */
    char data[4096];
    FILE *in = fopen(DATA "csr.npz", "rb");
    size_t size = fread(data, 1, sizeof data, in);
    fclose(in);
    cllm__csr m;
    for (size_t n = 0; n < size; n++) assert_int_not_equal(cllm__csr_read(put_file("cut.npz", data, n), &m, &err), CLLM_OK);
    size_t noticed = 0;
    for (size_t i = 0; i < size; i++) {
        data[i] ^= 0x10;
        cllm_status status = cllm__csr_read(put_file("flip.npz", data, size), &m, &err);
        data[i] ^= 0x10;
        noticed += status != CLLM_OK;
        if (status == CLLM_OK) {
            assert_true(m.rows == 3 && m.columns == 5 && m.indptr[3] == 4 &&
                        m.data[3] == 4); /* a date or a flag nobody reads */
            cllm__csr_free(&m);
        }
    }
    assert_true(noticed > size / 2);

    /* A bomb: 64 MB of zeros in 64 kB are fine for zip, but the header does not ask for them. */
    size = 64 << 20;
    char *zeros = calloc(size, 1);
    file_member bomb = {"x.npy", HEADER("'<i4'", "(1,)"), zeros, size};
    assert_ok(cllm__npz_open(&file, put_zip("bomb.npz", &bomb, 1, ZIP_CM_DEFLATE), &err));
    assert_fails(cllm__npz_read(file, "x", &a, &err), CLLM_ERR_DATA, "has 67108864 bytes, but its header says 4");
    cllm__npz_close(file);
    free(zeros);

    /* Members that are no arrays are left alone. */
    file_member others[] = {{"readme.txt", NULL, "hi", 2}, {".npy", HEADER("'|b1'", "()"), "\1", 1}};
    assert_ok(cllm__npz_open(&file, put_zip("others.npz", others, 2, ZIP_CM_STORE), &err));
    assert_int_equal(cllm__npz_count(file), 1);
    assert_ok(cllm__npz_read(file, "", &a, &err));
    cllm__array_free(&a);
    cllm__npz_close(file);
}

typedef struct csr_case {
    const char *shape_header, *indptr_header, *indices_header, *data_header;
    const void *shape, *indptr, *indices, *data;
    size_t shape_size, indptr_size, indices_size, data_size;
    const char *format_header, *format;
    cllm_status status;
    const char *message;
} csr_case;

static csr_case good_case(void) {
    static const int64_t shape[] = {2, 3}, indptr[] = {0, 2, 3};
    static const int32_t indices[] = {0, 2, 1};
    static const double data[] = {1, 2, 3};
    return (csr_case){HEADER("'<i8'", "(2,)"),
                      HEADER("'<i8'", "(3,)"),
                      HEADER("'<i4'", "(3,)"),
                      HEADER("'<f8'", "(3,)"),
                      shape,
                      indptr,
                      indices,
                      data,
                      sizeof shape,
                      sizeof indptr,
                      sizeof indices,
                      sizeof data,
                      HEADER("'|S3'", "()"),
                      "csr",
                      CLLM_OK,
                      ""};
}

static void run_case(csr_case c) {
    file_member members[] = {{"format.npy", c.format_header, c.format, 3},
                             {"shape.npy", c.shape_header, c.shape, c.shape_size},
                             {"indptr.npy", c.indptr_header, c.indptr, c.indptr_size},
                             {"indices.npy", c.indices_header, c.indices, c.indices_size},
                             {"data.npy", c.data_header, c.data, c.data_size}};
    const char *path = put_zip("case.npz", members, 5, ZIP_CM_DEFLATE);
    cllm__csr m = {.rows = 77};
    if (c.status == CLLM_OK) {
        assert_ok(cllm__csr_read(path, &m, &err));
        cllm__csr_free(&m);
        return;
    }
    assert_fails(cllm__csr_read(path, &m, &err), c.status, c.message);
    assert_non_null(strstr(err.message, "case.npz'"));
    assert_int_equal(m.rows, 77);
}

static void test_hostile_matrices(void **state) {
    (void)state;
    run_case(good_case());
    csr_case c;
#define CASE(message_, ...) \
    do { \
        c = good_case(); \
        c.status = CLLM_ERR_DATA; \
        c.message = (message_); \
        __VA_ARGS__; \
        run_case(c); \
    } while (0)
    CASE("'indptr' has 3 members for 3 rows", c.shape = ((int64_t[]){3, 3}));
    CASE("-1 × 3 is out of range", c.shape = ((int64_t[]){-1, 3}));
    CASE("4294967296 × 3 is out of range", c.shape = ((int64_t[]){INT64_C(1) << 32, 3}));
    CASE("'shape' is not two integers", c.shape_header = HEADER("'<f8'", "(2,)"));
    CASE("'shape' is not two integers", c.shape_header = HEADER("'<i4'", "(4,)"));
    CASE("'indptr' is 1 at row 0", c.indptr = ((int64_t[]){1, 2, 3}));
    CASE("'indptr' is 1 at row 2, after 2", c.indptr = ((int64_t[]){0, 2, 1}));
    CASE("'indptr' is 4 at row 2, after 2, with 3 entries", c.indptr = ((int64_t[]){0, 2, 4}));
    CASE("'indptr' is -1 at row 1", c.indptr = ((int64_t[]){0, -1, 3}));
    CASE("'indptr' and 'indices' are not lists", c.indptr_header = HEADER("'<f8'", "(3,)"));
    CASE("'indptr' and 'indices' are not lists", c.indices_header = HEADER("'<f4'", "(3,)"));
    CASE("'indptr' and 'indices' are not lists", c.indices_header = HEADER("'<i4'", "(1, 3)"));
    CASE("row 0 names column 3 of 3", c.indices = ((int32_t[]){0, 3, 1}));
    CASE("row 1 names column -1 of 3", c.indices = ((int32_t[]){0, 2, -1}));
    CASE("'indices' has 3 members and 'data' has 2", c.data_header = HEADER("'<f8'", "(2,)"); c.data_size = 16);
    CASE("row 1, column 1 is nan: give a finite number", c.data = ((double[]){1, 2, NAN}));
    CASE("row 0, column 0 is inf", c.data = ((double[]){1e300, 2, 3}));
    CASE("'data' is not a list of numbers", c.data_header = HEADER("'|S8'", "(3,)"));
    CASE("the array 'format' is not one string", c.format_header = HEADER("'|b1'", "(3,)"));
    CASE("the array 'format' is not one string", c.format_header = HEADER("'|S1'", "(3,)"));
#undef CASE
    c = good_case();
    c.format = "bsr";
    c.status = CLLM_ERR_UNSUPPORTED;
    c.message = "of format 'bsr'";
    run_case(c);

    file_member half[] = {{"format.npy", HEADER("'|S3'", "()"), "csr", 3}};
    cllm__csr m;
    assert_fails(cllm__csr_read(put_zip("half.npz", half, 1, ZIP_CM_STORE), &m, &err), CLLM_ERR_NOT_FOUND,
                 "has no array 'shape'");
}

static void test_number_types(void **state) {
    (void)state;
    const struct {
        const char *header;
        const void *data;
        size_t size;
    } cases[] = {
        {HEADER("'|i1'", "(3,)"), (const int8_t[]){-1, 2, 3}, 3},
        {HEADER("'|u1'", "(3,)"), (const uint8_t[]){255, 2, 3}, 3},
        {HEADER("'<i2'", "(3,)"), (const int16_t[]){-1, 2, 3}, 6},
        {HEADER("'<u2'", "(3,)"), (const uint16_t[]){65535, 2, 3}, 6},
        {HEADER("'<i4'", "(3,)"), (const int32_t[]){-1, 2, 3}, 12},
        {HEADER("'<u4'", "(3,)"), (const uint32_t[]){4000000000u, 2, 3}, 12},
        {HEADER("'<i8'", "(3,)"), (const int64_t[]){-1, 2, 3}, 24},
        {HEADER("'<u8'", "(3,)"), (const uint64_t[]){UINT64_MAX, 2, 3}, 24},
        {HEADER("'<f4'", "(3,)"), (const float[]){-0.5f, 2, 3}, 12},
        {HEADER("'<f8'", "(3,)"), (const double[]){-0.5, 2, 3}, 24},
    };
    static const float first[] = {-1, 255, -1, 65535, -1, 4e9f, -1, 0x1p64f, -0.5f, -0.5f};
    for (size_t i = 0; i < CLLM_LEN(cases); i++) {
        csr_case c = good_case();
        c.data_header = cases[i].header, c.data = cases[i].data, c.data_size = cases[i].size;
        run_case(c);
        cllm__csr m;
        assert_ok(cllm__csr_read(scratch_path("case.npz"), &m, &err));
        assert_true(m.data[0] == first[i] && m.data[1] == 2 && m.data[2] == 3);
        cllm__csr_free(&m);
    }
}

/* ---- Writing ---- */

static float vectors[12];
static const int64_t rows[] = {-1, INT64_C(1) << 40};
static const char *const ids[] = {"kettle", "café", "", "lamp 😀"};
static const cllm__npz_entry entries[] = {
    {"vectors", CLLM_NPY_F32, 2, {4, 3}, vectors},
    {"rows", CLLM_NPY_I64, 1, {2}, rows},
    {"ids", CLLM_NPY_UNICODE, 1, {4}, ids},
    {"none", CLLM_NPY_F32, 2, {0, 2}, NULL},
};

static cllm_status write_all(const char *path, cllm_error *e) {
    for (int i = 0; i < 12; i++) vectors[i] = (float)i / 8;
    return cllm__npz_write(path, entries, CLLM_LEN(entries), e);
}

static void test_write(void **state) {
    (void)state;
    const char *path = scratch_path("written.npz");
    assert_ok(write_all(path, &err));
    assert_ok(cllm__npz_open(&arrays, path, &err));
    assert_int_equal(cllm__npz_count(arrays), 4);
    cllm__array a = get("vectors", CLLM_NPY_F32, 2, 12);
    assert_true(a.shape[0] == 4 && a.shape[1] == 3);
    assert_memory_equal(a.data, vectors, sizeof vectors);
    cllm__array_free(&a);
    EXPECT("rows", CLLM_NPY_I64, int64_t, 1, -1, INT64_C(1) << 40);
    a = get("ids", CLLM_NPY_UNICODE, 1, 4);
    assert_int_equal(a.item, 24);
    for (size_t i = 0; i < 4; i++) {
        char *text;
        assert_ok(cllm__array_string(&a, i, &text, &err));
        assert_string_equal(text, ids[i]);
        cllm__free(text);
    }
    cllm__array_free(&a);
    a = get("none", CLLM_NPY_F32, 2, 0);
    assert_true(a.shape[0] == 0 && a.shape[1] == 2);
    cllm__array_free(&a);
    cllm__npz_close(arrays);
    if (keep_path("written.npz") != NULL) assert_ok(write_all(keep_path("written.npz"), &err));

    /* The same bytes each time, in any time zone and on any day. (`make_fixtures.py check` reads them with numpy.) */
    uint64_t hash, again;
    assert_ok(cllm__hash_file(path, &hash, &err));
    setenv("TZ", "Asia/Tokyo", 1);
    assert_ok(write_all(scratch_path("again.npz"), &err));
    assert_ok(cllm__hash_file(scratch_path("again.npz"), &again, &err));
    assert_true(hash == again);
    zip_t *zip = zip_open(path, ZIP_RDONLY | ZIP_CHECKCONS, NULL);
    zip_stat_t info;
    assert_true(zip != NULL && zip_stat(zip, "rows.npy", 0, &info) == 0);
    struct tm *day = localtime(&info.mtime);
    assert_true(day->tm_year == 80 && day->tm_mon == 0 && day->tm_mday == 1 && info.comp_method == ZIP_CM_STORE);
    zip_discard(zip);

    static const char *const bad[] = {"ok", "\xFF"};
    cllm__npz_entry entry = {"ids", CLLM_NPY_UNICODE, 1, {2}, bad};
    assert_fails(cllm__npz_write(scratch_path("bad.npz"), &entry, 1, &err), CLLM_ERR_DATA,
                 "string 1 of array 'ids' is not UTF-8");
    cllm__npz_entry twice[] = {entries[0], entries[0]};
    assert_fails(cllm__npz_write(scratch_path("bad.npz"), twice, 2, &err), CLLM_ERR_IO, "bad.npz'");
    assert_false(cllm__path_exists(scratch_path("bad.npz")));
    assert_no_temporaries();
}

static void test_injected_failures(void **state) {
    (void)state;
    const char *path = put_text("kept.npz", "what was there");
    static const struct {
        cllm__io_op op;
        int code;
    } faults[] = {{CLLM_IO_CREATE, EROFS}, {CLLM_IO_WRITE, ENOSPC}, {CLLM_IO_FSYNC, EIO}, {CLLM_IO_RENAME, EACCES}};
    for (size_t i = 0; i < CLLM_LEN(faults); i++) {
        cllm_status status;
        int n = 0;
        do { /* the n-th operation of the kind fails */
            injection fault = {faults[i].op, n, faults[i].code};
            cllm__io_set_hook(inject, &fault);
            status = write_all(path, &err);
            cllm__io_set_hook(NULL, NULL);
            assert_no_temporaries();
            if (status != CLLM_OK) {
                assert_int_equal(status, CLLM_ERR_IO);
                assert_non_null(strstr(err.message, strerror(faults[i].code)));
                if (strstr(err.message, "folder") == NULL) assert_non_null(strstr(err.message, "kept.npz'"));
            }
            n++;
        } while (status != CLLM_OK && n < 100);
        assert_true(n > 1 && n < 100);
    }
    for (int n = 0; n < 3; n++) {
        injection fault = {CLLM_IO_READ, n, EIO};
        cllm__io_set_hook(inject, &fault);
        cllm__csr m;
        assert_fails(cllm__csr_read(DATA "csr.npz", &m, &err), CLLM_ERR_IO, "cannot read '");
        fault = (injection){CLLM_IO_OPEN_READ, 0, EACCES};
        assert_fails(cllm__csr_read(DATA "csr.npz", &m, &err), CLLM_ERR_IO, "cannot open '");
        cllm__io_set_hook(NULL, NULL);
    }
}

static cllm_status read_body(cllm_error *e) {
    cllm__csr m;
    CLLM_TRY(cllm__csr_read(DATA "csr.npz", &m, e));
    cllm__csr_free(&m);
    return CLLM_OK;
}

static cllm_status write_body(cllm_error *e) {
    return write_all(scratch_path("sweep.npz"), e);
}

static void test_allocation_failures(void **state) {
    (void)state;
    sweep_allocations(read_body);
    sweep_allocations(write_body);
    assert_no_temporaries();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numpy_arrays),      cmocka_unit_test(test_scipy_matrices),
        cmocka_unit_test(test_real_matrix),       cmocka_unit_test(test_hostile_arrays),
        cmocka_unit_test(test_hostile_archives),  cmocka_unit_test(test_hostile_matrices),
        cmocka_unit_test(test_number_types),      cmocka_unit_test(test_write),
        cmocka_unit_test(test_injected_failures), cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
