/*
 * Status and error helpers for the library's own code. The types are public: see cllm4rec/cllm4rec.h.
 *
 * A fallible internal function takes `cllm_error *err` last and returns a cllm_status, like the public ones.
 */
#ifndef CLLM_BASE_STATUS_H
#define CLLM_BASE_STATUS_H

#include <assert.h>
#include <cllm4rec/cllm4rec.h>

/* Fills `err` (if not NULL) with the formatted message and returns `status`. */
CLLM_CHECK cllm_status cllm__fail(cllm_error *err, cllm_status status, const char *format, ...) CLLM_PRINTF(3, 4);
/* The same, with strerror(errno) appended: "cannot read 'x': No such file or directory". ENOMEM maps to ERR_NOMEM. */
CLLM_CHECK cllm_status cllm__fail_errno(cllm_error *err, const char *format, ...) CLLM_PRINTF(2, 3);
CLLM_CHECK cllm_status cllm__fail_nomem(cllm_error *err);
/* Puts "prefix: " before the message that is already in `err`. */
void cllm__error_prefix(cllm_error *err, const char *format, ...) CLLM_PRINTF(2, 3);

/* Returns from the enclosing function if the call fails. */
#define CLLM_TRY(call) \
    do { \
        cllm_status cllm_try_status_ = (call); \
        if (cllm_try_status_ != CLLM_OK) return cllm_try_status_; \
    } while (0)

/* For functions with a clean-up label: needs a local `cllm_status status` and a label `cleanup`. */
#define CLLM_TRY_CLEAN(call) \
    do { \
        status = (call); \
        if (status != CLLM_OK) goto cleanup; \
    } while (0)

/* Wrong code, never wrong input. */
#define CLLM_ASSERT(condition) assert(condition)

#define CLLM_LEN(array) (sizeof(array) / sizeof((array)[0]))

#endif
