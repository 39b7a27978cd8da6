/*
 * A trainer's whole state as one safetensors file, from which it goes on to the same bits: both sets of tables, moments, the
 * step that each row has made, the best tables so far, and in the metadata the position, sums and figures.
 */
#ifndef CLLM_TRAIN_CHECKPOINT_H
#define CLLM_TRAIN_CHECKPOINT_H

#include "train/trainer.h"

/* Writes atomically. `extra` (text, may be NULL) is kept for the caller. */
CLLM_CHECK cllm_status cllm__checkpoint_save(const cllm__trainer *trainer, const char *path, const char *extra, cllm_error *err);
/* Restores a trainer that was created from the same configuration and data; sizes are checked (CLLM_ERR_MISMATCH), and that no number is one
 * that training does not have (CLLM_ERR_DATA): NaN, steps and epochs beyond the schedule. *extra (may be NULL) receives the caller's text, to be freed with cllm__free. On failure the trainer must not be run. */
CLLM_CHECK cllm_status cllm__checkpoint_load(cllm__trainer *trainer, const char *path, char **extra, cllm_error *err);

/* The finished product: tables as "collab.users", "collab.items", "content.users", "content.items", with items.state[n_items]:
 * what a row of collab.items is. */
typedef enum cllm__item_state {
    CLLM__ITEM_TRAINED = 0,  /* learnt from interactions */
    CLLM__ITEM_FROM_TEXT = 1, /* no training interaction: the row is the item's content row, the prior's most likely value */
    CLLM__ITEM_UNKNOWN = 2   /* neither interaction nor text: never recommended */
} cllm__item_state;
CLLM_CHECK cllm_status cllm__model_save(const cllm__tables *collab, const cllm__tables *content, const uint8_t *item_state,
                                        const char *path, cllm_error *err);
/* `collab` and `content` are {0} before and freed by the caller in every case; *item_state: cllm__free. */
CLLM_CHECK cllm_status cllm__model_load(cllm__tables *collab, cllm__tables *content, uint8_t **item_state, const char *path, cllm_error *err);

/* Gives items without a training interaction their content row where they have a training text (state FROM_TEXT), and sets all
 * states [n_items]. */
void cllm__place_cold_items(cllm__tables *collab, const cllm__tables *content, const uint8_t *cold, const cllm__corpus *corpus,
                            uint8_t *item_state);

#endif
