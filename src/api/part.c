#include "api/part.h"

#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/host.h"
#include "base/io.h"

static void pass_log(void *user, cllm_log_level level, const char *message) {
    const cllm_host *host = ((const cllm__part *)user)->host;
    if (host->log != NULL) host->log(host->user, level == CLLM_LOG_INFO ? CLLM_LOG_DEBUG : level, message);
}

static void pass_progress(void *user, const cllm_progress *progress) {
    const cllm__part *part = user;
    char phase[192];
    cllm_progress shown = *progress;
    if (part->host->progress == NULL) return;
    snprintf(phase, sizeof phase, "%s, %s", part->label, progress->phase);
    shown.phase = phase;
    shown.final = false; /* there are hundreds of phases */
    part->host->progress(part->host->user, &shown);
}

static bool pass_cancelled(void *user) {
    return cllm__cancelled(((const cllm__part *)user)->host);
}

cllm_status cllm__part_path(char **path, const char *asked, const char *what, cllm_error *err) {
    if (asked != NULL && access(asked, F_OK) != 0) return cllm__fail(err, CLLM_ERR_NOT_FOUND, "there is no %s '%s'", what, asked);
    char *absolute = cllm__path_absolute(asked);
    if (asked != NULL && absolute == NULL) return cllm__fail_nomem(err);
    *path = absolute;
    return CLLM_OK;
}

cllm_host cllm__part_host(cllm__part *part) {
    return (cllm_host){pass_log, pass_progress, pass_cancelled, part};
}

cllm_status cllm__part_train(cllm__part *part, const cllm_train_options *options, char **report, cllm_error *err) {
    char *manifest = cllm__path_join(options->output, "run.json");
    if (manifest == NULL) return cllm__fail_nomem(err);
    cllm_train_options begun;
    cllm_train_options_init(&begun);
    begun.output = options->output;
    begun.threads = options->threads;
    begun.resume = cllm__path_exists(manifest);
    if (!begun.resume) {
        begun = *options;
        begun.force = true;
    }
    begun.host = cllm__part_host(part);
    cllm__free(manifest);
    return cllm_train(&begun, report, err);
}
