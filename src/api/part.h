/*
 * A training that is part of something larger, as a trial is of a sweep: its progress carries the part's label, its remarks are
 * shown to those who want them all, and it goes on from its own checkpoint if it was begun before.
 */
#ifndef CLLM_API_PART_H
#define CLLM_API_PART_H

#include "base/status.h"

typedef struct cllm__part {
    const cllm_host *host; /* of the whole */
    char label[96];        /* "trial 3/20": stands before the phases of its progress */
} cllm__part;

/* The path from the root of what all parts read, *path (cllm__free); NULL for NULL. `what` names it where it is missing. */
CLLM_CHECK cllm_status cllm__part_path(char **path, const char *asked, const char *what, cllm_error *err);
/* What the part talks to; borrows it. */
cllm_host cllm__part_host(cllm__part *part);
/* Trains into options->output, or goes on with what is there; options->host, resume and force are set here. *report: as from
 * cllm_train(). */
CLLM_CHECK cllm_status cllm__part_train(cllm__part *part, const cllm_train_options *options, char **report, cllm_error *err);

#endif
