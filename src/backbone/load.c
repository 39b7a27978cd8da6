/* From named tensors to packed weights: what all families need. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "backbone/family.h"
#include "base/alloc.h"

enum { NAME_MAX_LENGTH = 160 };

static void format_name(char name[NAME_MAX_LENGTH], const char *prefix, const char *format, va_list args) {
    int n = snprintf(name, NAME_MAX_LENGTH, "%s", prefix);
    CLLM_ASSERT(n >= 0 && n < NAME_MAX_LENGTH / 2);
    vsnprintf(name + n, NAME_MAX_LENGTH - (size_t)n, format, args);
}

#define FORMAT_NAME(name, loader, format) \
    do { \
        va_list args_; \
        va_start(args_, format); \
        format_name((name), (loader)->prefix, (format), args_); \
        va_end(args_); \
    } while (0)

cllm_status cllm__check_heads(cllm__config config, const cllm__architecture *a, cllm_error *err) {
    if (a->heads % a->kv_heads != 0)
        return cllm__fail(err, CLLM_ERR_DATA, "%s: %zu attention heads cannot share %zu key-value heads evenly", config.place,
                          a->heads, a->kv_heads);
    if (a->heads > CLLM__WIDTH_MAX / a->head_width)
        return cllm__fail(err, CLLM_ERR_DATA, "%s: %zu heads of %zu values are more than %zu", config.place, a->heads, a->head_width,
                          CLLM__WIDTH_MAX);
    if (a->rotary_width % 2 != 0 || a->rotary_width > a->head_width)
        return cllm__fail(err, CLLM_ERR_DATA, "%s: rotary positions in %zu of a head's %zu values: must be even and no more than that",
                          config.place, a->rotary_width, a->head_width);
    return CLLM_OK;
}

bool cllm__load_has(const cllm__loader *loader, const char *format, ...) {
    char name[NAME_MAX_LENGTH];
    FORMAT_NAME(name, loader, format);
    return cllm__checkpoint_has(&loader->backbone->checkpoint, name);
}

static cllm_status find(cllm__loader *loader, const char *name, size_t rows, size_t columns, cllm__stored *out,
                        cllm_error *err) {
    CLLM_TRY(cllm__checkpoint_tensor(&loader->backbone->checkpoint, name, rows, columns, out, err));
    loader->backbone->info.parameters += cllm__stored_count(out);
    return CLLM_OK;
}

cllm_status cllm__load_find(cllm__loader *loader, cllm__stored *out, size_t rows, size_t columns, cllm_error *err,
                            const char *format, ...) {
    char name[NAME_MAX_LENGTH];
    FORMAT_NAME(name, loader, format);
    return find(loader, name, rows, columns, out, err);
}

static cllm_status new_values(cllm__loader *loader, cllm__real **out, size_t count, cllm_error *err) {
    *out = cllm__alloc(count, sizeof **out);
    if (*out == NULL) return cllm__fail_nomem(err);
    loader->backbone->info.resident_bytes += count * sizeof **out;
    return CLLM_OK;
}

cllm_status cllm__load_array(cllm__loader *loader, cllm__real **out, size_t rows, size_t columns, cllm_error *err,
                             const char *format, ...) {
    char name[NAME_MAX_LENGTH];
    FORMAT_NAME(name, loader, format);
    cllm__stored stored;
    CLLM_TRY(find(loader, name, rows, columns, &stored, err));
    CLLM_TRY(new_values(loader, out, cllm__stored_count(&stored), err));
    cllm__stored_read(&stored, *out);
    return CLLM_OK;
}

cllm_status cllm__load_copy(cllm__loader *loader, cllm__real **out, const cllm__real *values, size_t count, cllm_error *err) {
    if (loader->backbone->bare) {
        if (loader->options.look) loader->backbone->info.resident_bytes += count * sizeof *values;
        return CLLM_OK;
    }
    CLLM_TRY(new_values(loader, out, count, err));
    memcpy(*out, values, count * sizeof *values);
    return CLLM_OK;
}

cllm_status cllm__load_scratch(cllm__loader *loader, size_t count, cllm__real **out, cllm_error *err) {
    if (count > loader->scratch_size) {
        cllm__free(loader->scratch);
        loader->scratch_size = 0;
        loader->scratch = cllm__alloc(count, sizeof *loader->scratch);
        if (loader->scratch == NULL) return cllm__fail_nomem(err);
        loader->scratch_size = count;
    }
    *out = loader->scratch;
    return CLLM_OK;
}

void cllm__load_read(const cllm__loader *loader, const cllm__stored *stored, cllm__real *out) {
    if (!loader->backbone->bare) cllm__stored_read(stored, out);
}

/* What packing would take, if that is asked for. */
static cllm_status count_packed(cllm__loader *loader, size_t in, size_t out) {
    const cllm__backbone_options *options = &loader->options;
    uint64_t *bytes = &loader->backbone->info.resident_bytes;
    if (options->look) *bytes += cllm__weight_size(in, out, options->dtype);
    if (options->look && options->training && options->dtype != CLLM__Q8_0) *bytes += cllm__weight_size(out, in, options->dtype);
    cllm__checkpoint_rest(&loader->backbone->checkpoint);
    return CLLM_OK;
}

cllm_status cllm__load_pack(cllm__loader *loader, cllm__linear *linear, const cllm__real *values, size_t in, size_t out,
                            bool transposed, cllm_error *err) {
    const cllm__backbone_options *options = &loader->options;
    if (loader->backbone->bare) return count_packed(loader, in, out);
    CLLM_TRY(cllm__weight_pack(&linear->weight, values, in, out, transposed, options->dtype, options->pool, err));
    loader->backbone->info.resident_bytes += cllm__weight_bytes(linear->weight);
    if (options->training) {
        if (options->dtype == CLLM__Q8_0) CLLM_TRY(cllm__weight_turn(&linear->transposed, linear->weight, err));
        else CLLM_TRY(cllm__weight_pack(&linear->transposed, values, out, in, !transposed, options->dtype, options->pool, err));
        loader->backbone->info.resident_bytes += cllm__weight_bytes(linear->transposed);
    }
    cllm__checkpoint_rest(&loader->backbone->checkpoint);
    return CLLM_OK;
}

/* Packs a tensor of [in × out], or [out × in] if `transposed`, of which it may have more rows; straight from the mapped file where
 * its numbers are ours. */
static cllm_status pack_stored(cllm__loader *loader, cllm__linear *linear, const cllm__stored *stored, size_t in, size_t out,
                               bool transposed, cllm_error *err) {
    if (loader->backbone->bare) return count_packed(loader, in, out);
    const cllm__real *values = cllm__stored_direct(stored);
    if (values == NULL) {
        cllm__real *scratch = NULL;
        CLLM_TRY(cllm__load_scratch(loader, cllm__stored_count(stored), &scratch, err));
        cllm__stored_read(stored, scratch);
        values = scratch;
    }
    return cllm__load_pack(loader, linear, values, in, out, transposed, err);
}

cllm_status cllm__load_matrix(cllm__loader *loader, cllm__linear *linear, size_t in, size_t out, bool transposed, cllm_error *err,
                              const char *format, ...) {
    char name[NAME_MAX_LENGTH];
    FORMAT_NAME(name, loader, format);
    cllm__stored stored;
    CLLM_TRY(find(loader, name, transposed ? out : in, transposed ? in : out, &stored, err));
    return pack_stored(loader, linear, &stored, in, out, transposed, err);
}

cllm_status cllm__load_words(cllm__loader *loader, cllm_error *err, const char *name) {
    char full[NAME_MAX_LENGTH];
    snprintf(full, sizeof full, "%s%s", loader->prefix, name);
    const cllm__architecture *a = &loader->backbone->architecture;
    return find(loader, full, a->vocabulary, a->width, &loader->backbone->words, err);
}

cllm_status cllm__load_head(cllm__loader *loader, cllm_error *err, const char *name) {
    cllm__backbone *backbone = loader->backbone;
    const cllm__architecture *a = &backbone->architecture;
    cllm__stored stored = backbone->words;
    if (!a->tied_head) {
        CLLM_TRY(find(loader, name, a->vocabulary, a->width, &stored, err));
    } else if (cllm__checkpoint_has(&backbone->checkpoint, name)) {
        /* A copy of the word embeddings, as language-model checkpoints carry it; its values are not used. */
        cllm__stored copy;
        CLLM_TRY(cllm__checkpoint_tensor(&backbone->checkpoint, name, a->vocabulary, a->width, &copy, err));
    }
    if (loader->options.headless) return CLLM_OK;
    return pack_stored(loader, &backbone->head, &stored, a->width, backbone->info.words, true, err);
}

void cllm__linear_free(cllm__linear *linear) {
    cllm__weight_free(linear->weight);
    cllm__weight_free(linear->transposed);
    cllm__free(linear->bias);
}
