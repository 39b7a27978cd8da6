/* Settings and schedule: text form, presets, the order of phases, the share of documents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "data/batch.h"
#include "train/schedule.h"

static cllm__train_config preset(const char *name) {
    cllm__train_config config;
    assert_int_equal(cllm__train_config_preset(&config, name, NULL), CLLM_OK);
    return config;
}

static void every_setting_reads_back(void **state) {
    (void)state;
    const char *const presets[] = {"paper", "faithful", "accurate", "llm-cf", "llm-fixord", "llm-prerec"};
    enum { PRESETS = sizeof presets / sizeof presets[0] };
    for (size_t p = 0; p < PRESETS; p++) {
        assert_string_equal(cllm__train_preset_name(p), presets[p]);
        cllm__train_config from = preset(presets[p]), to = preset(presets[(p + 1) % PRESETS]);
        assert_string_equal(from.preset, presets[p]);
        to.preset = from.preset;
        for (size_t i = 0; cllm__train_setting_name(i) != NULL; i++) {
            char value[160], text[256];
            cllm__train_config_get(&from, cllm__train_setting_name(i), value, sizeof value);
            snprintf(text, sizeof text, "%s=%s", cllm__train_setting_name(i), value);
            assert_int_equal(cllm__train_config_set(&to, text, NULL), CLLM_OK);
        }
        for (size_t i = 0; cllm__train_setting_name(i) != NULL; i++) {
            char a[160], b[160];
            cllm__train_config_get(&from, cllm__train_setting_name(i), a, sizeof a);
            cllm__train_config_get(&to, cllm__train_setting_name(i), b, sizeof b);
            assert_string_equal(a, b);
        }
    }
}

/* The paper's variants are "paper" with one thing changed. */
static void variants_change_one_thing(void **state) {
    (void)state;
    cllm__train_config paper = preset("paper"), cf = preset("llm-cf"), fixed = preset("llm-fixord"), pretrained = preset("llm-prerec");
    assert_true(!cf.content && cf.lambda_c == 0 && cf.finetune && cf.collab_order == CLLM__ORDER_RANDOM);
    assert_true(fixed.collab_order == CLLM__ORDER_ASCENDING && fixed.prompt_order == CLLM__ORDER_ASCENDING && fixed.content && fixed.lambda_c == paper.lambda_c);
    assert_true(!pretrained.finetune && pretrained.collab_order == CLLM__ORDER_RANDOM && pretrained.prompt_order == CLLM__ORDER_RANDOM && pretrained.content);
    size_t changed = 0, all = 0;
    for (size_t i = 0; cllm__train_setting_name(i) != NULL; i++, all++) {
        char a[160], b[160];
        const cllm__train_config *variants[] = {&cf, &fixed, &pretrained};
        cllm__train_config_get(&paper, cllm__train_setting_name(i), a, sizeof a);
        for (size_t v = 0; v < 3; v++) {
            cllm__train_config_get(variants[v], cllm__train_setting_name(i), b, sizeof b);
            changed += strcmp(a, b) != 0;
        }
    }
    assert_int_equal(changed, 2 + 2 + 1);
    assert_null(cllm__train_preset_name(6));
    for (int phase = CLLM__PHASE_REC; phase <= CLLM__PHASE_REC_CONTENT; phase++) assert_int_equal(cllm__schedule_epochs(&pretrained, (cllm__phase)phase), 0);
}

static void presets_are_those_of_the_design(void **state) {
    (void)state;
    cllm__train_config paper = preset("paper"), faithful = preset("faithful");
    assert_false(paper.reg_code);
    assert_true(paper.lambda_c == 100 && paper.lambda_l == 0 && paper.batch == 20 && paper.dropout == 0 && paper.patience == 10);
    assert_true(paper.epochs[0] == 10 && paper.epochs[1] == 100 && paper.epochs[2] == 150);
    assert_true(paper.predict_first && paper.collab_order == CLLM__ORDER_RANDOM && paper.shuffle && !paper.target_all && paper.max_text_tokens == 128);
    assert_true(faithful.reg_code && faithful.lambda_c == 1 && faithful.dropout == 0.1 && faithful.target_all && faithful.keep_best_loss);
    assert_true(!faithful.predict_first && faithful.collab_order == CLLM__ORDER_ASCENDING && !faithful.shuffle && faithful.dropout_rec_content == 0);
}

static void wrong_settings_say_what_is_right(void **state) {
    (void)state;
    static const char *const wrong[][2] = {
        {"batch=0", "batch '0'"},           {"batch=1.5", "batch '1.5'"},       {"batch=", "batch ''"},
        {"epochs=1/2", "10/100/150"},       {"epochs=1/2/x", "10/100/150"},     {"epochs=-1/2/3", "10/100/150"},
        {"lr=nan", "1e-3/1e-3/1e-4"},       {"lr=inf", "1e-3/1e-3/1e-4"},       {"reg=both", "map or code"},
        {"target=some", "hold or all"},     {"mask-share=0.5:0.1", "0.1:0.6"},  {"mask-share=2", "0.1:0.6"},
        {"predict-first=yes", "1 (on)"},    {"seed=-1", "seed '-1'"},           {"dropout=1", "0 to 0.9"},
        {"nonsense=1", "unknown setting"},  {"batch", "unknown setting"},       {"lambda-c=-3", "0 to"},          {"lambda-c=nan", "0 to inf"},     {"lambda-l=inf", "0 to 1e+12"},
        {"prompt-order=size", "random, ascending or time"}, {"reorder=2", "1, 0 or time"}, {"lambda-stages=1/x/1", "lambda-stages"},
        {"init=words", "normal or text-mean"}, {"item-tokens=words", "id, text, id+text or spelled"},
        {"item-features=text", "words, states, words+states or auto"}, {"states-width=0", "1 to 4096"}, {"states-reviews=-1", "0 to 1000"},
        {"init-words=mean", "normal or backbone"},
        {"linear=knn", "none, ease or ease-text"}, {"width=-1", "0 to 65536"},   {"bag-scale=0", "bag-scale '0'"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        cllm__train_config config = preset("paper");
        cllm_error err = {0};
        assert_int_equal(cllm__train_config_set(&config, wrong[i][0], &err), CLLM_ERR_USAGE);
        if (strstr(err.message, wrong[i][1]) == NULL) fail_msg("'%s': message '%s' lacks '%s'", wrong[i][0], err.message, wrong[i][1]);
        cllm__train_config fresh = preset("paper");
        assert_memory_equal(&config, &fresh, sizeof fresh);
    }
    cllm_error err = {0};
    cllm__train_config config;
    assert_int_equal(cllm__train_config_preset(&config, "fastest", &err), CLLM_ERR_USAGE);
}

static void phases_come_in_the_paper_s_order(void **state) {
    (void)state;
    cllm__train_config config = preset("paper");
    assert_int_equal(cllm__train_config_set(&config, "epochs=2/2/1", NULL), CLLM_OK);
    static const int expected[][2] = {{CLLM__PHASE_WARMUP, 0}, {CLLM__PHASE_WARMUP, 1}, {CLLM__PHASE_COLLAB, 0}, {CLLM__PHASE_CONTENT, 0},
                                      {CLLM__PHASE_COLLAB, 1}, {CLLM__PHASE_CONTENT, 1}, {CLLM__PHASE_REC, 0}, {CLLM__PHASE_REC_CONTENT, 0}};
    cllm__position at = cllm__schedule_first(&config);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        assert_int_equal(at.phase, expected[i][0]);
        assert_int_equal(at.epoch, expected[i][1]);
        assert_int_equal(at.batch, 0);
        at = cllm__schedule_next_epoch(&config, at);
    }
    assert_int_equal(at.phase, CLLM__PHASE_DONE);
    at = (cllm__position){CLLM__PHASE_COLLAB, 1, 0};
    assert_int_equal(cllm__schedule_done(&config, CLLM__PHASE_WARMUP, at), 2);
    assert_int_equal(cllm__schedule_done(&config, CLLM__PHASE_CONTENT, at), 1);
    assert_int_equal(cllm__schedule_done(&config, CLLM__PHASE_COLLAB, at), 1);
    assert_int_equal(cllm__schedule_done(&config, CLLM__PHASE_REC, at), 0);
}

static void stages_of_no_epochs_are_skipped(void **state) {
    (void)state;
    cllm__train_config config = preset("paper");
    assert_int_equal(cllm__train_config_set(&config, "epochs=0/0/3", NULL), CLLM_OK);
    cllm__position at = cllm__schedule_first(&config);
    assert_int_equal(at.phase, CLLM__PHASE_REC);
    assert_int_equal(cllm__train_config_set(&config, "epochs=5/1/0", NULL), CLLM_OK);
    config.content = false;
    at = cllm__schedule_first(&config);
    assert_int_equal(at.phase, CLLM__PHASE_COLLAB);
    assert_int_equal(cllm__schedule_next_epoch(&config, at).phase, CLLM__PHASE_DONE);
    assert_int_equal(cllm__schedule_epochs(&config, CLLM__PHASE_WARMUP), 0);
}

static void a_share_of_the_documents_reads_on(void **state) {
    (void)state;
    enum { DOCUMENTS = 103, SHARE = 10 };
    cllm__train_config config = preset("paper");
    config.content_share = 0.1;
    size_t order[DOCUMENTS], scratch[DOCUMENTS], visits[DOCUMENTS] = {0};
    assert_int_equal(cllm__epoch_examples(&config, CLLM__PHASE_CONTENT, 5, DOCUMENTS), SHARE);
    /* 10 warm-up epochs and 93 of alternation read 1,030 documents: each exactly ten times. */
    for (int epoch = 0; epoch < 103; epoch++) {
        bool warm = epoch < config.epochs[0];
        cllm__epoch_order(&config, warm ? CLLM__PHASE_WARMUP : CLLM__PHASE_CONTENT, warm ? epoch : epoch - config.epochs[0], NULL, 0, DOCUMENTS, order, scratch);
        for (size_t i = 0; i < SHARE; i++) visits[order[i]]++;
    }
    for (size_t i = 0; i < DOCUMENTS; i++) assert_int_equal(visits[i], 10);
}

static void users_are_reshuffled_unless_told_otherwise(void **state) {
    (void)state;
    cllm__train_config config = preset("paper");
    int32_t users[50];
    size_t first[50], second[50], again[50], scratch[1];
    for (int32_t i = 0; i < 50; i++) users[i] = 2 * i;
    cllm__epoch_order(&config, CLLM__PHASE_REC, 0, users, 50, 0, first, scratch);
    cllm__epoch_order(&config, CLLM__PHASE_REC, 1, users, 50, 0, second, scratch);
    cllm__epoch_order(&config, CLLM__PHASE_REC, 0, users, 50, 0, again, scratch);
    assert_memory_equal(first, again, sizeof first);
    assert_memory_not_equal(first, second, sizeof first);
    config.shuffle = false;
    cllm__epoch_order(&config, CLLM__PHASE_REC, 1, users, 50, 0, second, scratch);
    for (size_t i = 0; i < 50; i++) assert_int_equal(second[i], 2 * i);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_setting_reads_back),
        cmocka_unit_test(variants_change_one_thing),
        cmocka_unit_test(presets_are_those_of_the_design),
        cmocka_unit_test(wrong_settings_say_what_is_right),
        cmocka_unit_test(phases_come_in_the_paper_s_order),
        cmocka_unit_test(stages_of_no_epochs_are_skipped),
        cmocka_unit_test(a_share_of_the_documents_reads_on),
        cmocka_unit_test(users_are_reshuffled_unless_told_otherwise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
