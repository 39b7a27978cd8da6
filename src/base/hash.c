#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/io.h"

uint64_t cllm__hash(const void *data, size_t size) {
    return XXH3_64bits(data, size);
}

cllm__hasher *cllm__hasher_new(void) {
    XXH3_state_t *state = XXH3_createState();
    if (state != NULL) XXH3_64bits_reset(state);
    return (cllm__hasher *)state;
}

void cllm__hasher_add(cllm__hasher *hasher, const void *data, size_t size) {
    XXH3_64bits_update((XXH3_state_t *)hasher, data, size);
}

uint64_t cllm__hasher_end(cllm__hasher *hasher) {
    uint64_t hash = XXH3_64bits_digest((XXH3_state_t *)hasher);
    XXH3_freeState((XXH3_state_t *)hasher);
    return hash;
}

cllm_status cllm__hash_file(const char *path, uint64_t *hash, cllm_error *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return cllm__fail_errno(err, "cannot open '%s'", path);
    cllm__hasher *hasher = cllm__hasher_new();
    cllm_status status = hasher == NULL ? cllm__fail_nomem(err) : CLLM_OK;
    static _Thread_local char buffer[1 << 16];
    while (status == CLLM_OK) {
        ssize_t n = read(fd, buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) status = cllm__fail_errno(err, "cannot read '%s'", path);
        if (n <= 0) break;
        cllm__hasher_add(hasher, buffer, (size_t)n);
    }
    close(fd);
    uint64_t digest = hasher != NULL ? cllm__hasher_end(hasher) : 0;
    if (status == CLLM_OK) *hash = digest;
    return status;
}

void cllm__hash_text(uint64_t hash, char text[17]) {
    snprintf(text, 17, "%016" PRIx64, hash);
}
