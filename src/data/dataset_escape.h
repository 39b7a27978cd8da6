/* Fields of our own TSV files: \t, \n, \r and \\ stand for what would break a line; everything else is itself. */
#ifndef CLLM_DATA_DATASET_ESCAPE_H
#define CLLM_DATA_DATASET_ESCAPE_H

#include "base/io.h"

CLLM_CHECK cllm_status cllm__escape_write(cllm__out *out, const char *text, size_t length, cllm_error *err);

/* Decodes field[0 … length) into out[0 … length]; returns the length of the result, or SIZE_MAX for a bad escape. */
size_t cllm__unescape(char *out, const char *field, size_t length);

/* strcmp() of the decoded field and `text`; a bad escape counts as its own characters. */
int cllm__escape_compare(const char *field, size_t length, const char *text);

#endif
