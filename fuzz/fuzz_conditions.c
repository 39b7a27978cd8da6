#include "api/model.h"

#include <ctype.h>

#include "fuzz_folder.h"

/* Lines of FIELD=VALUE, the conditions of `recommend --where`: what is recommended are the items for which they all hold, no more and no
 * fewer. */
enum { ITEMS = 8, CONDITIONS = 16 };

static cllm_model *model;
static cllm_session *session;

static void make_model(void) {
    static const char items[] = "item\ttitle\tbrand\tcategories\n"
                                "a\tA\tAcme\tHome, Shelf 1\nb\tB\tacme\thome;Garden > Tools\nc\tC\t\t\nd\tD\tÉclair\tHome,\n"
                                "e\tE\tAcme & co\t,;| >\nf\tF\t=\ta=b,  Shelf 1  ,c\ng\tG\tX\tHome Shelf\nh\tH\tY\tHo\n";
    static const char *const settings[] = {"epochs=0/0/1", "width=4", "linear=none", "neighbours-weight=0", "factors-weight=0", "bag-biases=0"};
    char rows[1024] = "user\titem\n", data[160], run[160], paths[2][160];
    for (int u = 0; u < 6; u++) {
        for (int i = 0; i < ITEMS; i++) sprintf(rows + strlen(rows), "u%d\t%c\n", u, 'a' + (u + i) % ITEMS);
    }
    snprintf(paths[0], sizeof paths[0], "%s", fuzz_put("rows.tsv", rows, strlen(rows)));
    snprintf(paths[1], sizeof paths[1], "%s", fuzz_put("items.tsv", items, sizeof items - 1));
    snprintf(data, sizeof data, "%s/data", fuzz_folder());
    snprintf(run, sizeof run, "%s/run", fuzz_folder());
    const char *inputs[] = {paths[0]};
    cllm_prepare_options prepare;
    cllm_train_options train;
    cllm_prepare_options_init(&prepare);
    prepare.inputs = inputs;
    prepare.n_inputs = 1;
    prepare.items = paths[1];
    prepare.output = data;
    FUZZ_CHECK(cllm_prepare(&prepare, NULL, NULL) == CLLM_OK);
    cllm_train_options_init(&train);
    train.dataset = data;
    train.output = run;
    train.preset = "accurate";
    train.settings = settings;
    train.n_settings = sizeof settings / sizeof settings[0];
    train.threads = 1;
    FUZZ_CHECK(cllm_train(&train, NULL, NULL) == CLLM_OK);
    FUZZ_CHECK(cllm_model_open(&model, run, NULL, NULL) == CLLM_OK && cllm_session_open(&session, model, 1, NULL) == CLLM_OK);
}

/* Without its blanks: begins at *text, length is returned. */
static size_t trim(const char **text, size_t length) {
    while (length > 0 && (*text)[0] == ' ') (*text)++, length--;
    while (length > 0 && (*text)[length - 1] == ' ') length--;
    return length;
}

static bool same(const char *a, size_t length, const char *b) {
    if (strlen(b) != length) return false;
    for (size_t i = 0; i < length; i++) {
        if (tolower((unsigned char)a[i]) != tolower((unsigned char)b[i])) return false;
    }
    return true;
}

/* One of the entries; without a value, that there is none. */
static bool holds(size_t item, const cllm_condition *condition) {
    const cllm__dataset *dataset = model->run.dataset;
    if (strcmp(condition->field, "brand") == 0) {
        const char *brand = cllm__dataset_item_field(dataset, item, CLLM__TEXT_BRAND);
        return same(brand, strlen(brand), condition->value);
    }
    bool any = false;
    for (const char *at = cllm__dataset_item_field(dataset, item, CLLM__TEXT_CATEGORIES), *end; *at != '\0'; at = *end == '\0' ? end : end + 1) {
        end = at + strcspn(at, ",;|>");
        const char *entry = at;
        size_t length = trim(&entry, (size_t)(end - at));
        if (length > 0 && same(entry, length, condition->value)) return true;
        any = any || length > 0;
    }
    return condition->value[0] == '\0' && !any;
}

static void check_answer(const cllm_answer *answer, const cllm_condition *where, size_t n_where) {
    bool found[ITEMS] = {false};
    for (size_t i = 0; i < answer->count; i++) {
        size_t item;
        FUZZ_CHECK(cllm_model_find_item(model, answer->items[i].item, &item) && !found[item]);
        found[item] = true;
    }
    for (size_t item = 0; item < ITEMS; item++) {
        bool all = true;
        for (size_t i = 0; i < n_where; i++) all = all && holds(item, &where[i]);
        FUZZ_CHECK(found[item] == all);
    }
    FUZZ_CHECK((answer->count < ITEMS) == (answer->reason[0] != '\0'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = fuzz_text(data, size), *rest = NULL;
    const char *history[] = {"a"};
    cllm_condition where[CONDITIONS];
    size_t n_where = 0;
    cllm_answer answer;
    bool known = true;
    if (session == NULL) make_model();
    for (char *line = strtok_r(text, "\n", &rest); line != NULL && n_where < CONDITIONS; line = strtok_r(NULL, "\n", &rest)) {
        char *equals = strchr(line, '=');
        if (equals == NULL) continue;
        *equals = '\0';
        where[n_where++] = (cllm_condition){line, equals + 1};
        known = known && (strcmp(line, "brand") == 0 || strcmp(line, "category") == 0);
    }
    const cllm_request request = {.history = history, .n_history = 1, .k = ITEMS, .include_seen = true, .where = where, .n_where = n_where};
    FUZZ_CHECK(cllm_recommend(session, &request, 1, &answer, NULL) == CLLM_OK);
    FUZZ_CHECK(answer.status == (known ? CLLM_OK : CLLM_ERR_USAGE));
    if (known) check_answer(&answer, where, n_where);
    else FUZZ_CHECK(answer.message[0] != '\0' && answer.count == 0);
    cllm_answer_free(&answer);
    free(text);
    return 0;
}
