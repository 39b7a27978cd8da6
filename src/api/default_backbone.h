/*
 * The backbone for data that comes without one: a byte-level BPE vocabulary learnt from the data's own training texts, and a
 * small GPT-2 with seeded random weights, whose vocabulary head knows how frequent each piece is.
 */
#ifndef CLLM_API_DEFAULT_BACKBONE_H
#define CLLM_API_DEFAULT_BACKBONE_H

#include "data/dataset.h"

/* 2 layers of width 128 with 4 heads, 2,048 pieces at most, 1,024 positions. Makes `folder`, which must not exist, as a Hugging
 * Face folder with its tokenizer, and says so through the host. */
CLLM_CHECK cllm_status cllm__default_backbone(const char *folder, const cllm__dataset *dataset, uint64_t seed, const cllm_host *host,
                                              cllm_error *err);

#endif
