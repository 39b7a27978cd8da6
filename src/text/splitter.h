/*
 * The pre-tokeniser: cuts text into words by regular expressions, one step after another. A step sees each piece that the
 * step before it made as a text of its own, so that a look-ahead ends where the piece ends.
 *
 * Patterns are written as tokenizer.json has them (Oniguruma) and run by PCRE2 with its compiler; `\s` and `\S` are taken
 * as \p{White_Space}, because PCRE2's own \s holds U+180E, which is no white space since Unicode 6.3.
 *
 * What is a letter, a digit or white space is for PCRE2's tables to say: those of 10.40 to 10.42 (Debian 12) are Unicode 14's. A letter that
 * came later is to them no letter, so that words of it are cut otherwise than by programs with newer tables.
 */
#ifndef CLLM_TEXT_SPLITTER_H
#define CLLM_TEXT_SPLITTER_H

#include "base/status.h"

/* GPT-2's pattern. */
extern const char cllm__gpt2_pattern[];

typedef struct cllm__split_step {
    char *pattern; /* NUL-terminated */
    bool literal;  /* the pattern is a plain string */
    bool keep_matches, keep_gaps;
} cllm__split_step;

enum { CLLM_SPLIT_STEPS = 16 };

typedef struct cllm__splitter cllm__splitter; /* immutable, shared by threads */

/* Copies the steps; none at all leaves texts whole. A pattern that cannot be compiled is CLLM_ERR_DATA. */
CLLM_CHECK cllm_status cllm__splitter_create(cllm__splitter **out, const cllm__split_step *steps, size_t count,
                                             cllm_error *err);
void cllm__splitter_free(cllm__splitter *splitter);
size_t cllm__splitter_steps(const cllm__splitter *splitter);
const cllm__split_step *cllm__splitter_step(const cllm__splitter *splitter, size_t index);

/* A walk over one text's words; may be begun again and again, belongs to one thread. */
typedef struct cllm__split_walk cllm__split_walk;
CLLM_CHECK cllm_status cllm__split_walk_create(cllm__split_walk **out, const cllm__splitter *splitter, cllm_error *err);
void cllm__split_walk_free(cllm__split_walk *walk);
/* `text` must be well-formed UTF-8 and is borrowed until the walk ends. */
void cllm__split_walk_begin(cllm__split_walk *walk, const char *text, size_t length);
/* The next word is text[*begin … *end), never empty; *begin = *end after the last. CLLM_ERR_DATA if a pattern needs too
 * much time or memory on this text. */
CLLM_CHECK cllm_status cllm__split_walk_next(cllm__split_walk *walk, size_t *begin, size_t *end, cllm_error *err);

#endif
