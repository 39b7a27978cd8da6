/* What a tokenizer is made of; for the files that read, write and train one. */
#ifndef CLLM_TEXT_TOKENIZER_PARTS_H
#define CLLM_TEXT_TOKENIZER_PARTS_H

#include <pthread.h>

#include "text/bpe.h"
#include "text/splitter.h"
#include "text/tokenizer.h"
#include "text/words.h"

enum { CLLM_TOKENIZER_FILE_LIMIT = 256 << 20 };

/* A marker such as "<|endoftext|>". Never looked for in ordinary text. */
typedef struct cllm__added_token {
    char *content;
    size_t length;
    int32_t id;
    bool special;
} cllm__added_token;

/* The space before a text that begins a sequence. */
typedef enum cllm__prefix {
    CLLM_PREFIX_NONE,
    CLLM_PREFIX_UNLESS_SPACE, /* if the text begins with none */
    CLLM_PREFIX_ALWAYS        /* SentencePiece's */
} cllm__prefix;

/* Everything that is read from files. Zeroed, it is empty and may be freed. */
typedef struct cllm__tokenizer_parts {
    cllm__bpe bpe;
    cllm__splitter *splitter;
    cllm__word_rules rules; /* .unknown must be set to CLLM_NO_PIECE */
    bool nfc;               /* texts are brought to NFC first */
    cllm__prefix prefix;
    cllm__added_token *added;
    size_t added_count, added_capacity;
    int32_t bos;  /* the token that begins a sequence, if the file names one, or CLLM_NO_PIECE */
    bool add_bos; /* the file wants it before every text; then there is one */
} cllm__tokenizer_parts;

typedef struct cllm__text_scratch cllm__text_scratch;

struct cllm__tokenizer {
    cllm__tokenizer_parts parts;
    uint64_t hash;
    bool gpt2; /* vocab.json and merges.txt say everything */
    pthread_mutex_t *lock;
    cllm__text_scratch **idle; /* the head of a list, under the lock */
};

void cllm__tokenizer_parts_free(cllm__tokenizer_parts *parts);
/* Makes a splitter of regular expressions that keep matches and gaps. */
CLLM_CHECK cllm_status cllm__tokenizer_parts_split(cllm__tokenizer_parts *parts, const char *const *patterns, size_t count,
                                                   cllm_error *err);
/* Makes GPT-2's splitter and rules. */
CLLM_CHECK cllm_status cllm__tokenizer_parts_gpt2(cllm__tokenizer_parts *parts, cllm_error *err);
/* Takes the parts over, also on failure; *parts is zeroed. */
CLLM_CHECK cllm_status cllm__tokenizer_make(cllm__tokenizer **out, cllm__tokenizer_parts *parts, cllm_error *err);

/* Takes `bos_token` of the folder's tokenizer_config.json, if there is one, as the token that begins a sequence, unless it is known.
 * Whether it is added is for `add_bos_token` to say only where the file `decides`: with vocab.json and merges.txt. A tokenizer.json
 * says so by its post_processor, and then add_bos_token counts for nothing, as in transformers (5). */
CLLM_CHECK cllm_status cllm__tokenizer_read_config(cllm__tokenizer *tokenizer, const char *folder, bool decides, cllm_error *err);

/* `text` as the splitter must see it: well-formed UTF-8 of the same length, in which every byte that is not part of a
 * well-formed sequence is U+0001, a character that is neither letter, digit nor space. *subject is `text` itself if it is
 * well-formed, else *buffer, which grows. */
CLLM_CHECK cllm_status cllm__subject(const char *text, size_t length, char **buffer, size_t *capacity, const char **subject,
                                     cllm_error *err);

#endif
