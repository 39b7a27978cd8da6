/* For parsers that read files beside each other: a folder of this process, removed at its end. */
#ifndef CLLM_FUZZ_FOLDER_H
#define CLLM_FUZZ_FOLDER_H

#include "base/io.h"
#include "fuzz.h"

static inline char *fuzz_folder_path(void) {
    static char path[64];
    return path;
}

static inline void fuzz_folder_remove(void) {
    cllm__remove_tree(fuzz_folder_path());
}

static inline const char *fuzz_folder(void) {
    char *path = fuzz_folder_path();
    if (path[0] == '\0') {
        snprintf(path, 64, "%s/fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        FUZZ_CHECK(mkdtemp(path) != NULL && atexit(fuzz_folder_remove) == 0);
    }
    return path;
}

/* The path of a file in the folder, which takes these bytes; the next call changes the path. */
static inline const char *fuzz_put(const char *name, const void *data, size_t size) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", fuzz_folder(), name);
    FILE *file = fopen(path, "wb");
    FUZZ_CHECK(file != NULL && fwrite(data, 1, size, file) == size);
    FUZZ_CHECK(fclose(file) == 0);
    return path;
}

#endif
