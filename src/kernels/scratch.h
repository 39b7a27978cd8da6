/*
 * Scratch memory for operations that need it: buffers are leased for one call, kept afterwards, and only ever grow, so
 * that a step that was run before allocates nothing. Safe to use from several threads.
 */
#ifndef CLLM_KERNELS_SCRATCH_H
#define CLLM_KERNELS_SCRATCH_H

#include "base/status.h"

/* At least count × size bytes, 64-byte aligned, not zeroed. Give it back with _give (NULL is fine). */
CLLM_CHECK cllm_status cllm__scratch_take(void **out, size_t count, size_t size, cllm_error *err);
void cllm__scratch_give(void *buffer);
/* Frees the buffers that nobody holds. */
void cllm__scratch_trim(void);

#endif
