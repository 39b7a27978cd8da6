#include "eval/lexicon.h"

#include <math.h>
#include <stdlib.h>
#include <utf8proc.h>

#include "base/alloc.h"

static bool in_word(utf8proc_int32_t character) {
    utf8proc_category_t category = utf8proc_category(character);
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NO;
}

cllm_status cllm__each_word(const char *text, size_t length, cllm__take_word *take, void *context, cllm_error *err) {
    char word[CLLM__WORD_BYTES + 4];
    size_t n = 0;
    bool too_long = false;
    for (size_t at = 0; at <= length;) {
        utf8proc_int32_t character = ' ';
        utf8proc_ssize_t step = 1;
        if (at < length) {
            step = utf8proc_iterate((const utf8proc_uint8_t *)text + at, (utf8proc_ssize_t)(length - at), &character);
            if (step < 1) { /* no UTF-8: one byte that is no letter */
                step = 1;
                character = ' ';
            }
        }
        at += (size_t)step;
        if (in_word(character)) {
            if (n < CLLM__WORD_BYTES) n += (size_t)utf8proc_encode_char(utf8proc_tolower(character), (utf8proc_uint8_t *)word + n);
            else too_long = true;
            continue;
        }
        if (n > 0 && !too_long) CLLM_TRY(take(context, word, n, err));
        n = 0;
        too_long = false;
    }
    return CLLM_OK;
}

void cllm__lexicon_free(cllm__lexicon *lexicon) {
    cllm__names_free(lexicon->words);
    cllm__free(lexicon->idf);
    *lexicon = (cllm__lexicon){0};
}

float cllm__word_weight(uint64_t times, double idf) {
    return (float)((1 + log((double)times)) * idf);
}

void cllm__to_unit_length(float *values, size_t count) {
    double square = 0;
    for (size_t e = 0; e < count; e++) square += (double)values[e] * (double)values[e];
    for (size_t e = 0; square > 0 && e < count; e++) values[e] = (float)((double)values[e] / sqrt(square));
}

/* ---- A text ---- */

typedef struct found {
    const cllm__lexicon *lexicon;
    int32_t *words;
    size_t count, room;
} found;

static cllm_status take_known(void *context, const char *word, size_t length, cllm_error *err) {
    found *f = context;
    size_t index;
    if (!cllm__names_find(f->lexicon->words, word, length, &index)) return CLLM_OK;
    if (f->count == f->room) CLLM_TRY(CLLM_GROW(f->words, f->room, f->room == 0 ? 64 : 2 * f->room, err));
    f->words[f->count++] = (int32_t)index;
    return CLLM_OK;
}

static int ascending(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

cllm_status cllm__lexicon_weigh(const cllm__lexicon *lexicon, const char *text, size_t length, int32_t **words, float **weights, size_t *count,
                                cllm_error *err) {
    found f = {.lexicon = lexicon};
    float *values = NULL;
    size_t kept = 0;
    cllm_status status = cllm__each_word(text, length, take_known, &f, err);
    if (status == CLLM_OK) status = CLLM_NEW(values, f.count + 1, err);
    if (status != CLLM_OK) {
        cllm__free(f.words);
        return status;
    }
    if (f.count > 0) qsort(f.words, f.count, sizeof *f.words, ascending);
    for (size_t first = 0, next; first < f.count; first = next) {
        for (next = first; next < f.count && f.words[next] == f.words[first];) next++;
        f.words[kept] = f.words[first];
        values[kept] = cllm__word_weight(next - first, (double)lexicon->idf[f.words[kept]]);
        kept++;
    }
    cllm__to_unit_length(values, kept);
    *words = f.words;
    *weights = values;
    *count = kept;
    return CLLM_OK;
}
