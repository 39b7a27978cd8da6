#include "text/nfc.h"

#include <string.h>
#include <utf8proc.h>

#include "base/alloc.h"
#include "formats/utf8.h"

enum { DECOMPOSED = 18, CLASSES = 256, FEW = 32 };

void cllm__nfc_free(cllm__nfc *nfc) {
    cllm__free(nfc->points);
    cllm__free(nfc->marks);
    cllm__free(nfc->text);
    *nfc = (cllm__nfc){0};
}

static unsigned class_of(int32_t point) {
    return utf8proc_get_property(point)->combining_class;
}

static cllm_status put_bytes(cllm__nfc *nfc, const char *bytes, size_t count, cllm_error *err) {
    CLLM_TRY(CLLM_GROW(nfc->text, nfc->text_capacity, nfc->length + count, err));
    memcpy(nfc->text + nfc->length, bytes, count);
    nfc->length += count;
    return CLLM_OK;
}

/* A run of combining marks in the order of their classes, equal ones as they were. */
static cllm_status order_marks(cllm__nfc *nfc, int32_t *run, size_t count, cllm_error *err) {
    if (count <= FEW) {
        for (size_t i = 1; i < count; i++) {
            int32_t mark = run[i];
            size_t k = i;
            for (; k > 0 && class_of(run[k - 1]) > class_of(mark); k--) run[k] = run[k - 1];
            run[k] = mark;
        }
        return CLLM_OK;
    }
    size_t place[CLASSES + 1] = {0};
    CLLM_TRY(CLLM_GROW(nfc->marks, nfc->mark_capacity, count, err));
    for (size_t i = 0; i < count; i++) place[class_of(run[i]) + 1]++;
    for (size_t c = 0; c < CLASSES; c++) place[c + 1] += place[c];
    for (size_t i = 0; i < count; i++) nfc->marks[place[class_of(run[i])]++] = run[i];
    memcpy(run, nfc->marks, count * sizeof *run);
    return CLLM_OK;
}

static cllm_status decompose(cllm__nfc *nfc, const char *text, size_t length, size_t *count, cllm_error *err) {
    *count = 0;
    for (size_t i = 0, size; i < length; i += size) {
        int32_t point = (int32_t)cllm__utf8_get(text + i, &size);
        CLLM_TRY(CLLM_GROW(nfc->points, nfc->point_capacity, *count + DECOMPOSED, err));
        utf8proc_ssize_t made = utf8proc_decompose_char(point, nfc->points + *count, DECOMPOSED, UTF8PROC_COMPOSE, NULL);
        CLLM_ASSERT(made >= 0 && made <= DECOMPOSED); /* the longest canonical decomposition is of four */
        *count += (size_t)made;
    }
    return CLLM_OK;
}

/* One well-formed stretch. */
static cllm_status compose(cllm__nfc *nfc, const char *text, size_t length, cllm_error *err) {
    size_t count;
    CLLM_TRY(decompose(nfc, text, length, &count, err));
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i; end < count && class_of(nfc->points[end]) != 0; end++) {
        }
        CLLM_TRY(order_marks(nfc, nfc->points + i, end - i, err));
        if (end == i) end++;
    }
    utf8proc_ssize_t made =
        utf8proc_normalize_utf32(nfc->points, (utf8proc_ssize_t)count, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    CLLM_ASSERT(made >= 0);
    for (utf8proc_ssize_t i = 0; i < made; i++) {
        char bytes[4];
        CLLM_TRY(put_bytes(nfc, bytes, cllm__utf8_put(bytes, (uint32_t)nfc->points[i]), err));
    }
    return CLLM_OK;
}

cllm_status cllm__nfc_run(cllm__nfc *nfc, const char *text, size_t length, cllm_error *err) {
    nfc->length = 0;
    for (size_t at = 0; at < length;) {
        size_t good = cllm__utf8_check(text + at, length - at);
        if (good != 0) CLLM_TRY(compose(nfc, text + at, good, err));
        at += good;
        if (at < length) CLLM_TRY(put_bytes(nfc, text + at++, 1, err));
    }
    return CLLM_OK;
}
