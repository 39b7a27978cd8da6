/* The public tokenizer: texts and concrete templates to ids, and back. */
#include "backbone/checkpoint.h"
#include "base/alloc.h"
#include "text/prompt.h"

struct cllm_tokenizer {
    cllm__tokenizer *inner;
    size_t rows; /* of the backbone's word embeddings, or the pieces */
};

cllm_status cllm_tokenizer_open(cllm_tokenizer **out, const char *path, cllm_error *err) {
    cllm_tokenizer *tokenizer;
    CLLM_TRY(CLLM_NEW(tokenizer, 1, err));
    cllm_status status = cllm__tokenizer_open(&tokenizer->inner, path, err);
    if (status == CLLM_OK) status = cllm__checkpoint_rows(path, &tokenizer->rows, err);
    if (status != CLLM_OK) {
        cllm_tokenizer_close(tokenizer);
        return status;
    }
    if (tokenizer->rows == 0) tokenizer->rows = cllm__tokenizer_size(tokenizer->inner);
    *out = tokenizer;
    return CLLM_OK;
}

void cllm_tokenizer_close(cllm_tokenizer *tokenizer) {
    if (tokenizer == NULL) return;
    cllm__tokenizer_close(tokenizer->inner);
    cllm__free(tokenizer);
}

size_t cllm_tokenizer_size(const cllm_tokenizer *tokenizer) {
    return cllm__tokenizer_size(tokenizer->inner);
}

size_t cllm_tokenizer_rows(const cllm_tokenizer *tokenizer) {
    return tokenizer->rows;
}

cllm_status cllm_tokenizer_bos(const cllm_tokenizer *tokenizer, const char *text, int32_t *id, cllm_error *err) {
    cllm__bos bos;
    CLLM_TRY(cllm__bos_parse(text, &bos, err));
    return cllm__tokenizer_choose_bos(tokenizer->inner, bos, id, err);
}

static cllm_status make_space(const cllm_tokenizer *tokenizer, size_t n_users, size_t n_items, cllm__id_space *space, cllm_error *err) {
    size_t room = (size_t)INT32_MAX - tokenizer->rows;
    if (n_items == SIZE_MAX) n_items = n_users <= room ? room - n_users : 0;
    if (n_users > room || n_items > room - n_users) {
        return cllm__fail(err, CLLM_ERR_USAGE, "%zu users and %zu items do not fit into ids of 31 bits above %zu rows", n_users, n_items,
                          tokenizer->rows);
    }
    *space = (cllm__id_space){.vocab_rows = (int32_t)tokenizer->rows, .n_users = (int32_t)n_users, .n_items = (int32_t)n_items};
    return cllm__id_space_check(space, tokenizer->inner, err);
}

cllm_status cllm_tokenizer_encode(const cllm_tokenizer *tokenizer, const char *text, size_t length, bool as_template, size_t n_users,
                                  size_t n_items, int32_t **ids, size_t *count, cllm_error *err) {
    cllm__tokens tokens = {0};
    cllm_status status;
    if (as_template) {
        cllm__id_space space;
        CLLM_TRY(make_space(tokenizer, n_users, n_items, &space, err));
        status = cllm__prompt_encode_concrete(tokenizer->inner, &space, text, length, &tokens, err);
    } else {
        status = cllm__tokenizer_encode(tokenizer->inner, text, length, &tokens, err);
    }
    if (status != CLLM_OK) {
        cllm__tokens_free(&tokens);
        return status;
    }
    *ids = tokens.ids;
    *count = tokens.count;
    return CLLM_OK;
}

cllm_status cllm_tokenizer_decode(const cllm_tokenizer *tokenizer, const int32_t *ids, size_t count, char **text, size_t *length,
                                  cllm_error *err) {
    return cllm__tokenizer_decode(tokenizer->inner, ids, count, text, length, err);
}

void cllm_ids_free(int32_t *ids) {
    cllm__free(ids);
}
