/* Time of the backbone alone, without any head: forward, and forward with backward to the inputs. */
#ifndef CLLM_API_PASS_BENCH_H
#define CLLM_API_PASS_BENCH_H

#include "api/bench_timing.h"
#include "backbone/backbone.h"

/* 40 sequences of 50 tokens, in groups of about CLLM__GROUP_ROWS rows as in training, all states read. bench/peer_llama.py
 * runs the same. */
enum { CLLM__PASS_SEQUENCES = 40, CLLM__PASS_LENGTH = 50 };

typedef struct cllm__pass_time {
    cllm__timed timed;
    double flops;
    size_t tokens, sequences;
} cllm__pass_time;

/* `backward` needs a backbone that was opened for training. `peaks` as in cllm__timing. CLLM_ERR_MISMATCH if the backbone's
 * context is too short. */
CLLM_CHECK cllm_status cllm__bench_pass(cllm__pass_time *out, const cllm__backbone *backbone, bool backward,
                                        cllm__pool *pool, const cllm__bench_peaks *peaks, int repeats,
                                        const cllm_host *host, cllm_error *err);

#endif
