#include "api/run.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/host.h"
#include "base/io.h"

enum { LOG_LIMIT = 256 << 20 };

static struct json_object *member(struct json_object *object, const char *name, json_type type) {
    struct json_object *value = cllm__json_at(object, name);
    return json_object_is_type(value, type) ? value : NULL;
}

/* ---- Settings ---- */

cllm_status cllm__dtype_parse(const char *name, cllm__dtype *dtype, cllm_error *err) {
    if (name == NULL || strcmp(name, "f32") == 0) *dtype = CLLM__F32;
    else if (strcmp(name, "bf16") == 0) *dtype = CLLM__BF16;
    else return cllm__fail(err, CLLM_ERR_USAGE, "dtype '%s': give f32 or bf16", name);
    return CLLM_OK;
}

cllm_status cllm__backbone_dtype_parse(const char *name, cllm__dtype otherwise, cllm__dtype *dtype, cllm_error *err) {
    *dtype = name == NULL ? otherwise : CLLM__Q8_0;
    if (name == NULL || strcmp(name, "q8_0") == 0) return CLLM_OK;
    if (cllm__dtype_parse(name, dtype, err) == CLLM_OK) return CLLM_OK;
    return cllm__fail(err, CLLM_ERR_USAGE, "backbone dtype '%s': give f32, bf16 or q8_0", name);
}

const char *cllm__dtype_name(cllm__dtype dtype) {
    return dtype == CLLM__Q8_0 ? "q8_0" : dtype == CLLM__BF16 ? "bf16" : "f32";
}

struct json_object *cllm__config_to_json(const cllm__train_config *config) {
    struct json_object *settings = json_object_new_object();
    for (size_t i = 0; cllm__train_setting_name(i) != NULL; i++) {
        char value[160];
        cllm__train_config_get(config, cllm__train_setting_name(i), value, sizeof value);
        json_object_object_add(settings, cllm__train_setting_name(i), json_object_new_string(value));
    }
    return settings;
}

cllm_status cllm__config_from_json(cllm__train_config *config, struct json_object *preset, struct json_object *settings, cllm_error *err) {
    if (!json_object_is_type(preset, json_type_string) || !json_object_is_type(settings, json_type_object)) {
        return cllm__fail(err, CLLM_ERR_DATA, "preset or settings are missing");
    }
    CLLM_TRY(cllm__train_config_preset(config, json_object_get_string(preset), err));
    json_object_object_foreach(settings, name, value) {
        char setting[256];
        if (value == NULL) return cllm__fail(err, CLLM_ERR_DATA, "setting '%s' is null: give its value", name);
        int n = snprintf(setting, sizeof setting, "%s=%s", name, json_object_get_string(value));
        if (n < 0 || (size_t)n >= sizeof setting) return cllm__fail(err, CLLM_ERR_DATA, "setting '%s' is too long", name);
        CLLM_TRY(cllm__train_config_set(config, setting, err));
    }
    return CLLM_OK;
}

cllm_status cllm__run_write_manifest(const char *folder, struct json_object *manifest, cllm_error *err) {
    return cllm__json_write(folder, "run.json", manifest, err);
}

/* ---- Opening ---- */

cllm_status cllm__run_shape_prompts(cllm__run *run, cllm_error *err) {
    const cllm__train_config *config = &run->config;
    const cllm__prompt_shape shape = {
        .hard_words = config->hard_words, .without_user = config->user_token == CLLM__USER_TOKEN_OFF,
        .join = config->main_text == CLLM__MAIN_JOINT_AND ? " and" : NULL, .seed = config->seed,
        /* Without the data only the backbone is wanted, and no prompt made. */
        .spelled = config->histories_spelled && run->dataset != NULL ? cllm__dataset_items(run->dataset) : 0,
    };
    return cllm__prompts_shape(&run->prompts, run->tokenizer, shape, err);
}

/* Compares a hash in the manifest with what was opened. */
static cllm_status check_hash(struct json_object *part, uint64_t hash, const char *what, const char *path, cllm_error *err) {
    char text[17];
    cllm__hash_text(hash, text);
    const char *expected = cllm__json_string(part, "hash");
    if (expected == NULL || strcmp(expected, text) != 0) {
        return cllm__fail(err, CLLM_ERR_MISMATCH, "the %s '%s' (hash %s) is not the one that the run was trained on (%s)", what, path, text,
                          expected != NULL ? expected : "unknown");
    }
    return CLLM_OK;
}

static cllm_status open_dataset(cllm__run *run, const char *given, cllm_error *err) {
    struct json_object *part = member(run->manifest, "dataset", json_type_object);
    const char *path = given != NULL ? given : cllm__json_string(part, "path");
    if (path == NULL) return cllm__fail(err, CLLM_ERR_DATA, "'%s/run.json' names no data set", run->folder);
    cllm_status status = cllm__dataset_open(&run->dataset, path, false, err);
    if (status != CLLM_OK) {
        if (given == NULL) cllm__error_prefix(err, "the run's data set (another place: --data DIR)");
        return status;
    }
    return check_hash(part, cllm__dataset_hash(run->dataset), "data set", path, err);
}

static cllm_status open_backbone(cllm__run *run, const cllm__run_options *options, cllm_error *err) {
    struct json_object *part = member(run->manifest, "backbone", json_type_object);
    const char *name = cllm__json_string(part, "path");
    if (name == NULL) return cllm__fail(err, CLLM_ERR_DATA, "'%s/run.json' names no backbone", run->folder);
    char *path = options->backbone != NULL ? cllm__strdup(options->backbone) : cllm__path_join(run->folder, name), *tokenizer = cllm__path_join(run->folder, "tokenizer");
    cllm_status status;
    run->backbone_path = path;
    if (path == NULL || tokenizer == NULL) {
        status = cllm__fail_nomem(err);
        goto cleanup;
    }
    CLLM_TRY_CLEAN(cllm__tokenizer_open(&run->tokenizer, tokenizer, err));
    CLLM_TRY_CLEAN(cllm__prompts_compile(&run->prompts, run->tokenizer, member(run->manifest, "prompts", json_type_object), err));
    CLLM_TRY_CLEAN(cllm__run_shape_prompts(run, err));
    struct json_object *bos = member(run->manifest, "bos_token", json_type_int);
    int64_t bos_token = bos == NULL ? -1 : json_object_get_int64(bos); /* runs from before there was one have none */
    if (bos_token < -1 || bos_token >= (int64_t)cllm__tokenizer_size(run->tokenizer)) {
        CLLM_TRY_CLEAN(cllm__fail(err, CLLM_ERR_DATA, "bos_token %lld in '%s/run.json' is no token", (long long)bos_token, run->folder));
    }
    run->bos_token = (int32_t)bos_token;
    CLLM_TRY_CLEAN(cllm__prompts_begin(&run->prompts, run->bos_token, err));
    if (options->backbone == NULL && !cllm__path_exists(path)) {
        CLLM_TRY_CLEAN(cllm__fail(err, CLLM_ERR_NOT_FOUND, "the run's backbone '%s' does not exist: say where it is with --backbone PATH", path));
    }
    CLLM_TRY_CLEAN(cllm__backbone_open(&run->backbone, path,
                                       (cllm__backbone_options){.dtype = run->backbone_dtype, .words = cllm__tokenizer_size(run->tokenizer),
                                                                 .training = options->training &&
                                                                             (!options->as_trained || cllm__train_config_reads_tokens(&run->config)),
                                                                 .headless = options->headless || (options->as_trained && !cllm__train_config_reads_words(&run->config)),
                                                                 .bare = options->as_trained && !cllm__train_config_reads(&run->config),
                                                                 .layers = (size_t)run->config.backbone_layers,
                                                                 .pool = options->pool}, err));
    CLLM_TRY_CLEAN(check_hash(part, cllm__backbone_info_of(run->backbone)->hash, "backbone", path, err));
cleanup:
    cllm__free(tokenizer);
    return status;
}

void cllm__log_backbone(const cllm_host *host, const cllm__run *run) {
    const cllm__backbone_info *info = cllm__backbone_info_of(run->backbone);
    bool reads = cllm__train_config_reads(&run->config);
    cllm__log(host, CLLM_LOG_INFO, "backbone: %s, %zu layers x %zu, %s%s: %.1f MB in memory, %.1f MB in files", info->family, info->layers,
              info->width, reads ? "frozen matrices in " : "whose words alone are used", reads ? cllm__dtype_name(run->backbone_dtype) : "",
              1e-6 * (double)info->resident_bytes, 1e-6 * (double)info->file_bytes);
    if (info->window > 0)
        cllm__log(host, CLLM_LOG_INFO, "the backbone's layers see a sliding window: sequences are cut at its %zu tokens, up to which it changes nothing",
                  info->window);
}

/* What the manifest says of settings and types, but for what the options say. That it is no setting is damage, not a wrong command. */
static cllm_status read_settings(cllm__run *run, const cllm__run_options *options, cllm_error *err) {
    struct json_object *preset = member(run->manifest, "preset", json_type_string), *settings = member(run->manifest, "settings", json_type_object);
    cllm_status status = cllm__config_from_json(&run->config, preset, settings, err);
    if (status == CLLM_OK && options->dtype == NULL) status = cllm__dtype_parse(cllm__json_string(run->manifest, "dtype"), &run->dtype, err);
    if (status == CLLM_OK && options->dtype == NULL && options->backbone_dtype == NULL) {
        status = cllm__backbone_dtype_parse(cllm__json_string(run->manifest, "backbone_dtype"), run->dtype, &run->backbone_dtype, err);
    }
    if (status != CLLM_ERR_USAGE) return status;
    if (err != NULL) err->status = CLLM_ERR_DATA;
    return CLLM_ERR_DATA;
}

cllm_status cllm__run_open(cllm__run *run, const char *folder, const cllm__run_options *options, cllm_error *err) {
    run->folder = cllm__strdup(folder);
    char *path = cllm__path_join(folder, "run.json");
    if (run->folder == NULL || path == NULL) {
        cllm__free(path);
        return cllm__fail_nomem(err);
    }
    cllm_status status;
    if (!cllm__path_exists(path)) {
        status = cllm__fail(err, CLLM_ERR_NOT_FOUND, "'%s' is no run folder (there is no run.json in it): cllm4rec train makes one", folder);
    } else {
        status = cllm__json_file(path, &run->manifest, err);
    }
    cllm__free(path);
    if (status != CLLM_OK) return status;
    const char *format = cllm__json_string(run->manifest, "format");
    if (format == NULL || strcmp(format, "cllm4rec run 1") != 0) {
        return cllm__fail(err, CLLM_ERR_DATA, "'%s/run.json' is not of this version (format '%s')", folder, format != NULL ? format : "missing");
    }
    if (options->dtype != NULL) CLLM_TRY(cllm__dtype_parse(options->dtype, &run->dtype, err));
    status = read_settings(run, options, err);
    if (status != CLLM_OK) {
        cllm__error_prefix(err, "'%s/run.json'", folder);
        return status;
    }
    if (options->dtype != NULL || options->backbone_dtype != NULL) {
        CLLM_TRY(cllm__backbone_dtype_parse(options->backbone_dtype, run->dtype, &run->backbone_dtype, err));
    }
    if ((options->parts & CLLM__RUN_DATASET) != 0) CLLM_TRY(open_dataset(run, options->dataset, err));
    if ((options->parts & CLLM__RUN_BACKBONE) != 0) CLLM_TRY(open_backbone(run, options, err));
    return CLLM_OK;
}

void cllm__run_free(cllm__run *run) {
    cllm__backbone_close(run->backbone);
    cllm__prompts_free(&run->prompts);
    cllm__tokenizer_close(run->tokenizer);
    cllm__dataset_close(run->dataset);
    json_object_put(run->manifest);
    cllm__free(run->backbone_path);
    cllm__free(run->folder);
    *run = (cllm__run){0};
}

/* ---- The log ---- */

cllm_status cllm__run_epochs(const char *folder, struct json_object **out, cllm_error *err) {
    char *path = cllm__path_join(folder, "log.jsonl"), *text = NULL;
    size_t size = 0, number = 1;
    struct json_object *epochs = json_object_new_array();
    cllm_status status = path == NULL || epochs == NULL ? cllm__fail_nomem(err) : CLLM_OK;
    if (status == CLLM_OK && cllm__path_exists(path)) status = cllm__read_file(path, LOG_LIMIT, &text, &size, err);
    for (char *line = text; status == CLLM_OK && line != NULL && *line != '\0'; number++) {
        char *next = strchr(line, '\n');
        if (next != NULL) *next = '\0';
        struct json_object *object = json_tokener_parse(line);
        if (!json_object_is_type(object, json_type_object)) {
            status = cllm__fail(err, CLLM_ERR_DATA, "%s: line %zu is no JSON object: remove it, or train the run once more", path, number);
            json_object_put(object);
        } else if (strcmp(cllm__json_shown(object, "event"), "epoch") == 0) {
            json_object_array_add(epochs, object);
        } else {
            json_object_put(object);
        }
        line = next == NULL ? NULL : next + 1;
    }
    cllm__free(text);
    cllm__free(path);
    if (status == CLLM_OK) *out = epochs;
    else json_object_put(epochs);
    return status;
}
