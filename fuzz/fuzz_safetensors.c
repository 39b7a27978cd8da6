#include "formats/safetensors.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    cllm__safetensors *file;
    cllm_error err;
    if (cllm__safetensors_open(&file, fuzz_file(data, size), &err) != CLLM_OK) return 0;
    size_t bytes = 0;
    for (size_t i = 0; i < cllm__safetensors_count(file); i++) {
        const cllm__tensor *t = cllm__safetensors_at(file, i), *found;
        FUZZ_CHECK(cllm__safetensors_find(file, t->name) == t);
        FUZZ_CHECK(cllm__safetensors_require(file, t->name, t->dtype, t->rank, t->shape, &found, &err) == CLLM_OK &&
                   found == t);
        FUZZ_CHECK(cllm__tensor_count(t) * cllm__st_dtype_size(t->dtype) == t->bytes);
        bytes += t->bytes;
        float *values = malloc((cllm__tensor_count(t) + 1) * sizeof *values);
        FUZZ_CHECK(values != NULL);
        cllm_status status = cllm__tensor_to_f32(t, values, &err);
        status |= cllm__tensor_check_finite(t, &err);
        (void)status;
        free(values);
    }
    FUZZ_CHECK(bytes <= size);
    cllm__safetensors_metadata(file, "format");
    cllm__safetensors_close(file);
    return 0;
}
