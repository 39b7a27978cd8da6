#include "model/bag.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "kernels/ops.h"

typedef struct reading {
    cllm__bag bag;
    const cllm__batch *batch;
    size_t vocabulary;
    const cllm__tables *tables;
    const size_t *start; /* of voices */
    cllm__real *h, *loudness;
} reading;

static size_t count_items(const cllm__batch *batch, size_t first_item, size_t sequence) {
    size_t items = 0;
    for (size_t t = batch->start[sequence]; t < batch->start[sequence + 1]; t++) items += (size_t)batch->tokens[t] >= first_item;
    return items;
}

/* a·n^−p for a sequence. */
static cllm__real factor_of(cllm__bag bag, const cllm__batch *batch, size_t first_item, size_t sequence) {
    size_t items = count_items(batch, first_item, sequence);
    return (cllm__real)(bag.scale * pow(items > 0 ? (double)items : 1, -bag.power));
}

static void scale_row(cllm__real *row, size_t width, cllm__real factor) {
    for (size_t i = 0; i < width; i++) row[i] *= factor;
}

static void read_task(void *context, size_t sequence, int worker) {
    (void)worker;
    const reading *r = context;
    const cllm__tables *tables = r->tables;
    size_t width = tables->width;
    cllm__real *h = r->h + sequence * width;
    memset(h, 0, width * sizeof *h);
    for (size_t t = r->batch->start[sequence]; t < r->batch->start[sequence + 1]; t++) {
        size_t token = (size_t)r->batch->tokens[t];
        if (token < r->vocabulary) continue;
        size_t row = token - r->vocabulary;
        if (row < tables->n_users) cllm__axpy(h, (cllm__real)r->bag.user_weight, tables->users + row * width, width);
        else cllm__axpy(h, 1, tables->items + (row - tables->n_users) * width, width);
    }
    scale_row(h, width, factor_of(r->bag, r->batch, r->vocabulary + tables->n_users, sequence));
}

void cllm__bag_forward(cllm__bag bag, const cllm__batch *batch, size_t vocabulary, const cllm__tables *tables, cllm__real *h,
                       cllm__pool *pool) {
    reading r = {.bag = bag, .batch = batch, .vocabulary = vocabulary, .tables = tables, .h = h};
    cllm__pool_run(pool, batch->sequences, read_task, &r);
}

void cllm__bag_backward(cllm__bag bag, const cllm__batch *batch, size_t vocabulary, cllm__real *dh, cllm__gradient *gradient) {
    size_t width = gradient->width, first_item = vocabulary + gradient->n_users;
    for (size_t s = 0; s < batch->sequences; s++) {
        cllm__real *ds = dh + s * width;
        scale_row(ds, width, factor_of(bag, batch, first_item, s));
        for (size_t t = batch->start[s]; t < batch->start[s + 1]; t++) {
            size_t token = (size_t)batch->tokens[t];
            if (token < vocabulary) continue;
            if (token >= first_item) cllm__axpy(cllm__gradient_item(gradient, (int32_t)(token - first_item)), 1, ds, width);
            else if (bag.user_weight != 0)
                cllm__axpy(cllm__gradient_user(gradient, (int32_t)(token - vocabulary)), (cllm__real)bag.user_weight, ds, width);
        }
    }
}

/* ---- Each item for itself ---- */

void cllm__bag_rows(const cllm__batch *batch, size_t first_item, size_t *start) {
    start[0] = 0;
    for (size_t s = 0; s < batch->sequences; s++) {
        size_t items = count_items(batch, first_item, s);
        start[s + 1] = start[s] + (items > 0 ? items : 1);
    }
}

/* The row of the sequence's user, or −1. */
static ptrdiff_t user_of(const cllm__batch *batch, size_t vocabulary, size_t first_item, size_t sequence) {
    for (size_t t = batch->start[sequence]; t < batch->start[sequence + 1]; t++) {
        size_t token = (size_t)batch->tokens[t];
        if (token >= vocabulary && token < first_item) return (ptrdiff_t)(token - vocabulary);
    }
    return -1;
}

static void voices_task(void *context, size_t sequence, int worker) {
    (void)worker;
    const reading *r = context;
    const cllm__tables *tables = r->tables;
    size_t width = tables->width, first_item = r->vocabulary + tables->n_users;
    cllm__real *rows = r->h + r->start[sequence] * width, *row = rows;
    cllm__real *loudness = r->bag.biases ? r->loudness + r->start[sequence] : NULL;
    memset(rows, 0, (r->start[sequence + 1] - r->start[sequence]) * width * sizeof *rows);
    for (size_t t = r->batch->start[sequence]; t < r->batch->start[sequence + 1]; t++) {
        size_t token = (size_t)r->batch->tokens[t];
        if (token < first_item) continue;
        cllm__axpy(row, (cllm__real)r->bag.sharpness, tables->items + (token - first_item) * width, width);
        if (r->bag.biases) *loudness++ = tables->items[(token - first_item) * width + CLLM__BAG_LOUDNESS];
        row += width;
    }
    ptrdiff_t user = user_of(r->batch, r->vocabulary, first_item, sequence);
    for (row = rows; row < r->h + r->start[sequence + 1] * width; row += width) {
        if (user >= 0) cllm__axpy(row, (cllm__real)(r->bag.sharpness * r->bag.user_weight), tables->users + (size_t)user * width, width);
        if (!r->bag.biases) continue;
        row[CLLM__BAG_BIAS] = (cllm__real)r->bag.sharpness;
        row[CLLM__BAG_LOUDNESS] = 0;
    }
}

void cllm__bag_voices(cllm__bag bag, const cllm__batch *batch, size_t vocabulary, const cllm__tables *tables, const size_t *start,
                      cllm__real *rows, cllm__real *loudness, cllm__pool *pool) {
    reading r = {bag, batch, vocabulary, tables, start, rows, loudness};
    if (bag.biases) memset(loudness, 0, start[batch->sequences] * sizeof *loudness); /* a row without an item has none */
    cllm__pool_run(pool, batch->sequences, voices_task, &r);
}

void cllm__bag_voices_backward(cllm__bag bag, const cllm__batch *batch, size_t vocabulary, const size_t *start, cllm__real *drows,
                               const cllm__real *dloudness, cllm__gradient *gradient) {
    size_t width = gradient->width, first_item = vocabulary + gradient->n_users;
    for (size_t s = 0; s < batch->sequences; s++) {
        cllm__real *row = drows + start[s] * width;
        for (size_t r = start[s]; bag.biases && r < start[s + 1]; r++) memset(drows + r * width, 0, CLLM__BAG_BIASES * sizeof *drows);
        size_t r = start[s];
        for (size_t t = batch->start[s]; t < batch->start[s + 1]; t++) {
            size_t token = (size_t)batch->tokens[t];
            if (token < first_item) continue;
            cllm__real *to = cllm__gradient_item(gradient, (int32_t)(token - first_item));
            cllm__axpy(to, (cllm__real)bag.sharpness, row, width);
            if (bag.biases) to[CLLM__BAG_LOUDNESS] += dloudness[r++];
            row += width;
        }
        ptrdiff_t user = user_of(batch, vocabulary, first_item, s);
        if (user < 0 || bag.user_weight == 0) continue;
        cllm__real *to = cllm__gradient_user(gradient, (int32_t)user);
        for (row = drows + start[s] * width; row < drows + start[s + 1] * width; row += width)
            cllm__axpy(to, (cllm__real)(bag.sharpness * bag.user_weight), row, width);
    }
}
