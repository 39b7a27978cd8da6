/* Python literals to json-c objects; see record.h for what is taken. Used by record.c alone. */
#ifndef CLLM_FORMATS_PYLITERAL_H
#define CLLM_FORMATS_PYLITERAL_H

#include <json-c/json.h>
#include <stddef.h>

#include "base/status.h"

/* A growing buffer that is kept between calls; the caller frees `data`. */
typedef struct cllm__pyliteral_buffer {
    char *data;
    size_t capacity;
} cllm__pyliteral_buffer;

/* Parses the dict that text[0 … length), well-formed UTF-8, holds. */
CLLM_CHECK cllm_status cllm__pyliteral_parse(cllm__pyliteral_buffer *buffer, const char *text, size_t length,
                                             struct json_object **object, cllm_error *err);

#endif
