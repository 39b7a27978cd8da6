/*
 * The built-in shop has planted tastes, so what a model learns can be checked: it beats popularity and chance, its content path
 * carries information, and texts help where histories are short. Reduced schedules on the shop that `cllm4rec demo` shows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <json-c/json.h>

#include "base/io.h"
#include "cllm4rec/cllm4rec.h"

#define OK(call) do { cllm_error error_ = {0}; if ((call) != CLLM_OK) fail_msg("%s: %s", #call, error_.message); } while (0)
#define ERR (&error_)

/* Under a sanitizer, which takes ten times as long, a small shop and a short schedule: that all of it runs, not what it finds. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { CLAIMS = 0, USERS = 80, ITEMS = 50, SHORT = 5 };
#define DEMO_EPOCHS "epochs=1/2/3"
#else
enum { CLAIMS = 1, USERS = 500, ITEMS = 300, SHORT = 5 };
#define DEMO_EPOCHS "epochs=3/10/25"
#endif

/* The demo's schedule (src/cli/cmd_demo.c). */
#define DEMO_SETTINGS DEMO_EPOCHS, "lr=5e-3/5e-3/1e-3", "content-share=0.3", "max-text-tokens=64", "lambda-c=" DEMO_LAMBDA
#define DEMO_LAMBDA "10"

#define claim(condition) assert_true(!CLAIMS || (condition))

static char g_folder[64];

static const char *in_folder(const char *name) {
    static char paths[8][128];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", g_folder, name);
    return path;
}

static int make_data(void **state) {
    (void)state;
    snprintf(g_folder, sizeof g_folder, "planted-%ld", (long)getpid());
    cllm__remove_tree(g_folder);
    OK(cllm_demo_shop(in_folder("shop"), USERS, ITEMS, 1, ERR));
    cllm_prepare_options prepare;
    cllm_prepare_options_init(&prepare);
    const char *inputs[] = {in_folder("shop/reviews.jsonl")};
    prepare.inputs = inputs;
    prepare.n_inputs = 1;
    prepare.items = in_folder("shop/items.tsv");
    prepare.users = in_folder("shop/users.tsv");
    prepare.output = in_folder("data");
    prepare.has_min_rating = true;
    prepare.min_rating = 4;
    prepare.seed = 1;
    OK(cllm_prepare(&prepare, NULL, ERR));
    return 0;
}

static int remove_data(void **state) {
    (void)state;
    cllm__remove_tree(g_folder);
    return 0;
}

/* Trains with the demo's settings and one more, and evaluates on the test split; the caller puts the report. */
static struct json_object *report_of(const char *run, const char *setting, const char *baselines) {
    const char *settings[] = {DEMO_SETTINGS, setting}; /* the last one wins */
    cllm_train_options train;
    cllm_train_options_init(&train);
    train.dataset = in_folder("data");
    train.output = in_folder(run);
    train.settings = settings;
    train.n_settings = sizeof settings / sizeof settings[0];
    OK(cllm_train(&train, NULL, ERR));
    cllm_evaluate_options evaluate;
    cllm_evaluate_options_init(&evaluate);
    evaluate.run = in_folder(run);
    evaluate.baselines = baselines;
    evaluate.content = true;
    char *json;
    OK(cllm_evaluate(&evaluate, &json, ERR));
    struct json_object *report = json_tokener_parse(json);
    cllm_text_free(json);
    assert_non_null(report);
    return report;
}

static struct json_object *at(struct json_object *object, const char *name) {
    struct json_object *member = NULL;
    if (!json_object_object_get_ex(object, name, &member)) fail_msg("the report lacks '%s'", name);
    return member;
}

static double metric(struct json_object *report, const char *model, const char *name) {
    return json_object_get_double(at(at(at(report, "models"), model), name));
}

/* NDCG@100 of the users with at most SHORT training items. */
static double short_histories(struct json_object *report) {
    struct json_object *buckets = at(report, "buckets");
    double sum = 0, users = 0;
    for (size_t i = 0; i < json_object_array_length(buckets); i++) {
        struct json_object *bucket = json_object_array_get_idx(buckets, i);
        const char *history = json_object_get_string(at(bucket, "history"));
        if (strcmp(history, "1-2") != 0 && strcmp(history, "3-5") != 0) continue;
        double n = json_object_get_double(at(bucket, "users"));
        if (n == 0) continue;
        sum += n * json_object_get_double(at(at(at(bucket, "models"), "cllm4rec"), "ndcg@100"));
        users += n;
    }
    assert_true(users > 0.4 * USERS);
    return sum / users;
}

static void tastes_are_found_and_texts_help(void **state) {
    (void)state;
    struct json_object *with = report_of("with", "patience=10", "random,popularity");
    struct json_object *without = report_of("without", "lambda-c=0", "none");
    struct json_object *shuffled = report_of("shuffled", "shuffle-texts=1", "none");

    double ours = metric(with, "cllm4rec", "ndcg@100"), popular = metric(with, "popularity", "ndcg@100");
    double chance = metric(with, "random", "recall@20"), recall = metric(with, "cllm4rec", "recall@20");
    print_message("ndcg@100 %.4f, popularity %.4f; recall@20 %.4f, random %.4f\n", ours, popular, recall, chance);
    assert_true(ours > 0 && ours <= 1 && popular <= 1 && recall <= 1);
    claim(ours > 1.3 * popular);
    claim(recall > 2 * chance);

    /* The tokens know what their reviews are about. */
    struct json_object *content = at(with, "content"), *nll = at(content, "nll");
    double own = json_object_get_double(at(nll, "true")), dealt = json_object_get_double(at(nll, "shuffled"));
    print_message("held-out reviews: %.4f nats a token with their own tokens, %.4f with others'\n", own, dealt);
    assert_true(own > 0 && dealt > 0);
    claim(own < dealt - 0.03);
    claim(json_object_get_double(at(content, "p")) < 0.01);
    /* Texts dealt to others say nothing about held-out ones. */
    struct json_object *deaf = at(at(shuffled, "content"), "nll");
    claim(json_object_get_double(at(deaf, "shuffled")) - json_object_get_double(at(deaf, "true")) < 0.5 * (dealt - own));

    double helped = short_histories(with), alone = short_histories(without), misled = short_histories(shuffled);
    print_message("ndcg@100 of short histories: %.4f with texts, %.4f without coupling, %.4f with shuffled texts\n", helped, alone, misled);
    claim(helped > alone);
    claim(helped > misled);
    json_object_put(with);
    json_object_put(without);
    json_object_put(shuffled);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(tastes_are_found_and_texts_help)};
    return cmocka_run_group_tests(tests, make_data, remove_data);
}
