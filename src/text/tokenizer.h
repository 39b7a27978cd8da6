/*
 * Byte-level BPE, as GPT-2 has it: text is split into words by a pattern, the bytes of each word are merged in the order
 * of the merge list. And BPE on characters, as SentencePiece and LLaMA 2 have it: spaces become U+2581, characters that are no
 * piece fall back to their bytes. Token for token equal to Hugging Face's tokenizers on valid UTF-8 of characters that PCRE2's tables
 * have (text/splitter.h).
 *
 * User and item tokens are not made here: whatever a text contains, its ids are below cllm__tokenizer_size(), and
 * markers such as "<|endoftext|>" or "item_12" in it are ordinary characters. See text/prompt.h for templates.
 *
 * Invalid UTF-8: a byte that is not part of a well-formed sequence (RFC 3629: no overlong forms, no surrogates, nothing
 * above U+10FFFF) is one character of its own that is neither letter, digit nor space. So "\xff\xfe" is one word of two
 * characters, and every byte finds its own byte-level piece. NUL is an ordinary character.
 */
#ifndef CLLM_TEXT_TOKENIZER_H
#define CLLM_TEXT_TOKENIZER_H

#include "base/status.h"
#include "formats/gguf.h"

/* Immutable once opened, and shared by threads: scratch memory is kept inside, one set per thread that encodes at the
 * same time. */
typedef struct cllm__tokenizer cllm__tokenizer;

/* A growing list of token ids; {0} is empty. */
typedef struct cllm__tokens {
    int32_t *ids;
    size_t count, capacity;
} cllm__tokens;

void cllm__tokens_free(cllm__tokens *tokens);
CLLM_CHECK cllm_status cllm__tokens_add(cllm__tokens *tokens, const int32_t *ids, size_t count, cllm_error *err);

/* `path` is a folder that holds tokenizer.json, or vocab.json and merges.txt (the former wins), or a tokenizer.json
 * itself, or a GGUF file (recognised by its first bytes). Refused with a message that names file and line or piece: no such file, not JSON, an id given twice or left
 * out, a merge of unknown pieces or with an unknown result, a file too large (more than 256 MiB). */
CLLM_CHECK cllm_status cllm__tokenizer_open(cllm__tokenizer **out, const char *path, cllm_error *err);
/* The same from memory; `name` stands in messages. */
CLLM_CHECK cllm_status cllm__tokenizer_from_json(cllm__tokenizer **out, const char *json, size_t size, const char *name,
                                                 cllm_error *err);
CLLM_CHECK cllm_status cllm__tokenizer_from_vocab(cllm__tokenizer **out, const char *vocab, size_t vocab_size,
                                                  const char *merges, size_t merges_size, const char *vocab_name,
                                                  const char *merges_name, cllm_error *err);
/* From the metadata of a GGUF file, which is not needed afterwards: tokenizer.ggml.model = gpt2 or llama. Unused tokens at the end
 * are no pieces, they name spare rows of the embedding. */
CLLM_CHECK cllm_status cllm__tokenizer_from_gguf(cllm__tokenizer **out, const cllm__gguf *file, cllm_error *err);
void cllm__tokenizer_close(cllm__tokenizer *tokenizer);

/* Number of pieces; ids are 0 … size − 1. The backbone may have more embedding rows. */
size_t cllm__tokenizer_size(const cllm__tokenizer *tokenizer);
/* Of everything that decides how text is cut: equal tokenizers have equal hashes, whatever files they came from. */
uint64_t cllm__tokenizer_hash(const cllm__tokenizer *tokenizer);
/* Byte values for which the vocabulary has no piece; such bytes are left out when encoding. 0 for GPT-2. */
size_t cllm__tokenizer_missing_bytes(const cllm__tokenizer *tokenizer);

/* The token that the file wants before every text, -1 if there is none, as for GPT-2. Never added by _encode. */
int32_t cllm__tokenizer_bos(const cllm__tokenizer *tokenizer);
/* What stands before every prompt: what the file wants, the file's (or a usual) token in any case, nothing. */
typedef enum cllm__bos { CLLM_BOS_AUTO, CLLM_BOS_ON, CLLM_BOS_OFF } cllm__bos;
/* "auto" (also NULL), "on" or "off"; anything else is CLLM_ERR_USAGE. */
CLLM_CHECK cllm_status cllm__bos_parse(const char *text, cllm__bos *bos, cllm_error *err);
const char *cllm__bos_name(cllm__bos bos);
/* The token, or -1 for none. CLLM_ERR_USAGE if it is to be there and the tokenizer has none. */
CLLM_CHECK cllm_status cllm__tokenizer_choose_bos(const cllm__tokenizer *tokenizer, cllm__bos bos, int32_t *id,
                                                  cllm_error *err);
/* The id of a piece as the vocabulary writes it ("<|endoftext|>", "\u0120the"), -1 if there is none. */
int32_t cllm__tokenizer_find(const cllm__tokenizer *tokenizer, const char *written);

/* Appends the ids of text[0 … length). On failure the list keeps its length. Thread-safe. Time is O(length log word
 * length), also for one word of many megabytes. */
CLLM_CHECK cllm_status cllm__tokenizer_encode(const cllm__tokenizer *tokenizer, const char *text, size_t length,
                                              cllm__tokens *append_to, cllm_error *err);
/* The same for text inside a sequence: without the space that some vocabularies put before a text. */
CLLM_CHECK cllm_status cllm__tokenizer_encode_inner(const cllm__tokenizer *tokenizer, const char *text, size_t length,
                                                    cllm__tokens *append_to, cllm_error *err);
/* The main text of a training document: at most `max_tokens` ids (SIZE_MAX = all; work stops when they are found), and
 * with `leading_space` as if a space stood before a text that begins with none and is not empty (the method's default is
 * without). */
CLLM_CHECK cllm_status cllm__tokenizer_encode_main(const cllm__tokenizer *tokenizer, const char *text, size_t length,
                                                   bool leading_space, size_t max_tokens, cllm__tokens *append_to,
                                                   cllm_error *err);

/* The bytes that the ids stand for (not always valid UTF-8), with a NUL after them that `length` does not count; the
 * caller frees with cllm__free. An id that is no piece, such as a user's, is CLLM_ERR_DATA. */
CLLM_CHECK cllm_status cllm__tokenizer_decode(const cllm__tokenizer *tokenizer, const int32_t *ids, size_t count,
                                              char **text, size_t *length, cllm_error *err);
/* One piece's bytes, NUL-terminated besides, borrowed from the tokenizer; NULL if there is no such id. */
const char *cllm__tokenizer_piece(const cllm__tokenizer *tokenizer, int32_t id, size_t *length);

/* Writes files into an existing folder from which _open makes an equal tokenizer: vocab.json and merges.txt where these
 * say everything, else tokenizer.json. Each file appears whole or not at all. */
CLLM_CHECK cllm_status cllm__tokenizer_save(const cllm__tokenizer *tokenizer, const char *folder, cllm_error *err);

#endif
