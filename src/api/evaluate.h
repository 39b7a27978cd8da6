/* Evaluation for callers that need more of it than its report. */
#ifndef CLLM_API_EVALUATE_H
#define CLLM_API_EVALUATE_H

#include <cllm4rec/cllm4rec.h>
#include "eval/evaluate.h"

struct json_object;

/* As cllm_evaluate(). Both results belong to the caller; cllm__evaluation_free(). */
CLLM_CHECK cllm_status cllm__evaluate_run(const cllm_evaluate_options *options, struct json_object **report, cllm__evaluation **evaluation,
                                          cllm_error *err);

#endif
