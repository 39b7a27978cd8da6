/* tokenizer_config.json beside a tokenizer's files, as far as it says which token begins a sequence. */
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "text/json_read.h"
#include "text/tokenizer_parts.h"

static const size_t CONFIG_LIMIT = (size_t)16 << 20; /* they hold templates of chats, and lists of markers */

/* A string, or an object that describes a token. */
static const char *token_name(json_object *config, const char *key) {
    json_object *value;
    const char *text = cllm__json_text(config, key);
    if (text != NULL || !json_object_object_get_ex(config, key, &value)) return text;
    return json_object_is_type(value, json_type_object) ? cllm__json_text(value, "content") : NULL;
}

static cllm_status read_bos(cllm__tokenizer *t, json_object *config, bool decides, const char *path, cllm_error *err) {
    cllm__tokenizer_parts *parts = &t->parts;
    const char *name = token_name(config, "bos_token");
    bool add = decides && cllm__json_flag(config, "add_bos_token", false);
    if (parts->bos != CLLM_NO_PIECE || name == NULL)
        return CLLM_OK; /* with no name there is nothing to add, as in transformers */
    int32_t id = cllm__tokenizer_find(t, name);
    if (id == CLLM_NO_PIECE && add)
        return cllm__fail(err, CLLM_ERR_DATA,
                          "%s: add_bos_token with a bos_token, '%.60s', that is no piece of the tokenizer", path, name);
    parts->bos = id;
    parts->add_bos = add;
    return CLLM_OK;
}

cllm_status cllm__tokenizer_read_config(cllm__tokenizer *t, const char *folder, bool decides, cllm_error *err) {
    char *path = cllm__path_join(folder, "tokenizer_config.json"), *json = NULL;
    size_t size;
    json_object *config = NULL;
    cllm_status status = CLLM_OK;
    if (path == NULL) return cllm__fail_nomem(err);
    if (!cllm__path_exists(path)) goto cleanup;
    CLLM_TRY_CLEAN(cllm__read_file(path, CONFIG_LIMIT, &json, &size, err));
    CLLM_TRY_CLEAN(cllm__json_parse(json, size, path, &config, err));
    CLLM_TRY_CLEAN(read_bos(t, config, decides, path, err));
cleanup:
    json_object_put(config);
    cllm__free(json);
    cllm__free(path);
    return status;
}
