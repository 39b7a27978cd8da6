/*
 * The space of a sweep: a JSON object of settings, each with a list of values or a range, and random draws from it.
 *
 *     {"lambda-c": {"min": 0.1, "max": 1000, "log": true}, "batch": {"min": 10, "max": 40}, "lr": ["1e-3", "5e-3/5e-3/1e-3"]}
 */
#ifndef CLLM_API_SWEEP_SPACE_H
#define CLLM_API_SWEEP_SPACE_H

#include <json-c/json.h>

#include "train/config.h"

enum { CLLM__SPACE_MAX = 64 };

/* One setting of the space. */
typedef struct cllm__space_axis {
    const char *name;           /* borrowed from the JSON object */
    struct json_object *values; /* the list; NULL: a range */
    double min, max;
    bool log, whole; /* whole: the setting takes whole numbers only */
} cllm__space_axis;

typedef struct cllm__space {
    struct json_object *object; /* owned */
    size_t count;
    cllm__space_axis axes[CLLM__SPACE_MAX];
} cllm__space;

/* Reads and checks a file against the settings of `config` (not changed): names, values and both ends of ranges. Errors name the
 * file, the line, the setting and what would do. `space` is {0} before and freed by the caller in every case. */
CLLM_CHECK cllm_status cllm__space_read(cllm__space *space, const char *path, const cllm__train_config *config, cllm_error *err);
void cllm__space_free(cllm__space *space);

/* The settings of a trial ("name=value" texts, a JSON array that the caller puts): a function of seed, trial and attempt. */
CLLM_CHECK cllm_status cllm__space_draw(const cllm__space *space, uint64_t seed, size_t trial, unsigned attempt, struct json_object **settings,
                                        cllm_error *err);

#endif
