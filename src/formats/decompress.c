#include "formats/decompress.h"

#include <lzma.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/alloc.h"

/* What an .xz file may ask for its dictionary; `xz -9` needs 65 MiB. */
#define XZ_MEMORY (UINT64_C(256) << 20)

struct cllm__decompressor {
    cllm__stream_kind kind;
    const char *name;
    bool between; /* nothing of the next member or frame has been seen */
    z_stream gzip;
    ZSTD_DStream *zstd;
    lzma_stream xz;
    lzma_allocator xz_allocator;
    bool gzip_ready, xz_ready;
};

static voidpf zlib_alloc(voidpf opaque, uInt items, uInt size) {
    (void)opaque;
    return cllm__zalloc(items, size);
}

static void zlib_free(voidpf opaque, voidpf block) {
    (void)opaque;
    cllm__free(block);
}

static void *lzma_alloc_hook(void *opaque, size_t count, size_t size) {
    (void)opaque;
    return cllm__alloc(count, size);
}

static void lzma_free_hook(void *opaque, void *block) {
    (void)opaque;
    cllm__free(block);
}

cllm__stream_kind cllm__decompress_recognise(const unsigned char *data, size_t size) {
    static const struct {
        cllm__stream_kind kind;
        size_t size;
        unsigned char magic[6];
    } kinds[] = {
        {CLLM_STREAM_GZIP, 3, {0x1F, 0x8B, 8}},
        {CLLM_STREAM_ZSTD, 4, {0x28, 0xB5, 0x2F, 0xFD}},
        {CLLM_STREAM_XZ, 6, {0xFD, '7', 'z', 'X', 'Z', 0}},
    };
    for (size_t i = 0; i < CLLM_LEN(kinds); i++) {
        if (size >= kinds[i].size && memcmp(data, kinds[i].magic, kinds[i].size) == 0) return kinds[i].kind;
    }
    return CLLM_STREAM_PLAIN;
}

cllm_status cllm__decompressor_create(cllm__decompressor **out, cllm__stream_kind kind, const char *name, cllm_error *err) {
    cllm__decompressor *d;
    CLLM_TRY(CLLM_NEW(d, 1, err));
    d->kind = kind;
    d->name = name;
    if (kind == CLLM_STREAM_GZIP) {
        d->gzip.zalloc = zlib_alloc;
        d->gzip.zfree = zlib_free;
        d->gzip_ready = inflateInit2(&d->gzip, 15 + 16) == Z_OK;
    } else if (kind == CLLM_STREAM_ZSTD) {
        d->zstd = ZSTD_createDStream();
    } else {
        d->xz = (lzma_stream)LZMA_STREAM_INIT;
        d->xz_allocator = (lzma_allocator){lzma_alloc_hook, lzma_free_hook, NULL};
        d->xz.allocator = &d->xz_allocator;
        d->xz_ready = lzma_stream_decoder(&d->xz, XZ_MEMORY, LZMA_CONCATENATED) == LZMA_OK;
    }
    if (!d->gzip_ready && d->zstd == NULL && !d->xz_ready) {
        cllm__decompressor_free(d);
        return cllm__fail_nomem(err);
    }
    *out = d;
    return CLLM_OK;
}

void cllm__decompressor_free(cllm__decompressor *d) {
    if (d == NULL) return;
    if (d->gzip_ready) inflateEnd(&d->gzip);
    if (d->kind == CLLM_STREAM_XZ) lzma_end(&d->xz);
    ZSTD_freeDStream(d->zstd);
    cllm__free(d);
}

static cllm_status corrupt(const cllm__decompressor *d, const char *detail, cllm_error *err) {
    return cllm__fail(err, CLLM_ERR_DATA, "'%s' is damaged: its %s data cannot be decompressed (%s); fetch the file again",
                      d->name, cllm__stream_kind_name(d->kind), detail);
}

static cllm_status step_gzip(cllm__decompressor *d, cllm__decompress_step *step, cllm_error *err) {
    if (d->between) {
        /* Zeros may follow the last member (padding to a block); another member follows at once. */
        while (step->used < step->in_size && step->in[step->used] == 0) step->used++;
        if (step->used == step->in_size) return CLLM_OK;
        if (inflateReset(&d->gzip) != Z_OK) return cllm__fail_nomem(err);
        d->between = false;
    }
    d->gzip.next_in = (Bytef *)(uintptr_t)(step->in + step->used);
    d->gzip.avail_in = (uInt)(step->in_size - step->used);
    d->gzip.next_out = step->out;
    d->gzip.avail_out = (uInt)step->out_size;
    int result = inflate(&d->gzip, Z_NO_FLUSH);
    step->used = step->in_size - d->gzip.avail_in;
    step->made = step->out_size - d->gzip.avail_out;
    if (result == Z_STREAM_END) {
        d->between = true;
        return CLLM_OK;
    }
    if (result == Z_MEM_ERROR) return cllm__fail_nomem(err);
    if (result == Z_OK || result == Z_BUF_ERROR) return CLLM_OK;
    return corrupt(d, d->gzip.msg != NULL ? d->gzip.msg : "it needs a preset dictionary", err);
}

static cllm_status step_zstd(cllm__decompressor *d, cllm__decompress_step *step, cllm_error *err) {
    ZSTD_inBuffer in = {step->in, step->in_size, 0};
    ZSTD_outBuffer out = {step->out, step->out_size, 0};
    size_t result = ZSTD_decompressStream(d->zstd, &out, &in);
    step->used = in.pos;
    step->made = out.pos;
    if (ZSTD_isError(result)) return corrupt(d, ZSTD_getErrorName(result), err);
    d->between = result == 0;
    return CLLM_OK;
}

static cllm_status step_xz(cllm__decompressor *d, cllm__decompress_step *step, cllm_error *err) {
    d->xz.next_in = step->in;
    d->xz.avail_in = step->in_size;
    d->xz.next_out = step->out;
    d->xz.avail_out = step->out_size;
    lzma_ret result = lzma_code(&d->xz, step->in_last ? LZMA_FINISH : LZMA_RUN);
    step->used = step->in_size - d->xz.avail_in;
    step->made = step->out_size - d->xz.avail_out;
    switch (result) {
    case LZMA_OK:
    case LZMA_BUF_ERROR: return CLLM_OK;
    case LZMA_STREAM_END: step->ended = true; return CLLM_OK;
    case LZMA_MEM_ERROR: return cllm__fail_nomem(err);
    case LZMA_MEMLIMIT_ERROR:
        return cllm__fail(err, CLLM_ERR_UNSUPPORTED,
                          "'%s' needs %llu MiB to be decompressed, more than the %llu allowed: "
                          "compress it again with xz -9 or less",
                          d->name, (unsigned long long)(lzma_memusage(&d->xz) >> 20),
                          (unsigned long long)(XZ_MEMORY >> 20));
    case LZMA_OPTIONS_ERROR: return corrupt(d, "unsupported options", err);
    case LZMA_FORMAT_ERROR: return corrupt(d, "what follows is not xz", err);
    default: return corrupt(d, "the check sums do not fit", err);
    }
}

cllm_status cllm__decompressor_step(cllm__decompressor *d, cllm__decompress_step *step, cllm_error *err) {
    step->used = step->made = 0;
    step->ended = false;
    if (step->in_size == 0 && step->in_last && d->between) {
        step->ended = true;
        return CLLM_OK;
    }
    if (d->kind == CLLM_STREAM_GZIP) CLLM_TRY(step_gzip(d, step, err));
    else if (d->kind == CLLM_STREAM_ZSTD) CLLM_TRY(step_zstd(d, step, err));
    else CLLM_TRY(step_xz(d, step, err));
    if (!step->ended && step->in_last && step->used == 0 && step->made == 0 && step->out_size > 0) {
        return cllm__fail(err, CLLM_ERR_DATA, "'%s' is truncated: its %s data stops before the end; fetch the file again",
                          d->name, cllm__stream_kind_name(d->kind));
    }
    return CLLM_OK;
}
