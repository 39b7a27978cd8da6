#include "data/prepare_spool.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"

enum { SPOOL_BUFFER = 1 << 18 };

struct cllm__spool {
    char *path;
    int fd;
    bool reading;
    uint64_t size;          /* bytes written in all */
    uint64_t buffer_offset; /* reading: where in the file the buffer begins */
    size_t used, at;        /* bytes in the buffer; reading: the next of them */
    char buffer[SPOOL_BUFFER];
};

cllm_status cllm__spool_create(cllm__spool **out, const char *folder, const char *name, cllm_error *err) {
    cllm__spool *spool;
    CLLM_TRY(CLLM_NEW(spool, 1, err));
    spool->fd = -1;
    spool->path = cllm__path_join(folder, name);
    cllm_status status = CLLM_OK;
    if (spool->path == NULL) {
        status = cllm__fail_nomem(err);
    } else {
        int code = cllm__io_ask(CLLM_IO_CREATE, spool->path);
        if (code == 0) spool->fd = open(spool->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        else errno = code;
        if (spool->fd < 0) status = cllm__fail_errno(err, "cannot make the temporary file '%s'", spool->path);
        else unlink(spool->path);
    }
    if (status != CLLM_OK) {
        cllm__spool_free(spool);
        return status;
    }
    *out = spool;
    return CLLM_OK;
}

void cllm__spool_free(cllm__spool *spool) {
    if (spool == NULL) return;
    if (spool->fd >= 0) close(spool->fd);
    cllm__free(spool->path);
    cllm__free(spool);
}

static cllm_status flush(cllm__spool *spool, cllm_error *err) {
    const char *data = spool->buffer;
    while (spool->used > 0) {
        int code = cllm__io_ask(CLLM_IO_WRITE, spool->path);
        ssize_t n = code == 0 ? write(spool->fd, data, spool->used) : -1;
        if (code != 0) errno = code;
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return cllm__fail_errno(err, "cannot write the temporary file '%s'", spool->path);
        data += n;
        spool->used -= (size_t)n;
    }
    return CLLM_OK;
}

cllm_status cllm__spool_write(cllm__spool *spool, const void *data, size_t size, cllm_error *err) {
    CLLM_ASSERT(!spool->reading);
    const char *from = data;
    spool->size += size;
    while (size > 0) {
        size_t room = SPOOL_BUFFER - spool->used, part = size < room ? size : room;
        memcpy(spool->buffer + spool->used, from, part);
        spool->used += part;
        from += part;
        size -= part;
        if (spool->used == SPOOL_BUFFER) CLLM_TRY(flush(spool, err));
    }
    return CLLM_OK;
}

cllm_status cllm__spool_write_length(cllm__spool *spool, uint64_t length, cllm_error *err) {
    unsigned char bytes[10];
    size_t n = 0;
    do {
        bytes[n++] = (unsigned char)((length & 127) | (length > 127 ? 128 : 0));
        length >>= 7;
    } while (length > 0);
    return cllm__spool_write(spool, bytes, n, err);
}

uint64_t cllm__spool_size(const cllm__spool *spool) {
    return spool->size;
}

cllm_status cllm__spool_seek(cllm__spool *spool, uint64_t offset, cllm_error *err) {
    if (!spool->reading) {
        CLLM_TRY(flush(spool, err));
        spool->reading = true;
    }
    if (offset >= spool->buffer_offset && offset - spool->buffer_offset <= spool->used) {
        spool->at = (size_t)(offset - spool->buffer_offset);
    } else {
        spool->buffer_offset = offset;
        spool->used = spool->at = 0;
    }
    return CLLM_OK;
}

cllm_status cllm__spool_read(cllm__spool *spool, void *data, size_t size, cllm_error *err) {
    CLLM_ASSERT(spool->reading);
    char *to = data;
    while (size > 0) {
        if (spool->at == spool->used) {
            uint64_t offset = spool->buffer_offset + spool->used;
            uint64_t left = offset < spool->size ? spool->size - offset : 0;
            size_t want = left < SPOOL_BUFFER ? (size_t)left : SPOOL_BUFFER;
            if (want == 0) return cllm__fail(err, CLLM_ERR_FAILED, "the temporary file '%s' ends too early", spool->path);
            spool->buffer_offset = offset;
            spool->used = spool->at = 0;
            CLLM_TRY(cllm__read_at(spool->fd, spool->path, spool->buffer, want, (int64_t)offset, err));
            spool->used = want;
        }
        size_t have = spool->used - spool->at, part = size < have ? size : have;
        memcpy(to, spool->buffer + spool->at, part);
        spool->at += part;
        to += part;
        size -= part;
    }
    return CLLM_OK;
}

cllm_status cllm__spool_read_length(cllm__spool *spool, uint64_t *length, cllm_error *err) {
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        unsigned char byte;
        CLLM_TRY(cllm__spool_read(spool, &byte, 1, err));
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) break;
    }
    *length = value;
    return CLLM_OK;
}
