#include "base/alloc.h"
#include "base/hash.h"
#include "data/dataset.h"
#include "data/dataset_manifest.h"
#include "data/prepare.h"
#include "fuzz_folder.h"

/* A data set of which one file is anything. The first byte says which, and whether checksums are trusted; the manifest vouches for it, as
 * that of a data set that somebody made by hand. What is opened can be asked. */

static const char rows[] = "user\titem\trating\ttimestamp\treview\n"
                           "ann\tlamp\t5\t1\tgood light\nann\tkettle\t4\t2\thot\nann\trug\t5\t3\tsoft\nann\tcup\t1\t4\tbroke\n"
                           "bob\tlamp\t4\t5\tfine\nbob\trug\t5\t6\twarm\nbob\tcup\t5\t7\tblue\neve\tlamp\t2\t8\tdark\n";

typedef struct kept {
    char *data;
    size_t size;
} kept;

static cllm__manifest manifest;
static kept files[CLLM__DATASET_FILES];

static void make_dataset(char folder[128]) {
    const char *input = fuzz_put("rows.tsv", rows, sizeof rows - 1);
    cllm_error err = {0};
    char path[160], *text;
    size_t size;
    snprintf(folder, 128, "%s/data", fuzz_folder());
    FUZZ_CHECK(cllm__prepare(&(cllm_prepare_options){.inputs = &input, .n_inputs = 1, .output = folder, .has_min_rating = true, .min_rating = 4},
                             NULL, &err) == CLLM_OK);
    snprintf(path, sizeof path, "%s/%s", folder, CLLM__MANIFEST_NAME);
    FUZZ_CHECK(cllm__read_file(path, 1 << 20, &text, &size, &err) == CLLM_OK);
    FUZZ_CHECK(cllm__manifest_parse(&manifest, text, size, path, &err) == CLLM_OK);
    cllm__free(text);
    for (int f = 0; f < CLLM__DATASET_FILES; f++) {
        snprintf(path, sizeof path, "%s/%s", folder, cllm__dataset_file_name((cllm__dataset_file)f));
        FUZZ_CHECK(cllm__read_file(path, 1 << 20, &files[f].data, &files[f].size, &err) == CLLM_OK);
    }
}

static void put(int file, const void *data, size_t size) {
    char name[64];
    snprintf(name, sizeof name, "data/%s", cllm__dataset_file_name((cllm__dataset_file)file));
    fuzz_put(name, data, size);
    manifest.files[file].bytes = size;
    manifest.files[file].hash = cllm__hash(data, size);
}

static void count_row(void *context, const char *item, bool liked) {
    *(size_t *)context += strlen(item) + liked;
}

static void ask(const cllm__dataset *d) {
    size_t sum = 0, n_users = cllm__dataset_users(d), n_items = cllm__dataset_items(d);
    for (int s = 0; s < CLLM__SPLITS; s++) {
        const cllm__interactions *matrix = cllm__dataset_interactions(d, (cllm__split)s);
        for (size_t u = 0; u < n_users; u++) {
            for (size_t i = 0; i < cllm__row_count(matrix, u); i++) FUZZ_CHECK((size_t)cllm__row(matrix, u)[i] < n_items);
        }
    }
    for (size_t i = 0; i < cllm__dataset_texts(d); i++) {
        cllm__text text = cllm__dataset_text(d, i);
        for (size_t c = 0; c < text.length; c++) sum += (unsigned char)text.text[c];
    }
    static const char *const users[] = {"ann", "bob", "eve", "", "zoe"};
    for (size_t i = 0; i < 5; i++) {
        cllm_error err = {0};
        if (cllm__dataset_dropped(d, users[i], count_row, &sum, &err) != CLLM_OK) FUZZ_CHECK(err.message[0] != '\0');
    }
    FUZZ_CHECK(sum < SIZE_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char folder[128];
    cllm_error err = {0};
    cllm__dataset *d;
    char *text;
    if (folder[0] == '\0') make_dataset(folder);
    if (size == 0) return 0;
    int file = data[0] % CLLM__DATASET_FILES;
    put(file, data + 1, size - 1);
    FUZZ_CHECK(cllm__manifest_print(&manifest, &text, &err) == CLLM_OK);
    fuzz_put("data/" CLLM__MANIFEST_NAME, text, strlen(text));
    cllm__free(text);
    if (cllm__dataset_open(&d, folder, data[0] / CLLM__DATASET_FILES % 2 == 1, &err) == CLLM_OK) {
        ask(d);
        cllm__dataset_close(d);
    } else {
        FUZZ_CHECK(err.message[0] != '\0');
    }
    put(file, files[file].data, files[file].size);
    return 0;
}
