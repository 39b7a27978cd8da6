/*
 * Unicode normalisation form C, by utf8proc's tables. utf8proc's own decomposition sorts combining marks in quadratic time,
 * which a text of a million marks would turn into minutes; here the order is found in linear time.
 */
#ifndef CLLM_TEXT_NFC_H
#define CLLM_TEXT_NFC_H

#include "base/status.h"

/* Growing buffers; {0} is empty. */
typedef struct cllm__nfc {
    int32_t *points, *marks;
    size_t point_capacity, mark_capacity;
    char *text;
    size_t length, text_capacity;
} cllm__nfc;

void cllm__nfc_free(cllm__nfc *nfc);
/* Brings the well-formed stretches of `text` to NFC, into nfc->text[0 … nfc->length). Bytes between them, which are not
 * UTF-8, stay as they are. */
CLLM_CHECK cllm_status cllm__nfc_run(cllm__nfc *nfc, const char *text, size_t length, cllm_error *err);

#endif
