/*
 * What a run writes down as it goes: metrics.csv (a row per epoch) and log.jsonl (an object per epoch and per event).
 *
 * Both are appended to. A checkpoint remembers how long they were, and a resumed run cuts them back to that, so that they hold
 * each epoch once.
 */
#ifndef CLLM_TRAIN_RUN_LOG_H
#define CLLM_TRAIN_RUN_LOG_H

#include "train/trainer.h"

typedef struct cllm__run_log {
    char *csv_path, *json_path;
    uint64_t csv_size, json_size;
} cllm__run_log;

/* In the run folder, which exists. With sizes of 0 the files are begun anew; otherwise cut back to them (a file that is shorter
 * is CLLM_ERR_DATA). */
CLLM_CHECK cllm_status cllm__run_log_open(cllm__run_log *log, const char *folder, uint64_t csv_size, uint64_t json_size, cllm_error *err);
void cllm__run_log_close(cllm__run_log *log);
/* `stage`: "fit" or "final". */
CLLM_CHECK cllm_status cllm__run_log_epoch(cllm__run_log *log, const char *stage, const cllm__epoch_report *report, cllm_error *err);
/* An object of its own, {"event": event, …members}; members is JSON without braces, may be "". */
CLLM_CHECK cllm_status cllm__run_log_event(cllm__run_log *log, const char *event, const char *members, cllm_error *err);

#endif
