#include "text/numbers.h"

#include <stdio.h>

#include "base/alloc.h"

static cllm_status spell(cllm__numbers *n, const cllm__tokenizer *tokenizer, const char *before, size_t count,
                         cllm_error *err) {
    cllm__tokens pieces = {0};
    cllm_status status = CLLM_OK;
    for (size_t j = 0; j < count; j++) {
        char number[32];
        int length = snprintf(number, sizeof number, "%s%zu", before, j);
        CLLM_TRY_CLEAN(cllm__tokenizer_encode_inner(tokenizer, number, (size_t)length, &pieces, err));
        n->start[j + 1] = pieces.count;
        if (pieces.count == n->start[j])
            CLLM_TRY_CLEAN(cllm__fail(err, CLLM_ERR_DATA, "the vocabulary cannot spell the number %zu", j));
    }
    n->ids = pieces.ids;
    n->count = count;
    return CLLM_OK;
cleanup:
    cllm__tokens_free(&pieces);
    return status;
}

/* Numbers that are spelled alike would be one item to the model. Distinct numbers of equally many digits differ in a piece
 * at some place unless a digit is missing from the vocabulary, so it is enough to look at the ten digits. */
static cllm_status check_digits(const cllm__tokenizer *tokenizer, cllm_error *err) {
    cllm__tokens pieces = {0};
    cllm_status status = CLLM_OK;
    for (char digit = '0'; digit <= '9'; digit++) {
        size_t before = pieces.count;
        CLLM_TRY_CLEAN(cllm__tokenizer_encode_inner(tokenizer, &digit, 1, &pieces, err));
        bool known = pieces.count > before;
        for (size_t i = 0; i < before && pieces.count == before + 1; i++)
            known = known && pieces.ids[i] != pieces.ids[before];
        if (!known)
            CLLM_TRY_CLEAN(cllm__fail(err, CLLM_ERR_DATA,
                                      "the vocabulary has no piece of its own for the digit %c: numbers cannot be spelled",
                                      digit));
    }
cleanup:
    cllm__tokens_free(&pieces);
    return status;
}

cllm_status cllm__numbers_create(cllm__numbers *numbers, const cllm__tokenizer *tokenizer, const char *before, size_t count,
                                 cllm_error *err) {
    CLLM_TRY(check_digits(tokenizer, err));
    CLLM_TRY(CLLM_NEW(numbers->start, count + 1, err));
    return spell(numbers, tokenizer, before, count, err);
}

void cllm__numbers_free(cllm__numbers *numbers) {
    cllm__free(numbers->start);
    cllm__free(numbers->ids);
    *numbers = (cllm__numbers){0};
}
