#include "data/prepare_sort.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

typedef struct sorter {
    size_t size;
    cllm__compare *compare;
    const void *context;
} sorter;

static bool before(const sorter *s, const char *a, const char *b) {
    return s->compare(a, b, s->context) < 0;
}

static void swap(const sorter *s, char *a, char *b) {
    char held[CLLM_SORT_SIZE_MAX];
    memcpy(held, a, s->size);
    memcpy(a, b, s->size);
    memcpy(b, held, s->size);
}

static void insertion(const sorter *s, char *base, size_t count) {
    char held[CLLM_SORT_SIZE_MAX];
    for (size_t i = 1; i < count; i++) {
        size_t to = i;
        memcpy(held, base + i * s->size, s->size);
        while (to > 0 && before(s, held, base + (to - 1) * s->size)) to--;
        if (to == i) continue;
        memmove(base + (to + 1) * s->size, base + to * s->size, (i - to) * s->size);
        memcpy(base + to * s->size, held, s->size);
    }
}

static void sift(const sorter *s, char *base, size_t at, size_t count) {
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count) return;
        if (child + 1 < count && before(s, base + child * s->size, base + (child + 1) * s->size)) child++;
        if (!before(s, base + at * s->size, base + child * s->size)) return;
        swap(s, base + at * s->size, base + child * s->size);
        at = child;
    }
}

static void heapsort(const sorter *s, char *base, size_t count) {
    for (size_t i = count / 2; i-- > 0;) sift(s, base, i, count);
    for (size_t left = count; left-- > 1;) {
        swap(s, base, base + left * s->size);
        sift(s, base, 0, left);
    }
}

/* Quicksort with the median of three as pivot; a part that was cut badly too often is heapsorted. */
static void introsort(const sorter *s, char *base, size_t count, unsigned depth) {
    while (count > 16) {
        if (depth-- == 0) {
            heapsort(s, base, count);
            return;
        }
        char *low = base, *middle = base + count / 2 * s->size, *high = base + (count - 1) * s->size;
        if (before(s, middle, low)) swap(s, middle, low);
        if (before(s, high, middle)) {
            swap(s, high, middle);
            if (before(s, middle, low)) swap(s, middle, low);
        }
        char pivot[CLLM_SORT_SIZE_MAX];
        memcpy(pivot, middle, s->size);
        size_t i = 0, j = count - 1; /* base[0] ≤ pivot ≤ base[count − 1] stop both scans */
        for (;;) {
            do i++;
            while (before(s, base + i * s->size, pivot));
            do j--;
            while (before(s, pivot, base + j * s->size));
            if (i >= j) break;
            swap(s, base + i * s->size, base + j * s->size);
        }
        size_t left = j + 1;
        if (left < count - left) { /* the smaller part by recursion keeps the stack short */
            introsort(s, base, left, depth);
            base += left * s->size;
            count -= left;
        } else {
            introsort(s, base + left * s->size, count - left, depth);
            count = left;
        }
    }
    insertion(s, base, count);
}

void cllm__sort(void *base, size_t count, size_t size, cllm__compare *compare, const void *context) {
    assert(size <= CLLM_SORT_SIZE_MAX);
    if (count < 2) return;
    unsigned depth = 0;
    for (size_t n = count; n > 0; n >>= 1) depth += 2;
    sorter s = {.size = size, .compare = compare, .context = context};
    introsort(&s, base, count, depth);
}
