/* Numbers in pieces of the vocabulary: how items are written that are spelled instead of having a token of their own. */
#ifndef CLLM_TEXT_NUMBERS_H
#define CLLM_TEXT_NUMBERS_H

#include "text/tokenizer.h"

typedef struct cllm__numbers {
    size_t count;    /* the numbers 0 … count − 1 */
    uint64_t *start; /* [count + 1] */
    int32_t *ids;    /* number j in the pieces ids[start[j] … start[j + 1]), one at least */
} cllm__numbers;

/* `before` stands before each: "" or " ". `numbers` is {0} before and freed by the caller in every case. CLLM_ERR_DATA if
 * two numbers would be spelled alike, as by a tokenizer that has no digits. */
CLLM_CHECK cllm_status cllm__numbers_create(cllm__numbers *numbers, const cllm__tokenizer *tokenizer, const char *before,
                                            size_t count, cllm_error *err);
void cllm__numbers_free(cllm__numbers *numbers);

#endif
