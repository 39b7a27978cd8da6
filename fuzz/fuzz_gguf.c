#include "backbone/gguf_model.h"

#include "fuzz.h"

/* Everything that the reader hands out is read to its last byte. */
static void read_value(const cllm__gguf_value *value) {
    uint64_t sum = 0;
    for (size_t i = 0; i < value->bytes; i++) sum += value->data[i];
    if (value->member == CLLM_GGUF_STRING) {
        cllm__gguf_strings at = {value->data, value->count};
        uint64_t n = 0;
        for (cllm__gguf_text text; cllm__gguf_next(&at, &text); n++)
            for (size_t i = 0; i < text.length; i++) sum += (unsigned char)text.data[i];
        FUZZ_CHECK(n == value->count && (value->kind == CLLM_GGUF_ARRAY || at.next == value->data + value->bytes));
    } else if (value->member != CLLM_GGUF_ARRAY && value->member != CLLM_GGUF_BOOL) {
        for (uint64_t i = 0; i < value->count; i++) sum += cllm__gguf_number_at(value, i) > 0;
    }
    FUZZ_CHECK(sum < UINT64_MAX);
}

static void read_tensor(const cllm__gguf_tensor *t) {
    float block[256];
    size_t count = cllm__gguf_block_count(t->type), bytes = cllm__gguf_block_bytes(t->type);
    FUZZ_CHECK(t->count / count * bytes == t->bytes);
    for (size_t i = 0; i < t->bytes / bytes; i++) cllm__gguf_dequantise(t->type, t->data + i * bytes, 1, block);
}

static void read_file(const char *path, size_t size) {
    cllm__gguf *file;
    cllm_error err;
    if (cllm__gguf_open(&file, path, &err) != CLLM_OK) return;
    size_t bytes = 0;
    for (size_t i = 0; i < cllm__gguf_values(file); i++) read_value(cllm__gguf_value_at(file, i));
    for (size_t i = 0; i < cllm__gguf_tensors(file); i++) {
        read_tensor(cllm__gguf_tensor_at(file, i));
        bytes += cllm__gguf_tensor_at(file, i)->bytes;
    }
    FUZZ_CHECK(bytes <= size && cllm__gguf_bytes(file) == size);
    cllm__gguf_close(file);
}

static void read_model(const char *path) {
    cllm__gguf_model *model;
    cllm__config config;
    cllm_error err;
    if (cllm__gguf_model_open(&model, path, &config, &err) != CLLM_OK) return;
    for (size_t i = 0; i < cllm__gguf_tensors(cllm__gguf_model_file(model)); i++) {
        char name[192];
        size_t rank;
        uint64_t shape[2] = {0};
        cllm__stored stored;
        if (!cllm__gguf_model_name(model, i, name, sizeof name, &rank, shape)) continue;
        FUZZ_CHECK(cllm__gguf_model_has(model, name));
        if (cllm__gguf_model_tensor(model, name, rank == 1 ? 0 : (size_t)shape[0], (size_t)shape[rank - 1], &stored,
                                    &err) != CLLM_OK)
            continue;
        cllm__real *values = malloc((cllm__stored_count(&stored) + 1) * sizeof *values);
        FUZZ_CHECK(values != NULL);
        cllm__stored_read(&stored, values);
        free(values);
    }
    cllm__config_free(&config);
    cllm__gguf_model_close(model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *path = fuzz_file(data, size);
    read_file(path, size);
    read_model(path);
    return 0;
}
