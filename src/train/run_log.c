#include "train/run_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"

static const char CSV_HEADER[] = "stage,phase,epoch,steps,sequences,tokens,targets,nll,regulariser,prior,loss,learning_rate,seconds,"
                                 "tokens_per_second,monitor,best,metrics\n";

enum { LINE = 2048 };

static cllm_status append(const char *path, const char *text, size_t length, uint64_t *size, cllm_error *err) {
    int code = cllm__io_ask(CLLM_IO_WRITE, path), fd = -1;
    if (code != 0) errno = code;
    else fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    ssize_t written = fd < 0 ? -1 : write(fd, text, length);
    if (written >= 0 && (size_t)written != length) errno = ENOSPC;
    cllm_status status = CLLM_OK;
    if (written < 0 || (size_t)written != length) status = cllm__fail_errno(err, "cannot write '%s'", path);
    if (fd >= 0) close(fd);
    if (status == CLLM_OK) *size += length;
    return status;
}

/* Cuts a log back to what the checkpoint knew of it. */
static cllm_status cut_back(const char *path, uint64_t size, cllm_error *err) {
    struct stat info;
    int refused = cllm__io_ask(CLLM_IO_WRITE, path);
    if (size == 0) {
        if (refused != 0) errno = refused;
        if ((refused != 0 || unlink(path) != 0) && errno != ENOENT) return cllm__fail_errno(err, "cannot begin '%s' anew", path);
        return CLLM_OK;
    }
    if (stat(path, &info) != 0 || (uint64_t)info.st_size < size) {
        return cllm__fail(err, CLLM_ERR_DATA, "'%s' is missing or shorter than the checkpoint says (%llu bytes): it was changed by hand", path,
                          (unsigned long long)size);
    }
    if (refused != 0) errno = refused;
    if (refused != 0 || truncate(path, (off_t)size) != 0) return cllm__fail_errno(err, "cannot cut '%s'", path);
    return CLLM_OK;
}

cllm_status cllm__run_log_open(cllm__run_log *log, const char *folder, uint64_t csv_size, uint64_t json_size, cllm_error *err) {
    cllm__run_log made = {.csv_path = cllm__path_join(folder, "metrics.csv"), .json_path = cllm__path_join(folder, "log.jsonl"),
                          .csv_size = csv_size, .json_size = json_size};
    cllm_status status;
    if (made.csv_path == NULL || made.json_path == NULL) {
        status = cllm__fail_nomem(err);
        goto cleanup;
    }
    CLLM_TRY_CLEAN(cut_back(made.csv_path, csv_size, err));
    CLLM_TRY_CLEAN(cut_back(made.json_path, json_size, err));
    if (csv_size == 0) CLLM_TRY_CLEAN(append(made.csv_path, CSV_HEADER, strlen(CSV_HEADER), &made.csv_size, err));
    *log = made;
    return CLLM_OK;
cleanup:
    cllm__run_log_close(&made);
    return status;
}

void cllm__run_log_close(cllm__run_log *log) {
    cllm__free(log->csv_path);
    cllm__free(log->json_path);
    *log = (cllm__run_log){0};
}

/* Appends to a line that is being made; what does not fit is cut. */
static void put(char *line, size_t *used, const char *format, ...) CLLM_PRINTF(3, 4);
static void put(char *line, size_t *used, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line + *used, LINE - *used, format, args);
    va_end(args);
    if (n > 0) *used = *used + (size_t)n < LINE ? *used + (size_t)n : LINE - 1;
}

cllm_status cllm__run_log_epoch(cllm__run_log *log, const char *stage, const cllm__epoch_report *r, cllm_error *err) {
    char line[LINE];
    size_t used = 0;
    const char *phase = cllm__phase_name(r->phase);
    double rate = r->seconds > 0 ? (double)r->rows / r->seconds : 0;
    put(line, &used, "%s,%s,%d,%zu,%zu,%zu,%zu,%.9g,%.9g,%.9g,%.9g,%.9g,%.3f,%.1f,", stage, phase, r->epoch + 1, r->steps, r->sequences, r->rows,
        r->targets, r->nll, r->regulariser, r->prior, r->total, r->learning_rate, r->seconds, rate);
    if (r->validated) {
        put(line, &used, "%.9g,%d,", r->validation.monitor, r->best ? 1 : 0);
        for (size_t i = 0; i < r->validation.count; i++) {
            put(line, &used, "%s%s=%.9g", i > 0 ? ";" : "", r->validation.names[i], r->validation.values[i]);
        }
    } else {
        put(line, &used, ",,");
    }
    put(line, &used, "\n");
    CLLM_TRY(append(log->csv_path, line, used, &log->csv_size, err));

    used = 0;
    put(line, &used,
        "{\"event\":\"epoch\",\"stage\":\"%s\",\"phase\":\"%s\",\"epoch\":%d,\"steps\":%zu,\"sequences\":%zu,\"tokens\":%zu,\"targets\":%zu,"
        "\"nll\":%.9g,\"regulariser\":%.9g,\"prior\":%.9g,\"loss\":%.9g,\"learning_rate\":%.9g,\"seconds\":%.3f",
        stage, phase, r->epoch + 1, r->steps, r->sequences, r->rows, r->targets, r->nll, r->regulariser, r->prior, r->total, r->learning_rate,
        r->seconds);
    if (r->validated) {
        put(line, &used, ",\"monitor\":%.9g,\"best\":%s", r->validation.monitor, r->best ? "true" : "false");
        for (size_t i = 0; i < r->validation.count; i++) put(line, &used, ",\"%s\":%.9g", r->validation.names[i], r->validation.values[i]);
    }
    put(line, &used, "}\n");
    return append(log->json_path, line, used, &log->json_size, err);
}

cllm_status cllm__run_log_event(cllm__run_log *log, const char *event, const char *members, cllm_error *err) {
    char line[LINE];
    size_t used = 0;
    put(line, &used, "{\"event\":\"%s\"%s%s}\n", event, members[0] != '\0' ? "," : "", members);
    return append(log->json_path, line, used, &log->json_size, err);
}
