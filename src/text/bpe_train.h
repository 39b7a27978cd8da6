/*
 * Training of a byte-level BPE vocabulary on texts. Merges and ids equal those of Hugging Face's BpeTrainer with the
 * ByteLevel pre-tokeniser (no prefix space) and its 256-byte initial alphabet, without special tokens: ids 0 … 255 are the
 * bytes in the order of their code points, then one id for each merge that makes a new piece.
 *
 * Texts are fed one after another; only the table of distinct words and their counts is kept.
 */
#ifndef CLLM_TEXT_BPE_TRAIN_H
#define CLLM_TEXT_BPE_TRAIN_H

#include "base/status.h"
#include "text/tokenizer.h"

typedef struct cllm__bpe_trainer cllm__bpe_trainer; /* belongs to one thread */

CLLM_CHECK cllm_status cllm__bpe_trainer_create(cllm__bpe_trainer **out, cllm_error *err);
void cllm__bpe_trainer_free(cllm__bpe_trainer *trainer);
/* Counts the words of one text. */
CLLM_CHECK cllm_status cllm__bpe_trainer_feed(cllm__bpe_trainer *trainer, const char *text, size_t length, cllm_error *err);
/* Makes the vocabulary: at most `vocab_size` pieces (at least 256), merging pairs that occur at least `min_frequency`
 * times (0 and 1 are the same). Fewer pieces result when the texts are small. The trainer may be fed and run again.
 * Write it out with cllm__tokenizer_save(). `host` may be NULL. */
CLLM_CHECK cllm_status cllm__bpe_trainer_run(cllm__bpe_trainer *trainer, size_t vocab_size, uint64_t min_frequency,
                                             const cllm_host *host, cllm__tokenizer **out, cllm_error *err);

#endif
