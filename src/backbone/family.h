/*
 * What the families of models have in common, and the table that a family fills in.
 *
 * Every family here is a stack of layers
 *
 *     x ← x + Attention(Norm(x));  x ← x + MLP(Norm(x))
 *
 * between the input embeddings and a final norm. They differ in the kind of norm, in how positions come in (a table added
 * to the embeddings, or rotated queries and keys), in the number of key-value heads, in the MLP, and in what their files
 * call things. pass.c computes all of them; a new family with these pieces is one file that defines a cllm__family, and one
 * line in the table in backbone.c. One with other pieces brings them to pass.c, or brings a forward and a backward of its own.
 */
#ifndef CLLM_BACKBONE_FAMILY_H
#define CLLM_BACKBONE_FAMILY_H

#include "backbone/backbone.h"
#include "backbone/checkpoint.h"

typedef enum cllm__norm_kind { CLLM__LAYER_NORM, CLLM__RMS_NORM } cllm__norm_kind;
typedef enum cllm__activation {
    CLLM__GELU_TANH, /* down(gelu(up(x))) */
    CLLM__SWIGLU     /* down(silu(gate(x))·up(x)) */
} cllm__activation;

/* What a configuration says. A = heads · head_width and K = kv_heads · head_width in the shapes below. */
typedef struct cllm__architecture {
    size_t layers; /* that are computed: the first of file_layers */
    size_t file_layers, heads, kv_heads, head_width, width, inner, vocabulary, context;
    double norm_epsilon;
    cllm__norm_kind norm;
    cllm__activation activation;
    bool tied_head;        /* the vocabulary head is the word embedding */
    bool learned_position; /* rows of a table are added to the embeddings */
    size_t rotary_width;   /* leading values of each head that rotate with the position, even; 0: none */
    double *rotary;        /* [rotary_width / 2] angles per position; freed with cllm__free */
    size_t window;         /* the sliding window to which `context` was cut; 0: it wasn't */
} cllm__architecture;

/* A and A + 2K: values of a row of queries, and of queries, keys and values. */
static inline size_t cllm__attention_width(const cllm__architecture *a) {
    return a->heads * a->head_width;
}

static inline size_t cllm__qkv_width(const cllm__architecture *a) {
    return (a->heads + 2 * a->kv_heads) * a->head_width;
}

typedef struct cllm__norm {
    cllm__real *gain, *bias; /* [width]; no bias in RMSNorm */
} cllm__norm;
/* y = norm(x) of `rows` rows, by the architecture's kind (pass.c); mean (unused by RMSNorm) and rstd [rows] as in kernels/ops.h. */
void cllm__norm_forward(cllm__pool *pool, const cllm__architecture *architecture, const cllm__norm *norm, cllm__real *y,
                        cllm__real *mean, cllm__real *rstd, const cllm__real *x, size_t rows);

/* y = x·W + bias */
typedef struct cllm__linear {
    cllm__weight *weight;     /* [in × out] */
    cllm__weight *transposed; /* [out × in], for the gradient; NULL unless training */
    cllm__real *bias;         /* [out] or NULL */
} cllm__linear;

typedef struct cllm__layer {
    cllm__norm norm1, norm2;
    cllm__linear query;       /* [C × A] apart from the next: in the last layer few rows need it */
    cllm__linear key_value;   /* [C × 2K] */
    cllm__linear projection;  /* [A × C] */
    cllm__linear up, gate;    /* [C × inner]; gate in SwiGLU only */
    cllm__linear down;        /* [inner × C] */
    double attention_scale;
} cllm__layer;

typedef struct cllm__loader cllm__loader;

typedef struct cllm__family {
    const char *name;
    /* Whether a configuration of this model_type ("gpt2") is one of this family's. */
    bool (*matches)(const char *model_type);
    /* Fills in `out`, zeroed before. Refuses by name what the family can't do. Frees nothing on failure: the caller does. */
    cllm_status (*describe)(cllm__config config, cllm__architecture *out, cllm_error *err);
    /* Loads all weights into loader->backbone. */
    cllm_status (*load)(cllm__loader *loader, cllm_error *err);
    /* From input embeddings to hidden states, and from their gradient to that of the embeddings, on the batch that the pass holds, with its
     * buffers. Families of layers as above share cllm__layers_forward and cllm__layers_backward. */
    cllm_status (*forward)(cllm__pass *pass, const cllm__real *x, cllm__real *h, cllm_error *err);
    cllm_status (*backward)(cllm__pass *pass, const cllm__real *dh, cllm__real *dx, cllm_error *err);
} cllm__family;

cllm_status cllm__layers_forward(cllm__pass *pass, const cllm__real *x, cllm__real *h, cllm_error *err);
cllm_status cllm__layers_backward(cllm__pass *pass, const cllm__real *dh, cllm__real *dx, cllm_error *err);

extern const cllm__family cllm__family_gpt2, cllm__family_llama;

/* Finds the family of a configuration and lets it describe it. */
CLLM_CHECK cllm_status cllm__family_describe(cllm__config config, const cllm__family **family, cllm__architecture *out,
                                             cllm_error *err);

struct cllm__backbone {
    const cllm__family *family;
    cllm__backbone_info info;
    bool bare; /* no matrix is held */
    cllm__architecture architecture;
    cllm__checkpoint checkpoint;
    cllm__stored words;         /* [vocabulary × width], in the mapped file */
    cllm__real *positions;      /* [context × width] or NULL */
    cllm__layer *layers;
    cllm__norm final_norm;
    cllm__linear head;          /* [width × vocabulary] */
};

/* CLLM_ERR_USAGE if a bare backbone is to compute something. */
CLLM_CHECK cllm_status cllm__backbone_can_compute(const cllm__backbone *backbone, cllm_error *err);

/* ---- Loading (load.c). Names are printf formats; the loader puts its prefix before them. ---- */

struct cllm__loader {
    cllm__backbone *backbone;
    const char *prefix;
    cllm__backbone_options options;
    cllm__real *scratch; /* two matrices on their way into packed weights */
    size_t scratch_size;
};

/* Limits of what a configuration may ask for, so that no product of sizes overflows. */
#define CLLM__LAYERS_MAX ((size_t)1 << 12)
#define CLLM__WIDTH_MAX ((size_t)1 << 17)
#define CLLM__INNER_MAX ((size_t)1 << 20)
#define CLLM__CONTEXT_MAX ((size_t)1 << 24)
#define CLLM__VOCABULARY_MAX ((size_t)1 << 24)

/* heads, head_width and rotary_width against width and each other; for families' describe(). */
CLLM_CHECK cllm_status cllm__check_heads(cllm__config config, const cllm__architecture *architecture, cllm_error *err);

bool cllm__load_has(const cllm__loader *loader, const char *format, ...) CLLM_PRINTF(2, 3);
/* The tensor [rows × columns], checked, to be read with cllm__stored_read; rows = 0 asks for a vector of `columns`. Counts it as parameters: once a tensor. */
CLLM_CHECK cllm_status cllm__load_find(cllm__loader *loader, cllm__stored *out, size_t rows, size_t columns,
                                       cllm_error *err, const char *format, ...) CLLM_PRINTF(6, 7);
/* The same, as a new array of numbers (cllm__free). */
CLLM_CHECK cllm_status cllm__load_array(cllm__loader *loader, cllm__real **out, size_t rows, size_t columns, cllm_error *err,
                                        const char *format, ...) CLLM_PRINTF(6, 7);
/* A copy of values to be kept (cllm__free). */
CLLM_CHECK cllm_status cllm__load_copy(cllm__loader *loader, cllm__real **out, const cllm__real *values, size_t count,
                                       cllm_error *err);
/* The word embeddings: mapped, not read. */
CLLM_CHECK cllm_status cllm__load_words(cllm__loader *loader, cllm_error *err, const char *name);
/* The vocabulary head from the tensor of that name (without the prefix), or from the word embeddings if tied. */
CLLM_CHECK cllm_status cllm__load_head(cllm__loader *loader, cllm_error *err, const char *name);
/* Room for `count` values, valid until the next call. */
CLLM_CHECK cllm_status cllm__load_scratch(cllm__loader *loader, size_t count, cllm__real **out, cllm_error *err);
/* All values of a tensor into `out`, to be packed or copied; none where the backbone is bare. */
void cllm__load_read(const cllm__loader *loader, const cllm__stored *stored, cllm__real *out);
/* Packs `values`: [in × out], or [out × in] if `transposed`. */
CLLM_CHECK cllm_status cllm__load_pack(cllm__loader *loader, cllm__linear *linear, const cllm__real *values, size_t in, size_t out,
                                       bool transposed, cllm_error *err);
/* A matrix that is one tensor: read and packed. */
CLLM_CHECK cllm_status cllm__load_matrix(cllm__loader *loader, cllm__linear *linear, size_t in, size_t out, bool transposed,
                                         cllm_error *err, const char *format, ...) CLLM_PRINTF(7, 8);
void cllm__linear_free(cllm__linear *linear);

#endif
