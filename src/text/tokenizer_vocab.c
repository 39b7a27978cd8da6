/* vocab.json and merges.txt, GPT-2's own files. */
#include <string.h>

#include "base/alloc.h"
#include "text/json_read.h"
#include "text/tokenizer_parts.h"

static cllm_status read_pieces(cllm__bpe_builder *builder, const char *json, size_t size, const char *name,
                               cllm_error *err) {
    json_object *vocab;
    CLLM_TRY(cllm__json_parse(json, size, name, &vocab, err));
    cllm_status status = CLLM_OK;
    if (!json_object_is_type(vocab, json_type_object)) {
        CLLM_TRY_CLEAN(cllm__fail(err, CLLM_ERR_DATA, "%s: not a JSON object of pieces and ids", name));
    }
    json_object_object_foreach(vocab, piece, value) {
        int32_t id;
        if (!cllm__json_id(value, &id)) {
            CLLM_TRY_CLEAN(cllm__fail(
                err, CLLM_ERR_DATA, "%s: piece '%s' has no id: %s is not a whole number from 0 to %d", name,
                cllm__show(piece, strlen(piece)).text,
                cllm__show(json_object_to_json_string(value), strlen(json_object_to_json_string(value))).text, INT32_MAX));
        }
        status = cllm__bpe_builder_piece(builder, piece, strlen(piece), id, err);
        if (status != CLLM_OK) {
            cllm__error_prefix(err, "%s", name);
            goto cleanup;
        }
    }
cleanup:
    json_object_put(vocab);
    return status;
}

/* Lines "left right", one space; a first line that begins with "#version" is no merge. */
static cllm_status read_merges(cllm__bpe_builder *builder, const char *merges, size_t size, const char *name,
                               cllm_error *err) {
    const char *line = merges, *end = merges + size;
    for (size_t number = 1; line < end; number++) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        const char *next = stop == NULL ? end : stop + 1;
        if (stop == NULL) stop = end;
        if (stop > line && stop[-1] == '\r') stop--;
        size_t length = (size_t)(stop - line);
        bool heading = number == 1 && length >= 8 && memcmp(line, "#version", 8) == 0;
        bool last = next == end && length == 0;
        if (!heading && !last) {
            const char *space = memchr(line, ' ', length);
            if (space == NULL || memchr(space + 1, ' ', (size_t)(stop - space - 1)) != NULL) {
                return cllm__fail(err, CLLM_ERR_DATA, "%s:%zu: '%s' is not two pieces with one space between them", name,
                                  number, cllm__show(line, length).text);
            }
            cllm_status status =
                cllm__bpe_builder_merge(builder, line, (size_t)(space - line), space + 1, (size_t)(stop - space - 1), err);
            if (status != CLLM_OK) {
                cllm__error_prefix(err, "%s:%zu", name, number);
                return status;
            }
        }
        line = next;
    }
    return CLLM_OK;
}

cllm_status cllm__tokenizer_from_vocab(cllm__tokenizer **out, const char *vocab, size_t vocab_size, const char *merges,
                                       size_t merges_size, const char *vocab_name, const char *merges_name,
                                       cllm_error *err) {
    cllm__tokenizer_parts parts = {0};
    cllm__bpe_builder *builder = NULL;
    cllm_status status = CLLM_OK;
    CLLM_TRY_CLEAN(cllm__bpe_builder_create(&builder, err));
    CLLM_TRY_CLEAN(read_pieces(builder, vocab, vocab_size, vocab_name, err));
    CLLM_TRY_CLEAN(read_merges(builder, merges, merges_size, merges_name, err));
    status = cllm__bpe_builder_finish(builder, &parts.bpe, err);
    if (status != CLLM_OK) {
        cllm__error_prefix(err, "%s", vocab_name);
        goto cleanup;
    }
    CLLM_TRY_CLEAN(cllm__tokenizer_parts_gpt2(&parts, err));
    status = cllm__tokenizer_make(out, &parts, err);
cleanup:
    cllm__bpe_builder_free(builder);
    cllm__tokenizer_parts_free(&parts);
    return status;
}
