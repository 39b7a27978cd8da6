/*
 * Templates: the only place where user and item tokens are made.
 *
 * In a template `user_{i}` stands for the user's token, `item_{j}` for the item's, `{items}` for a list of item tokens:
 *
 *     user_{i} has interacted with {items}, user_{i} will interact with
 *
 * It is cut at these, each piece between is stripped of white space on its right and dropped if empty, and the rest is
 * ordinary text for the tokenizer (paper.md 1.4). The space that some vocabularies put before a text stands before a template
 * that begins with text, and nowhere else in it. Ids: user u is vocab_rows + u, item v is vocab_rows + n_users + v, where
 * vocab_rows counts the backbone's embedding rows, which may be more than the tokenizer's pieces.
 */
#ifndef CLLM_TEXT_PROMPT_H
#define CLLM_TEXT_PROMPT_H

#include "base/status.h"
#include "text/numbers.h"
#include "text/tokenizer.h"

struct json_object;

/* How user and item numbers become token ids. vocab_rows + n_users + n_items ≤ INT32_MAX. */
typedef struct cllm__id_space {
    int32_t vocab_rows, n_users, n_items;
} cllm__id_space;

/* CLLM_ERR_MISMATCH if the tokenizer has more pieces than there are rows, CLLM_ERR_DATA if ids would not fit. */
CLLM_CHECK cllm_status cllm__id_space_check(const cllm__id_space *space, const cllm__tokenizer *tokenizer, cllm_error *err);

/* What stands in a pattern: a token id ≥ 0, or one of these. */
enum { CLLM_SLOT_USER = -1, CLLM_SLOT_ITEM = -2, CLLM_SLOT_ITEMS = -3 };

/* A compiled template; immutable, shared by threads. */
typedef struct cllm__prompt {
    char *text;                     /* as it was given */
    int32_t *pattern;               /* ids and slots */
    size_t length;                  /* of pattern, including slots */
    size_t users, items_one, lists; /* number of USER, ITEM and ITEMS slots; lists ≤ 1 */
    cllm__tokens join;              /* stands between two items of a list; empty as compiled */
    const cllm__numbers *spelled;   /* borrowed: a list writes its items as these, in words; NULL, as compiled: by their tokens */
} cllm__prompt;

CLLM_CHECK cllm_status cllm__prompt_compile(cllm__prompt *prompt, const cllm__tokenizer *tokenizer, const char *text,
                                            cllm_error *err);
void cllm__prompt_free(cllm__prompt *prompt);

/* What fills the slots. user < 0: user slots are left out (a visitor without a token). `items` is in the order of the
 * prompt; where the whole would exceed max_tokens, items are dropped from the front of the list, never the text after
 * it. */
typedef struct cllm__prompt_fill {
    int32_t user, item;   /* 0-based numbers, not token ids */
    const int32_t *items; /* may be NULL if there are none */
    size_t n_items;
    size_t max_tokens; /* of the rendered prompt; 0 = no limit */
} cllm__prompt_fill;

/* Appends the prompt's ids; `dropped` (may be NULL) receives the number of list items that did not fit. Fails
 * (CLLM_ERR_DATA) for a number out of range and for a limit that is too small even without the list. On failure the list
 * keeps its length. */
CLLM_CHECK cllm_status cllm__prompt_render(const cllm__prompt *prompt, const cllm__id_space *space,
                                           const cllm__prompt_fill *fill, cllm__tokens *append_to, size_t *dropped,
                                           cllm_error *err);

/* A list of items as a prompt writes it, with what joins them: how many of the last fit in `room` tokens, how many tokens it takes, and
 * its tokens, those of items from first_item on; returns the end of what was written to `out`. Spelled items must be in range. */
size_t cllm__prompt_list_fit(const cllm__prompt *prompt, const int32_t *items, size_t n, size_t room);
size_t cllm__prompt_list_length(const cllm__prompt *prompt, const int32_t *items, size_t n);
int32_t *cllm__prompt_list(const cllm__prompt *prompt, int32_t first_item, const int32_t *items, size_t n, int32_t *out);

/* A template with concrete numbers ("Hello, user_1!"): user_12 and item_3 become tokens where 0 ≤ number < count, in plain
 * decimal without leading zeros; anything else stays text (paper.md 1.4, the authors' algorithm). */
CLLM_CHECK cllm_status cllm__prompt_encode_concrete(const cllm__tokenizer *tokenizer, const cllm__id_space *space,
                                                    const char *text, size_t length, cllm__tokens *append_to,
                                                    cllm_error *err);

/* ---- The set that a run uses ---- */

/* name, default text, slots that must be there, other slots that may: U user, I item, L list */
#define CLLM_PROMPT_LIST(X) \
    X(collab, "user_{i} has interacted with", "U", "") \
    X(review, "user_{i} wrote the following review for item_{j}:", "UI", "") \
    X(title, "The title of item_{j} is:", "I", "") \
    X(brand, "The brand of item_{j} is:", "I", "") \
    X(categories, "The categories of item_{j} are:", "I", "") \
    X(description, "The description of item_{j} is:", "I", "") \
    X(biography, "The biography of user_{i} is:", "U", "") \
    X(rec, "user_{i} has interacted with {items}, user_{i} will interact with", "L", "U")

typedef struct cllm__prompts {
#define CLLM_PROMPT_MEMBER(name, text, must, may) cllm__prompt name;
    CLLM_PROMPT_LIST(CLLM_PROMPT_MEMBER)
#undef CLLM_PROMPT_MEMBER
    cllm__numbers *numbers; /* of items that lists spell; else NULL */
} cllm__prompts;

/* A default template by its name. */
const char *cllm__prompt_default(const char *name);

/* The defaults, replaced by what `overrides` has: a JSON object of strings under the names above ("rec": "…"), or NULL.
 * An unknown name, a value that is no string, a template without the slot it needs: CLLM_ERR_DATA, naming it. */
CLLM_CHECK cllm_status cllm__prompts_compile(cllm__prompts *prompts, const cllm__tokenizer *tokenizer,
                                             struct json_object *overrides, cllm_error *err);
/* Variants of the templates collab and rec, for experiments. */
typedef enum cllm__hard_words { CLLM__HARD_WORDS_TEMPLATE, CLLM__HARD_WORDS_NONE, CLLM__HARD_WORDS_RANDOM } cllm__hard_words;
typedef struct cllm__prompt_shape {
    int hard_words;    /* cllm__hard_words; random: each word becomes another one, the same wherever it stands */
    bool without_user; /* user slots are left out */
    const char *join;  /* text between two items of a list, like " and"; NULL: nothing */
    size_t spelled;    /* lists write so many items as numbers, in words; 0: items have their tokens */
    uint64_t seed;     /* of the random words */
} cllm__prompt_shape;
/* Reshapes compiled templates; once, before cllm__prompts_begin. CLLM_ERR_USAGE if nothing but the list would be left of one,
 * CLLM_ERR_DATA if the vocabulary cannot spell. On
 * failure the templates are half done, and freed by the caller as ever. */
CLLM_CHECK cllm_status cllm__prompts_shape(cllm__prompts *prompts, const cllm__tokenizer *tokenizer, cllm__prompt_shape shape,
                                           cllm_error *err);
/* Puts a token, such as "<s>", before every prompt; −1 puts none. Once. */
CLLM_CHECK cllm_status cllm__prompts_begin(cllm__prompts *prompts, int32_t bos, cllm_error *err);
void cllm__prompts_free(cllm__prompts *prompts);
/* All texts as a JSON object that _compile takes back, for the run's configuration; the caller puts it. */
CLLM_CHECK cllm_status cllm__prompts_to_json(const cllm__prompts *prompts, struct json_object **object, cllm_error *err);

#endif
