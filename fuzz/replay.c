/* Drives a fuzz target without libFuzzer: every file of the folder given, and for each of them copies cut short and copies
 * with one byte changed. The changes are the same in every run. */
#define _XOPEN_SOURCE 700
#include <dirent.h>
#include <sys/stat.h>

#include "fuzz.h"

enum { CUTS = 64, CHANGES = 512, SIZE_MAX_SEED = 1 << 20 };

static uint64_t next_random(uint64_t *state) { /* splitmix64 */
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

static void run(const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(size > 0 ? size : 1); /* of exactly that size */
    FUZZ_CHECK(copy != NULL);
    if (size > 0) memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void replay(const char *path) {
    static uint8_t data[SIZE_MAX_SEED];
    FILE *file = fopen(path, "rb");
    FUZZ_CHECK(file != NULL);
    size_t size = fread(data, 1, sizeof data, file);
    FUZZ_CHECK(size < sizeof data);
    fclose(file);
    run(data, size);
    for (size_t i = 0; i < CUTS && i < size; i++) run(data, size <= CUTS ? i : size * i / CUTS);
    uint64_t state = size;
    for (size_t i = 0; i < CHANGES && size > 0; i++) {
        uint64_t random = next_random(&state);
        size_t at = (size_t)((random >> 16) % size);
        uint8_t old = data[at];
        data[at] = (uint8_t)((random & 1) != 0 ? old ^ 1u << (random >> 8 & 7) : random >> 8);
        run(data, size);
        data[at] = old;
    }
}

int main(int argc, char **argv) {
    size_t files = 0;
    for (int i = 1; i < argc; i++) {
        struct dirent **names;
        int n = scandir(argv[i], &names, NULL, alphasort);
        if (n < 0) {
            perror(argv[i]);
            return 1;
        }
        for (int k = 0; k < n; k++) {
            char path[4096];
            struct stat info;
            snprintf(path, sizeof path, "%s/%s", argv[i], names[k]->d_name);
            if (stat(path, &info) == 0 && S_ISREG(info.st_mode)) {
                replay(path);
                files++;
            }
            free(names[k]);
        }
        free(names);
    }
    run((const uint8_t *)"", 0);
    printf("%zu files\n", files);
    return files > 0 ? 0 : 1;
}
