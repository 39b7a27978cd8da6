/* Opening data sets that are missing, damaged, or made to do harm. */
#include <json-c/json.h>

#include "base/hash.h"
#include "base/rng.h"
#include "data/dataset_escape.h"
#include "data/dataset_manifest.h"
#include "formats/safetensors.h"
#include "prepare_test.h"

/* A small data set with everything in it, in "good". */
static int make_good(void **state) {
    if (make_scratch(state) != 0) return -1;
    const char *input = put(
        "rows.csv",
        "user,item,rating,time,text\nu,a,5,1,one\nu,b,4,2,two\nu,c,5,3,three\nv,a,5,1,four\nv,b,1,2,five\nw\\,a,1,9,six\n");
    cllm_prepare_options options = from(&input);
    options.output = at("good");
    options.items = put("items.csv", "item,title,brand\na,A,X\nb,B,Y\nc,C,Z\nd,D,\n");
    options.users = put("users.csv", "user,bio\nv,me\n");
    options.has_min_rating = true;
    options.min_rating = 2;
    cllm_error err;
    return cllm__prepare(&options, NULL, &err) == CLLM_OK ? 0 : -1;
}

static const char *in(const char *folder, const char *name) {
    char path[160];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return at(path);
}

/* Without cllm__write_file's flushes, which hundreds of rounds would wait for. */
static void put_in(const char *folder, const char *name, const char *data, size_t size) {
    char path[160];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    put_bytes(path, data, size);
}

/* A copy of "good" as "bad". */
static void copy_good(void) {
    static const char *const names[] = {"dataset.json", "source.json", "interactions.safetensors", "users.tsv",
                                        "items.tsv",    "texts.utf8",  "texts.safetensors",        "dropped.tsv"};
    cllm_error err;
    cllm__remove_tree(at("bad"));
    assert_int_equal(cllm__make_folders(at("bad"), &err), CLLM_OK);
    for (size_t i = 0; i < CLLM_LEN(names); i++) {
        char *data;
        size_t size;
        assert_int_equal(cllm__read_file(in("good", names[i]), SIZE_MAX, &data, &size, &err), CLLM_OK);
        put_in("bad", names[i], data, size);
        cllm__free(data);
    }
}

/* Makes the manifest of "bad" vouch for the files as they are, as somebody who means harm would. */
static void seal(void) {
    char *text;
    size_t size;
    cllm_error err;
    cllm__manifest manifest;
    assert_int_equal(cllm__read_file(in("bad", "dataset.json"), SIZE_MAX, &text, &size, &err), CLLM_OK);
    assert_int_equal(cllm__manifest_parse(&manifest, text, size, "x", &err), CLLM_OK);
    cllm__free(text);
    for (int f = 0; f < CLLM__DATASET_FILES; f++) {
        const char *path = in("bad", cllm__dataset_file_name((cllm__dataset_file)f));
        assert_int_equal(cllm__read_file(path, SIZE_MAX, &text, &size, &err), CLLM_OK);
        manifest.files[f].bytes = size;
        manifest.files[f].hash = cllm__hash(text, size);
        cllm__free(text);
    }
    assert_int_equal(cllm__manifest_print(&manifest, &text, &err), CLLM_OK);
    put_in("bad", "dataset.json", text, strlen(text));
    cllm__free(text);
    cllm__manifest_free(&manifest);
}

static void refuse_bad(cllm_status status, const char *words) {
    cllm__dataset *d = NULL;
    cllm_error err = {0};
    cllm_status got = cllm__dataset_open(&d, at("bad"), false, &err);
    if (got != status || strstr(err.message, words) == NULL)
        fail_msg("%d '%s' instead of %d '%s'", got, err.message, status, words);
    assert_null(d);
}

static void replace_bad(const char *name, const char *data, size_t size) {
    copy_good();
    put_in("bad", name, data, size);
}

static void visit(void *context, const char *item, bool liked) {
    (void)liked;
    *(size_t *)context += strlen(item);
}

/* Reads all there is through every function. */
static size_t use(const cllm__dataset *d) {
    size_t sum = 0, row;
    cllm_error err;
    char *json;
    for (size_t u = 0; u < cllm__dataset_users(d); u++) {
        const char *id = cllm__dataset_user_id(d, u);
        assert_true(cllm__dataset_find_user(d, id, &row) && row == u);
        if (cllm__dataset_dropped(d, id, visit, &sum, &err) != CLLM_OK) sum++;
        for (int s = 0; s < CLLM__SPLITS; s++) {
            const cllm__interactions *m = cllm__dataset_interactions(d, (cllm__split)s);
            for (size_t i = 0; i < cllm__row_count(m, u); i++) sum += (size_t)cllm__row(m, u)[i];
        }
    }
    for (size_t v = 0; v < cllm__dataset_items(d); v++) {
        const char *id = cllm__dataset_item_id(d, v);
        assert_true(cllm__dataset_find_item(d, id, &row) && row == v);
        for (int k = 0; k < CLLM__TEXT_KINDS; k++) sum += strlen(cllm__dataset_item_field(d, v, (cllm__text_kind)k));
    }
    for (size_t i = 0; i < cllm__dataset_texts(d); i++) {
        cllm__text text = cllm__dataset_text(d, i);
        for (size_t c = 0; c < text.length; c++) sum += (unsigned char)text.text[c];
    }
    if (cllm__dataset_dropped(d, "w\\", visit, &sum, &err) != CLLM_OK) sum++;
    assert_int_equal(cllm__dataset_summary(d, &json, &err), CLLM_OK);
    sum += strlen(json);
    cllm__free(json);
    return sum;
}

static void test_good(void **state) {
    (void)state;
    cllm__dataset *d = open_made("good");
    size_t sum = use(d);
    assert_int_equal(cllm__dataset_items(d), 4);
    assert_int_equal(cllm__dataset_users(d), 2);
    cllm__dataset_close(d);
    cllm_error err;
    assert_int_equal(cllm__dataset_open(&d, at("good"), true, &err), CLLM_OK);
    assert_int_equal(use(d), sum);
    cllm__dataset_close(d);
    copy_good(); /* without the source file the summary is shorter, and that is all */
    unlink(in("bad", "source.json"));
    d = open_made("bad");
    use(d);
    cllm__dataset_close(d);
    cllm__dataset_close(NULL);
}

static void test_missing(void **state) {
    (void)state;
    cllm__remove_tree(at("bad"));
    refuse_bad(CLLM_ERR_NOT_FOUND, "is no folder");
    cllm_error err;
    assert_int_equal(cllm__make_folders(at("bad"), &err), CLLM_OK);
    refuse_bad(CLLM_ERR_NOT_FOUND, "has no dataset.json");
    for (int f = 0; f < CLLM__DATASET_FILES; f++) {
        const char *name = cllm__dataset_file_name((cllm__dataset_file)f);
        copy_good();
        unlink(in("bad", name));
        refuse_bad(CLLM_ERR_NOT_FOUND, name);
        assert_int_equal(cllm__make_folders(in("bad", name), &err), CLLM_OK);
        refuse_bad(CLLM_ERR_DATA, name);
    }
}

static void test_damaged(void **state) {
    (void)state;
    for (int f = 0; f < CLLM__DATASET_FILES; f++) {
        const char *name = cllm__dataset_file_name((cllm__dataset_file)f);
        char *data;
        size_t size;
        cllm_error err;
        assert_int_equal(cllm__read_file(in("good", name), SIZE_MAX, &data, &size, &err), CLLM_OK);
        replace_bad(name, data, size - 1);
        refuse_bad(CLLM_ERR_DATA, "where the manifest says");
        refuse_bad(CLLM_ERR_DATA, name);
        data[size / 2] ^= 1;
        replace_bad(name, data, size);
        refuse_bad(CLLM_ERR_DATA, "does not have the checksum");
        refuse_bad(CLLM_ERR_DATA, name);
        cllm__free(data);
        replace_bad(name, "", 0);
        refuse_bad(CLLM_ERR_DATA, name);
        seal();
        cllm__dataset *d;
        assert_int_not_equal(f == CLLM__FILE_TEXTS ? CLLM_ERR_DATA : cllm__dataset_open(&d, at("bad"), false, &err),
                             CLLM_OK);
    }
}

static void refuse_manifest(const char *text, size_t size, cllm_status status, const char *words) {
    cllm__manifest manifest;
    cllm_error err = {0};
    cllm_status got = cllm__manifest_parse(&manifest, text, size, "the-manifest", &err);
    if (got != status || strstr(err.message, words) == NULL || strstr(err.message, "the-manifest") == NULL) {
        fail_msg("%d '%s' instead of %d '%s'", got, err.message, status, words);
    }
}

static void test_manifest(void **state) {
    (void)state;
    char *good;
    size_t size;
    cllm_error err;
    assert_int_equal(cllm__read_file(in("good", "dataset.json"), SIZE_MAX, &good, &size, &err), CLLM_OK);
    for (size_t n = 0; n + 2 < size; n++) refuse_manifest(good, n, CLLM_ERR_DATA, ""); /* every truncation */
    static const struct {
        const char *from, *to, *words;
        cllm_status status;
    } changes[] = {
        {"cllm4rec dataset", "something else", "is no data set manifest", CLLM_ERR_DATA},
        {"\"version\":1", "\"version\":2", "has format version 2", CLLM_ERR_UNSUPPORTED},
        {"\"version\":1", "\"version\":-1", "'version' is -1", CLLM_ERR_DATA},
        {"\"version\":1", "\"version\":\"1\"", "no 'version' of type int", CLLM_ERR_DATA},
        {"\"users\":2", "\"users\":3000000000", "'users' is 3000000000", CLLM_ERR_DATA},
        {"\"users\":2", "\"users\":-2", "'users' is -2", CLLM_ERR_DATA},
        {"\"users\":2", "\"users\":2.5", "no 'users' of type int", CLLM_ERR_DATA},
        {"\"items\":4", "\"item\":4", "no 'items'", CLLM_ERR_DATA},
        {"\"train\":", "\"train\":99999999999999999999", "'train'", CLLM_ERR_DATA},
        {"\"texts\":", "\"texts\":null,\"x\":", "no 'texts'", CLLM_ERR_DATA},
        {"\"xxh3\":\"", "\"xxh3\":\"g", "checksum", CLLM_ERR_DATA},
        {"\"texts.utf8\":", "\"texts.utf9\":", "no 'texts.utf8'", CLLM_ERR_DATA},
        {"\"bytes\":", "\"bytes\":-", "'bytes' is -", CLLM_ERR_DATA},
        {"{", "[", "not JSON", CLLM_ERR_DATA},
        {"\"format\"", "format", "not JSON", CLLM_ERR_DATA},
        {"cllm4rec dataset", "\xff", "not JSON", CLLM_ERR_DATA},
    };
    for (size_t i = 0; i < CLLM_LEN(changes); i++) {
        char text[8192];
        const char *place = strstr(good, changes[i].from);
        if (place == NULL) fail_msg("no %s", changes[i].from);
        int n = snprintf(text, sizeof text, "%.*s%s%s", (int)(place - good), good, changes[i].to,
                         place + strlen(changes[i].from));
        refuse_manifest(text, (size_t)n, changes[i].status, changes[i].words);
    }
    refuse_manifest("[]", 2, CLLM_ERR_DATA, "is no data set manifest");
    refuse_manifest("", 0, CLLM_ERR_DATA, "ends too early");
    char *deep = malloc(2000000);
    memset(deep, '[', 2000000);
    refuse_manifest(deep, 1000, CLLM_ERR_DATA, "not JSON");
    refuse_manifest(deep, 2000000, CLLM_ERR_DATA, "too many for a manifest");
    free(deep);
    /* What is read is written the same. */
    cllm__manifest manifest;
    char *again;
    assert_int_equal(cllm__manifest_parse(&manifest, good, size, "x", &err), CLLM_OK);
    assert_int_equal(cllm__manifest_print(&manifest, &again, &err), CLLM_OK);
    assert_string_equal(again, good);
    cllm__free(again);
    cllm__manifest_free(&manifest);
    cllm__free(good);
}

/* ---- Sealed by an enemy: right checksums, wrong contents ---- */

/* Changes element `index` of a tensor of "bad" to the value in `bytes`. */
static void poke(const char *name, const char *tensor, size_t index, const void *value) {
    cllm__safetensors *file;
    cllm_error err;
    char *data;
    size_t size;
    copy_good();
    assert_int_equal(cllm__read_file(in("bad", name), SIZE_MAX, &data, &size, &err), CLLM_OK);
    assert_int_equal(cllm__safetensors_open(&file, in("bad", name), &err), CLLM_OK);
    const cllm__tensor *t = cllm__safetensors_find(file, tensor), *first = cllm__safetensors_at(file, 0);
    assert_non_null(t);
    size_t element = cllm__st_dtype_size(t->dtype), sum = 0;
    for (size_t i = 0; i < cllm__safetensors_count(file); i++) sum += cllm__safetensors_at(file, i)->bytes;
    size_t begin = size - sum + (size_t)((const char *)t->data - (const char *)first->data);
    memcpy(data + begin + index * element, value, element);
    cllm__safetensors_close(file);
    put_in("bad", name, data, size);
    cllm__free(data);
    seal();
}

static void test_sealed_tensors(void **state) {
    (void)state;
    static const char inter[] = "interactions.safetensors", texts[] = "texts.safetensors";
    const uint64_t far = 1000, huge = UINT64_MAX, one = 1, zero = 0;
    const int32_t minus = -1, beyond = 4, least = INT32_MIN, first = 0;
    const uint8_t kind = 6, review = 0, split = 3, test = 2;
    cllm__dataset *good = open_made("good");
    size_t n_texts = cllm__dataset_texts(good);
    int32_t same = cllm__dataset_interactions(good, CLLM__VALID)->items[0];
    cllm__dataset_close(good);

    poke(inter, "train.items", 0, &minus);
    refuse_bad(CLLM_ERR_DATA, "an item that is none");
    poke(inter, "train.items", 0, &beyond);
    refuse_bad(CLLM_ERR_DATA, "an item that is none");
    poke(inter, "test.items", 0, &least);
    refuse_bad(CLLM_ERR_DATA, "an item that is none");
    poke(inter, "train.items", 0, &same);
    refuse_bad(CLLM_ERR_DATA, "a user has an item twice");
    poke(inter, "train.start", 0, &one);
    refuse_bad(CLLM_ERR_DATA, "do not cover");
    poke(inter, "train.start", 1, &far);
    refuse_bad(CLLM_ERR_DATA, "ends before it begins");
    poke(inter, "train.start", 1, &huge);
    refuse_bad(CLLM_ERR_DATA, "ends before it begins");
    poke(inter, "train.start", 2, &huge);
    refuse_bad(CLLM_ERR_DATA, "do not cover");
    poke(texts, "start", 0, &one);
    refuse_bad(CLLM_ERR_DATA, "does not cover");
    poke(texts, "start", n_texts, &huge);
    refuse_bad(CLLM_ERR_DATA, "does not cover");
    poke(texts, "start", 1, &zero);
    refuse_bad(CLLM_ERR_DATA, "ends before it begins");
    poke(texts, "start", 1, &huge);
    refuse_bad(CLLM_ERR_DATA, "ends before it begins");
    poke(texts, "start", 1, &one);
    refuse_bad(CLLM_ERR_DATA, "does not end where the index says");
    poke(texts, "kind", 0, &kind);
    refuse_bad(CLLM_ERR_DATA, "a text of no user or item");
    poke(texts, "kind", 0, &review);
    refuse_bad(CLLM_ERR_DATA, "a text of no user or item");
    poke(texts, "split", 0, &test); /* a title has no split */
    refuse_bad(CLLM_ERR_DATA, "a text of no user or item");
    poke(texts, "split", n_texts - 1, &split);
    refuse_bad(CLLM_ERR_DATA, "a text of no user or item");
    poke(texts, "item", 0, &beyond);
    refuse_bad(CLLM_ERR_DATA, "a text of no user or item");
    poke(texts, "user", n_texts - 1, &minus);
    refuse_bad(CLLM_ERR_DATA, "a text of no user or item");
    poke(texts, "user", 0, &first);
    refuse_bad(CLLM_ERR_DATA, "a text of no user or item");
    const int32_t of_second = 1; /* two titles for one item, none for another */
    poke(texts, "item", 0, &of_second);
    refuse_bad(CLLM_ERR_DATA, "two texts of one kind");
}

static void refuse_sealed(const char *name, const char *text, const char *words) {
    replace_bad(name, text, strlen(text));
    seal();
    refuse_bad(CLLM_ERR_DATA, words);
    refuse_bad(CLLM_ERR_DATA, name);
}

static void test_sealed_tables(void **state) {
    (void)state;
    refuse_sealed("users.tsv", "", "no header line");
    refuse_sealed("users.tsv", "u\nv\n", "no header line");
    refuse_sealed("users.tsv", "#user\nu\n", "not as many lines");
    refuse_sealed("users.tsv", "#user\nu\nv\nw\n", "not as many lines");
    refuse_sealed("users.tsv", "#user\nu\nu\n", "twice");
    refuse_sealed("users.tsv", "#user\nu\nv", "no end");
    refuse_sealed("users.tsv", "#user\nu\n\n", "not a raw id");
    refuse_sealed("users.tsv", "#user\nu\nv\\x\n", "not a raw id");
    refuse_sealed("users.tsv", "#user\nu\nv\\\n", "not a raw id");
    refuse_sealed("users.tsv", "#user\nu\n\xff\n", "not a raw id");
    refuse_sealed("items.tsv", "#item\na\nb\nc\na\tx\n", "twice");
    refuse_sealed("dropped.tsv", "", "no header line");
    refuse_sealed("dropped.tsv", "#user\titem\tliked\na\tb\n", "not user, item and 0 or 1");
    refuse_sealed("dropped.tsv", "#user\titem\tliked\na\tb\t2\n", "not user, item and 0 or 1");
    refuse_sealed("dropped.tsv", "#user\titem\tliked\na\tb\t1x\n", "not user, item and 0 or 1");
    refuse_sealed("dropped.tsv", "#user\titem\tliked\na\tb\t1", "not user, item and 0 or 1");
    refuse_sealed("dropped.tsv", "#user\titem\tliked\nb\tb\t1\na\tb\t1\n", "out of order");
    refuse_sealed("dropped.tsv", "#user\titem\tliked\na\\q\tb\t1\n", "not a raw id");
    replace_bad("users.tsv", "#user\nu\nv\0\n", 12);
    seal();
    refuse_bad(CLLM_ERR_DATA, "not a raw id");
}

static void test_sealed_texts(void **state) {
    (void)state;
    char *data;
    size_t size;
    cllm_error err;
    assert_int_equal(cllm__read_file(in("good", "texts.utf8"), SIZE_MAX, &data, &size, &err), CLLM_OK);
    data[0] = '\xff';
    replace_bad("texts.utf8", data, size);
    seal();
    refuse_bad(CLLM_ERR_DATA, "not UTF-8");
    data[0] = 'A';
    data[size - 1] = 'x'; /* no NUL at the end, even for somebody who trusts */
    replace_bad("texts.utf8", data, size);
    seal();
    refuse_bad(CLLM_ERR_DATA, "does not cover");
    cllm__dataset *d;
    assert_int_equal(cllm__dataset_open(&d, at("bad"), true, &err), CLLM_ERR_DATA);
    cllm__free(data);
}

/* A review belongs to its pair's split: one of a held-out pair does not pass for training, nor one of a pair that there is not. */
static void test_sealed_reviews(void **state) {
    (void)state;
    cllm__dataset *d;
    cllm_error err = {0};
    assert_int_equal(cllm__dataset_open(&d, at("good"), false, &err), CLLM_OK);
    size_t n = cllm__dataset_texts(d), tried = 0;
    for (size_t i = 0; i < n; i++) {
        cllm__text text = cllm__dataset_text(d, i);
        if (text.kind != CLLM__TEXT_REVIEW) continue;
        for (int split = 0; split < CLLM__SPLITS; split++) {
            for (int32_t item = 0; item < (int32_t)cllm__dataset_items(d); item++) {
                size_t place, size;
                char *data, words[96];
                int pair = find_pair(d, cllm__dataset_user_id(d, (size_t)text.user), cllm__dataset_item_id(d, (size_t)item), &place);
                cllm__safetensors *file;
                const cllm__tensor *splits, *items;
                assert_int_equal(cllm__safetensors_open(&file, in("good", "texts.safetensors"), &err), CLLM_OK);
                splits = cllm__safetensors_find(file, "split");
                items = cllm__safetensors_find(file, "item");
                assert_int_equal(cllm__read_file(in("good", "texts.safetensors"), SIZE_MAX, &data, &size, &err), CLLM_OK);
                const char *begin = (const char *)items->data; /* offsets are those of the map, whose end is the file's */
                size_t data_begin = size;
                static const char *const names[] = {"start", "kind", "split", "user", "item"};
                for (size_t k = 0; k < CLLM_LEN(names); k++) data_begin -= cllm__safetensors_find(file, names[k])->bytes;
                const char *lowest = begin;
                for (size_t k = 0; k < CLLM_LEN(names); k++) {
                    const char *from = cllm__safetensors_find(file, names[k])->data;
                    if (from < lowest) lowest = from;
                }
                data[data_begin + (size_t)((const char *)splits->data - lowest) + i] = (char)split;
                memcpy(data + data_begin + (size_t)(begin - lowest) + i * sizeof item, &item, sizeof item);
                cllm__safetensors_close(file);
                replace_bad("texts.safetensors", data, size);
                cllm__free(data);
                seal();
                if (pair == split) {
                    cllm__dataset *changed;
                    assert_int_equal(cllm__dataset_open(&changed, at("bad"), false, &err), CLLM_OK);
                    cllm__dataset_close(changed);
                } else {
                    snprintf(words, sizeof words, "texts.safetensors', entry %zu: a review of a pair that is not in", i);
                    refuse_bad(CLLM_ERR_DATA, words);
                    tried++;
                }
            }
        }
    }
    cllm__dataset_close(d);
    assert_true(tried > 20);
}

/* Random damage under right checksums: opening refuses it, or all that is read stays inside. */
static void test_random_damage(void **state) {
    (void)state;
    size_t opened = 0;
    for (uint64_t round = 0; round < 600; round++) {
        cllm__rng rng = cllm__rng_make(round, CLLM_RNG_TEST, 0, 0);
        int f = (int)(round % CLLM__DATASET_FILES);
        const char *name = cllm__dataset_file_name((cllm__dataset_file)f);
        char *data;
        size_t size;
        cllm_error err = {0};
        assert_int_equal(cllm__read_file(in("good", name), SIZE_MAX, &data, &size, &err), CLLM_OK);
        for (uint64_t n = 1 + cllm__rng_below(&rng, 4); n > 0; n--)
            data[cllm__rng_below(&rng, size)] = (char)cllm__rng_u32(&rng);
        replace_bad(name, data, size);
        cllm__free(data);
        seal();
        for (int trust = 0; trust < 2; trust++) {
            cllm__dataset *d = NULL;
            cllm_status status = cllm__dataset_open(&d, at("bad"), trust, &err);
            if (status == CLLM_OK) {
                use(d);
                opened++;
                cllm__dataset_close(d);
            } else {
                assert_true(err.message[0] != '\0');
            }
        }
    }
    assert_true(opened > 20); /* not everything is damage: letters of a text */
}

static void test_escape(void **state) {
    (void)state;
    static const char *const texts[] = {"", "plain", "\t", "a\tb\nc\rd\\e", "\\t", "\\\\", "\xF0\x9F\x8C\xB2", "end\\"};
    for (size_t i = 0; i < CLLM_LEN(texts); i++) {
        cllm__out *out;
        cllm_error err;
        char *field, back[64];
        size_t size;
        assert_int_equal(cllm__out_create(&out, at("escaped"), &err), CLLM_OK);
        assert_int_equal(cllm__escape_write(out, texts[i], strlen(texts[i]), &err), CLLM_OK);
        assert_int_equal(cllm__out_commit(out, &err), CLLM_OK);
        assert_int_equal(cllm__read_file(at("escaped"), 64, &field, &size, &err), CLLM_OK);
        assert_null(strpbrk(field, "\t\n\r"));
        assert_int_equal(cllm__unescape(back, field, size), strlen(texts[i]));
        assert_memory_equal(back, texts[i], strlen(texts[i]));
        for (size_t k = 0; k < CLLM_LEN(texts); k++) {
            int expected = strcmp(texts[i], texts[k]), got = cllm__escape_compare(field, size, texts[k]);
            assert_int_equal((got > 0) - (got < 0), (expected > 0) - (expected < 0));
        }
        cllm__free(field);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),         cmocka_unit_test(test_missing),        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_manifest),     cmocka_unit_test(test_sealed_tensors), cmocka_unit_test(test_sealed_tables),
        cmocka_unit_test(test_sealed_texts), cmocka_unit_test(test_sealed_reviews), cmocka_unit_test(test_random_damage),  cmocka_unit_test(test_escape),
    };
    return cmocka_run_group_tests(tests, make_good, drop_scratch);
}
