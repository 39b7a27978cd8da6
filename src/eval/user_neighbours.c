#include "eval/user_neighbours.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

cllm_status cllm__user_neighbours_create(cllm__user_neighbours *index, const cllm__interactions *train, size_t neighbours, uint64_t seed,
                                         cllm_error *err) {
    index->train = train;
    index->neighbours = neighbours < train->n_users ? neighbours : train->n_users;
    CLLM_TRY(cllm__columns_create(&index->columns, train, err));
    CLLM_TRY(CLLM_NEW(index->squares, train->n_items + 1, err));
    CLLM_TRY(CLLM_NEW(index->lengths, train->n_users + 1, err));
    CLLM_TRY(cllm__ties_create(&index->ties, train->n_users, seed, err));
    for (size_t j = 0; j < train->n_items; j++) {
        uint64_t users = index->columns.start[j + 1] - index->columns.start[j];
        double weight = users > 0 ? log((double)train->n_users / (double)users) : 0;
        index->squares[j] = weight * weight;
    }
    for (size_t v = 0; v < train->n_users; v++) {
        const int32_t *row = cllm__row(train, v);
        double square = 0;
        for (size_t r = 0, n = cllm__row_count(train, v); r < n; r++) square += index->squares[row[r]];
        index->lengths[v] = sqrt(square);
    }
    return CLLM_OK;
}

void cllm__user_neighbours_free(cllm__user_neighbours *index) {
    cllm__columns_free(&index->columns);
    cllm__free(index->squares);
    cllm__free(index->lengths);
    cllm__ties_free(&index->ties);
    *index = (cllm__user_neighbours){0};
}

cllm_status cllm__neighbour_search_create(cllm__neighbour_search *search, const cllm__user_neighbours *index, cllm_error *err) {
    size_t users = index->train->n_users, nearest = index->neighbours;
    CLLM_TRY(CLLM_NEW(search->shared, users + 1, err));
    CLLM_TRY(CLLM_NEW(search->candidates, users + 1, err));
    CLLM_TRY(CLLM_NEW(search->cosines, users + 1, err));
    CLLM_TRY(CLLM_NEW(search->nearest, nearest + 1, err));
    CLLM_TRY(CLLM_NEW(search->best, nearest + 1, err));
    return CLLM_NEW(search->heap, nearest + 1, err);
}

void cllm__neighbour_search_free(cllm__neighbour_search *search) {
    cllm__free(search->shared);
    cllm__free(search->candidates);
    cllm__free(search->cosines);
    cllm__free(search->nearest);
    cllm__free(search->best);
    cllm__free(search->heap);
    *search = (cllm__neighbour_search){0};
}

/* Lists the users who share an item with the history, with their cosines; returns how many there are. */
static size_t meet(const cllm__user_neighbours *index, cllm__neighbour_search *search, const int32_t *items, size_t count, int32_t self) {
    size_t met = 0, kept = 0;
    double square = 0;
    for (size_t h = 0; h < count; h++) {
        size_t item = (size_t)items[h];
        double weight = index->squares[item];
        square += weight;
        if (weight == 0) continue;
        for (uint64_t at = index->columns.start[item]; at < index->columns.start[item + 1]; at++) {
            int32_t user = index->columns.users[at];
            if (search->shared[user] == 0) search->candidates[met++] = user;
            search->shared[user] += weight;
        }
    }
    for (size_t c = 0; c < met; c++) {
        int32_t user = search->candidates[c];
        double cosine = search->shared[user] / (sqrt(square) * index->lengths[user]);
        search->shared[user] = 0;
        if (user == self) continue;
        search->candidates[kept] = user;
        search->cosines[kept++] = (float)cosine;
    }
    return kept;
}

void cllm__user_neighbours_score(const cllm__user_neighbours *index, cllm__neighbour_search *search, const int32_t *items, size_t count,
                                 int32_t self, float *scores) {
    memset(scores, 0, index->train->n_items * sizeof *scores);
    size_t met = meet(index, search, items, count, self), found;
    if (cllm__topk_among(&index->ties, search->candidates, search->cosines, met, index->neighbours, search->heap, search->nearest, search->best,
                         &found, NULL) != CLLM_OK) {
        CLLM_ASSERT(false); /* cosines are finite */
    }
    for (size_t v = 0; v < found; v++) {
        const int32_t *row = cllm__row(index->train, (size_t)search->nearest[v]);
        float share = search->best[v] * search->best[v];
        for (size_t r = 0, n = cllm__row_count(index->train, (size_t)search->nearest[v]); r < n; r++) scores[row[r]] += share;
    }
}
