/* Features of two kinds as one matrix. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "model/features.h"

#define OK(call) do { cllm_error error_ = {0}; if ((call) != CLLM_OK) fail_msg("%s: %s", #call, error_.message); } while (0)
#define ERR (&error_)

enum { ITEMS = 4, WORDS = 3, DIMS = 2 };

/* Item 1 has no words, item 2 no dense row, item 3 neither. */
static const uint64_t start[ITEMS + 1] = {0, 2, 2, 3, 3};
static const int32_t ids[3] = {0, 2, 1};
static const float weights[3] = {0.5F, 0.25F, 1};
static const cllm__features words = {ITEMS, WORDS, start, ids, weights};
static const float dense[ITEMS * DIMS] = {1, 2, 3, 4, 5, 6, 7, 8};
static const uint8_t without[ITEMS] = {0, 0, 1, 1};

static void dense_rows_stand_behind_the_words(void **state) {
    (void)state;
    static const uint64_t wanted_start[ITEMS + 1] = {0, 4, 6, 7, 7};
    static const int32_t wanted_ids[7] = {0, 2, 3, 4, 3, 4, 1};
    static const float wanted[7] = {0.5F, 0.25F, 1, 2, 3, 4, 1};
    cllm__joined_features joined = {0};
    cllm__feature_index index = {0};
    OK(cllm__features_join(&joined, &words, dense, DIMS, without, ERR));
    assert_true(joined.features.n_items == ITEMS && joined.features.n_features == WORDS + DIMS);
    assert_memory_equal(joined.features.start, wanted_start, sizeof wanted_start);
    assert_memory_equal(joined.features.features, wanted_ids, sizeof wanted_ids);
    assert_memory_equal(joined.features.weights, wanted, sizeof wanted);
    OK(cllm__feature_index_create(&index, &joined.features, ERR));
    assert_true(index.start[WORDS + 1] - index.start[WORDS] == 2 && index.items[index.start[WORDS + 1] + 1] == 1);
    cllm__feature_index_free(&index);
    cllm__joined_features_free(&joined);
    assert_null(joined.start);
}

static void too_many_and_want_of_memory_are_said(void **state) {
    (void)state;
    cllm_error err = {0};
    cllm__joined_features joined = {0};
    assert_int_equal(cllm__features_join(&joined, &words, dense, INT32_MAX, without, &err), CLLM_ERR_UNSUPPORTED);
    for (size_t n = 1; n <= 3; n++) {
        cllm__alloc_fail_at(n, true);
        assert_int_equal(cllm__features_join(&joined, &words, dense, DIMS, without, &err), CLLM_ERR_NOMEM);
        cllm__alloc_fail_at(0, false);
        cllm__joined_features_free(&joined);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dense_rows_stand_behind_the_words),
        cmocka_unit_test(too_many_and_want_of_memory_are_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
