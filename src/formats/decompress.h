/* Streaming decompression of gzip, zstd and xz behind one face. Used by stream.c alone. */
#ifndef CLLM_FORMATS_DECOMPRESS_H
#define CLLM_FORMATS_DECOMPRESS_H

#include "formats/stream.h"

/* What the first bytes say; six are enough. */
cllm__stream_kind cllm__decompress_recognise(const unsigned char *data, size_t size);

typedef struct cllm__decompressor cllm__decompressor;

/* `name` is borrowed, for messages. `kind` is not CLLM_STREAM_PLAIN. */
CLLM_CHECK cllm_status cllm__decompressor_create(cllm__decompressor **out, cllm__stream_kind kind, const char *name,
                                                 cllm_error *err);
void cllm__decompressor_free(cllm__decompressor *decompressor); /* accepts NULL */

typedef struct cllm__decompress_step {
    const unsigned char *in;
    size_t in_size;
    bool in_last; /* nothing follows these bytes */
    unsigned char *out;
    size_t out_size;
    /* Results. */
    size_t used, made;
    bool ended; /* the text ends here, properly */
} cllm__decompress_step;

/* Takes some input, makes some output. No progress with `in_last` set and `ended` not: the input is truncated, which is
 * reported here, too. */
CLLM_CHECK cllm_status cllm__decompressor_step(cllm__decompressor *decompressor, cllm__decompress_step *step,
                                               cllm_error *err);

#endif
