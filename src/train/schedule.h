/*
 * The order of a training run (paper.md 2.4): content warm-up, then alternation by whole epochs (collaborative, content),
 * then recommendation finetuning with a content epoch after each validation.
 */
#ifndef CLLM_TRAIN_SCHEDULE_H
#define CLLM_TRAIN_SCHEDULE_H

#include <stdint.h>

#include "data/corpus.h"
#include "train/config.h"

typedef enum cllm__phase {
    CLLM__PHASE_WARMUP,      /* content, without regularisation */
    CLLM__PHASE_COLLAB,      /* L-steps */
    CLLM__PHASE_CONTENT,     /* C-steps */
    CLLM__PHASE_REC,         /* recommendation steps, then validation */
    CLLM__PHASE_REC_CONTENT, /* C-steps against the recommendation tables */
    CLLM__PHASE_DONE
} cllm__phase;
enum { CLLM__PHASES = 5 };

/* "warm-up", "collab", … */
const char *cllm__phase_name(cllm__phase phase);
bool cllm__phase_is_content(cllm__phase phase);

/* Where a run stands: about to do batch `batch` of epoch `epoch` (from 0) of `phase`. */
typedef struct cllm__position {
    cllm__phase phase;
    int epoch;
    size_t batch;
} cllm__position;

/* The first position; phases of zero epochs are skipped, and content phases if the configuration has no content. */
cllm__position cllm__schedule_first(const cllm__train_config *config);
/* The position after the epoch that `at` is in. */
cllm__position cllm__schedule_next_epoch(const cllm__train_config *config, cllm__position at);
/* Epochs that a phase has in all, and those that lie wholly behind `at`. */
int cllm__schedule_epochs(const cllm__train_config *config, cllm__phase phase);
int cllm__schedule_done(const cllm__train_config *config, cllm__phase phase, cllm__position at);

/* Examples (users with a history, or documents) that one epoch of the phase visits. */
size_t cllm__epoch_examples(const cllm__train_config *config, cllm__phase phase, size_t n_users, size_t n_documents);
/* Fills order[cllm__epoch_examples] with users or documents in the order of their visit: a function of (seed, phase, epoch).
 * A content epoch with a share below 1 goes on where the one before it stopped. `scratch` has room for n_documents. */
void cllm__epoch_order(const cllm__train_config *config, cllm__phase phase, int epoch, const int32_t *users, size_t n_users,
                       size_t n_documents, size_t *order, size_t *scratch);

#endif
