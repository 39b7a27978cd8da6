#include "base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *cllm_status_text(cllm_status status) {
    switch (status) {
#define CASE(name, value, exit_code, text) \
    case CLLM_##name: return text;
        CLLM_STATUS_LIST(CASE)
#undef CASE
    }
    return "unknown status";
}

int cllm_status_exit_code(cllm_status status) {
    switch (status) {
#define CASE(name, value, exit_code, text) \
    case CLLM_##name: return exit_code;
        CLLM_STATUS_LIST(CASE)
#undef CASE
    }
    return 1;
}

cllm_status cllm__fail(cllm_error *err, cllm_status status, const char *format, ...) {
    if (err != NULL) {
        va_list args;
        va_start(args, format);
        err->status = status;
        vsnprintf(err->message, sizeof err->message, format, args);
        va_end(args);
    }
    return status;
}

/* What helps against it, in brackets behind what the system says; "" where that says it all. */
static const char *remedy(int code) {
    switch (code) {
    case ENOSPC:
    case EDQUOT: return " (make room there, or choose another place)";
    case EROFS: return " (choose another place)";
    case ENOENT: return " (look for a slip in the name; the folders above it must be there)";
    case EACCES:
    case EPERM: return " (look at the rights of it and of the folders above it)";
    case EIO: return " (the device may be failing: look at the system's log)";
    case EMFILE:
    case ENFILE: return " (too many files are open: raise the limit, ulimit -n)";
    default: return "";
    }
}

cllm_status cllm__fail_errno(cllm_error *err, const char *format, ...) {
    int code = errno;
    cllm_status status = code == ENOMEM ? CLLM_ERR_NOMEM : code == ENOENT ? CLLM_ERR_NOT_FOUND : CLLM_ERR_IO;
    if (err != NULL) {
        va_list args;
        va_start(args, format);
        err->status = status;
        int n = vsnprintf(err->message, sizeof err->message, format, args);
        va_end(args);
        if (n >= 0 && (size_t)n < sizeof err->message) {
            snprintf(err->message + n, sizeof err->message - (size_t)n, ": %s%s", strerror(code), remedy(code));
        }
    }
    return status;
}

cllm_status cllm__fail_nomem(cllm_error *err) {
    return cllm__fail(err, CLLM_ERR_NOMEM, "out of memory");
}

void cllm__error_prefix(cllm_error *err, const char *format, ...) {
    if (err == NULL) return;
    char old[sizeof err->message];
    memcpy(old, err->message, sizeof old);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof err->message) {
        snprintf(err->message + n, sizeof err->message - (size_t)n, ": %s", old);
    }
}
