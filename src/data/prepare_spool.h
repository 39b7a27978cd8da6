/*
 * A file of our own for what memory shall not hold: written once from front to back, then read. It is unlinked as soon as
 * it is made, so that nothing of it stays whatever happens. Read by pread: mapped pages would count as resident.
 */
#ifndef CLLM_DATA_PREPARE_SPOOL_H
#define CLLM_DATA_PREPARE_SPOOL_H

#include <stdint.h>

#include "base/status.h"

typedef struct cllm__spool cllm__spool;

/* In `folder`; `name` stands in messages. */
CLLM_CHECK cllm_status cllm__spool_create(cllm__spool **out, const char *folder, const char *name, cllm_error *err);
void cllm__spool_free(cllm__spool *spool); /* accepts NULL */

/* Appends; wrong code after the first read. */
CLLM_CHECK cllm_status cllm__spool_write(cllm__spool *spool, const void *data, size_t size, cllm_error *err);
/* A length as 1 to 10 bytes. */
CLLM_CHECK cllm_status cllm__spool_write_length(cllm__spool *spool, uint64_t length, cllm_error *err);
uint64_t cllm__spool_size(const cllm__spool *spool);

/* Where the next read begins; the first call ends the writing. Near seeks forward cost nothing. */
CLLM_CHECK cllm_status cllm__spool_seek(cllm__spool *spool, uint64_t offset, cllm_error *err);
/* Exactly `size` bytes. */
CLLM_CHECK cllm_status cllm__spool_read(cllm__spool *spool, void *data, size_t size, cllm_error *err);
CLLM_CHECK cllm_status cllm__spool_read_length(cllm__spool *spool, uint64_t *length, cllm_error *err);

#endif
