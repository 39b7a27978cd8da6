/* Talking to the caller through cllm_host, which may be NULL everywhere. */
#ifndef CLLM_BASE_HOST_H
#define CLLM_BASE_HOST_H

#include "base/status.h"

void cllm__log(const cllm_host *host, cllm_log_level level, const char *format, ...) CLLM_PRINTF(3, 4);
bool cllm__cancelled(const cllm_host *host);
/* CLLM_OK, or CLLM_ERR_INTERRUPTED once the caller asked to stop. */
CLLM_CHECK cllm_status cllm__check_cancelled(const cllm_host *host, cllm_error *err);

/* Seconds on a monotonic clock. */
double cllm__now(void);
/* Bytes of memory that this process has held at once so far, at most; 0 where the system does not tell. */
uint64_t cllm__peak_memory(void);

/* Progress of one phase; throttled to about ten reports a second, so _update may be called for every row. */
typedef struct cllm__meter {
    const cllm_host *host;
    const char *phase, *unit;
    double total, began, last_time, last_done, rate;
    double rest_seconds; /* what the call still has to do after this phase, < 0 where it isn't known */
} cllm__meter;

/* `phase` and `unit` are borrowed for the meter's life. */
cllm__meter cllm__meter_begin(const cllm_host *host, const char *phase, const char *unit, double total);
void cllm__meter_update(cllm__meter *meter, double done, const char *detail);
void cllm__meter_end(cllm__meter *meter, double done, const char *detail);

#endif
