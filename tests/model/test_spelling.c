/* Item numbers in pieces: every item another sum, shared parts, and vocabularies that cannot write numbers. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "model/composer.h"
#include "model/spelling.h"
#include "text/bpe_train.h"

#define OK(call) do { cllm_error error_ = {0}; if ((call) != CLLM_OK) fail_msg("%s: %s", #call, error_.message); } while (0)
#define ERR (&error_)

/* Bytes, and the pieces that the text teaches: "12" among them. */
static cllm__tokenizer *make_tokenizer(size_t pieces) {
    cllm__bpe_trainer *trainer;
    cllm__tokenizer *tokenizer;
    const char *text = "12 12 12 12 512 12";
    OK(cllm__bpe_trainer_create(&trainer, ERR));
    OK(cllm__bpe_trainer_feed(trainer, text, strlen(text), ERR));
    OK(cllm__bpe_trainer_run(trainer, pieces, 2, NULL, &tokenizer, ERR));
    cllm__bpe_trainer_free(trainer);
    return tokenizer;
}

static bool has(const cllm__features *f, size_t item, int32_t feature) {
    for (uint64_t e = f->start[item]; e < f->start[item + 1]; e++)
        if (f->features[e] == feature) return true;
    return false;
}

static void numbers_share_their_pieces(void **state) {
    (void)state;
    cllm__tokenizer *tokenizer = make_tokenizer(257);
    cllm__spelling s = {0};
    enum { ITEMS = 1300 };
    OK(cllm__spelling_create(&s, tokenizer, ITEMS, ERR));
    const cllm__features *f = &s.features;
    assert_int_equal(f->n_items, ITEMS);
    /* Three places of ten digits, "1" as the first of four, and the piece "12" at three places. */
    assert_int_equal(f->start[13] - f->start[12], 1);
    assert_int_equal(f->start[124] - f->start[123], 2);
    assert_int_equal(f->start[22] - f->start[21], 2);
    int32_t twelve = f->features[f->start[12]];
    assert_true(has(f, 123, twelve) && has(f, 120, twelve) && !has(f, 112, twelve) && !has(f, 132, twelve));
    for (size_t j = 0; j < ITEMS; j++) {
        double square = 0;
        for (uint64_t e = f->start[j]; e < f->start[j + 1]; e++) {
            square += f->weights[e] * f->weights[e];
            assert_true(e == f->start[j] || f->features[e] > f->features[e - 1]);
        }
        assert_true(fabs(square - 1) < 1e-6);
    }
    assert_true(s.mean_pieces > 2 && s.mean_pieces < 4);

    /* Tokens composed of them are all different. */
    cllm__composer composer = {0};
    cllm__real items[ITEMS * 4];
    OK(cllm__composer_create(&composer, f, 4, 0, ERR));
    cllm__composer_init_normal(&composer, 1, 3);
    cllm__composer_compose(&composer, items, NULL);
    for (size_t i = 0; i < ITEMS; i++)
        for (size_t j = 0; j < i; j++) assert_memory_not_equal(items + 4 * i, items + 4 * j, 4 * sizeof *items);
    cllm__composer_free(&composer);
    cllm__spelling_free(&s);
    cllm__tokenizer_close(tokenizer);
}

static void a_vocabulary_without_digits_is_refused(void **state) {
    (void)state;
    static const char vocabulary[] = "{\"a\": 0, \"b\": 1, \"1\": 2}";
    cllm__tokenizer *tokenizer;
    cllm__spelling s = {0};
    cllm_error err = {0};
    OK(cllm__tokenizer_from_vocab(&tokenizer, vocabulary, strlen(vocabulary), "", 0, "vocab.json", "merges.txt", ERR));
    assert_int_equal(cllm__spelling_create(&s, tokenizer, 5, &err), CLLM_ERR_DATA);
    assert_non_null(strstr(err.message, "digit 0"));
    cllm__spelling_free(&s);
    cllm__tokenizer_close(tokenizer);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(numbers_share_their_pieces), cmocka_unit_test(a_vocabulary_without_digits_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
