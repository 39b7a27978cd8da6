/*
 * The trainer: both sets of token tables, their optimisers, and the walk through the schedule.
 *
 * A coupling of infinity leaves one set of tables, z^l = z^c, which both models' steps move; the content tables are a copy of it, made
 * at the end of each epoch.
 *
 * Everything random is keyed by (seed, phase, epoch, example) and every sum has a fixed order, so a run ends in the same bits
 * with any number of threads, and when it was interrupted and resumed. A trainer belongs to one thread at a time.
 */
#ifndef CLLM_TRAIN_TRAINER_H
#define CLLM_TRAIN_TRAINER_H

#include "model/composer.h"
#include "model/engine.h"
#include "train/adam_table.h"
#include "train/schedule.h"

enum { CLLM__VALIDATION_METRICS = 8 };

/* What a validation measured. */
typedef struct cllm__validation {
    double monitor; /* higher is better */
    size_t count;
    const char *names[CLLM__VALIDATION_METRICS]; /* string constants of the callback's owner */
    double values[CLLM__VALIDATION_METRICS];
} cllm__validation;

/* What one epoch of a phase did. */
typedef struct cllm__epoch_report {
    cllm__phase phase;
    int epoch; /* from 0 */
    size_t steps, sequences, rows;
    size_t targets, predictions;
    double nll;         /* mean over targets, natural logarithm */
    double regulariser; /* mean over steps, weights included */
    double prior;
    double total;       /* mean over steps of what was minimised */
    double learning_rate;
    double seconds;
    bool validated;
    cllm__validation validation;
    bool best; /* the best validation so far */
} cllm__epoch_report;

typedef struct cllm__trainer_inputs {
    const cllm__interactions *train;
    const cllm__corpus *corpus; /* training documents; may be empty */
    const cllm__prompts *prompts;
    const cllm__features *features; /* of the items, for composed tokens; else NULL */
    const float *vectors; /* [n_vectors × width] where those of the first features begin, but for the composer's `whole` columns; the rest
                           * begins at random */
    size_t n_vectors;
    const cllm__backbone *backbone; /* opened for training */
    cllm__dtype dtype;
    cllm__pool *pool;
    const cllm_host *host;
    void *context; /* of the callbacks, both of which may be NULL */
    /* Measures the recommendation tables after each recommendation epoch. Without it the last tables win. */
    cllm_status (*validate)(void *context, const cllm__tables *tables, cllm__validation *result, cllm_error *err);
    cllm_status (*epoch_done)(void *context, const cllm__epoch_report *report, cllm_error *err);
    /* Called between two steps when a checkpoint is due (config.checkpoint_seconds have passed) or the host asked to stop:
     * writes the trainer's state, see train/checkpoint.h. */
    cllm_status (*save)(void *context, cllm_error *err);
} cllm__trainer_inputs;

/* Sums over the epoch that is under way; part of a checkpoint. */
typedef struct cllm__epoch_sums {
    double nll, regulariser, prior, total, seconds;
    uint64_t steps, sequences, rows, targets, predictions;
} cllm__epoch_sums;

typedef struct cllm__trainer {
    cllm__train_config config;
    cllm__trainer_inputs in;
    cllm__engine *engine;
    cllm__batch_rules rules;
    cllm__tables collab, content; /* collab becomes the recommendation tables when finetuning begins */
    cllm__composer composer; /* with composed tokens: what collab.items is made of; collab_items then moves its free
                               * parts. Stays at the last epoch, whichever was the best */
    bool composed;
    bool one_table; /* lambda_c is infinite */
    cllm__adam_table collab_users, collab_items, content_users, content_items, vectors;
    cllm__tables best_collab, best_content; /* of the best validation; in pretraining those of the lowest loss, if kept */
    cllm__position at;
    cllm__epoch_sums sums;
    bool has_best;
    double best_monitor;
    int best_epoch; /* of the recommendation stage, from 0 */
    double lowest_collab_loss, lowest_content_loss; /* keep_best_loss only; infinity before the first epoch */
    /* not part of a checkpoint from here */
    uint8_t *cold;     /* [n_items] no training interaction */
    int32_t *users;    /* [n_users_active] with at least one training item, ascending */
    int32_t *dealt;    /* [n_users] whose token a user has in this epoch; only where they are shuffled */
    size_t n_users_active, longest_history;
    size_t *order, *order_scratch;
    size_t order_count;
    cllm__gradient gradient;
    cllm__batch batch;
    int32_t *items_scratch, *targets_scratch, *touched; /* [longest_history], [longest_history], grown */
    size_t touched_capacity;
    double seconds_of[CLLM__PHASES], rows_of[CLLM__PHASES]; /* measured in this process, for the time that is left */
    double last_save;
} cllm__trainer;

/* The bag's settings; of use where config->bag. */
static inline cllm__bag cllm__config_bag(const cllm__train_config *config) {
    return (cllm__bag){.scale = config->bag_scale, .power = config->bag_power, .user_weight = config->user_weight, .sharpness = config->bag_sharpness,
                        .biases = config->bag_biases};
}

/* `trainer` is {0} before and freed by the caller in every case. Tables are initialised and the position is the first. What
 * `inputs` points to is borrowed. */
CLLM_CHECK cllm_status cllm__trainer_create(cllm__trainer *trainer, const cllm__train_config *config,
                                            const cllm__trainer_inputs *inputs, cllm_error *err);
void cllm__trainer_free(cllm__trainer *trainer);

/* Back to the beginning, after cllm__trainer_plan() or a change of `config`. */
CLLM_CHECK cllm_status cllm__trainer_restart(cllm__trainer *trainer, cllm_error *err);

/* Runs to the end. Asked to stop, or when a checkpoint is due, it calls inputs.save between two steps; after a stop it
 * returns CLLM_ERR_INTERRUPTED. At the end the best tables stand in collab and content. */
CLLM_CHECK cllm_status cllm__trainer_run(cllm__trainer *trainer, cllm_error *err);

/* What a run would cost, measured by a few steps of each kind; the trainer is as new afterwards. */
typedef struct cllm__plan {
    double seconds, validation_seconds; /* of the whole schedule; the latter is contained in the former */
    double tokens, flops;               /* backbone rows and FLOPs of products of the whole schedule */
    size_t memory;                      /* bytes of tables, moments and gradients */
    struct {
        double seconds, rows, flops;    /* of one epoch */
        size_t examples;
    } phase[CLLM__PHASES];
} cllm__plan;
/* probe_seconds: for each kind of step. */
CLLM_CHECK cllm_status cllm__trainer_plan(cllm__trainer *trainer, double probe_seconds, cllm__plan *plan, cllm_error *err);
/* Shortens the configuration's schedule so that it takes at most `seconds` by the plan: fewer documents in each content epoch,
 * and fewer epochs, all stages alike, where the rest alone takes more than half of the time. CLLM_ERR_USAGE if even the shortest
 * takes longer (the message says how long). */
CLLM_CHECK cllm_status cllm__plan_fit(const cllm__plan *plan, double seconds, cllm__train_config *config, cllm_error *err);

#endif
