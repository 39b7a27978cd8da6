#include "backbone/checkpoint.h"
#include "fuzz_folder.h"

/* model.safetensors.index.json: what is opened are files of the same folder, each once, and their tensors can be listed. */
static void make_files(void) {
    static const float values[4] = {1, 2, 3, 4};
    static const char *const names[] = {"a", "b"};
    for (size_t i = 0; i < 2; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s.safetensors", fuzz_folder(), names[i]);
        const cllm__tensor tensor = {.name = names[i], .dtype = CLLM_ST_F32, .rank = 1, .shape = {4}, .data = values, .bytes = sizeof values};
        FUZZ_CHECK(cllm__safetensors_write(path, &tensor, 1, NULL, 0, NULL) == CLLM_OK);
    }
    fuzz_put("config.json", "{}", 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static bool made;
    cllm__checkpoint checkpoint;
    cllm_error err = {0};
    if (!made) make_files();
    made = true;
    fuzz_put("model.safetensors.index.json", data, size);
    if (cllm__checkpoint_open(&checkpoint, fuzz_folder(), &err) != CLLM_OK) {
        FUZZ_CHECK(strstr(err.message, fuzz_folder()) != NULL);
        return 0;
    }
    size_t length = strlen(fuzz_folder());
    FUZZ_CHECK(checkpoint.n_files == 1 || checkpoint.n_files == 2);
    for (size_t i = 0; i < checkpoint.n_files; i++) {
        const char *path = cllm__safetensors_path(checkpoint.files[i]);
        FUZZ_CHECK(strncmp(path, fuzz_folder(), length) == 0 && path[length] == '/' && strchr(path + length + 1, '/') == NULL);
    }
    FUZZ_CHECK(cllm__checkpoint_count(&checkpoint) == checkpoint.n_files);
    for (size_t i = 0; i < checkpoint.n_files; i++) {
        bool there;
        cllm__listed listed;
        FUZZ_CHECK(cllm__checkpoint_at(&checkpoint, i, &there, &listed, &err) == CLLM_OK && there);
        FUZZ_CHECK(cllm__checkpoint_has(&checkpoint, listed.name));
    }
    cllm__checkpoint_close(&checkpoint);
    return 0;
}
