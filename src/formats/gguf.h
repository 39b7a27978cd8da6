/*
 * GGUF, versions 2 and 3: a model in one file (or several). Magic, version, counts, metadata as typed key-value pairs, a
 * list of tensors, and their data from the next multiple of general.alignment (32 if it isn't there) on. Little-endian.
 *
 * The reader maps the file and trusts nothing in it: every count, length, nesting, type and offset is checked when it is
 * opened, so that what the functions below hand out lies within the file. Nothing is copied: names, texts and arrays point
 * into the map and live as long as the file is open. An open file is immutable and may be shared by threads.
 *
 * A model in several files is opened by its first, NAME-00001-of-0000N.gguf: its metadata say how many there are
 * (split.count) and the others are found beside it. Metadata are those of the first; the tensors of all are one list.
 */
#ifndef CLLM_FORMATS_GGUF_H
#define CLLM_FORMATS_GGUF_H

#include <stdint.h>

#include "base/status.h"
#include "formats/gguf_blocks.h"

typedef struct cllm__gguf cllm__gguf;

/* Types of metadata, numbered as in the file. */
typedef enum cllm__gguf_kind {
    CLLM_GGUF_U8,
    CLLM_GGUF_I8,
    CLLM_GGUF_U16,
    CLLM_GGUF_I16,
    CLLM_GGUF_U32,
    CLLM_GGUF_I32,
    CLLM_GGUF_F32,
    CLLM_GGUF_BOOL,
    CLLM_GGUF_STRING,
    CLLM_GGUF_ARRAY,
    CLLM_GGUF_U64,
    CLLM_GGUF_I64,
    CLLM_GGUF_F64
} cllm__gguf_kind;

/* Bytes in the file, not ended by a NUL; they may hold anything. */
typedef struct cllm__gguf_text {
    const char *data;
    size_t length;
} cllm__gguf_text;

/* One value, or an array of them. */
typedef struct cllm__gguf_value {
    cllm__gguf_text key;
    cllm__gguf_kind kind;      /* of the value; CLLM_GGUF_ARRAY for an array */
    cllm__gguf_kind member;    /* of an array's members (an array again, if nested) */
    uint64_t count;            /* of an array's members; 1 otherwise */
    const unsigned char *data; /* of the value or the first member, not aligned */
    size_t bytes;
} cllm__gguf_value;

enum { CLLM_GGUF_RANK_MAX = 4 };

typedef struct cllm__gguf_tensor {
    cllm__gguf_text name;
    cllm__gguf_type type;
    size_t rank;                        /* 1 to 4 */
    uint64_t shape[CLLM_GGUF_RANK_MAX]; /* outermost first, row-major: the file's dimensions turned round */
    uint64_t count;                     /* of elements; a row (shape[rank − 1]) is a whole number of blocks */
    const unsigned char *data;          /* not always aligned */
    size_t bytes;
} cllm__gguf_tensor;

/* Whether the file begins with GGUF's magic; a folder doesn't. One that cannot be opened is an error. */
CLLM_CHECK cllm_status cllm__gguf_recognise(const char *path, bool *is, cllm_error *err);
/* CLLM_ERR_DATA for a damaged file, CLLM_ERR_UNSUPPORTED for another version, a big-endian file, or a tensor type that is
 * not dequantised (named with its tensor), CLLM_ERR_USAGE for a later file of several, CLLM_ERR_NOT_FOUND for a missing
 * one. */
CLLM_CHECK cllm_status cllm__gguf_open(cllm__gguf **out, const char *path, cllm_error *err);
/* Gives back the memory of what was read so far; everything stays readable. */
void cllm__gguf_rest(const cllm__gguf *file);
void cllm__gguf_close(cllm__gguf *file); /* accepts NULL */

unsigned cllm__gguf_version(const cllm__gguf *file);
/* The files, the first is the one that was opened; and the sum of their bytes. */
size_t cllm__gguf_files(const cllm__gguf *file);
const char *cllm__gguf_path(const cllm__gguf *file, size_t index);
uint64_t cllm__gguf_bytes(const cllm__gguf *file);

/* ---- Metadata, in the file's order ---- */
size_t cllm__gguf_values(const cllm__gguf *file);
const cllm__gguf_value *cllm__gguf_value_at(const cllm__gguf *file, size_t index);
/* NULL if the key isn't there. */
const cllm__gguf_value *cllm__gguf_find(const cllm__gguf *file, const char *key);
/* "u32", "string", … */
const char *cllm__gguf_kind_name(cllm__gguf_kind kind);

/* The value of that key. A missing one gives `fallback`, or CLLM_ERR_DATA where `fallback` is NULL; one of another kind, an
 * integer outside [low, high] or a number that is not finite is CLLM_ERR_DATA. Messages name file, key and value. An
 * integer may be of any width, a number also an integer. */
CLLM_CHECK cllm_status cllm__gguf_integer(const cllm__gguf *file, const char *key, int64_t low, int64_t high,
                                          const int64_t *fallback, int64_t *out, cllm_error *err);
CLLM_CHECK cllm_status cllm__gguf_number(const cllm__gguf *file, const char *key, const double *fallback, double *out,
                                         cllm_error *err);
CLLM_CHECK cllm_status cllm__gguf_bool(const cllm__gguf *file, const char *key, const bool *fallback, bool *out,
                                       cllm_error *err);
CLLM_CHECK cllm_status cllm__gguf_string(const cllm__gguf *file, const char *key, const cllm__gguf_text *fallback,
                                         cllm__gguf_text *out, cllm_error *err);
/* The text for a message: printable characters, and cut where it is long; returns `text`. */
enum { CLLM_GGUF_SHOWN = 81 };
const char *cllm__gguf_show(char text[CLLM_GGUF_SHOWN], cllm__gguf_text name);
/* Whether the text is that string. */
bool cllm__gguf_text_is(cllm__gguf_text text, const char *string);

/* The array of that key, whose members are strings, integers (any width; `member` = CLLM_GGUF_I64) or numbers (`member` =
 * CLLM_GGUF_F64: floats). A missing one gives NULL; another kind is CLLM_ERR_DATA. */
CLLM_CHECK cllm_status cllm__gguf_array(const cllm__gguf *file, const char *key, cllm__gguf_kind member,
                                        const cllm__gguf_value **out, cllm_error *err);

/* Going through an array of strings:
 *     cllm__gguf_strings at = cllm__gguf_strings_of(array);
 *     for (cllm__gguf_text text; cllm__gguf_next(&at, &text);) … */
typedef struct cllm__gguf_strings {
    const unsigned char *next;
    uint64_t left;
} cllm__gguf_strings;
cllm__gguf_strings cllm__gguf_strings_of(const cllm__gguf_value *array);
bool cllm__gguf_next(cllm__gguf_strings *strings, cllm__gguf_text *text);
/* Member `index` < count of an array of integers (saturated: a u64 above INT64_MAX is INT64_MAX), or of integers or floats.
 * Also for single values, with index 0. */
int64_t cllm__gguf_integer_at(const cllm__gguf_value *array, uint64_t index);
double cllm__gguf_number_at(const cllm__gguf_value *array, uint64_t index);

/* ---- Tensors, in the files' order ---- */
size_t cllm__gguf_tensors(const cllm__gguf *file);
const cllm__gguf_tensor *cllm__gguf_tensor_at(const cllm__gguf *file, size_t index);
/* NULL if there is none of that name. */
const cllm__gguf_tensor *cllm__gguf_find_tensor(const cllm__gguf *file, const char *name);
/* The path of the file that the tensor is in. */
const char *cllm__gguf_tensor_path(const cllm__gguf *file, const cllm__gguf_tensor *tensor);

#endif
