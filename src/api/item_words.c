#include "api/item_words.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "formats/safetensors.h"
#include "kernels/ops.h"

void cllm__item_words_free(cllm__item_words *words) {
    cllm__lexicon_free(&words->lexicon);
    cllm__free(words->vectors);
    *words = (cllm__item_words){0};
}

/* The words, each with a line end behind it, in their order. */
static cllm_status join(const cllm__lexicon *lexicon, char **text, size_t *size, cllm_error *err) {
    size_t count = cllm__names_count(lexicon->words), at = 0;
    for (size_t w = 0; w < count; w++) at += strlen(cllm__names_get(lexicon->words, w)) + 1;
    CLLM_TRY(CLLM_NEW(*text, at + 1, err));
    *size = at;
    at = 0;
    for (size_t w = 0; w < count; w++) {
        const char *word = cllm__names_get(lexicon->words, w);
        size_t length = strlen(word);
        memcpy(*text + at, word, length);
        (*text)[at + length] = '\n';
        at += length + 1;
    }
    return CLLM_OK;
}

cllm_status cllm__item_words_save(const cllm__lexicon *lexicon, const cllm__real *vectors, size_t width, const char *path, cllm_error *err) {
    char *text;
    size_t size;
    uint64_t count = cllm__names_count(lexicon->words);
    CLLM_TRY(join(lexicon, &text, &size, err));
    const cllm__tensor tensors[] = {
        {.name = "idf", .dtype = CLLM_ST_F32, .rank = 1, .shape = {count}, .data = lexicon->idf, .bytes = count * sizeof *lexicon->idf},
        {.name = "vectors", .dtype = CLLM_ST_F32, .rank = 2, .shape = {count, width}, .data = vectors, .bytes = count * width * sizeof *vectors},
        {.name = "words", .dtype = CLLM_ST_U8, .rank = 1, .shape = {size}, .data = text, .bytes = size},
    };
    const char *metadata[] = {"format", "cllm4rec words 1"};
    cllm_status status = cllm__safetensors_write(path, tensors, CLLM_LEN(tensors), metadata, 1, err);
    cllm__free(text);
    return status;
}

static cllm_status damaged(const char *path, cllm_error *err) {
    return cllm__fail(err, CLLM_ERR_DATA, "'%s' is damaged: train the run anew", path);
}

static cllm_status read_words(cllm__item_words *words, const cllm__tensor *text, size_t count, const char *path, cllm_error *err) {
    const char *at = text->data, *end = at + text->bytes;
    CLLM_TRY(cllm__names_create(&words->lexicon.words, err));
    for (size_t w = 0; w < count; w++) {
        const char *stop = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
        size_t index;
        if (stop == NULL || stop == at || memchr(at, '\0', (size_t)(stop - at)) != NULL) return damaged(path, err);
        CLLM_TRY(cllm__names_add(words->lexicon.words, at, (size_t)(stop - at), &index, err));
        if (index != w) return damaged(path, err); /* the same word twice */
        at = stop + 1;
    }
    return at == end ? CLLM_OK : damaged(path, err);
}

static bool all_finite(const float *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i])) return false;
    }
    return true;
}

cllm_status cllm__item_words_load(cllm__item_words *words, const char *path, cllm_error *err) {
    cllm__safetensors *file;
    CLLM_TRY(cllm__safetensors_open(&file, path, err));
    cllm_status status;
    const uint64_t any[] = {UINT64_MAX, UINT64_MAX};
    const cllm__tensor *idf, *vectors, *text;
    CLLM_TRY_CLEAN(cllm__safetensors_require(file, "vectors", CLLM_ST_F32, 2, any, &vectors, err));
    CLLM_TRY_CLEAN(cllm__safetensors_require(file, "idf", CLLM_ST_F32, 1, vectors->shape, &idf, err));
    CLLM_TRY_CLEAN(cllm__safetensors_require(file, "words", CLLM_ST_U8, 1, any, &text, err));
    size_t count = (size_t)idf->shape[0];
    words->width = (size_t)vectors->shape[1];
    CLLM_TRY_CLEAN(CLLM_NEW(words->lexicon.idf, count + 1, err));
    CLLM_TRY_CLEAN(CLLM_NEW(words->vectors, count * words->width + 1, err));
    if (idf->bytes > 0) memcpy(words->lexicon.idf, idf->data, idf->bytes);
    if (vectors->bytes > 0) memcpy(words->vectors, vectors->data, vectors->bytes);
    if (!all_finite(words->lexicon.idf, count) || !all_finite(words->vectors, count * words->width)) status = damaged(path, err);
    else status = read_words(words, text, count, path, err);
cleanup:
    cllm__safetensors_close(file);
    return status;
}

cllm_status cllm__item_words_token(const cllm__item_words *words, const char *text, size_t length, cllm__real *token, cllm_error *err) {
    int32_t *known;
    float *weights;
    size_t count;
    double size = 0;
    CLLM_TRY(cllm__lexicon_weigh(&words->lexicon, text, length, &known, &weights, &count, err));
    memset(token, 0, words->width * sizeof *token);
    for (size_t e = 0; e < count; e++) {
        cllm__axpy(token, (cllm__real)weights[e], words->vectors + (size_t)known[e] * words->width, words->width);
        size += fabs((double)weights[e]);
    }
    cllm__free(known);
    cllm__free(weights);
    if (size > 0) return CLLM_OK;
    return cllm__fail(err, CLLM_ERR_NOT_FOUND, "the run knows none of the text's words: it learnt those that stand with two items or more, but not with all");
}
