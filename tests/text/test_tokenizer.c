/* The tokenizer on its own vocabularies: round trips, limits, threads, files and their faults. */
#include <pthread.h>

#include "formats/utf8.h"
#include "text/letters.h"
#include "text_test.h"

/* ---- The alphabet ---- */

static void letters(void **state) {
    (void)state;
    bool seen[324] = {false};
    for (int b = 0; b < 256; b++) {
        uint32_t letter = cllm__letter_of_byte((unsigned char)b);
        assert_true(letter > 0x20 && letter < 324 && letter != 0x7F && letter != 0xAD && !seen[letter]);
        seen[letter] = true;
        assert_int_equal(cllm__byte_of_letter(letter), b);
    }
    assert_int_equal(cllm__letter_of_byte(' '), 0x120); /* the Ġ of GPT-2's files */
    assert_int_equal(cllm__letter_of_byte('\n'), 0x10A);
    assert_int_equal(cllm__letter_of_byte(0xAD), 0x143);
    assert_int_equal(cllm__letter_of_byte(0xE9), 0xE9);
    for (uint32_t c = 0; c < 1000; c++) assert_true((cllm__byte_of_letter(c) >= 0) == (c < 324 && seen[c]));
    char out[16], back[16];
    size_t count;
    assert_int_equal(cllm__letters_from_bytes(out, "a \xff", 3), 5);
    assert_memory_equal(out, "a\xc4\xa0\xc3\xbf", 5);
    assert_true(cllm__letters_to_bytes(back, &count, out, 5));
    assert_int_equal(count, 3);
    assert_memory_equal(back, "a \xff", 3);
    assert_false(cllm__letters_to_bytes(back, &count, "a b", 3));
    assert_false(cllm__letters_to_bytes(back, &count, "\xc4", 1));
    assert_false(cllm__letters_to_bytes(back, &count, "\xc5\x84", 2)); /* U+0144 */
}

/* ---- Properties ---- */

/* Text with everything in it: letters of several scripts, digits, spaces, broken UTF-8, NUL. */
static size_t random_text(cllm__rng *rng, char *text, size_t limit) {
    static const uint32_t some[] = {' ',    ' ',    ' ',    '\'',   's',     't',    'r',    'e',  '1',    '9',
                                    '\n',   '\t',   '.',    '!',    0,       0x7F,   0xA0,   0xE9, 0x180E, 0x200B,
                                    0x2003, 0x3000, 0x4E2D, 0x661F, 0x1F600, 0x0301, 0x0660, 0xAD};
    size_t length = 0, wanted = (size_t)cllm__rng_below(rng, limit - 3);
    while (length < wanted) {
        uint32_t kind = (uint32_t)cllm__rng_below(rng, 8);
        if (kind == 0) text[length++] = (char)cllm__rng_u32(rng);
        else if (kind < 4) text[length++] = (char)('a' + cllm__rng_below(rng, 26));
        else length += cllm__utf8_put(text + length, some[cllm__rng_below(rng, CLLM_LEN(some))]);
    }
    return length;
}

/* decode(encode(x)) = x, ids are pieces, every id list is shorter than the text. */
static void round_trip(void **state) {
    (void)state;
    cllm__tokenizer *t = train_small(700);
    cllm__rng rng = cllm__rng_make(1, CLLM_RNG_TEST, 0, 1);
    cllm__tokens ids = {0};
    cllm_error err;
    char text[400], *back;
    size_t length, back_length;
    for (int i = 0; i < 20000; i++) {
        length = i % 3 == 0 ? random_text(&rng, text, 400) : random_text(&rng, text, 30);
        char *exact = malloc(length + (length == 0));
        memcpy(exact, text, length);
        ids.count = 0;
        assert_ok(cllm__tokenizer_encode(t, exact, length, &ids, &err), &err);
        assert_true(ids.count <= length);
        assert_ok(cllm__tokenizer_decode(t, ids.ids, ids.count, &back, &back_length, &err), &err);
        assert_int_equal(back_length, length);
        assert_memory_equal(back, text, length);
        assert_int_equal(back[length], '\0');
        cllm__free(back);
        free(exact);
    }
    cllm__tokens_free(&ids);
    cllm__tokenizer_close(t);
}

/* Merging straight from the definition: the lowest rank, the leftmost place, again and again. Finds ranks by their place
 * in merges.txt, so it shares nothing with the code under test but the files. */
static size_t merge_plainly(char (*merges)[2][64], size_t count, char (*parts)[64], size_t n) {
    for (;;) {
        size_t best = count, at = 0;
        for (size_t i = 0; i + 1 < n; i++) {
            for (size_t m = 0; m < best; m++) {
                if (strcmp(merges[m][0], parts[i]) == 0 && strcmp(merges[m][1], parts[i + 1]) == 0) {
                    best = m;
                    at = i;
                }
            }
        }
        if (best == count) return n;
        char right[64];
        strcpy(right, parts[at + 1]);
        strcat(parts[at], right);
        memmove(parts[at + 1], parts[at + 2], (--n - at - 1) * sizeof parts[0]);
    }
}

/* Words short and long (the heap's) against that. */
static void merging(void **state) {
    (void)state;
    enum { MERGES = 240, LONGEST = 150 };
    static char merges[MERGES][2][64], parts[LONGEST + 1][64];
    cllm__tokenizer *t = train_small(256 + MERGES);
    char *folder = scratch_folder("merging"), path[512], line[256], word[LONGEST], letters_of[8];
    cllm_error err;
    size_t count = 0;
    assert_ok(cllm__tokenizer_save(t, folder, &err), &err);
    snprintf(path, sizeof path, "%s/merges.txt", folder);
    FILE *file = fopen(path, "r");
    assert_non_null(fgets(line, sizeof line, file));
    assert_string_equal(line, "#version: 0.2\n");
    while (fgets(line, sizeof line, file) != NULL)
        assert_int_equal(sscanf(line, "%63s %63s", merges[count][0], merges[count][1]), 2), count++;
    assert_int_equal(count, MERGES);
    fclose(file);
    cllm__rng rng = cllm__rng_make(2, CLLM_RNG_TEST, 0, 1);
    cllm__tokens ids = {0};
    for (int trial = 0; trial < 300; trial++) {
        /* Letters that the corpus often has, so that merges chain and overlap. */
        size_t length = 1 + (size_t)cllm__rng_below(&rng, trial % 2 == 0 ? LONGEST : 30);
        for (size_t i = 0; i < length; i++) word[i] = "eeeooonnttaidsr"[cllm__rng_below(&rng, 15)];
        for (size_t i = 0; i < length; i++) {
            letters_of[cllm__letters_from_bytes(letters_of, word + i, 1)] = '\0';
            strcpy(parts[i], letters_of);
        }
        size_t n = merge_plainly(merges, count, parts, length);
        ids.count = 0;
        assert_ok(cllm__tokenizer_encode(t, word, length, &ids, &err), &err);
        assert_int_equal(ids.count, n);
        for (size_t i = 0; i < n; i++) assert_int_equal(ids.ids[i], cllm__tokenizer_find(t, parts[i]));
    }
    cllm__tokens_free(&ids);
    cllm__tokenizer_close(t);
    cllm__remove_tree(folder);
    free(folder);
}

static void limits_and_spaces(void **state) {
    (void)state;
    cllm__tokenizer *t = train_small(700);
    static const char text[] = "I love this umbrella, it's comfortable and noisy!";
    cllm__tokens all = {0}, some = {0}, spaced = {0}, lead = {0};
    cllm_error err;
    assert_ok(cllm__tokenizer_encode(t, text, strlen(text), &all, &err), &err);
    assert_true(all.count > 9);
    for (size_t limit = 0; limit <= all.count + 1; limit++) {
        some.count = 0;
        assert_ok(cllm__tokenizer_encode_main(t, text, strlen(text), false, limit, &some, &err), &err);
        assert_ids(&some, all.ids, limit < all.count ? limit : all.count);
    }
    /* The limit counts what is appended. */
    size_t before = some.count;
    assert_ok(cllm__tokenizer_encode_main(t, text, strlen(text), false, 3, &some, &err), &err);
    assert_int_equal(some.count, before + 3);
    assert_ok(cllm__tokenizer_encode(t, " I love", 7, &spaced, &err), &err);
    assert_ok(cllm__tokenizer_encode_main(t, "I love", 6, true, SIZE_MAX, &lead, &err), &err);
    assert_ids(&lead, spaced.ids, spaced.count);
    lead.count = 0;
    assert_ok(cllm__tokenizer_encode_main(t, " I love", 7, true, SIZE_MAX, &lead, &err), &err);
    assert_ids(&lead, spaced.ids, spaced.count);
    lead.count = 0;
    assert_ok(cllm__tokenizer_encode_main(t, "", 0, true, SIZE_MAX, &lead, &err), &err);
    assert_ok(cllm__tokenizer_encode(t, NULL, 0, &lead, &err), &err);
    assert_int_equal(lead.count, 0);
    cllm__tokens_free(&all), cllm__tokens_free(&some), cllm__tokens_free(&spaced), cllm__tokens_free(&lead);
    cllm__tokenizer_close(t);
}

static void decoding(void **state) {
    (void)state;
    cllm__tokenizer *t = train_small(300);
    char *text;
    size_t length;
    const int32_t beyond[] = {5, 300}, negative[] = {-1};
    assert_int_equal(cllm__tokenizer_size(t), 300);
    assert_fails(cllm__tokenizer_decode(t, beyond, 2, &text, &length, why), CLLM_ERR_DATA, "token 1 is 300");
    assert_fails(cllm__tokenizer_decode(t, negative, 1, &text, &length, why), CLLM_ERR_DATA, "token 0 is -1");
    assert_null(cllm__tokenizer_piece(t, 300, &length));
    assert_null(cllm__tokenizer_piece(t, -1, &length));
    assert_string_equal(cllm__tokenizer_piece(t, 0, &length), "!");
    assert_int_equal(length, 1);
    assert_int_equal(cllm__tokenizer_piece(t, cllm__tokenizer_find(t, "\xc4\xa0"), &length)[0], ' ');
    assert_int_equal(cllm__tokenizer_find(t, "<|endoftext|>"), -1);
    assert_int_equal(cllm__tokenizer_bos(t), -1);
    assert_int_equal(cllm__tokenizer_missing_bytes(t), 0);
    cllm__tokenizer_close(t);
}

/* ---- Threads ---- */

typedef struct job {
    const cllm__tokenizer *tokenizer;
    uint64_t digest;
} job;

static void *encode_much(void *argument) {
    job *j = argument;
    cllm__rng rng = cllm__rng_make(3, CLLM_RNG_TEST, 0, 1);
    cllm__tokens ids = {0};
    char text[200];
    j->digest = FNV_START;
    for (int i = 0; i < 3000; i++) {
        ids.count = 0;
        size_t length = random_text(&rng, text, 200);
        if (cllm__tokenizer_encode(j->tokenizer, text, length, &ids, NULL) != CLLM_OK) return NULL;
        j->digest = fnv_ids(j->digest, ids.ids, ids.count);
    }
    cllm__tokens_free(&ids);
    return NULL;
}

static void threads(void **state) {
    (void)state;
    cllm__tokenizer *t = train_small(700);
    job alone = {t, 0}, jobs[4];
    pthread_t running[4];
    encode_much(&alone);
    for (int i = 0; i < 4; i++) {
        jobs[i] = (job){t, 0};
        assert_int_equal(pthread_create(&running[i], NULL, encode_much, &jobs[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(running[i], NULL);
        assert_int_equal(jobs[i].digest, alone.digest);
    }
    cllm__tokenizer_close(t);
}

/* ---- Files ---- */

static cllm_status from(const char *vocab, const char *merges, cllm__tokenizer **t, cllm_error *err) {
    return cllm__tokenizer_from_vocab(t, vocab, strlen(vocab), merges, strlen(merges), "V", "M", err);
}

static void small_vocabulary(void **state) {
    (void)state;
    cllm__tokenizer *t;
    cllm_error err;
    /* ids in any order; the same pair twice: the later place counts, so "a b" comes after "b c" */
    assert_ok(from("{\"c\":2,\"a\":0,\"b\":1,\"ab\":3,\"bc\":4}", "#version: 0.2\na b\nb c\na b\n", &t, &err), &err);
    assert_int_equal(cllm__tokenizer_size(t), 5);
    assert_int_equal(cllm__tokenizer_missing_bytes(t), 253);
    assert_encodes(t, "abc", 0, 4);
    assert_encodes(t, "ab", 3);
    assert_encodes(t, "axbz c", 3, 2); /* bytes without a piece are left out, and their neighbours meet */
    cllm__tokenizer_close(t);
    /* CRLF, no heading, no newline at the end, a merge that begins with # */
    assert_ok(from("{\"#\":0,\"##\":1,\"a\":2,\"#a\":3}", "# #\r\n# a", &t, &err), &err);
    assert_encodes(t, "##", 1);
    assert_encodes(t, "###", 1, 0);
    cllm__tokenizer_close(t);
    assert_ok(from("{\"a\":0}", "", &t, &err), &err);
    assert_encodes(t, "aa", 0, 0);
    cllm__tokenizer_close(t);
    /* a piece outside the alphabet is never made from text, but can be decoded */
    assert_ok(from("{\"a\":0,\" a\":1,\"\xc4\xa0\":2,\"\xc4\xa0"
                   "a\":3}",
                   "\xc4\xa0 a\n", &t, &err),
              &err);
    assert_encodes(t, " a", 3);
    size_t length;
    assert_string_equal(cllm__tokenizer_piece(t, 1, &length), " a");
    cllm__tokenizer_close(t);
}

static void vocabulary_faults(void **state) {
    (void)state;
    cllm__tokenizer *t = NULL;
    const char *ab = "{\"a\":0,\"b\":1,\"ab\":2}";
    assert_fails(from("", "", &t, why), CLLM_ERR_DATA, "V: the file is empty");
    assert_fails(from("{", "", &t, why), CLLM_ERR_DATA, "V: ");
    assert_fails(from("{\"a\":0", "", &t, why), CLLM_ERR_DATA, "V: the JSON text ends too soon");
    assert_fails(from("null", "", &t, why), CLLM_ERR_DATA, "V: ");
    assert_fails(from("[1]", "", &t, why), CLLM_ERR_DATA, "V: not a JSON object");
    assert_fails(from("{\"a\":0}x", "", &t, why), CLLM_ERR_DATA, "V: not JSON");
    assert_fails(from("{\"\xff\":0}", "", &t, why), CLLM_ERR_DATA, "V: not JSON");
    assert_fails(from("{}", "", &t, why), CLLM_ERR_DATA, "V: the vocabulary is empty");
    assert_fails(from("{\"\":0}", "", &t, why), CLLM_ERR_DATA, "V: piece 0 is empty");
    assert_fails(from("{\"a\":\"0\"}", "", &t, why), CLLM_ERR_DATA, "V: piece 'a' has no id: \"0\"");
    assert_fails(from("{\"a\":1.5}", "", &t, why), CLLM_ERR_DATA, "V: piece 'a' has no id: 1.5");
    assert_fails(from("{\"a\":-1}", "", &t, why), CLLM_ERR_DATA, "V: piece 'a' has no id: -1");
    assert_fails(from("{\"a\":2147483648}", "", &t, why), CLLM_ERR_DATA, "2147483648");
    assert_fails(from("{\"a\":0,\"b\":0}", "", &t, why), CLLM_ERR_DATA, "V: the id 0 stands for two pieces, 'a' and 'b'");
    assert_fails(from("{\"a\":0,\"b\":2}", "", &t, why), CLLM_ERR_DATA, "V: the id 1 is missing");
    assert_fails(from("{\"a\":2147483647}", "", &t, why), CLLM_ERR_DATA, "V: the id 0 is missing");
    assert_fails(from(ab, "a b\nab c\n", &t, why), CLLM_ERR_DATA, "M:2: the merge's right part 'c'");
    assert_fails(from(ab, "c b\n", &t, why), CLLM_ERR_DATA, "M:1: the merge's left part 'c'");
    assert_fails(from(ab, "a b\nb a\n", &t, why), CLLM_ERR_DATA, "M:2: the merge's result 'ba'");
    assert_fails(from(ab, "ab\n", &t, why), CLLM_ERR_DATA, "M:1: 'ab' is not two pieces");
    assert_fails(from(ab, "a b c\n", &t, why), CLLM_ERR_DATA, "M:1: 'a b c' is not two pieces");
    assert_fails(from(ab, "a b\n\na b\n", &t, why), CLLM_ERR_DATA, "M:2: '' is not two pieces");
    assert_fails(from(ab, "a \n", &t, why), CLLM_ERR_DATA, "M:1: the merge's right part ''");
    assert_fails(from(ab, "a \x1b[31m\xff\n", &t, why), CLLM_ERR_DATA, "'?[31m?'");
    assert_null(t);
}

static void put_file(const char *folder, const char *name, const char *text) {
    char path[512];
    cllm_error err;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_ok(cllm__write_file(path, text, strlen(text), &err), &err);
}

static void folders(void **state) {
    (void)state;
    char *folder = scratch_folder("folders"), path[512];
    cllm__tokenizer *t = NULL, *again = NULL;
    cllm_error err;
    assert_fails(cllm__tokenizer_open(&t, "scratch/no-such", why), CLLM_ERR_NOT_FOUND, "no-such");
    assert_fails(cllm__tokenizer_open(&t, folder, why), CLLM_ERR_NOT_FOUND, "neither tokenizer.json nor vocab.json");
    put_file(folder, "vocab.json", "{\"a\":0,\"b\":1,\"ab\":2}");
    assert_fails(cllm__tokenizer_open(&t, folder, why), CLLM_ERR_NOT_FOUND, "merges.txt");
    put_file(folder, "merges.txt", "x y\n");
    assert_fails(cllm__tokenizer_open(&t, folder, why), CLLM_ERR_DATA, "merges.txt:1: ");
    put_file(folder, "merges.txt", "a b\n");
    assert_ok(cllm__tokenizer_open(&t, folder, &err), &err);
    put_file(folder, "tokenizer.json", "[]");
    assert_fails(cllm__tokenizer_open(&again, folder, why), CLLM_ERR_DATA, "tokenizer.json: ");
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    assert_fails(cllm__tokenizer_open(&again, path, why), CLLM_ERR_DATA, "tokenizer.json: ");
    assert_int_equal(truncate(path, (off_t)257 << 20), 0); /* sparse */
    assert_fails(cllm__tokenizer_open(&again, path, why), CLLM_ERR_DATA, "tokenizer.json");
    cllm__tokenizer_close(t);
    cllm__remove_tree(folder);
    free(folder);
}

static bool fails_write;
static int fail_writing(void *user, cllm__io_op op, const char *path) {
    (void)user, (void)path;
    return fails_write && op == CLLM_IO_WRITE ? 28 /* ENOSPC */ : 0;
}

/* Saving and opening again gives an equal tokenizer; a full disk leaves nothing. */
static void saving(void **state) {
    (void)state;
    char *folder = scratch_folder("saving"), path[512];
    cllm__tokenizer *t = train_small(400), *again, *other = train_small(401);
    cllm_error err;
    cllm__io_set_hook(fail_writing, NULL);
    fails_write = true;
    assert_fails(cllm__tokenizer_save(t, folder, why), CLLM_ERR_IO, "vocab.json");
    snprintf(path, sizeof path, "%s/vocab.json", folder);
    assert_false(cllm__path_exists(path));
    cllm__io_set_hook(NULL, NULL);
    assert_ok(cllm__tokenizer_save(t, folder, &err), &err);
    assert_ok(cllm__tokenizer_open(&again, folder, &err), &err);
    assert_int_equal(cllm__tokenizer_hash(t), cllm__tokenizer_hash(again));
    assert_int_not_equal(cllm__tokenizer_hash(t), cllm__tokenizer_hash(other));
    job one = {t, 0}, two = {again, 0};
    encode_much(&one), encode_much(&two);
    assert_int_equal(one.digest, two.digest);
    assert_fails(cllm__tokenizer_save(t, "scratch/no-such/folder", why), CLLM_ERR_IO, "vocab.json");
    cllm__tokenizer_close(t), cllm__tokenizer_close(again), cllm__tokenizer_close(other);
    cllm__remove_tree(folder);
    free(folder);
}

/* Each allocation in turn fails: an error, no leak (the sanitizer's), and the list as it was. */
static void allocation_failures(void **state) {
    (void)state;
    const char *vocab = "{\"a\":0,\"b\":1,\"ab\":2,\"\xc4\xa0\":3}";
    char word[300];
    memset(word, 'a', sizeof word);
    for (size_t n = 1;; n++) {
        cllm__tokenizer *t = NULL;
        cllm__tokens ids = {0};
        char *text = NULL;
        size_t length;
        cllm_error err;
        size_t made = cllm__alloc_count();
        cllm__alloc_fail_at(n, false);
        cllm_status status = from(vocab, "a b\n", &t, &err);
        if (status == CLLM_OK) status = cllm__tokenizer_encode_main(t, "ab\xff ab", 6, true, SIZE_MAX, &ids, &err);
        size_t before = ids.count;
        if (status == CLLM_OK) {
            assert_int_equal(before, 4);
            status = cllm__tokenizer_encode(t, word, sizeof word, &ids, &err);
            if (status != CLLM_OK) assert_int_equal(ids.count, before);
        }
        if (status == CLLM_OK) status = cllm__tokenizer_decode(t, ids.ids, ids.count, &text, &length, &err);
        cllm__alloc_fail_at(0, false);
        made = cllm__alloc_count() - made;
        cllm__free(text);
        cllm__tokens_free(&ids);
        cllm__tokenizer_close(t);
        if (made < n) {
            assert_ok(status, &err);
            assert_true(n > 30);
            return;
        }
        /* Without memory for its compiler, PCRE2 still has its interpreter. */
        if (status != CLLM_OK) assert_int_equal(status, CLLM_ERR_NOMEM);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(letters),
        cmocka_unit_test(round_trip),
        cmocka_unit_test(merging),
        cmocka_unit_test(limits_and_spaces),
        cmocka_unit_test(decoding),
        cmocka_unit_test(threads),
        cmocka_unit_test(small_vocabulary),
        cmocka_unit_test(vocabulary_faults),
        cmocka_unit_test(folders),
        cmocka_unit_test(saving),
        cmocka_unit_test(allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
