#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cli.h"
#include "summary.h"
#include "table.h"

/* The shop's size and the reduced schedule that fits into two minutes on two cores. */
enum { USERS = 500, ITEMS = 300, SHOWN_USERS = 3, SHOWN_ITEMS = 5 };
static const char *const SETTINGS[] = {"epochs=3/10/25", "lr=5e-3/5e-3/1e-3", "content-share=0.3", "max-text-tokens=64", "lambda-c=10"};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct paths {
    char shop[512], reviews[544], items[544], users[544], data[512], run[512], report[544];
} paths;

static bool make_paths(paths *p, const char *folder) {
    int n = snprintf(p->shop, sizeof p->shop, "%s/shop", folder);
    snprintf(p->reviews, sizeof p->reviews, "%s/reviews.jsonl", p->shop);
    snprintf(p->items, sizeof p->items, "%s/items.tsv", p->shop);
    snprintf(p->users, sizeof p->users, "%s/users.tsv", p->shop);
    snprintf(p->data, sizeof p->data, "%s/data", folder);
    snprintf(p->run, sizeof p->run, "%s/run", folder);
    snprintf(p->report, sizeof p->report, "%s/report.html", folder);
    return n > 0 && (size_t)n < sizeof p->shop;
}

static void step(FILE *to, int number, const char *title) {
    fprintf(to, "\n== %d. %s\n", number, title);
    fflush(to);
}

static cllm_status recommend(FILE *to, const char *run, cllm_error *err) {
    cllm_model *model;
    cllm_status status = cllm_model_open(&model, run, NULL, err);
    if (status != CLLM_OK) return status;
    cllm_session *session;
    status = cllm_session_open(&session, model, 0, err);
    if (status != CLLM_OK) {
        cllm_model_close(model);
        return status;
    }
    size_t users = cllm_model_users(model);
    for (size_t i = 0; i < SHOWN_USERS && i < users && status == CLLM_OK; i++) {
        const char *id = cllm_model_user_id(model, i * users / SHOWN_USERS);
        cllm_request request = {.user = id, .k = SHOWN_ITEMS};
        cllm_answer answer;
        status = cllm_recommend(session, &request, 1, &answer, err);
        if (status != CLLM_OK) break;
        fprintf(to, "%s\n", id);
        for (size_t j = 0; j < answer.count; j++) fprintf(to, "  %zu. %-40s %s  %.2f\n", j + 1, answer.items[j].title, answer.items[j].item, answer.items[j].score);
        cllm_answer_free(&answer);
    }
    cllm_session_close(session);
    cllm_model_close(model);
    return status;
}

static cllm_status run_demo(FILE *to, const char *folder, const paths *p, uint64_t seed, int threads, char **report, cllm_error *err) {
    char *json = NULL;
    char line[2400];
    cllm_host host = console_host();
    step(to, 1, "a shop with planted tastes");
    cllm_status status = cllm_demo_shop(p->shop, USERS, ITEMS, seed, err);
    if (status != CLLM_OK) return status;
    fprintf(to, "%s: reviews.jsonl, items.tsv, users.tsv (%d users, %d items)\n", p->shop, USERS, ITEMS);

    snprintf(line, sizeof line, "cllm4rec prepare %s --items %s --users %s --min-rating 4 -o %s", p->reviews, p->items, p->users, p->data);
    step(to, 2, line);
    cllm_prepare_options prepare;
    cllm_prepare_options_init(&prepare);
    const char *inputs[] = {p->reviews};
    prepare.inputs = inputs;
    prepare.n_inputs = 1;
    prepare.items = p->items;
    prepare.users = p->users;
    prepare.output = p->data;
    prepare.has_min_rating = true;
    prepare.min_rating = 4;
    prepare.seed = seed;
    prepare.host = host;
    prepare.force = true;
    if ((status = cllm_prepare(&prepare, &json, err)) != CLLM_OK) return status;
    print_summary(to, p->data, json);
    cllm_text_free(json);

    snprintf(line, sizeof line, "cllm4rec train %s -o %s --epochs 3/10/25 --lr 5e-3/5e-3/1e-3 --content-share 0.3 --max-text-tokens 64 --lambda-c 10", p->data, p->run);
    step(to, 3, line);
    cllm_train_options train;
    cllm_train_options_init(&train);
    train.dataset = p->data;
    train.output = p->run;
    train.settings = SETTINGS;
    train.n_settings = sizeof SETTINGS / sizeof SETTINGS[0];
    train.threads = threads;
    train.host = host;
    train.force = true;
    if ((status = cllm_train(&train, NULL, err)) != CLLM_OK) return status;

    snprintf(line, sizeof line, "cllm4rec eval %s --content", p->run);
    step(to, 4, line);
    cllm_evaluate_options evaluate;
    cllm_evaluate_options_init(&evaluate);
    evaluate.run = p->run;
    evaluate.baselines = "random,popularity,itemknn,textknn,ease,ease_text,userknn,als,bpr";
    evaluate.content = true;
    evaluate.threads = threads;
    evaluate.host = host;
    if ((status = cllm_evaluate(&evaluate, report, err)) != CLLM_OK) return status;
    struct json_object *object = json_tokener_parse(*report);
    print_evaluation(to, object);
    json_object_put(object);

    snprintf(line, sizeof line, "cllm4rec recommend %s --user ID -k %d", p->run, SHOWN_ITEMS);
    step(to, 5, line);
    fprintf(to, "(folder of all this: %s)\n", folder);
    if ((status = recommend(to, p->run, err)) != CLLM_OK) return status;

    snprintf(line, sizeof line, "cllm4rec report %s -o %s --baselines %s", p->run, p->report, evaluate.baselines);
    step(to, 6, line);
    cllm_report_options page;
    cllm_report_options_init(&page);
    const char *runs[] = {p->run};
    page.runs = runs;
    page.n_runs = 1;
    page.output = p->report;
    page.title = "Recommendation in a shop with planted tastes";
    page.baselines = evaluate.baselines;
    page.force = true;
    page.threads = threads;
    if ((status = cllm_report(&page, NULL, err)) != CLLM_OK) return status;
    fprintf(to, "report: %s\n", p->report);
    return CLLM_OK;
}

int cmd_demo(int argc, char **argv) {
    const char *folder = "cllm4rec-demo";
    uint64_t seed = 1;
    int threads = 0;
    bool shop_only = false;
    const option_spec specs[] = {
        {"output", 'o', OPTION_TEXT, &folder, "DIR", "where shop, data and run go (cllm4rec-demo); what is there is replaced"},
        {"seed", 0, OPTION_SEED, &seed, "N", "of the shop and the split (1)"},
        {"threads", 't', OPTION_INT, &threads, "N", "default: all that this process may use"},
        {"shop-only", 0, OPTION_FLAG, &shop_only, NULL, "only write the shop's files"},
        COMMON_OPTIONS,
    };
    const usage use = {
        .synopsis = "demo [-o DIR]",
        .about = "Makes a small shop of its own and runs everything on it: prepare, train, eval, recommend, report. Takes about two minutes.",
        .min_arguments = 0,
        .max_arguments = 0,
    };
    text_list arguments;
    int code = options_parse(argc, argv, &use, specs, sizeof specs / sizeof specs[0], &arguments);
    if (code >= 0) return code;
    text_list_free(&arguments);
    paths p;
    if (!make_paths(&p, folder)) return console_fail_text(argv[0], cllm_status_exit_code(CLLM_ERR_USAGE), "'%s': the path is too long", folder);
    cllm_error err = {0};
    if (shop_only) {
        if (cllm_demo_shop(p.shop, USERS, ITEMS, seed, &err) != CLLM_OK) return console_fail(argv[0], &err);
        printf(COMMON.json ? "{\"shop\": \"%s\"}\n" : "%s: reviews.jsonl, items.tsv, users.tsv\n", p.shop);
        return 0;
    }
    char *report = NULL, duration[32];
    double began = now();
    cllm_status status = run_demo(console_report(), folder, &p, seed, threads, &report, &err);
    if (status == CLLM_OK) {
        console_json(report);
        fprintf(console_report(), "\nAll of it took %s.\n", console_duration(now() - began, duration, sizeof duration));
    }
    cllm_text_free(report);
    return status == CLLM_OK ? 0 : console_fail(argv[0], &err);
}
