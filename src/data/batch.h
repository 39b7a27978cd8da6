/*
 * Batches: the sequences of one step, packed one behind the other without padding, with all that a step has to know about
 * them: which rows predict, what they predict, and which users and items the regulariser counts.
 *
 * A batch is filled sequence by sequence and used again: cllm__batch_clear keeps the memory, so that nothing is allocated
 * once it has grown to the size that is needed. It belongs to one thread.
 *
 * Rows. A sequence is [prompt ; main]. Row t predicts token t + 1 of the sequence, so the last main token has no row: it
 * predicts nothing and is a target only. With predict_first the prompt's last row predicts the first main token (paper.md
 * B8). A sequence in which no row predicts (one main token, predict_first off) has no rows at all: start[s] = start[s + 1];
 * its regulariser counts all the same. In rec and prompt sequences the last row is the one that is read out.
 *
 * Lengths. A sequence that would be longer than the context loses items from the front of the history, never what stands
 * after them; a text loses its end.
 */
#ifndef CLLM_DATA_BATCH_H
#define CLLM_DATA_BATCH_H

#include "data/corpus.h"
#include "text/prompt.h"

typedef enum cllm__stage {
    CLLM__STAGE_COLLAB,  /* next items, item head */
    CLLM__STAGE_CONTENT, /* next words, vocabulary head */
    CLLM__STAGE_REC,     /* a set of items from the last row, item head */
    CLLM__STAGE_PROMPT   /* nothing to learn: prompts to be scored */
} cllm__stage;

/* How the objective is put together: paper.md 2.2 and 2.3, design in docs/ARCHITECTURE.md.
 *                           CLLM__REG_MAP (the paper)                          CLLM__REG_CODE (the authors' program)
 *   likelihood              sum over tokens; over users in rec                 mean over predictions; over users in rec
 *   coupling of a row       λ_c/2·‖own − other‖²                               λ_V·‖own − other‖²
 *   counted in collab       user once, every item occurrence                   every occurrence in prompt and main
 *   counted in content      user and item once                                 every occurrence in the prompt
 *   counted in rec          user once, each distinct item of prompt ∪ target   every occurrence in the prompt
 *   prior, collab only      λ_l/2·‖own‖² of the same rows                      none */
typedef enum cllm__reg { CLLM__REG_MAP, CLLM__REG_CODE } cllm__reg;

/* What holds for all sequences of a run. */
typedef struct cllm__batch_rules {
    cllm__id_space space;
    cllm__reg reg;
    bool predict_first;
    bool joint;     /* collab: one softmax over items and words, and words may stand among the items */
    size_t context; /* longest sequence */
} cllm__batch_rules;

typedef struct cllm__batch {
    cllm__stage stage;
    size_t sequences;
    size_t *start;         /* [sequences + 1] ragged rows */
    int32_t *tokens;       /* [rows] ids in the extended vocabulary: word < N, user N + i, item N + I + j */
    size_t n_out;          /* rows whose hidden state is read */
    size_t *out_rows;      /* [n_out] ascending */
    size_t *out_start;     /* [sequences + 1]: sequence s reads out_rows[out_start[s] … out_start[s + 1]) */
    int32_t *targets;      /* [n_out] content: word id; collab: item number (0-based), or n_items + word id; rec and prompt: unused */
    size_t n_joining;      /* of the targets: words among the items */
    size_t *target_start;  /* [sequences + 1] rec: target items of sequence s */
    int32_t *target_items; /* item numbers */
    int32_t *reg_users;    /* user numbers that the regulariser counts, with repeats, in the order of the sequences */
    int32_t *reg_items;    /* item numbers, the same */
    size_t n_reg_users, n_reg_items;
    size_t dropped_items; /* history items that did not fit in the context */
    bool joint;           /* the collab sequences' softmax is over items and words */
    /* private from here */
    cllm__tokens scratch;
    struct cllm__batch_room {
        size_t start, tokens, out_rows, out_start, targets, target_start, target_items, reg_users, reg_items;
    } room;
} cllm__batch;

/* Empties a batch ({0} is one, too) for sequences of `stage`. */
void cllm__batch_clear(cllm__batch *batch, cllm__stage stage);
void cllm__batch_free(cllm__batch *batch);
/* Rows of all sequences. */
size_t cllm__batch_rows(const cllm__batch *batch);

/* Each of these appends one sequence; on failure the batch keeps what it had. Users and items are 0-based numbers. Fails with
 * CLLM_ERR_DATA for a number out of range, for a prompt that does not fit in the context, and where said. */

/* Collab stage: main = `items` in the order given (see cllm__collab_order), at least one, joined as the
 * template says. */
CLLM_CHECK cllm_status cllm__batch_add_collab(cllm__batch *batch, const cllm__batch_rules *rules, const cllm__prompts *prompts,
                                              int32_t user, const int32_t *items, size_t n, cllm_error *err);
/* Content stage. */
CLLM_CHECK cllm_status cllm__batch_add_document(cllm__batch *batch, const cllm__batch_rules *rules, const cllm__prompts *prompts,
                                                const cllm__document *document, cllm_error *err);
/* Rec stage: prompt items in the order given (may be none: a user whose only item is the target), at least one target, no
 * target twice. */
CLLM_CHECK cllm_status cllm__batch_add_rec(cllm__batch *batch, const cllm__batch_rules *rules, const cllm__prompts *prompts,
                                           int32_t user, const int32_t *items, size_t n, const int32_t *targets,
                                           size_t n_targets, cllm_error *err);
/* Prompt stage: the rec prompt of a user, or of a visitor without a token (user = −1), for a history in the order given. */
CLLM_CHECK cllm_status cllm__batch_add_prompt(cllm__batch *batch, const cllm__batch_rules *rules, const cllm__prompts *prompts,
                                              int32_t user, const int32_t *items, size_t n, cllm_error *err);

/* The same from ready token ids, on which the four above stand. `main` holds token ids too: items in collab (with rules->joint,
 * words too), words in content. Prompt and main must fit in the context as they are. */
CLLM_CHECK cllm_status cllm__batch_add_tokens(cllm__batch *batch, const cllm__batch_rules *rules, const int32_t *prompt,
                                              size_t n_prompt, const int32_t *main, size_t n_main, cllm_error *err);
/* Rec (targets are item numbers) and prompt (n_targets = 0). */
CLLM_CHECK cllm_status cllm__batch_add_readout(cllm__batch *batch, const cllm__batch_rules *rules, const int32_t *prompt,
                                               size_t n_prompt, const int32_t *targets, size_t n_targets, cllm_error *err);

/* ---- Orders and masks; functions of (seed, epoch, user) alone ---- */

/* Of a history: random; by ascending item number; or as the data have it, oldest first. */
typedef enum cllm__order { CLLM__ORDER_RANDOM, CLLM__ORDER_ASCENDING, CLLM__ORDER_TIME } cllm__order;

/* A user's items for the collab stage: a new random order in each epoch (the paper), by ascending number (the authors' program), or
 * as they stand in `items`. out may be `items`. */
void cllm__collab_order(int32_t *out, const int32_t *items, size_t n, cllm__order order, uint64_t seed, uint32_t epoch, int32_t user);

typedef struct cllm__mask_rules {
    double share_low, share_high; /* the masked share is drawn from [low, high) at each visit; 0 < low ≤ high ≤ 1 */
    bool target_all;              /* the target is the whole history (the authors' program), not the masked part */
    cllm__order order;            /* of the prompt; time: as in the history */
} cllm__mask_rules;

/* Splits a user's n ≥ 1 items into prompt and target (both have room for n): m = max(1, ⌊share·n⌋), at most n − 1 if n ≥ 2, are
 * masked. The prompt holds the others, the target the masked items or all, by ascending number. */
void cllm__rec_mask(int32_t *prompt, size_t *n_prompt, int32_t *target, size_t *n_target, const int32_t *items, size_t n,
                    cllm__mask_rules rules, uint64_t seed, uint32_t epoch, int32_t user);

/* The order of a history in a prompt that is scored; random: a seeded permutation of its own for each user, so that a result does
 * not change from run to run. out may be `items`. */
void cllm__prompt_order(int32_t *out, const int32_t *items, size_t n, cllm__order order, uint64_t seed, int32_t user);

#endif
