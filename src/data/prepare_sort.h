/* Sorting in place, without memory of its own (the C library's qsort may take as much again as it sorts). */
#ifndef CLLM_DATA_PREPARE_SORT_H
#define CLLM_DATA_PREPARE_SORT_H

#include <stddef.h>

/* < 0, 0, > 0 as *a stands before, with, after *b. */
typedef int cllm__compare(const void *a, const void *b, const void *context);

enum { CLLM_SORT_SIZE_MAX = 64 };

/* Not stable: the order of equal elements is a function of the input, but no promise. size ≤ CLLM_SORT_SIZE_MAX.
 * O(count log count) comparisons for every input. */
void cllm__sort(void *base, size_t count, size_t size, cllm__compare *compare, const void *context);

#endif
