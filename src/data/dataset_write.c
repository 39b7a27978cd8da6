#include "data/dataset_write.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/io.h"
#include "formats/safetensors.h"

static cllm_status write_tensors(const char *folder, cllm__dataset_file file, const cllm__tensor *tensors, size_t n, cllm_error *err) {
    char *path = cllm__path_join(folder, cllm__dataset_file_name(file));
    cllm_status status = path == NULL ? cllm__fail_nomem(err) : cllm__safetensors_write(path, tensors, n, NULL, 0, err);
    cllm__free(path);
    return status;
}

static cllm__tensor vector(const char *name, cllm__st_dtype dtype, size_t count, const void *data) {
    return (cllm__tensor){.name = name, .dtype = dtype, .rank = 1, .shape = {count}, .data = data, .bytes = count * cllm__st_dtype_size(dtype)};
}

cllm_status cllm__write_interactions(const char *folder, const cllm__interactions splits[CLLM__SPLITS], cllm_error *err) {
    static const char *const names[CLLM__SPLITS][4] = {{"train.start", "train.items", "train.times", "train.ratings"},
                                                       {"valid.start", "valid.items", "valid.times", "valid.ratings"},
                                                       {"test.start", "test.items", "test.times", "test.ratings"}};
    cllm__tensor tensors[4 * CLLM__SPLITS];
    size_t n = 0;
    for (int s = 0; s < CLLM__SPLITS; s++) {
        const cllm__interactions *m = &splits[s];
        tensors[n++] = vector(names[s][0], CLLM_ST_U64, m->n_users + 1, m->start);
        tensors[n++] = vector(names[s][1], CLLM_ST_I32, m->count, m->items);
        if (m->times != NULL) tensors[n++] = vector(names[s][2], CLLM_ST_I64, m->count, m->times);
        if (m->ratings != NULL) tensors[n++] = vector(names[s][3], CLLM_ST_F32, m->count, m->ratings);
    }
    return write_tensors(folder, CLLM__FILE_INTERACTIONS, tensors, n, err);
}

cllm_status cllm__write_text_index(const char *folder, const cllm__text_index *index, cllm_error *err) {
    size_t n = index->count;
    const cllm__tensor tensors[] = {
        vector("start", CLLM_ST_U64, n + 1, index->start), vector("kind", CLLM_ST_U8, n, index->kind),
        vector("split", CLLM_ST_U8, n, index->split),      vector("user", CLLM_ST_I32, n, index->user),
        vector("item", CLLM_ST_I32, n, index->item),
    };
    return write_tensors(folder, CLLM__FILE_TEXT_INDEX, tensors, CLLM_LEN(tensors), err);
}

static cllm_status measure_files(const char *folder, cllm__manifest *manifest, cllm_error *err) {
    for (int f = 0; f < CLLM__DATASET_FILES; f++) {
        char *path = cllm__path_join(folder, cllm__dataset_file_name((cllm__dataset_file)f));
        struct stat info;
        if (path == NULL) return cllm__fail_nomem(err);
        cllm_status status = cllm__hash_file(path, &manifest->files[f].hash, err);
        if (status == CLLM_OK && stat(path, &info) != 0) status = cllm__fail_errno(err, "cannot look at '%s'", path);
        cllm__free(path);
        CLLM_TRY(status);
        manifest->files[f].bytes = (uint64_t)info.st_size;
    }
    return CLLM_OK;
}

static cllm_status write_text(const char *folder, const char *name, const char *text, cllm_error *err) {
    char *path = cllm__path_join(folder, name);
    cllm_status status = path == NULL ? cllm__fail_nomem(err) : cllm__write_file(path, text, strlen(text), err);
    cllm__free(path);
    return status;
}

cllm_status cllm__write_manifest(const char *folder, cllm__manifest *manifest, cllm_error *err) {
    char *text;
    CLLM_TRY(measure_files(folder, manifest, err));
    CLLM_TRY(cllm__manifest_print(manifest, &text, err));
    cllm_status status = write_text(folder, CLLM__MANIFEST_NAME, text, err);
    cllm__free(text);
    return status;
}

cllm_status cllm__write_json(const char *folder, const char *name, struct json_object *object, cllm_error *err) {
    char *text;
    CLLM_TRY(cllm__manifest_json_text(object, &text, err));
    cllm_status status = write_text(folder, name, text, err);
    cllm__free(text);
    return status;
}
