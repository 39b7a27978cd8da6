#include <errno.h>
#include <string.h>
#include <zip.h>

#include "base/alloc.h"
#include "base/io.h"
#include "formats/npy.h"
#include "formats/utf8.h"

/* 1 January 1980, the earliest that zip knows: the bytes shall not depend on the day. */
enum { ZIP_DATE = 1 << 5 | 1, ZIP_TIME = 0 };

/* ---- libzip writes through our own atomic writer ---- */

typedef struct sink {
    const char *path;
    cllm__out *out; /* NULL before the first write, and after a commit */
    uint64_t at;
    cllm_error failure;
    zip_error_t error;
} sink;

static zip_int64_t sink_write(sink *s, const char *data, size_t size) {
    uint64_t written = cllm__out_size(s->out);
    size_t old = written - s->at < size ? (size_t)(written - s->at) : size; /* libzip goes back to complete its headers */
    cllm_status status = old > 0 ? cllm__out_patch(s->out, s->at, data, old, &s->failure) : CLLM_OK;
    if (status == CLLM_OK && size > old) status = cllm__out_write(s->out, data + old, size - old, &s->failure);
    if (status != CLLM_OK) {
        zip_error_set(&s->error, ZIP_ER_WRITE, EIO);
        return -1;
    }
    s->at += size;
    return (zip_int64_t)size;
}

static zip_int64_t sink_call(void *user, void *data, zip_uint64_t size, zip_source_cmd_t command) {
    sink *s = user;
    switch (command) {
    case ZIP_SOURCE_STAT: zip_error_set(&s->error, ZIP_ER_READ, ENOENT); return -1; /* a new archive */
    case ZIP_SOURCE_BEGIN_WRITE:
        s->at = 0;
        if (cllm__out_create(&s->out, s->path, &s->failure) == CLLM_OK) return 0;
        zip_error_set(&s->error, ZIP_ER_TMPOPEN, EIO);
        return -1;
    case ZIP_SOURCE_WRITE: return sink_write(s, data, size);
    case ZIP_SOURCE_TELL_WRITE: return (zip_int64_t)s->at;
    case ZIP_SOURCE_SEEK_WRITE: {
        zip_int64_t to = zip_source_seek_compute_offset(s->at, cllm__out_size(s->out), data, size, &s->error);
        if (to < 0) return -1;
        s->at = (uint64_t)to;
        return 0;
    }
    case ZIP_SOURCE_COMMIT_WRITE: {
        cllm__out *out = s->out;
        s->out = NULL;
        if (cllm__out_commit(out, &s->failure) == CLLM_OK) return 0;
        zip_error_set(&s->error, ZIP_ER_CLOSE, EIO);
        return -1;
    }
    case ZIP_SOURCE_ROLLBACK_WRITE:
        cllm__out_abort(s->out);
        s->out = NULL;
        return 0;
    case ZIP_SOURCE_ERROR: return zip_error_to_data(&s->error, data, size);
    case ZIP_SOURCE_FREE: return 0;
    case ZIP_SOURCE_SUPPORTS: return ZIP_SOURCE_SUPPORTS_WRITABLE;
    default: zip_error_set(&s->error, ZIP_ER_OPNOTSUPP, 0); return -1;
    }
}

/* ---- Arrays ---- */

/* What libzip reads from while it closes the archive. */
typedef struct prepared {
    char head[512];
    char *strings; /* UNICODE: the array in numpy's layout */
    zip_buffer_fragment_t fragments[2];
} prepared;

static cllm_status widen(const cllm__npz_entry *entry, size_t count, prepared *p, size_t *item, cllm_error *err) {
    const char *const *texts = entry->data;
    size_t width = 1;
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(texts[i]), points = 0;
        if (cllm__utf8_check(texts[i], length) < length) {
            return cllm__fail(err, CLLM_ERR_DATA, "string %zu of array '%s' is not UTF-8", i, entry->name);
        }
        for (size_t k = 0; k < length; k++) points += ((unsigned char)texts[i][k] & 0xC0) != 0x80;
        if (points > width) width = points;
    }
    p->strings = cllm__zalloc(count, width * 4);
    if (p->strings == NULL) return cllm__fail_nomem(err);
    for (size_t i = 0; i < count; i++) {
        char *to = p->strings + i * width * 4;
        for (const char *from = texts[i]; *from != '\0'; to += 4) {
            size_t size;
            uint32_t c = cllm__utf8_get(from, &size);
            memcpy(to, &c, sizeof c);
            from += size;
        }
    }
    *item = width * 4;
    return CLLM_OK;
}

static cllm_status prepare(const cllm__npz_entry *entry, prepared *p, cllm_error *err) {
    CLLM_ASSERT(entry->type != CLLM_NPY_BYTES && entry->rank <= CLLM_NPY_RANK_MAX);
    size_t count = 1, item = cllm__npy_item(entry->type);
    for (size_t i = 0; i < entry->rank; i++) count *= entry->shape[i];
    if (entry->type == CLLM_NPY_UNICODE) CLLM_TRY(widen(entry, count, p, &item, err));
    size_t head = cllm__npy_format(p->head, entry->type, item, entry->rank, entry->shape);
    p->fragments[0] = (zip_buffer_fragment_t){(zip_uint8_t *)p->head, head};
    const void *data = p->strings != NULL ? p->strings : entry->data;
    p->fragments[1] = (zip_buffer_fragment_t){(zip_uint8_t *)(uintptr_t)data, count * item};
    return CLLM_OK;
}

static cllm_status zip_failed(const char *path, zip_error_t *error, cllm_error *err) {
    if (zip_error_code_zip(error) == ZIP_ER_MEMORY) return cllm__fail_nomem(err);
    return cllm__fail(err, CLLM_ERR_IO, "cannot write '%s': %s", path, zip_error_strerror(error));
}

static cllm_status add_entry(zip_t *zip, const char *path, const cllm__npz_entry *entry, prepared *p, cllm_error *err) {
    CLLM_TRY(prepare(entry, p, err));
    size_t size = strlen(entry->name) + sizeof ".npy";
    char *name = cllm__alloc(size, 1);
    if (name == NULL) return cllm__fail_nomem(err);
    strcpy(name, entry->name);
    strcat(name, ".npy");
    zip_source_t *source = zip_source_buffer_fragment(zip, p->fragments, p->fragments[1].length > 0 ? 2 : 1, 0);
    zip_int64_t index = source == NULL ? -1 : zip_file_add(zip, name, source, ZIP_FL_ENC_UTF_8);
    if (index < 0) zip_source_free(source);
    cllm__free(name);
    if (index < 0 || zip_set_file_compression(zip, (zip_uint64_t)index, ZIP_CM_STORE, 0) != 0 ||
        zip_file_set_dostime(zip, (zip_uint64_t)index, ZIP_TIME, ZIP_DATE, 0) != 0) {
        return zip_failed(path, zip_get_error(zip), err);
    }
    return CLLM_OK;
}

static cllm_status write_archive(sink *s, const cllm__npz_entry *entries, size_t n, prepared *ready, cllm_error *err) {
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *target = zip_source_function_create(sink_call, s, &error);
    zip_t *zip = target == NULL ? NULL : zip_open_from_source(target, ZIP_CREATE | ZIP_TRUNCATE, &error);
    cllm_status status = CLLM_OK;
    if (zip == NULL) {
        status = zip_failed(s->path, &error, err);
        zip_source_free(target);
    }
    zip_error_fini(&error);
    for (size_t i = 0; i < n && status == CLLM_OK; i++) status = add_entry(zip, s->path, &entries[i], &ready[i], err);
    if (status == CLLM_OK && zip_close(zip) == 0) return CLLM_OK;
    if (status == CLLM_OK) {
        status = s->failure.status;
        if (status == CLLM_OK) status = zip_failed(s->path, zip_get_error(zip), err);
        else if (err != NULL) *err = s->failure;
    }
    if (zip != NULL) zip_discard(zip);
    return status;
}

cllm_status cllm__npz_write(const char *path, const cllm__npz_entry *entries, size_t n, cllm_error *err) {
    CLLM_ASSERT(n > 0);
    prepared *ready;
    CLLM_TRY(CLLM_NEW(ready, n, err));
    sink s = {.path = path};
    zip_error_init(&s.error);
    cllm_status status = write_archive(&s, entries, n, ready, err);
    cllm__out_abort(s.out);
    zip_error_fini(&s.error);
    for (size_t i = 0; i < n; i++) cllm__free(ready[i].strings);
    cllm__free(ready);
    return status;
}
