#include "train/schedule.h"

#include "base/rng.h"

static const char *const NAMES[] = {"warm-up", "collab", "content", "rec", "rec-content", "done"};

const char *cllm__phase_name(cllm__phase phase) {
    return NAMES[phase];
}

bool cllm__phase_is_content(cllm__phase phase) {
    return phase == CLLM__PHASE_WARMUP || phase == CLLM__PHASE_CONTENT || phase == CLLM__PHASE_REC_CONTENT;
}

int cllm__schedule_epochs(const cllm__train_config *config, cllm__phase phase) {
    if (phase == CLLM__PHASE_DONE || (cllm__phase_is_content(phase) && !config->content)) return 0;
    if (phase >= CLLM__PHASE_REC && !config->finetune) return 0;
    return config->epochs[phase == CLLM__PHASE_WARMUP ? 0 : phase <= CLLM__PHASE_CONTENT ? 1 : 2];
}

/* Within a stage the phases take turns epoch by epoch; the position after the last one of a stage is the next stage's first. */
cllm__position cllm__schedule_next_epoch(const cllm__train_config *config, cllm__position at) {
    cllm__phase phase = at.phase;
    int epoch = at.epoch;
    do {
        switch (phase) {
        case CLLM__PHASE_COLLAB: phase = CLLM__PHASE_CONTENT; break;
        case CLLM__PHASE_REC: phase = CLLM__PHASE_REC_CONTENT; break;
        case CLLM__PHASE_WARMUP:
            if (++epoch >= config->epochs[0]) {
                phase = CLLM__PHASE_COLLAB;
                epoch = 0;
            }
            break;
        case CLLM__PHASE_CONTENT:
            phase = ++epoch < config->epochs[1] ? CLLM__PHASE_COLLAB : CLLM__PHASE_REC;
            if (phase == CLLM__PHASE_REC) epoch = 0;
            break;
        case CLLM__PHASE_REC_CONTENT:
            phase = ++epoch < config->epochs[2] ? CLLM__PHASE_REC : CLLM__PHASE_DONE;
            if (phase == CLLM__PHASE_DONE) epoch = 0;
            break;
        case CLLM__PHASE_DONE: break;
        }
    } while (phase != CLLM__PHASE_DONE && epoch >= cllm__schedule_epochs(config, phase));
    return (cllm__position){.phase = phase, .epoch = epoch};
}

cllm__position cllm__schedule_first(const cllm__train_config *config) {
    cllm__position first = {.phase = CLLM__PHASE_WARMUP, .epoch = 0};
    return cllm__schedule_epochs(config, CLLM__PHASE_WARMUP) > 0 ? first : cllm__schedule_next_epoch(config, first);
}

int cllm__schedule_done(const cllm__train_config *config, cllm__phase phase, cllm__position at) {
    static const int stage_of[] = {0, 1, 1, 2, 2, 3};
    if (stage_of[phase] < stage_of[at.phase]) return cllm__schedule_epochs(config, phase);
    if (stage_of[phase] > stage_of[at.phase]) return 0;
    int done = at.epoch + (phase < at.phase ? 1 : 0), all = cllm__schedule_epochs(config, phase);
    return done < all ? done : all;
}

size_t cllm__epoch_examples(const cllm__train_config *config, cllm__phase phase, size_t n_users, size_t n_documents) {
    if (!cllm__phase_is_content(phase)) return n_users;
    size_t share = (size_t)(config->content_share * (double)n_documents + 0.5);
    return n_documents == 0 ? 0 : share < 1 ? 1 : share > n_documents ? n_documents : share;
}

static int content_epoch(const cllm__train_config *config, cllm__phase phase, int epoch) {
    return epoch + (phase >= CLLM__PHASE_CONTENT ? config->epochs[0] : 0) + (phase == CLLM__PHASE_REC_CONTENT ? config->epochs[1] : 0);
}

void cllm__epoch_order(const cllm__train_config *config, cllm__phase phase, int epoch, const int32_t *users, size_t n_users,
                       size_t n_documents, size_t *order, size_t *scratch) {
    if (!cllm__phase_is_content(phase)) {
        for (size_t i = 0; i < n_users; i++) order[i] = (size_t)users[i];
        if (config->shuffle) {
            cllm__rng rng = cllm__rng_make(config->seed, CLLM_RNG_BATCH_ORDER, (uint32_t)epoch, (uint64_t)phase);
            cllm__rng_shuffle_size(&rng, order, n_users);
        }
        return;
    }
    /* Content epochs read on in an endless sequence of permutations of all documents, one after the other. */
    size_t count = cllm__epoch_examples(config, phase, n_users, n_documents);
    uint64_t at = (uint64_t)content_epoch(config, phase, epoch) * count, cycle = UINT64_MAX;
    for (size_t i = 0; i < count; i++, at++) {
        if (at / n_documents != cycle) {
            cycle = at / n_documents;
            for (size_t j = 0; j < n_documents; j++) scratch[j] = j;
            if (config->shuffle) {
                cllm__rng rng = cllm__rng_make(config->seed, CLLM_RNG_BATCH_ORDER, (uint32_t)cycle, CLLM__PHASE_CONTENT);
                cllm__rng_shuffle_size(&rng, scratch, n_documents);
            }
        }
        order[i] = scratch[at % n_documents];
    }
}
