#include "api/sweep_space.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/rng.h"
#include "formats/json_names.h"

enum { SPACE_LIMIT = 1 << 20, SETTING = 256 };

/* The line in which a member's name stands. */
static size_t line_of(const char *text, const char *name) {
    size_t length = strlen(name);
    for (const char *found = strchr(text, '"'); found != NULL; found = strchr(found + 1, '"')) {
        if (strncmp(found + 1, name, length) == 0 && found[1 + length] == '"') return cllm__json_line(text, (size_t)(found - text));
    }
    return 1;
}

static bool takes(const cllm__train_config *config, const char *name, const char *value, cllm_error *err) {
    cllm__train_config copy = *config;
    char setting[SETTING];
    int n = snprintf(setting, sizeof setting, "%s=%s", name, value);
    if (n < 0 || (size_t)n >= sizeof setting) {
        cllm_status status = cllm__fail(err, CLLM_ERR_USAGE, "the value is too long");
        (void)status;
        return false;
    }
    return cllm__train_config_set(&copy, setting, err) == CLLM_OK;
}

static bool is_number(struct json_object *value) {
    return json_object_is_type(value, json_type_int) || json_object_is_type(value, json_type_double);
}

static cllm_status read_list(cllm__space_axis *axis, struct json_object *values, const cllm__train_config *config, cllm_error *err) {
    if (json_object_array_length(values) == 0) return cllm__fail(err, CLLM_ERR_USAGE, "the list is empty: give a value, or leave the setting out");
    for (size_t i = 0; i < json_object_array_length(values); i++) {
        struct json_object *value = json_object_array_get_idx(values, i);
        if (!is_number(value) && !json_object_is_type(value, json_type_string)) {
            return cllm__fail(err, CLLM_ERR_USAGE, "value %zu of the list is neither a number nor a text: write it as train --set takes it", i + 1);
        }
        if (!takes(config, axis->name, json_object_get_string(value), err)) return CLLM_ERR_USAGE;
    }
    axis->values = values;
    return CLLM_OK;
}

static cllm_status read_range(cllm__space_axis *axis, struct json_object *range, const cllm__train_config *config, cllm_error *err) {
    struct json_object *min = NULL, *max = NULL;
    json_object_object_foreach(range, name, value) {
        if (strcmp(name, "min") == 0 && is_number(value)) min = value;
        else if (strcmp(name, "max") == 0 && is_number(value)) max = value;
        else if (strcmp(name, "log") == 0 && json_object_is_type(value, json_type_boolean)) axis->log = json_object_get_boolean(value);
        else return cllm__fail(err, CLLM_ERR_USAGE, "'%.60s' of the range: give {\"min\": number, \"max\": number, \"log\": true or false}", name);
    }
    if (min == NULL || max == NULL) return cllm__fail(err, CLLM_ERR_USAGE, "a range needs \"min\" and \"max\", both numbers");
    axis->min = json_object_get_double(min);
    axis->max = json_object_get_double(max);
    if (!(axis->min <= axis->max)) return cllm__fail(err, CLLM_ERR_USAGE, "min %g is above max %g: exchange them", axis->min, axis->max);
    if (axis->log && axis->min <= 0) return cllm__fail(err, CLLM_ERR_USAGE, "a logarithmic range cannot begin at %g: give a min above 0", axis->min);
    if (!takes(config, axis->name, json_object_get_string(min), err) || !takes(config, axis->name, json_object_get_string(max), err)) return CLLM_ERR_USAGE;
    char between[40];
    snprintf(between, sizeof between, "%.17g", axis->max > axis->min ? floor(axis->min) + 0.5 : axis->min);
    axis->whole = floor(axis->min) == axis->min && floor(axis->max) == axis->max && !takes(config, axis->name, between, NULL);
    return CLLM_OK;
}

static cllm_status read_axis(cllm__space *space, const char *name, struct json_object *value, const cllm__train_config *config, cllm_error *err) {
    if (space->count == CLLM__SPACE_MAX) return cllm__fail(err, CLLM_ERR_USAGE, "more than %d settings", CLLM__SPACE_MAX);
    bool known = false;
    for (size_t i = 0; cllm__train_setting_name(i) != NULL; i++) known = known || strcmp(cllm__train_setting_name(i), name) == 0;
    if (!known) return cllm__fail(err, CLLM_ERR_USAGE, "there is no such setting: run.json of any run lists them");
    if (strcmp(name, "monitor") == 0) return cllm__fail(err, CLLM_ERR_USAGE, "trials are compared by the monitor: leave it out, or give it to all with --set");
    cllm__space_axis *axis = &space->axes[space->count++];
    *axis = (cllm__space_axis){.name = name};
    if (json_object_is_type(value, json_type_array)) return read_list(axis, value, config, err);
    if (json_object_is_type(value, json_type_object)) return read_range(axis, value, config, err);
    return cllm__fail(err, CLLM_ERR_USAGE, "give a list of values [a, b], or a range {\"min\": a, \"max\": b}");
}

cllm_status cllm__space_read(cllm__space *space, const char *path, const cllm__train_config *config, cllm_error *err) {
    char *text;
    size_t size;
    CLLM_TRY(cllm__read_file(path, SPACE_LIMIT, &text, &size, err));
    cllm_status status = CLLM_OK;
    struct json_tokener *tokener = json_tokener_new_ex(8);
    if (tokener == NULL) {
        cllm__free(text);
        return cllm__fail_nomem(err);
    }
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    space->object = json_tokener_parse_ex(tokener, text, (int)size + 1);
    if (json_tokener_get_error(tokener) != json_tokener_success) {
        status = cllm__fail(err, CLLM_ERR_USAGE, "%s: line %zu: no JSON (%s): give {\"setting\": [values], …}", path,
                            cllm__json_line(text, json_tokener_get_parse_end(tokener)), json_tokener_error_desc(json_tokener_get_error(tokener)));
    } else if (!json_object_is_type(space->object, json_type_object) || json_object_object_length(space->object) == 0) {
        status = cllm__fail(err, CLLM_ERR_USAGE, "%s: line 1: not an object with settings: give {\"setting\": [values], …}", path);
    } else if ((status = cllm__json_check_names(text, size, err)) != CLLM_OK) {
        cllm__error_prefix(err, "%s", path);
    } else {
        json_object_object_foreach(space->object, name, value) {
            status = read_axis(space, name, value, config, err);
            if (status == CLLM_OK) continue;
            cllm__error_prefix(err, "%s: line %zu: '%.60s'", path, line_of(text, name), name);
            break;
        }
    }
    json_tokener_free(tokener);
    cllm__free(text);
    return status;
}

void cllm__space_free(cllm__space *space) {
    json_object_put(space->object);
    *space = (cllm__space){0};
}

cllm_status cllm__space_draw(const cllm__space *space, uint64_t seed, size_t trial, unsigned attempt, struct json_object **settings, cllm_error *err) {
    cllm__rng rng = cllm__rng_make(seed, CLLM_RNG_SWEEP, attempt, trial);
    struct json_object *array = json_object_new_array();
    for (size_t i = 0; i < space->count; i++) {
        const cllm__space_axis *axis = &space->axes[i];
        char value[SETTING], setting[2 * SETTING];
        if (axis->values != NULL) {
            size_t n = json_object_array_length(axis->values);
            snprintf(value, sizeof value, "%s", json_object_get_string(json_object_array_get_idx(axis->values, (size_t)cllm__rng_below(&rng, n))));
        } else {
            double u = cllm__rng_uniform(&rng);
            double drawn = axis->log ? exp(log(axis->min) + u * (log(axis->max) - log(axis->min)))
                                     : axis->min + u * (axis->max - axis->min + (axis->whole ? 1 : 0));
            if (axis->whole) drawn = axis->log ? nearbyint(drawn) : floor(drawn);
            if (!axis->whole) { /* four digits are as many as anybody wants to read; within the range all the same */
                char rounded[40];
                snprintf(rounded, sizeof rounded, "%.4g", drawn);
                sscanf(rounded, "%lf", &drawn);
            }
            drawn = fmax(axis->min, fmin(axis->max, drawn));
            snprintf(value, sizeof value, axis->whole ? "%.0f" : "%.10g", drawn);
        }
        snprintf(setting, sizeof setting, "%s=%s", axis->name, value);
        struct json_object *text = json_object_new_string(setting);
        if (array == NULL || text == NULL || json_object_array_add(array, text) != 0) {
            json_object_put(text);
            json_object_put(array);
            return cllm__fail_nomem(err);
        }
    }
    *settings = array;
    return CLLM_OK;
}
