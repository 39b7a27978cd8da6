/*
 * A run folder, as training writes it and everything else reads it. docs/FORMATS.md describes it.
 *
 *     run.json            what the run is: data, backbone, settings, templates, state, result
 *     model.safetensors   the tables (for use); fit.safetensors beside it after --final: those that validation chose
 *     tokenizer/          the vocabulary; backbone/ too if it was made on the spot
 *     checkpoint.safetensors  while it is training
 *     metrics.csv, log.jsonl
 */
#ifndef CLLM_API_RUN_H
#define CLLM_API_RUN_H

#include "api/json.h"
#include "backbone/backbone.h"
#include "data/dataset.h"
#include "text/prompt.h"
#include "train/config.h"

typedef struct cllm__run {
    char *folder;
    struct json_object *manifest; /* run.json */
    cllm__train_config config;    /* resolved: presets, switches, budget */
    cllm__dtype dtype;          /* of products */
    cllm__dtype backbone_dtype; /* of frozen matrices */
    cllm__dataset *dataset;
    cllm__tokenizer *tokenizer;
    cllm__prompts prompts;
    cllm__bos bos;     /* as it was asked for */
    int32_t bos_token; /* what stands before each prompt, or -1 */
    char *backbone_path; /* where it was found */
    cllm__backbone *backbone;
} cllm__run;

typedef enum cllm__run_parts {
    CLLM__RUN_MANIFEST = 0,
    CLLM__RUN_DATASET = 1,
    CLLM__RUN_BACKBONE = 2 /* with tokenizer and templates */
} cllm__run_parts;

typedef struct cllm__run_options {
    unsigned parts;      /* besides the manifest */
    const char *dataset; /* NULL: the path in the manifest */
    const char *backbone; /* the same */
    const char *dtype;   /* NULL: the manifest's */
    const char *backbone_dtype; /* NULL: what dtype says, if it is given, else the manifest's */
    bool training;       /* open the backbone for training */
    bool headless;       /* and without the vocabulary head */
    bool as_trained;     /* hold no more of it than the run's settings have read (train/config.h) */
    cllm__pool *pool;    /* for packing */
} cllm__run_options;

/* `run` is {0} before and freed by the caller in every case. Data and backbone must be those of the run: their hashes are
 * compared (CLLM_ERR_MISMATCH). */
CLLM_CHECK cllm_status cllm__run_open(cllm__run *run, const char *folder, const cllm__run_options *options, cllm_error *err);
void cllm__run_free(cllm__run *run);

/* The variants of templates that the configuration asks for; between cllm__prompts_compile and _begin. */
CLLM_CHECK cllm_status cllm__run_shape_prompts(cllm__run *run, cllm_error *err);
/* Writes run.json atomically. */
CLLM_CHECK cllm_status cllm__run_write_manifest(const char *folder, struct json_object *manifest, cllm_error *err);
/* The lines of log.jsonl that tell of an epoch, as an array; empty if there is no log. The caller puts it. */
CLLM_CHECK cllm_status cllm__run_epochs(const char *folder, struct json_object **epochs, cllm_error *err);
/* "f32" or "bf16"; NULL is f32. */
CLLM_CHECK cllm_status cllm__dtype_parse(const char *name, cllm__dtype *dtype, cllm_error *err);
/* The same or "q8_0"; NULL is `otherwise`. */
CLLM_CHECK cllm_status cllm__backbone_dtype_parse(const char *name, cllm__dtype otherwise, cllm__dtype *dtype, cllm_error *err);
const char *cllm__dtype_name(cllm__dtype dtype);
/* Says what kind of backbone was opened, in which type it is held, and the size of its files beside that in memory. */
void cllm__log_backbone(const cllm_host *host, const cllm__run *run);
/* The configuration's settings as an object of texts, and back (unknown ones are an error). */
struct json_object *cllm__config_to_json(const cllm__train_config *config);
CLLM_CHECK cllm_status cllm__config_from_json(cllm__train_config *config, struct json_object *preset, struct json_object *settings,
                                              cllm_error *err);

#endif
