/*
 * A BPE vocabulary: pieces, and merges in the order in which they are made. It is put together piece by piece by those who
 * read files or train, checked as a whole, and immutable afterwards.
 *
 * Pieces are written in one of two ways. Byte-level (GPT-2): in letters that stand for bytes, text/letters.h. In characters
 * (SentencePiece): as the text itself with U+2581 for a space; and, with byte_fallback, <0x00> to <0xFF> for the bytes of
 * characters that have no piece.
 */
#ifndef CLLM_TEXT_BPE_H
#define CLLM_TEXT_BPE_H

#include "base/names.h"
#include "base/status.h"

enum { CLLM_NO_PIECE = -1 };
#define CLLM_SPACE_LETTER "\xE2\x96\x81" /* U+2581, a space in pieces that are written in characters */
#define CLLM_NO_RANK UINT32_MAX

/* What a pair of neighbours becomes. */
typedef struct cllm__merge {
    uint32_t rank; /* lower ranks are merged first; CLLM_NO_RANK = the pair is not merged */
    int32_t id;
} cllm__merge;

typedef struct cllm__merge_slot {
    uint64_t pair; /* left id << 32 | right id; UINT64_MAX = empty */
    cllm__merge merge;
} cllm__merge_slot;

typedef struct cllm__bpe {
    size_t count;            /* pieces */
    bool characters, byte_fallback;
    char *bytes;             /* piece i: bytes[start[i] … start[i + 1] − 1), with a NUL after each */
    size_t *start;           /* count + 1 */
    int32_t byte_id[256];    /* the piece of one byte, or CLLM_NO_PIECE */
    int32_t ascii_id[128];   /* in characters: the piece of one character */
    cllm__names *letters;    /* the pieces as files write them, markers last */
    size_t text_count;       /* how many of `letters` are no markers */
    int32_t *id_of_letters;  /* by index in `letters` */
    int32_t *letters_of_id;  /* index in `letters` by id */
    cllm__merge_slot *slots; /* open addressing */
    size_t slot_mask;
    int32_t (*merges)[2]; /* left and right, by rank; a pair given twice counts where it stood last */
    uint32_t *ranks;      /* of merges: ascending from 0 without gaps; of equal ranks the leftmost pair is merged first */
    size_t merge_count;
} cllm__bpe;

/* The merge of two neighbours; rank CLLM_NO_RANK if they are not merged. */
static inline cllm__merge cllm__bpe_merge(const cllm__bpe *bpe, int32_t left, int32_t right) {
    uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    uint64_t mixed = pair * UINT64_C(0x9E3779B97F4A7C15);
    for (size_t slot = (size_t)(mixed >> 32) & bpe->slot_mask;; slot = (slot + 1) & bpe->slot_mask) {
        const cllm__merge_slot *s = &bpe->slots[slot];
        if (s->pair == pair || s->pair == UINT64_MAX) return s->merge;
    }
}

/* In characters: the piece that is this one character, or CLLM_NO_PIECE. */
int32_t cllm__bpe_character(const cllm__bpe *bpe, const char *character, size_t length);
/* Byte-level: the piece, no marker, that is these bytes, or CLLM_NO_PIECE. `scratch` has room for 2 × length bytes. */
int32_t cllm__bpe_find(const cllm__bpe *bpe, const char *bytes, size_t length, char *scratch);
/* A piece as files write it. */
const char *cllm__bpe_letters(const cllm__bpe *bpe, int32_t id);
void cllm__bpe_free(cllm__bpe *bpe);

/* ---- Putting one together ---- */
typedef struct cllm__bpe_builder cllm__bpe_builder;

CLLM_CHECK cllm_status cllm__bpe_builder_create(cllm__bpe_builder **out, cllm_error *err);
void cllm__bpe_builder_free(cllm__bpe_builder *builder);
/* Pieces are written in characters, not byte-level. Before anything is added. */
void cllm__bpe_builder_characters(cllm__bpe_builder *builder, bool byte_fallback);
/* Whether there is a piece written so. */
bool cllm__bpe_builder_has(const cllm__bpe_builder *builder, const char *letters, size_t length);
/* A piece in letters (text/letters.h), not empty, without NUL. One that has other characters stands for its own UTF-8
 * bytes and is never made from text. A piece that was added before with another id is CLLM_ERR_DATA. */
CLLM_CHECK cllm_status cllm__bpe_builder_piece(cllm__bpe_builder *builder, const char *letters, size_t length, int32_t id,
                                               cllm_error *err);
/* The next merge, after all pieces: both parts and what they make must be pieces. */
CLLM_CHECK cllm_status cllm__bpe_builder_merge(cllm__bpe_builder *builder, const char *left, size_t left_length,
                                               const char *right, size_t right_length, cllm_error *err);
/* Gives the last merge the rank of the one before it, which there is. */
void cllm__bpe_builder_share_rank(cllm__bpe_builder *builder);
/* After all merges: a piece that text is never cut into, such as "<|im_end|>". One that is a piece already keeps its id,
 * which must be the same. */
CLLM_CHECK cllm_status cllm__bpe_builder_marker(cllm__bpe_builder *builder, const char *content, size_t length, int32_t id,
                                                cllm_error *err);
/* Fills *bpe (to be freed) if ids are 0 … n − 1, each once. The builder is used up. */
CLLM_CHECK cllm_status cllm__bpe_builder_finish(cllm__bpe_builder *builder, cllm__bpe *bpe, cllm_error *err);

/* At most 40 characters of `text`, control characters and broken UTF-8 as '?', for messages. */
typedef struct cllm__shown {
    char text[168];
} cllm__shown;
cllm__shown cllm__show(const char *text, size_t length);

#endif
