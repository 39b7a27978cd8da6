#include "model/gradient.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

cllm_status cllm__gradient_create(cllm__gradient *gradient, size_t n_users, size_t n_items, size_t width, cllm_error *err) {
    if ((n_users > 0 && width > SIZE_MAX / n_users) || (n_items > 0 && width > SIZE_MAX / n_items)) return cllm__fail_nomem(err);
    *gradient = (cllm__gradient){.n_users = n_users, .n_items = n_items, .width = width};
    CLLM_TRY(CLLM_NEW(gradient->users, n_users * width, err));
    CLLM_TRY(CLLM_NEW(gradient->items, n_items * width, err));
    CLLM_TRY(CLLM_NEW(gradient->touched_users, n_users, err));
    CLLM_TRY(CLLM_NEW(gradient->touched_items, n_items, err));
    CLLM_TRY(CLLM_NEW(gradient->user_marks, n_users, err));
    return CLLM_NEW(gradient->item_marks, n_items, err);
}

void cllm__gradient_free(cllm__gradient *gradient) {
    cllm__free(gradient->users);
    cllm__free(gradient->items);
    cllm__free(gradient->touched_users);
    cllm__free(gradient->touched_items);
    cllm__free(gradient->user_marks);
    cllm__free(gradient->item_marks);
    *gradient = (cllm__gradient){0};
}

static void clear_rows(cllm__real *rows, size_t width, const int32_t *touched, size_t *n, uint8_t *marks) {
    for (size_t i = 0; i < *n; i++) {
        memset(rows + (size_t)touched[i] * width, 0, width * sizeof *rows);
        marks[touched[i]] = 0;
    }
    *n = 0;
}

void cllm__gradient_reset(cllm__gradient *gradient, bool dense) {
    clear_rows(gradient->users, gradient->width, gradient->touched_users, &gradient->n_touched_users, gradient->user_marks);
    clear_rows(gradient->items, gradient->width, gradient->touched_items, &gradient->n_touched_items, gradient->item_marks);
    if (gradient->items_stale && !dense)
        memset(gradient->items, 0, gradient->n_items * gradient->width * sizeof *gradient->items);
    gradient->items_stale = gradient->items_dense = dense;
}

static cllm__real *touch(cllm__real *rows, size_t width, int32_t row, int32_t *touched, size_t *n, uint8_t *marks) {
    if (!marks[row]) {
        marks[row] = 1;
        touched[(*n)++] = row;
    }
    return rows + (size_t)row * width;
}

cllm__real *cllm__gradient_user(cllm__gradient *gradient, int32_t user) {
    CLLM_ASSERT(user >= 0 && (size_t)user < gradient->n_users);
    return touch(gradient->users, gradient->width, user, gradient->touched_users, &gradient->n_touched_users, gradient->user_marks);
}

cllm__real *cllm__gradient_item(cllm__gradient *gradient, int32_t item) {
    CLLM_ASSERT(item >= 0 && (size_t)item < gradient->n_items);
    if (gradient->items_dense) return gradient->items + (size_t)item * gradient->width;
    return touch(gradient->items, gradient->width, item, gradient->touched_items, &gradient->n_touched_items, gradient->item_marks);
}

static int compare_i32(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

void cllm__gradient_finish(cllm__gradient *gradient) {
    qsort(gradient->touched_users, gradient->n_touched_users, sizeof *gradient->touched_users, compare_i32);
    qsort(gradient->touched_items, gradient->n_touched_items, sizeof *gradient->touched_items, compare_i32);
}
