#include "backbone/checkpoint.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/io.h"

/* Configurations have a few kilobytes; an index has about 100 bytes a tensor. */
static const size_t CONFIG_LIMIT = (size_t)1 << 20, INDEX_LIMIT = (size_t)1 << 24;
enum { FILES_MAX = 1024, BEGINNING = 8 };

static cllm_status read_config(cllm__checkpoint *checkpoint, const char *folder, cllm_error *err) {
    checkpoint->config_path = cllm__path_join(folder, "config.json");
    if (checkpoint->config_path == NULL) return cllm__fail_nomem(err);
    if (!cllm__path_exists(checkpoint->config_path))
        return cllm__fail(err, CLLM_ERR_NOT_FOUND, "'%s' has no config.json: a backbone is a Hugging Face folder with config.json "
                          "and model.safetensors", folder);
    char *json;
    size_t size;
    CLLM_TRY(cllm__read_file(checkpoint->config_path, CONFIG_LIMIT, &json, &size, err));
    cllm_status status = cllm__config_parse(&checkpoint->config, checkpoint->config_path, json, size, err);
    cllm__free(json);
    return status;
}

/* Adds a weight file to size and hash. */
static cllm_status count_file(cllm__checkpoint *checkpoint, const char *path, bool first, cllm_error *err) {
    struct stat info;
    if (stat(path, &info) != 0) return cllm__fail_errno(err, "cannot open '%s'", path);
    checkpoint->file_bytes += (uint64_t)info.st_size;
    /* Read, not mapped: the mapped pages would count as resident memory. */
    uint64_t parts[2] = {checkpoint->hash};
    CLLM_TRY(cllm__hash_file(path, &parts[1], err));
    checkpoint->hash = first ? parts[1] : cllm__hash(parts, sizeof parts);
    return CLLM_OK;
}

static cllm_status add_file(cllm__checkpoint *checkpoint, const char *path, cllm_error *err) {
    cllm__safetensors **files = cllm__realloc(checkpoint->files, checkpoint->n_files + 1, sizeof *files);
    if (files == NULL) return cllm__fail_nomem(err);
    checkpoint->files = files;
    CLLM_TRY(cllm__safetensors_open(&files[checkpoint->n_files], path, err));
    checkpoint->n_files++;
    return count_file(checkpoint, path, checkpoint->n_files == 1, err);
}

static bool is_open(const cllm__checkpoint *checkpoint, const char *path) {
    for (size_t i = 0; i < checkpoint->n_files; i++)
        if (strcmp(cllm__safetensors_path(checkpoint->files[i]), path) == 0) return true;
    return false;
}

/* Opens every file that the index's weight_map names: {"weight_map": {tensor: file, …}}. */
static cllm_status open_indexed(cllm__checkpoint *checkpoint, const char *folder, const cllm__config *index, cllm_error *err) {
    cllm__config map;
    CLLM_TRY(cllm__config_object(*index, "weight_map", &map, err));
    if (map.object == NULL) return cllm__fail(err, CLLM_ERR_DATA, "%s: weight_map is missing", index->place);
    struct json_object_iterator at = json_object_iter_begin(map.object), end = json_object_iter_end(map.object);
    for (; !json_object_iter_equal(&at, &end); json_object_iter_next(&at)) {
        const char *tensor = json_object_iter_peek_name(&at);
        struct json_object *value = json_object_iter_peek_value(&at);
        const char *name = json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
        if (name[0] == '\0' || name[0] == '.' || strchr(name, '/') != NULL)
            return cllm__fail(err, CLLM_ERR_DATA, "%s: weight_map names '%.60s' for '%.60s'; it must be a file in the same folder",
                              index->place, name, tensor);
        char *path = cllm__path_join(folder, name);
        if (path == NULL) return cllm__fail_nomem(err);
        cllm_status status = CLLM_OK;
        if (!is_open(checkpoint, path)) {
            if (checkpoint->n_files == FILES_MAX)
                status = cllm__fail(err, CLLM_ERR_DATA, "%s: more than %d files", index->place, FILES_MAX);
            else
                status = add_file(checkpoint, path, err);
        }
        cllm__free(path);
        CLLM_TRY(status);
    }
    if (checkpoint->n_files == 0) return cllm__fail(err, CLLM_ERR_DATA, "%s: weight_map is empty", index->place);
    return CLLM_OK;
}

static cllm_status open_index(cllm__checkpoint *checkpoint, const char *folder, cllm_error *err) {
    char *json;
    size_t size;
    cllm__config index;
    CLLM_TRY(cllm__read_file(checkpoint->weights_path, INDEX_LIMIT, &json, &size, err));
    cllm_status status = cllm__config_parse(&index, checkpoint->weights_path, json, size, err);
    cllm__free(json);
    CLLM_TRY(status);
    status = open_indexed(checkpoint, folder, &index, err);
    cllm__config_free(&index);
    return status;
}

/* The path of a file in the folder, NULL if there is none. */
static cllm_status find_file(const char *folder, const char *name, char **path, cllm_error *err) {
    char *joined = cllm__path_join(folder, name);
    if (joined == NULL) return cllm__fail_nomem(err);
    *path = cllm__path_exists(joined) ? joined : NULL;
    if (*path == NULL) cllm__free(joined);
    return CLLM_OK;
}

static cllm_status open_weights(cllm__checkpoint *checkpoint, const char *folder, cllm_error *err) {
    CLLM_TRY(find_file(folder, "model.safetensors", &checkpoint->weights_path, err));
    if (checkpoint->weights_path != NULL) return add_file(checkpoint, checkpoint->weights_path, err);
    CLLM_TRY(find_file(folder, "model.safetensors.index.json", &checkpoint->weights_path, err));
    if (checkpoint->weights_path != NULL) return open_index(checkpoint, folder, err);
    char *pickle = NULL;
    CLLM_TRY(find_file(folder, "pytorch_model.bin", &pickle, err));
    if (pickle == NULL) return cllm__fail(err, CLLM_ERR_NOT_FOUND, "'%s' has no model.safetensors", folder);
    cllm__free(pickle);
    return cllm__fail(err, CLLM_ERR_UNSUPPORTED,
                      "'%s' has its weights in pytorch_model.bin, a Python pickle, which is not read; convert it: python -c \"from "
                      "transformers import AutoModelForCausalLM as M; M.from_pretrained('%s').save_pretrained('%s')\"",
                      folder, folder, folder);
}

static cllm_status open_gguf(cllm__checkpoint *checkpoint, const char *path, cllm_error *err) {
    checkpoint->config_path = cllm__strdup(path);
    checkpoint->weights_path = cllm__strdup(path);
    if (checkpoint->config_path == NULL || checkpoint->weights_path == NULL) return cllm__fail_nomem(err);
    CLLM_TRY(cllm__gguf_model_open(&checkpoint->gguf, path, &checkpoint->config, err));
    const cllm__gguf *file = cllm__gguf_model_file(checkpoint->gguf);
    for (size_t i = 0; i < cllm__gguf_files(file); i++) CLLM_TRY(count_file(checkpoint, cllm__gguf_path(file, i), i == 0, err));
    return CLLM_OK;
}

/* A file's first bytes for a message; what is no plain character as \xNN. */
static cllm_status show_beginning(char *text, size_t size, const char *path, cllm_error *err) {
    cllm__map map;
    CLLM_TRY(cllm__map_open(&map, path, err));
    size_t used = (size_t)snprintf(text, size, map.size > 0 ? "begins with '" : "is empty");
    for (size_t i = 0; i < map.size && i < BEGINNING; i++) {
        bool plain = map.data[i] >= ' ' && map.data[i] <= '~' && map.data[i] != '\\' && map.data[i] != '\'';
        used += (size_t)snprintf(text + used, size - used, plain ? "%c" : "\\x%02x", map.data[i]);
    }
    if (map.size > 0) snprintf(text + used, size - used, "'");
    cllm__map_close(&map);
    return CLLM_OK;
}

cllm_status cllm__checkpoint_recognise(const char *path, bool *gguf, cllm_error *err) {
    char beginning[4 * BEGINNING + 32];
    if (!cllm__path_exists(path)) return cllm__fail(err, CLLM_ERR_NOT_FOUND, "backbone '%s' does not exist", path);
    CLLM_TRY(cllm__gguf_recognise(path, gguf, err));
    if (*gguf || cllm__path_is_folder(path)) return CLLM_OK;
    CLLM_TRY(show_beginning(beginning, sizeof beginning, path, err));
    return cllm__fail(err, CLLM_ERR_UNSUPPORTED, "backbone '%s' is neither a GGUF file nor a Hugging Face folder: it is a file that %s; give a GGUF file, "
                      "or a folder with config.json and model.safetensors", path, beginning);
}

cllm_status cllm__checkpoint_open(cllm__checkpoint *out, const char *path, cllm_error *err) {
    cllm__checkpoint checkpoint = {0};
    cllm_status status;
    bool gguf;
    CLLM_TRY(cllm__checkpoint_recognise(path, &gguf, err));
    if (gguf) CLLM_TRY_CLEAN(open_gguf(&checkpoint, path, err));
    else {
        CLLM_TRY_CLEAN(read_config(&checkpoint, path, err));
        CLLM_TRY_CLEAN(open_weights(&checkpoint, path, err));
    }
    *out = checkpoint;
    return CLLM_OK;
cleanup:
    cllm__checkpoint_close(&checkpoint);
    return status;
}

static cllm_status rows_of_gguf(const char *path, size_t *rows, cllm_error *err) {
    cllm__gguf *file;
    CLLM_TRY(cllm__gguf_open(&file, path, err));
    const cllm__gguf_tensor *words = cllm__gguf_find_tensor(file, "token_embd.weight");
    size_t found = words != NULL && words->rank == 2 ? (size_t)words->shape[0] : 0;
    cllm__gguf_close(file);
    if (found > INT32_MAX) return cllm__fail(err, CLLM_ERR_DATA, "%s: token_embd.weight has %zu rows", path, found);
    *rows = found;
    return CLLM_OK;
}

cllm_status cllm__checkpoint_rows(const char *path, size_t *rows, cllm_error *err) {
    cllm__checkpoint checkpoint = {0};
    char *config = NULL;
    const size_t none = 0;
    size_t found = 0;
    if (!cllm__path_is_folder(path)) {
        bool gguf = false;
        *rows = 0;
        CLLM_TRY(cllm__gguf_recognise(path, &gguf, err));
        return gguf ? rows_of_gguf(path, rows, err) : CLLM_OK;
    }
    CLLM_TRY(find_file(path, "config.json", &config, err));
    cllm_status status = CLLM_OK;
    if (config != NULL) {
        status = read_config(&checkpoint, path, err);
        if (status == CLLM_OK) status = cllm__config_size(checkpoint.config, "vocab_size", 1, INT32_MAX, &none, &found, err);
    }
    cllm__free(config);
    cllm__checkpoint_close(&checkpoint);
    if (status == CLLM_OK) *rows = found;
    return status;
}

void cllm__checkpoint_rest(const cllm__checkpoint *checkpoint) {
    for (size_t i = 0; i < checkpoint->n_files; i++) cllm__safetensors_rest(checkpoint->files[i]);
    if (checkpoint->gguf != NULL) cllm__gguf_rest(cllm__gguf_model_file(checkpoint->gguf));
}

void cllm__checkpoint_close(cllm__checkpoint *checkpoint) {
    cllm__config_free(&checkpoint->config);
    for (size_t i = 0; i < checkpoint->n_files; i++) cllm__safetensors_close(checkpoint->files[i]);
    cllm__free(checkpoint->files);
    cllm__gguf_model_close(checkpoint->gguf);
    cllm__free(checkpoint->config_path);
    cllm__free(checkpoint->weights_path);
    *checkpoint = (cllm__checkpoint){0};
}

/* The file that has the tensor; the first if none has. */
static const cllm__safetensors *file_of(const cllm__checkpoint *checkpoint, const char *name) {
    for (size_t i = 0; i < checkpoint->n_files; i++)
        if (cllm__safetensors_find(checkpoint->files[i], name) != NULL) return checkpoint->files[i];
    return NULL;
}

bool cllm__checkpoint_has(const cllm__checkpoint *checkpoint, const char *name) {
    if (checkpoint->gguf != NULL) return cllm__gguf_model_has(checkpoint->gguf, name);
    return file_of(checkpoint, name) != NULL;
}

cllm_status cllm__checkpoint_tensor(const cllm__checkpoint *checkpoint, const char *name, size_t rows, size_t columns,
                                    cllm__stored *out, cllm_error *err) {
    if (checkpoint->gguf != NULL) return cllm__gguf_model_tensor(checkpoint->gguf, name, rows, columns, out, err);
    const cllm__safetensors *file = file_of(checkpoint, name);
    if (file == NULL)
        return cllm__fail(err, CLLM_ERR_NOT_FOUND, "%s: tensor '%s' is missing", checkpoint->weights_path, name);
    uint64_t shape[2] = {rows, columns};
    size_t skip = rows == 0 ? 1 : 0; /* a vector */
    cllm__stored stored = {.rows = rows == 0 ? 1 : rows, .columns = columns};
    CLLM_TRY(cllm__safetensors_require_float(file, name, 2 - skip, shape + skip, &stored.plain, err));
    cllm_status status = cllm__stored_check_finite(&stored, err);
    if (status != CLLM_OK) {
        cllm__error_prefix(err, "%s", cllm__safetensors_path(file));
        return status;
    }
    *out = stored;
    return CLLM_OK;
}

size_t cllm__checkpoint_count(const cllm__checkpoint *checkpoint) {
    if (checkpoint->gguf != NULL) return cllm__gguf_tensors(cllm__gguf_model_file(checkpoint->gguf));
    size_t count = 0;
    for (size_t i = 0; i < checkpoint->n_files; i++) count += cllm__safetensors_count(checkpoint->files[i]);
    return count;
}

static cllm_status list_plain(const cllm__checkpoint *checkpoint, size_t index, cllm__listed *out, cllm_error *err) {
    size_t file = 0;
    while (index >= cllm__safetensors_count(checkpoint->files[file])) index -= cllm__safetensors_count(checkpoint->files[file++]);
    const cllm__tensor *t = cllm__safetensors_at(checkpoint->files[file], index);
    cllm__listed listed = {.rank = t->rank, .stored = {.rows = 1, .columns = cllm__tensor_count(t), .plain = t}};
    memcpy(listed.shape, t->shape, sizeof listed.shape);
    if (strlen(t->name) >= sizeof listed.name)
        return cllm__fail(err, CLLM_ERR_DATA, "%s: the name of tensor '%.60s…' is too long", cllm__safetensors_path(checkpoint->files[file]),
                          t->name);
    strcpy(listed.name, t->name);
    if (cllm__st_dtype_is_float(t->dtype)) CLLM_TRY(cllm__stored_check_finite(&listed.stored, err));
    *out = listed;
    return CLLM_OK;
}

cllm_status cllm__checkpoint_at(const cllm__checkpoint *checkpoint, size_t index, bool *there, cllm__listed *out, cllm_error *err) {
    *there = true;
    if (checkpoint->gguf == NULL) return list_plain(checkpoint, index, out, err);
    cllm__listed listed = {0};
    *there = cllm__gguf_model_name(checkpoint->gguf, index, listed.name, sizeof listed.name, &listed.rank, listed.shape);
    if (!*there) return CLLM_OK;
    CLLM_TRY(cllm__gguf_model_tensor(checkpoint->gguf, listed.name, listed.rank == 1 ? 0 : (size_t)listed.shape[0],
                                     (size_t)listed.shape[listed.rank - 1], &listed.stored, err));
    const char *prefix = cllm__gguf_model_prefix(checkpoint->gguf);
    if (strncmp(listed.name, "lm_head.", 8) != 0) {
        memmove(listed.name + strlen(prefix), listed.name, strlen(listed.name) + 1);
        memcpy(listed.name, prefix, strlen(prefix));
    }
    *out = listed;
    return CLLM_OK;
}
