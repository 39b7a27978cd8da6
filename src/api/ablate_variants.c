/*
 * The paper's own ablations (its table 2), and the recommendation target of its text against that of its program: what does each
 * part of the method contribute?
 */
#include "api/ablation.h"

static const struct {
    const char *name, *preset, *setting, *what;
} VARIANTS[] = {
    {"CLLM4Rec", "paper", NULL, "the whole method"},
    {"LLM-CF", "llm-cf", NULL, "the content model with its regularisation"},
    {"LLM-FixOrd", "llm-fixord", NULL, "reordering items at random"},
    {"LLM-PreRec", "llm-prerec", NULL, "finetuning for recommendation"},
    {"target all", "paper", "target=all", "predicting held-out items alone"},
};

static cllm_status plan(cllm__ablation *a, cllm_error *err) {
    (void)err;
    for (size_t data = 0; data < cllm__ablation_data_sets(a); data++) {
        size_t whole = SIZE_MAX;
        for (size_t i = 0; i < CLLM_LEN(VARIANTS); i++) {
            cllm__arm *arm = cllm__ablation_add(a, data, "", "%s", VARIANTS[i].name);
            arm->preset = VARIANTS[i].preset;
            if (VARIANTS[i].setting != NULL) cllm__arm_set(arm, "%s", VARIANTS[i].setting);
            if (i == 0) whole = cllm__arm_index(a, arm);
            else arm->reference = whole;
        }
    }
    return CLLM_OK;
}

/* Each part's worth is what is lost without it. */
static cllm_status conclude(cllm__ablation *a, cllm_error *err) {
    for (size_t data = 0; data < cllm__ablation_data_sets(a); data++) {
        size_t whole = cllm__ablation_find(a, data, "", VARIANTS[0].name), within = 0;
        cllm__ablation_say(a, " On %s, NDCG@100 of the whole method: %.4f.", cllm__ablation_data_name(a, data),
                           cllm__ablation_value(a, whole, "ndcg@100", NULL));
        for (size_t i = 1; i < CLLM_LEN(VARIANTS); i++) {
            cllm__difference d;
            char text[96];
            CLLM_TRY(cllm__ablation_compare(a, whole, cllm__ablation_find(a, data, "", VARIANTS[i].name), NULL, &d, err));
            cllm__difference_text(&d, text);
            if (d.counts) cllm__ablation_say(a, " Against %s, %s %s: %s.", VARIANTS[i].name, VARIANTS[i].what, d.test.difference > 0 ? "helps" : "hurts", text);
            else within++;
        }
        if (within == 0) continue;
        cllm__ablation_say(a, " No difference beyond the noise to");
        for (size_t i = 1, told = 0; i < CLLM_LEN(VARIANTS); i++) {
            cllm__difference d;
            CLLM_TRY(cllm__ablation_compare(a, whole, cllm__ablation_find(a, data, "", VARIANTS[i].name), NULL, &d, err));
            if (!d.counts) cllm__ablation_say(a, "%s %s", told++ > 0 ? "," : "", VARIANTS[i].name);
        }
        cllm__ablation_say(a, ".");
    }
    return CLLM_OK;
}

const cllm__study CLLM__STUDY_VARIANTS = {
    .name = "variants",
    .title = "The paper's variants",
    .question = "What does each part of the method contribute? LLM-CF is without content model and regularisation, LLM-FixOrd shows items in ascending order "
                "instead of a random one, LLM-PreRec recommends what the pretrained collaborative model takes for the next item, and 'target all' "
                "predicts all of a user's items instead of those held out of the prompt.",
    .n_shops = 1,
    .axis = "variant",
    .plan = plan,
    .conclude = conclude,
};
