/* Attention over ragged sequences: one task for each sequence and key/value head. */
#include "kernels/ops.h"
#include "kernels/ops_table.h"
#include "kernels/scratch.h"

typedef struct attention_run {
    const cllm__ops_table *ops;
    cllm__attention_shape shape;
    const size_t *start, *query_first;
    const cllm__real *qkv, *dout;
    cllm__real *out, *lse, *dqkv;
    cllm__real *scratch;
    size_t scratch_each;
} attention_run;

static void attention_task(void *context, size_t index, int worker) {
    const attention_run *run = context;
    size_t heads = run->shape.heads, kv_heads = run->shape.kv_heads, d = run->shape.d, group = heads / kv_heads;
    size_t s = index / kv_heads, head = index % kv_heads, row = run->start[s], ld = (heads + 2 * kv_heads) * d;
    size_t q = row * ld + head * group * d, k = row * ld + (heads + head) * d, v = k + kv_heads * d;
    cllm__attention_job job = {
        .q = run->qkv + q,
        .k = run->qkv + k,
        .v = run->qkv + v,
        .ld = ld,
        .T = run->start[s + 1] - row,
        .d = d,
        .group = group,
        .first = run->query_first == NULL ? 0 : run->query_first[s] - row,
        .scale = run->shape.scale,
        .out = run->out + row * heads * d + head * group * d,
        .lse = run->lse == NULL ? NULL : run->lse + row * heads + head * group,
        .ld_out = heads * d,
        .ld_lse = heads,
    };
    cllm__real *scratch = run->scratch + (size_t)worker * run->scratch_each;
    if (run->dqkv == NULL) {
        run->ops->attention(&job, scratch);
    } else {
        job.dout = run->dout + row * heads * d + head * group * d;
        job.dq = run->dqkv + q;
        job.dk = run->dqkv + k;
        job.dv = run->dqkv + v;
        run->ops->attention_backward(&job, scratch);
    }
}

static cllm_status run_attention(cllm__pool *pool, attention_run *run, size_t sequences, cllm_error *err) {
    size_t longest = 0;
    CLLM_ASSERT(run->shape.kv_heads > 0 && run->shape.heads % run->shape.kv_heads == 0);
    for (size_t s = 0; s < sequences; s++)
        if (run->start[s + 1] - run->start[s] > longest) longest = run->start[s + 1] - run->start[s];
    if (longest == 0) return CLLM_OK;
    run->ops = cllm__ops();
    run->scratch_each = (run->dqkv == NULL ? run->ops->attention_scratch : run->ops->attention_backward_scratch)(longest, run->shape.d);
    run->scratch_each = (run->scratch_each + 15) / 16 * 16;
    void *scratch;
    CLLM_TRY(cllm__scratch_take(&scratch, run->scratch_each * (size_t)cllm__pool_threads(pool), sizeof(cllm__real), err));
    run->scratch = scratch;
    cllm__pool_run(pool, sequences * run->shape.kv_heads, attention_task, run);
    cllm__scratch_give(scratch);
    return CLLM_OK;
}

cllm_status cllm__attention(cllm__pool *pool, cllm__real *out, cllm__real *lse, const cllm__real *qkv, cllm__attention_shape shape,
                            size_t sequences, const size_t *start, const size_t *query_first, cllm_error *err) {
    attention_run run = {.shape = shape, .start = start, .query_first = query_first, .qkv = qkv, .out = out, .lse = lse};
    return run_attention(pool, &run, sequences, err);
}

cllm_status cllm__attention_backward(cllm__pool *pool, cllm__real *dqkv, const cllm__real *dout, const cllm__real *out,
                                     const cllm__real *lse, const cllm__real *qkv, cllm__attention_shape shape, size_t sequences,
                                     const size_t *start, const size_t *query_first, cllm_error *err) {
    attention_run run = {
        .shape = shape,
        .start = start,
        .query_first = query_first,
        .qkv = qkv,
        .dout = dout,
        .out = (cllm__real *)out, /* only read */
        .lse = (cllm__real *)lse,
        .dqkv = dqkv,
    };
    return run_attention(pool, &run, sequences, err);
}
