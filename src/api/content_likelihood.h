/*
 * Is the content path alive? The likelihood of held-out reviews under the content tables, with each review's own user and item
 * tokens, and with tokens dealt to other reviews. The drop from the one to the other is what the tokens carry.
 */
#ifndef CLLM_API_CONTENT_LIKELIHOOD_H
#define CLLM_API_CONTENT_LIKELIHOOD_H

#include "api/model.h"

/* {"split", "reviews", "tokens", "nll": {"true", "shuffled"} per token (natural logarithm), "nll_intervals": 95 % of each over the
 * reviews, "perplexity": {…}, "difference": mean over reviews of shuffled − true per token, "interval": 95 %, "p"}. "reviews" is 0, and nothing else is there, if the split has no
 * review. The object belongs to the caller. */
CLLM_CHECK cllm_status cllm__content_likelihood(struct json_object **out, const struct cllm_model *model, cllm__engine *engine,
                                                cllm__split split, uint64_t seed, cllm__pool *pool, const cllm_host *host, cllm_error *err);

/* −log p per token of the same reviews with prompts that name nobody: the template's words alone. NaN if there is none. */
CLLM_CHECK cllm_status cllm__content_likelihood_absent(double *nll, const struct cllm_model *model, cllm__engine *engine, cllm__split split,
                                                       cllm__pool *pool, const cllm_host *host, cllm_error *err);

#endif
