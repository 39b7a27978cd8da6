#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

typedef struct tokenizing {
    const cllm_tokenizer *tokenizer;
    bool as_template, pieces;
    int32_t bos; /* before each text, or -1 */
    size_t n_users, n_items;
} tokenizing;

/* Length of the well-formed UTF-8 sequence (of several bytes) that begins at `text`, or 0. */
static size_t sequence_length(const unsigned char *text, size_t left) {
    size_t n = text[0] >= 0xC2 && text[0] <= 0xDF ? 2 : text[0] >= 0xE0 && text[0] <= 0xEF ? 3 : text[0] >= 0xF0 && text[0] <= 0xF4 ? 4 : 0;
    if (n == 0 || n > left) return 0;
    for (size_t i = 1; i < n; i++) {
        if (text[i] < 0x80 || text[i] > 0xBF) return 0;
    }
    bool overlong = (text[0] == 0xE0 && text[1] < 0xA0) || (text[0] == 0xF0 && text[1] < 0x90);
    bool outside = (text[0] == 0xED && text[1] > 0x9F) || (text[0] == 0xF4 && text[1] > 0x8F);
    return overlong || outside ? 0 : n;
}

/* A token as text: what cannot be shown as \xNN, a user or item token by its name. The caller frees. */
static char *piece_text(const tokenizing *t, int32_t id) {
    size_t rows = cllm_tokenizer_rows(t->tokenizer), length = 0;
    char *bytes = NULL, *shown = NULL;
    if ((size_t)id >= rows) {
        size_t number = (size_t)id - rows;
        bool user = number < t->n_users;
        shown = malloc(32);
        if (shown != NULL) snprintf(shown, 32, "<%s_%zu>", user ? "user" : "item", user ? number : number - t->n_users);
        return shown;
    }
    if (cllm_tokenizer_decode(t->tokenizer, &id, 1, &bytes, &length, NULL) != CLLM_OK) return NULL;
    shown = malloc(4 * length + 1);
    size_t used = 0;
    for (size_t i = 0; i < length && shown != NULL;) {
        const unsigned char *at = (const unsigned char *)bytes + i;
        size_t n = sequence_length(at, length - i);
        if (n > 0 || (*at >= 0x20 && *at < 0x7F && *at != '\\')) {
            n = n > 0 ? n : 1;
            memcpy(shown + used, at, n);
            used += n;
            i += n;
        } else {
            used += (size_t)snprintf(shown + used, 5, "\\x%02x", *at);
            i++;
        }
    }
    if (shown != NULL) shown[used] = '\0';
    cllm_text_free(bytes);
    return shown;
}

static void print_json(const tokenizing *t, const int32_t *ids, size_t count) {
    struct json_object *object = json_object_new_object(), *list = json_object_new_array(), *pieces = json_object_new_array();
    for (size_t i = 0; i < count; i++) {
        json_object_array_add(list, json_object_new_int(ids[i]));
        char *text = t->pieces ? piece_text(t, ids[i]) : NULL;
        if (t->pieces) json_object_array_add(pieces, json_object_new_string(text != NULL ? text : ""));
        free(text);
    }
    json_object_object_add(object, "count", json_object_new_int64((int64_t)count));
    json_object_object_add(object, "ids", list);
    if (t->pieces) json_object_object_add(object, "pieces", pieces);
    else json_object_put(pieces);
    fputs(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE), stdout);
    json_object_put(object);
}

static cllm_status print_tokens(const tokenizing *t, const char *text, size_t length, cllm_error *err) {
    int32_t *made, *ids;
    size_t count, first = t->bos >= 0 ? 1 : 0;
    cllm_status status = cllm_tokenizer_encode(t->tokenizer, text, length, t->as_template, t->n_users, t->n_items, &made, &count, err);
    if (status != CLLM_OK) return status;
    ids = malloc((count + 1) * sizeof *ids);
    if (ids == NULL) {
        cllm_ids_free(made);
        snprintf(err->message, sizeof err->message, "out of memory");
        return err->status = CLLM_ERR_NOMEM;
    }
    ids[0] = t->bos;
    if (count != 0) memcpy(ids + first, made, count * sizeof *ids);
    cllm_ids_free(made);
    count += first;
    if (COMMON.json) {
        print_json(t, ids, count);
    } else if (t->pieces) {
        for (size_t i = 0; i < count; i++) {
            char *piece = piece_text(t, ids[i]);
            printf("%d\t%s\n", ids[i], piece != NULL ? piece : "");
            free(piece);
        }
    } else {
        for (size_t i = 0; i < count; i++) printf(i == 0 ? "%d" : " %d", ids[i]);
        putchar('\n');
    }
    free(ids);
    return CLLM_OK;
}

enum { LINE_LIMIT = 64 << 20 };

/* A line of ids for each line, in JSON {"lines": [one of each]}; memory does not grow with the file. */
static int print_file(const tokenizing *t, const char *path) {
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    if (file == NULL) return console_fail_text("tokenize", cllm_status_exit_code(CLLM_ERR_NOT_FOUND), "cannot open '%s': %s", path, strerror(errno));
    char *line = NULL;
    size_t capacity = 0, number = 0;
    int code = 0;
    ptrdiff_t length;
    if (COMMON.json) fputs("{\"lines\":[", stdout);
    while (code == 0 && (length = console_line(file, LINE_LIMIT, &line, &capacity)) != CONSOLE_END) {
        cllm_error err = {0};
        number++;
        if (length == CONSOLE_NOMEM) code = console_fail_text("tokenize", cllm_status_exit_code(CLLM_ERR_NOMEM), "no memory for line %zu of '%s'", number, path);
        if (length == CONSOLE_LONG) {
            code = console_fail_text("tokenize", cllm_status_exit_code(CLLM_ERR_DATA), "%s:%zu: the line is longer than %d MiB: is this a text file?", path, number,
                                     LINE_LIMIT >> 20);
        }
        if (code != 0) break;
        if (COMMON.json && number > 1) fputs(",\n", stdout);
        if (print_tokens(t, line, (size_t)length, &err) != CLLM_OK) code = console_fail("tokenize", &err);
    }
    if (COMMON.json) puts("]}");
    if (code == 0 && ferror(file)) code = console_fail_text("tokenize", cllm_status_exit_code(CLLM_ERR_IO), "cannot read '%s': %s", path, strerror(errno));
    free(line);
    if (file != stdin) fclose(file);
    return code;
}

/* With --file, --template has no text of its own: the lines are templates. Takes it out of argv; whether it was there. */
static bool take_bare_template(int *argc, char **argv) {
    bool file = false, found = false;
    int kept = 1;
    for (int i = 1; i < *argc; i++) file = file || strncmp(argv[i], "-f", 2) == 0 || strncmp(argv[i], "--file", 6) == 0;
    for (int i = 1; file && i < *argc; i++) {
        if (strcmp(argv[i], "--template") == 0) found = true;
        else argv[kept++] = argv[i];
    }
    if (found) *argc = kept;
    return found;
}

int cmd_tokenize(int argc, char **argv) {
    const char *text = NULL, *template = NULL, *file = NULL, *bos = NULL;
    bool lines = take_bare_template(&argc, argv);
    tokenizing t = {.n_users = SIZE_MAX, .n_items = SIZE_MAX};
    const option_spec specs[] = {
        {"text", 0, OPTION_TEXT, &text, "TEXT", "a text; user_1 and item_2 in it are ordinary characters"},
        {"template", 0, OPTION_TEXT, &template, "TEXT", "a template: user_N and item_N become tokens above the vocabulary; from --n-users or --n-items on they stay text"},
        {"file", 'f', OPTION_TEXT, &file, "FILE", "a line of ids for each line of a file (- is stdin), as --text; with a bare --template, each is a template"},
        {"n-users", 0, OPTION_COUNT, &t.n_users, "N", "users; with --template"},
        {"n-items", 0, OPTION_COUNT, &t.n_items, "N", "items (default: as many as ids have room for)"},
        {"bos", 0, OPTION_TEXT, &bos, "auto|on|off", "the token that begins a sequence; auto: as the tokenizer's files want it"},
        {"pieces", 0, OPTION_FLAG, &t.pieces, NULL, "one token a line: id and piece"},
        COMMON_OPTIONS,
    };
    const usage use = {
        .synopsis = "tokenize B (--text TEXT | --template TEXT --n-users N | --file FILE [--template --n-users N]) [options]",
        .about = "Shows the token ids that a backbone's tokenizer gives to a text. B is a folder with vocab.json and\n"
                 "merges.txt or tokenizer.json, or a GGUF file.\n"
                 "User u has the id V + u, item v the id V + n-users + v, where V counts the rows of the backbone's word\n"
                 "embeddings, or the tokenizer's pieces where B is a tokenizer alone.",
        .examples = "  cllm4rec tokenize gpt2 --n-users 10 --template 'Hello, user_1! Have you seen item_2?'\n"
                    "  cllm4rec tokenize runs/beauty/tokenizer --file lines.txt > ids.txt\n",
        .min_arguments = 1,
        .max_arguments = 1,
    };
    text_list arguments;
    int code = options_parse(argc, argv, &use, specs, sizeof specs / sizeof specs[0], &arguments);
    if (code >= 0) return code;
    const char *folder = arguments.values[0];
    text_list_free(&arguments);
    const int wrong = cllm_status_exit_code(CLLM_ERR_USAGE);
    if ((text != NULL) + (template != NULL) + (file != NULL) != 1) return console_fail_text(argv[0], wrong, "give one of --text, --template and --file");
    if ((lines || template != NULL) && t.n_users == SIZE_MAX) {
        return console_fail_text(argv[0], wrong, "--template needs --n-users N: the ids of items begin above those of all users");
    }
    t.as_template = lines || template != NULL;
    cllm_error err = {0};
    cllm_tokenizer *tokenizer;
    if (cllm_tokenizer_open(&tokenizer, folder, &err) != CLLM_OK) return console_fail(argv[0], &err);
    t.tokenizer = tokenizer;
    if (cllm_tokenizer_bos(tokenizer, bos, &t.bos, &err) != CLLM_OK) {
        cllm_tokenizer_close(tokenizer);
        return console_fail(argv[0], &err);
    }
    const char *given = template != NULL ? template : text;
    code = 0;
    if (file != NULL) code = print_file(&t, file);
    else if (print_tokens(&t, given, strlen(given), &err) != CLLM_OK) code = console_fail(argv[0], &err);
    else if (COMMON.json) putchar('\n');
    cllm_tokenizer_close(tokenizer);
    return code;
}
