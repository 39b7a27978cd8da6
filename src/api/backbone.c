/* Making a random backbone, looking at one, and writing one as a Hugging Face folder. */
#include "backbone/backbone.h"

#include "api/run.h"
#include "backbone/checkpoint.h"
#include "backbone/convert.h"
#include "base/alloc.h"
#include "base/hash.h"
#include "base/io.h"
#include "text/tokenizer.h"

/* The tokenizer in a GGUF file; NULL where it has none, or one of a kind that is not read. */
static cllm_status open_tokenizer_inside(cllm__tokenizer **tokenizer, const char *path, cllm_error *err) {
    cllm_status status = cllm__tokenizer_open(tokenizer, path, err);
    if (status != CLLM_ERR_UNSUPPORTED && status != CLLM_ERR_NOT_FOUND) return status;
    *tokenizer = NULL;
    return CLLM_OK;
}

/* A tokenizer in `path`, or NULL where the folder has none. */
static cllm_status open_tokenizer_beside(cllm__tokenizer **tokenizer, const char *path, cllm_error *err) {
    if (!cllm__path_is_folder(path)) return open_tokenizer_inside(tokenizer, path, err);
    char *json = cllm__path_join(path, "tokenizer.json"), *vocab = cllm__path_join(path, "vocab.json");
    bool complete = json != NULL && vocab != NULL, there = complete && (cllm__path_exists(json) || cllm__path_exists(vocab));
    cllm__free(json);
    cllm__free(vocab);
    if (!complete) return cllm__fail_nomem(err);
    if (there) return cllm__tokenizer_open(tokenizer, path, err);
    *tokenizer = NULL;
    return CLLM_OK;
}

/* The whole folder is put together inside a temporary one, so that weights and tokenizer appear together. */
static cllm_status build(const char *temporary, const char *folder, cllm__gpt2_shape shape, const cllm__tokenizer *tokenizer,
                         uint64_t seed, cllm_error *err) {
    char *made = cllm__path_join(temporary, "backbone");
    if (made == NULL) return cllm__fail_nomem(err);
    cllm_status status = cllm__gpt2_init(made, shape, seed, err);
    if (status == CLLM_OK && tokenizer != NULL) status = cllm__tokenizer_save(tokenizer, made, err);
    if (status == CLLM_OK) status = cllm__folder_commit(made, folder, err);
    cllm__free(made);
    return status;
}

cllm_status cllm_backbone_init(const char *folder, cllm_backbone_shape asked, const char *tokenizer_path, uint64_t seed, bool force,
                               cllm_error *err) {
    cllm__gpt2_shape shape = {.layers = asked.layers, .heads = asked.heads, .width = asked.width, .vocabulary = asked.vocabulary,
                              .context = asked.context, .lively = true};
    cllm__tokenizer *tokenizer = NULL;
    char *temporary = NULL;
    cllm_status status = CLLM_OK;
    if (tokenizer_path != NULL) {
        CLLM_TRY(cllm__tokenizer_open(&tokenizer, tokenizer_path, err));
        size_t pieces = cllm__tokenizer_size(tokenizer);
        if (shape.vocabulary == 0) shape.vocabulary = pieces;
        if (shape.vocabulary < pieces) {
            status = cllm__fail(err, CLLM_ERR_MISMATCH, "a vocabulary of %zu rows is too small for the tokenizer '%s' with %zu pieces",
                                shape.vocabulary, tokenizer_path, pieces);
        }
    }
    if (status == CLLM_OK) status = cllm__folder_begin(folder, force, "config.json", &temporary, err);
    if (status == CLLM_OK) status = build(temporary, folder, shape, tokenizer, seed, err);
    if (temporary != NULL) cllm__remove_tree(temporary);
    cllm__free(temporary);
    cllm__tokenizer_close(tokenizer);
    return status;
}

static void add_size(struct json_object *object, const char *name, uint64_t value) {
    json_object_object_add(object, name, json_object_new_int64((int64_t)value));
}

cllm_status cllm_backbone_inspect(const char *path, char **json, cllm_error *err) {
    cllm__backbone *backbone;
    CLLM_TRY(cllm__backbone_open(&backbone, path, (cllm__backbone_options){.dtype = CLLM__F32, .look = true}, err));
    const cllm__backbone_info info = *cllm__backbone_info_of(backbone);
    cllm__tokenizer *tokenizer;
    cllm_status status = open_tokenizer_beside(&tokenizer, path, err);
    if (status != CLLM_OK) {
        cllm__backbone_close(backbone);
        return status;
    }
    char hash[17];
    cllm__hash_text(info.hash, hash);
    struct json_object *object = json_object_new_object(), *pieces = NULL;
    json_object_object_add(object, "path", json_object_new_string(path));
    json_object_object_add(object, "family", json_object_new_string(info.family));
    add_size(object, "layers", info.layers);
    add_size(object, "heads", info.heads);
    add_size(object, "kv_heads", info.kv_heads);
    add_size(object, "head_width", info.head_width);
    add_size(object, "width", info.width);
    add_size(object, "inner", info.inner);
    add_size(object, "vocabulary", info.vocabulary);
    add_size(object, "context", info.context);
    json_object_object_add(object, "sliding_window", info.window > 0 ? json_object_new_int64((int64_t)info.window) : NULL);
    add_size(object, "parameters", info.parameters);
    add_size(object, "file_bytes", info.file_bytes);
    add_size(object, "resident_bytes", info.resident_bytes);
    json_object_object_add(object, "hash", json_object_new_string(hash));
    if (tokenizer != NULL) pieces = json_object_new_int64((int64_t)cllm__tokenizer_size(tokenizer));
    json_object_object_add(object, "tokenizer_pieces", pieces);
    cllm__tokenizer_close(tokenizer);
    cllm__backbone_tell(backbone, object);
    cllm__backbone_close(backbone);
    return cllm__json_to_text(object, json, err);
}

/* Puts the folder together inside a temporary one and opens it as anybody will: what is missing or does not fit shows now. */
static cllm_status convert(const char *path, const char *temporary, const char *folder, cllm__dtype dtype,
                           const uint64_t *seed, const cllm__tokenizer *tokenizer, cllm_error *err) {
    cllm__backbone *backbone;
    char *made = cllm__path_join(temporary, "backbone");
    if (made == NULL) return cllm__fail_nomem(err);
    cllm_status status = cllm__make_folders(made, err);
    if (status == CLLM_OK) status = cllm__backbone_convert(path, made, dtype, seed, err);
    if (status == CLLM_OK && tokenizer != NULL) status = cllm__tokenizer_save(tokenizer, made, err);
    if (status == CLLM_OK) {
        status = cllm__backbone_open(&backbone, made, (cllm__backbone_options){.dtype = dtype, .headless = true}, err);
        if (status == CLLM_OK) cllm__backbone_close(backbone);
    }
    if (status == CLLM_OK) status = cllm__folder_commit(made, folder, err);
    cllm__free(made);
    return status;
}

static cllm_status make_folder(const char *path, const char *folder, const char *dtype_name, const uint64_t *seed, bool force, cllm_error *err) {
    cllm__dtype dtype;
    cllm__tokenizer *tokenizer;
    char *temporary = NULL;
    bool gguf;
    CLLM_TRY(cllm__dtype_parse(dtype_name, &dtype, err));
    CLLM_TRY(cllm__checkpoint_recognise(path, &gguf, err));
    CLLM_TRY(open_tokenizer_beside(&tokenizer, path, err));
    cllm_status status = cllm__folder_begin(folder, force, "config.json", &temporary, err);
    if (status == CLLM_OK) status = convert(path, temporary, folder, dtype, seed, tokenizer, err);
    if (temporary != NULL) cllm__remove_tree(temporary);
    cllm__free(temporary);
    cllm__tokenizer_close(tokenizer);
    return status;
}

cllm_status cllm_backbone_convert(const char *path, const char *folder, const char *dtype, bool force, cllm_error *err) {
    return make_folder(path, folder, dtype, NULL, force, err);
}

cllm_status cllm_backbone_shuffle(const char *path, const char *folder, const char *dtype, uint64_t seed, bool force, cllm_error *err) {
    return make_folder(path, folder, dtype, &seed, force, err);
}
