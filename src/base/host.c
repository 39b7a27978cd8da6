#include "base/host.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

void cllm__log(const cllm_host *host, cllm_log_level level, const char *format, ...) {
    if (host == NULL || host->log == NULL) return;
    char message[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    host->log(host->user, level, message);
}

bool cllm__cancelled(const cllm_host *host) {
    return host != NULL && host->cancelled != NULL && host->cancelled(host->user);
}

cllm_status cllm__check_cancelled(const cllm_host *host, cllm_error *err) {
    return cllm__cancelled(host) ? cllm__fail(err, CLLM_ERR_INTERRUPTED, "interrupted") : CLLM_OK;
}

double cllm__now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

uint64_t cllm__peak_memory(void) {
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 && usage.ru_maxrss > 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}

cllm__meter cllm__meter_begin(const cllm_host *host, const char *phase, const char *unit, double total) {
    double now = cllm__now();
    return (cllm__meter){.host = host, .phase = phase, .unit = unit, .total = total, .began = now, .last_time = now};
}

static void report(cllm__meter *meter, double now, double done, const char *detail, bool final) {
    const cllm_host *host = meter->host;
    double average = now > meter->began ? done / (now - meter->began) : 0;
    double rate = final || meter->rate <= 0 ? average : meter->rate;
    double eta = -1;
    if (meter->total > 0 && rate > 0 && meter->rest_seconds >= 0) {
        eta = (meter->total - done) / rate + meter->rest_seconds;
        if (eta < 0) eta = 0;
    }
    host->progress(host->user, &(cllm_progress){.phase = meter->phase, .done = done, .total = meter->total, .unit = meter->unit,
                                                .rate = rate, .eta_seconds = eta, .detail = detail, .final = final});
}

void cllm__meter_update(cllm__meter *meter, double done, const char *detail) {
    if (meter->host == NULL || meter->host->progress == NULL) return;
    double now = cllm__now();
    if (now - meter->last_time < 0.1) return;
    /* A running mean over the last few reports: steady enough to read, quick enough to follow. */
    double recent = (done - meter->last_done) / (now - meter->last_time);
    meter->rate = meter->rate <= 0 ? recent : 0.8 * meter->rate + 0.2 * recent;
    meter->last_time = now;
    meter->last_done = done;
    report(meter, now, done, detail, false);
}

void cllm__meter_end(cllm__meter *meter, double done, const char *detail) {
    if (meter->host == NULL || meter->host->progress == NULL) return;
    report(meter, cllm__now(), done, detail, true);
}
