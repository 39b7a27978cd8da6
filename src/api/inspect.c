/* The summary of a data set folder or a run folder. */
#include "api/run.h"
#include "base/alloc.h"
#include "base/io.h"

static cllm_status inspect_dataset(const char *folder, char **summary, cllm_error *err) {
    cllm__dataset *dataset;
    CLLM_TRY(cllm__dataset_open(&dataset, folder, false, err));
    cllm_status status = cllm__dataset_summary(dataset, summary, err);
    cllm__dataset_close(dataset);
    return status;
}

static cllm_status inspect_run(const char *folder, char **summary, cllm_error *err) {
    cllm__run run = {0};
    cllm__run_options options = {.parts = CLLM__RUN_MANIFEST};
    cllm_status status = cllm__run_open(&run, folder, &options, err);
    if (status == CLLM_OK) status = cllm__json_to_text(json_object_get(run.manifest), summary, err);
    cllm__run_free(&run);
    return status;
}

cllm_status cllm_inspect(const char *folder, char **summary_json, cllm_error *err) {
    char *run = cllm__path_join(folder, "run.json"), *data = cllm__path_join(folder, "dataset.json");
    cllm_status status;
    if (run == NULL || data == NULL) status = cllm__fail_nomem(err);
    else if (cllm__path_exists(run)) status = inspect_run(folder, summary_json, err);
    else if (cllm__path_exists(data)) status = inspect_dataset(folder, summary_json, err);
    else status = cllm__fail(err, CLLM_ERR_NOT_FOUND, "'%s' is neither a data set (dataset.json) nor a run (run.json)", folder);
    cllm__free(run);
    cllm__free(data);
    return status;
}
