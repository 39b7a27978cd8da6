#include "formats/npz.h"

#include "base/alloc.h"
#include "fuzz.h"

static void read_all(const char *path) {
    cllm__npz *file;
    cllm_error err;
    if (cllm__npz_open(&file, path, &err) != CLLM_OK) return;
    for (size_t i = 0; i < cllm__npz_count(file); i++) {
        cllm__array array;
        if (cllm__npz_read(file, cllm__npz_name(file, i), &array, &err) != CLLM_OK) continue;
        bool is_text = array.type == CLLM_NPY_BYTES || array.type == CLLM_NPY_UNICODE;
        for (size_t k = 0; is_text && k < array.count && k < 100; k++) {
            char *text;
            if (cllm__array_string(&array, k, &text, &err) == CLLM_OK) cllm__free(text);
        }
        cllm__array_free(&array);
    }
    cllm__npz_close(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *path = fuzz_file(data, size);
    read_all(path);
    cllm__csr m;
    cllm_error err;
    if (cllm__csr_read(path, &m, &err) != CLLM_OK) return 0;
    FUZZ_CHECK(m.indptr[0] == 0);
    for (size_t i = 0; i < m.rows; i++) {
        FUZZ_CHECK(m.indptr[i] <= m.indptr[i + 1]);
        for (int64_t k = m.indptr[i]; k < m.indptr[i + 1]; k++)
            FUZZ_CHECK(m.indices[k] >= 0 && (size_t)m.indices[k] < m.columns);
    }
    cllm__csr_free(&m);
    return 0;
}
