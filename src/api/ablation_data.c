/* What the arms of a study are trained on: data sets and backbones, made in the study's folder where none are given. */
#include <stdio.h>
#include <string.h>

#include "api/ablation_state.h"
#include "api/default_backbone.h"
#include "base/alloc.h"
#include "base/io.h"

/* Users and items of the shops: the demo's, smaller at smoke scale; and one of few rows an item. */
typedef struct shop {
    const char *name;
    size_t users, items;
} shop;
static const shop SHOPS[2] = {{"shop", 500, 300}, {"sparse shop", 300, 500}}, SMOKE_SHOPS[2] = {{"shop", 120, 60}, {"sparse shop", 80, 90}};

static cllm_status make_shop(const cllm__ablation *a, const shop *what, const char *path, cllm_error *err) {
    char *raw = cllm__ablation_path(a, "shop.tmp-files"), *reviews = raw == NULL ? NULL : cllm__path_join(raw, "reviews.jsonl");
    char *items = raw == NULL ? NULL : cllm__path_join(raw, "items.tsv"), *users = raw == NULL ? NULL : cllm__path_join(raw, "users.tsv");
    cllm_status status = reviews == NULL || items == NULL || users == NULL ? cllm__fail_nomem(err) : CLLM_OK;
    if (status != CLLM_OK) goto cleanup;
    cllm__remove_tree(raw);
    CLLM_TRY_CLEAN(cllm_demo_shop(raw, what->users, what->items, 1, err));
    cllm_prepare_options prepare;
    cllm_prepare_options_init(&prepare);
    const char *inputs[] = {reviews};
    prepare.inputs = inputs;
    prepare.n_inputs = 1;
    prepare.items = items;
    prepare.users = users;
    prepare.output = path;
    prepare.has_min_rating = true;
    prepare.min_rating = 4;
    prepare.seed = 1;
    prepare.host = cllm__part_host((cllm__part *)&a->part);
    status = cllm_prepare(&prepare, NULL, err);
cleanup:
    if (raw != NULL) cllm__remove_tree(raw);
    cllm__free(raw);
    cllm__free(reviews);
    cllm__free(items);
    cllm__free(users);
    return status;
}

static cllm_status add_shops(cllm__ablation *a, cllm_error *err) {
    for (size_t i = 0; i < a->study->n_shops; i++) {
        const shop *what = a->scale == CLLM__SCALE_SMOKE ? &SMOKE_SHOPS[i] : &SHOPS[i];
        char name[32];
        snprintf(name, sizeof name, "data/%zu", i + 1);
        char *parent = cllm__ablation_path(a, "data"), *path = cllm__ablation_path(a, name);
        cllm_status status = parent == NULL || path == NULL ? cllm__fail_nomem(err) : cllm__make_folders(parent, err);
        if (status == CLLM_OK && !cllm__path_exists(path)) status = make_shop(a, what, path, err);
        cllm__free(parent);
        a->data[a->n_data++] = (cllm__ablation_data){.name = what->name, .path = path};
        CLLM_TRY(status);
    }
    return CLLM_OK;
}

static const char *last_part(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

static cllm_status add_given(cllm__ablation *a, struct json_object *given, cllm_error *err) {
    size_t n = json_object_array_length(given);
    for (size_t i = 0; i < n; i++) {
        const char *path = json_object_get_string(json_object_array_get_idx(given, i)), *name = last_part(path);
        for (size_t j = 0; j < n; j++) {
            const char *other = json_object_get_string(json_object_array_get_idx(given, j));
            if (j != i && strcmp(last_part(other), last_part(path)) == 0) name = path;
        }
        a->data[a->n_data++] = (cllm__ablation_data){.name = name, .path = cllm__strdup(path)};
        if (a->data[i].path == NULL) return cllm__fail_nomem(err);
    }
    return CLLM_OK;
}

/* The backbone that training would make itself, but one for all arms and seeds: what differs between them is what is asked about. */
static cllm_status make_backbone(const cllm__ablation *a, size_t data, const char *folder, cllm_error *err) {
    cllm_host host = cllm__part_host((cllm__part *)&a->part);
    char *temporary, *made = NULL, *small = NULL;
    cllm__dataset *dataset = NULL;
    CLLM_TRY(cllm__folder_begin(folder, true, NULL, &temporary, err));
    cllm_status status;
    CLLM_TRY_CLEAN(cllm__dataset_open(&dataset, a->data[data].path, false, err));
    made = cllm__path_join(temporary, "model");
    if (made == NULL) CLLM_TRY_CLEAN(cllm__fail_nomem(err));
    CLLM_TRY_CLEAN(cllm__default_backbone(made, dataset, 1, &host, err));
    if (a->scale == CLLM__SCALE_SMOKE) { /* its words, in a smaller model */
        small = cllm__path_join(temporary, "small");
        if (small == NULL) CLLM_TRY_CLEAN(cllm__fail_nomem(err));
        CLLM_TRY_CLEAN(cllm_backbone_init(small, (cllm_backbone_shape){.layers = 2, .heads = 2, .width = 32, .context = 256}, made, 1, false, err));
        CLLM_TRY_CLEAN(cllm__folder_commit(small, made, err));
    }
    CLLM_TRY_CLEAN(cllm__folder_commit(temporary, folder, err));
cleanup:
    if (status != CLLM_OK) cllm__remove_tree(temporary);
    cllm__dataset_close(dataset);
    cllm__free(temporary);
    cllm__free(made);
    cllm__free(small);
    return status;
}

static cllm_status open_backbone(cllm__ablation *a, size_t data, cllm_error *err) {
    if (a->options.backbone != NULL) {
        a->data[data].backbone = cllm__strdup(a->options.backbone);
        return a->data[data].backbone == NULL ? cllm__fail_nomem(err) : CLLM_OK;
    }
    char name[32], model[48];
    snprintf(name, sizeof name, "backbones/%zu", data + 1);
    snprintf(model, sizeof model, "%s/model", name);
    char *parent = cllm__ablation_path(a, "backbones"), *folder = cllm__ablation_path(a, name);
    a->data[data].backbone = cllm__ablation_path(a, model);
    cllm_status status = parent == NULL || folder == NULL || a->data[data].backbone == NULL ? cllm__fail_nomem(err) : cllm__make_folders(parent, err);
    if (status == CLLM_OK && !cllm__path_exists(folder)) status = make_backbone(a, data, folder, err);
    cllm__free(parent);
    cllm__free(folder);
    return status;
}

cllm_status cllm__ablation_open_data(cllm__ablation *a, cllm_error *err) {
    struct json_object *given = cllm__json_at(a->state, "datasets");
    snprintf(a->part.label, sizeof a->part.label, "data");
    CLLM_TRY(json_object_array_length(given) > 0 ? add_given(a, given, err) : add_shops(a, err));
    for (size_t i = 0; i < a->n_data; i++) CLLM_TRY(open_backbone(a, i, err));
    return CLLM_OK;
}
