/* User and item vectors for other programs: one .npz, or a folder of TSV files. */
#include <stdio.h>
#include <string.h>

#include "api/model.h"
#include "base/alloc.h"
#include "base/io.h"
#include "data/dataset_escape.h"
#include "formats/npz.h"

/* One table of vectors under the name that both formats give it. */
typedef struct exported {
    const char *name;
    const cllm__real *values;
    bool users; /* else items */
} exported;

enum { TABLES = 4 };

static void list_tables(const cllm_model *model, exported tables[TABLES]) {
    tables[0] = (exported){"users_collab", model->collab.users, true};
    tables[1] = (exported){"items_collab", model->collab.items, false};
    tables[2] = (exported){"users_content", model->content.users, true};
    tables[3] = (exported){"items_content", model->content.items, false};
}

static size_t rows_of(const cllm_model *model, bool users) {
    return users ? model->collab.n_users : model->collab.n_items;
}

static const char *id_of(const cllm_model *model, bool users, size_t row) {
    return users ? cllm_model_user_id(model, row) : cllm_model_item_id(model, row);
}

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static cllm_status list_ids(const cllm_model *model, bool users, const char ***ids, cllm_error *err) {
    size_t n = rows_of(model, users);
    CLLM_TRY(CLLM_NEW(*ids, n + 1, err));
    for (size_t i = 0; i < n; i++) (*ids)[i] = id_of(model, users, i);
    return CLLM_OK;
}

static cllm_status export_npz(const cllm_model *model, const char *path, cllm_error *err) {
    exported tables[TABLES];
    cllm__npz_entry entries[TABLES + 2];
    const char **users = NULL, **items = NULL;
    cllm_status status;
    CLLM_TRY_CLEAN(list_ids(model, true, &users, err));
    CLLM_TRY_CLEAN(list_ids(model, false, &items, err));
    list_tables(model, tables);
    for (size_t i = 0; i < TABLES; i++) {
        entries[i] = (cllm__npz_entry){.name = tables[i].name, .type = CLLM_NPY_F32, .rank = 2,
                                       .shape = {rows_of(model, tables[i].users), model->collab.width}, .data = tables[i].values};
    }
    entries[TABLES] = (cllm__npz_entry){.name = "user_ids", .type = CLLM_NPY_UNICODE, .rank = 1, .shape = {model->collab.n_users}, .data = users};
    entries[TABLES + 1] = (cllm__npz_entry){.name = "item_ids", .type = CLLM_NPY_UNICODE, .rank = 1, .shape = {model->collab.n_items}, .data = items};
    status = cllm__npz_write(path, entries, CLLM_LEN(entries), err);
cleanup:
    cllm__free(users);
    cllm__free(items);
    return status;
}

static cllm_status write_row(cllm__out *out, const char *id, const cllm__real *values, size_t width, cllm_error *err) {
    CLLM_TRY(cllm__escape_write(out, id, strlen(id), err));
    for (size_t i = 0; i < width; i++) CLLM_TRY(cllm__out_printf(out, err, "\t%.9g", (double)values[i]));
    return cllm__out_write(out, "\n", 1, err);
}

static cllm_status write_table(const cllm_model *model, const char *folder, const exported *table, cllm_error *err) {
    char name[32];
    size_t width = model->collab.width;
    int n = snprintf(name, sizeof name, "%s.tsv", table->name);
    CLLM_ASSERT(n > 0 && (size_t)n < sizeof name);
    (void)n;
    char *path = cllm__path_join(folder, name);
    if (path == NULL) return cllm__fail_nomem(err);
    cllm__out *out = NULL;
    cllm_status status = cllm__out_create(&out, path, err);
    cllm__free(path);
    for (size_t i = 0; i < rows_of(model, table->users) && status == CLLM_OK; i++) {
        status = write_row(out, id_of(model, table->users, i), table->values + i * width, width, err);
    }
    if (status == CLLM_OK) return cllm__out_commit(out, err);
    cllm__out_abort(out);
    return status;
}

static cllm_status export_folder(const cllm_model *model, const char *path, bool force, cllm_error *err) {
    exported tables[TABLES];
    char *temporary;
    CLLM_TRY(cllm__folder_begin(path, force, "items_collab.tsv", &temporary, err));
    list_tables(model, tables);
    cllm_status status = CLLM_OK;
    for (size_t i = 0; i < TABLES && status == CLLM_OK; i++) status = write_table(model, temporary, &tables[i], err);
    if (status == CLLM_OK) status = cllm__folder_commit(temporary, path, err);
    if (status != CLLM_OK) cllm__remove_tree(temporary);
    cllm__free(temporary);
    return status;
}

cllm_status cllm_export(const cllm_model *model, const char *path, bool force, cllm_error *err) {
    if (!ends_with(path, ".npz")) return export_folder(model, path, force, err);
    CLLM_TRY(cllm__file_check_kind(path, force, "PK\3\4", "users_collab.npy", err)); /* an archive, and what it holds first */
    return export_npz(model, path, err);
}
