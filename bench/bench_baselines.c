/*
 * The baselines on a data set of already split TSV files: accuracy beside time.
 *
 *     bench_baselines FOLDER [LIST] [THREADS]    FOLDER has train.tsv, val.tsv (user, item; no header) and items.tsv
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/host.h"
#include "eval/baseline.h"
#include "eval/report.h"

static bool read_pairs(const char *folder, const char *name, cllm__interactions *out, int32_t (**pairs)[2]) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    if (file == NULL) return perror(path), false;
    size_t capacity = 0;
    int user, item;
    *out = (cllm__interactions){0};
    while (fscanf(file, "%d\t%d", &user, &item) == 2) {
        if (cllm__grow((void **)pairs, &capacity, out->count + 1, sizeof **pairs, NULL) != CLLM_OK) break;
        (*pairs)[out->count][0] = user;
        (*pairs)[out->count++][1] = item;
        if ((size_t)user >= out->n_users) out->n_users = (size_t)user + 1;
        if ((size_t)item >= out->n_items) out->n_items = (size_t)item + 1;
    }
    fclose(file);
    return out->count > 0;
}

static bool index_rows(cllm__interactions *rows, int32_t (*pairs)[2]) {
    uint64_t *start = cllm__zalloc(rows->n_users + 2, sizeof *start);
    int32_t *items = cllm__alloc(rows->count, sizeof *items);
    if (start == NULL || items == NULL) return false;
    for (size_t i = 0; i < rows->count; i++) start[pairs[i][0] + 2]++;
    for (size_t u = 2; u < rows->n_users + 2; u++) start[u] += start[u - 1];
    for (size_t i = 0; i < rows->count; i++) items[start[pairs[i][0] + 1]++] = pairs[i][1];
    rows->start = start;
    rows->items = items;
    cllm__free(pairs);
    return true;
}

static void print_log(void *user, cllm_log_level level, const char *message) {
    (void)user;
    (void)level;
    fprintf(stderr, "%8.2f s  %s\n", cllm__now(), message);
}

int main(int argc, char **argv) {
    if (argc < 2) return fprintf(stderr, "usage: bench_baselines FOLDER [LIST] [THREADS]\n"), 2;
    cllm__interactions train, valid;
    int32_t(*train_pairs)[2] = NULL, (*valid_pairs)[2] = NULL;
    if (!read_pairs(argv[1], "train.tsv", &train, &train_pairs) || !read_pairs(argv[1], "val.tsv", &valid, &valid_pairs))
        return 1;
    size_t items = train.n_items > valid.n_items ? train.n_items : valid.n_items;
    size_t users = train.n_users > valid.n_users ? train.n_users : valid.n_users;
    train.n_items = valid.n_items = items;
    train.n_users = valid.n_users = users;
    if (!index_rows(&train, train_pairs) || !index_rows(&valid, valid_pairs)) return 1;

    cllm_error err;
    cllm_host host = {.log = print_log};
    cllm__pool *pool;
    if (cllm__pool_create(&pool, argc > 3 ? atoi(argv[3]) : 0, &err) != CLLM_OK) return 1;
    double began = cllm__now();
    cllm__baselines baselines;
    cllm__baselines_options options = {.list = argc > 2 ? argv[2] : NULL, .pool = pool, .host = &host};
    if (cllm__baselines_create(&baselines, &train, &options, &err) != CLLM_OK)
        return fprintf(stderr, "%s\n", err.message), 1;
    double made = cllm__now();
    cllm__scorer scorers[8];
    for (size_t i = 0; i < baselines.count; i++) scorers[i] = baselines.models[i].scorer;
    cllm__evaluation *evaluation;
    cllm__eval_options how = {.split = CLLM__VALID, .pool = pool};
    if (cllm__evaluate(&evaluation, &(cllm__eval_data){.train = &train, .valid = &valid}, scorers, baselines.count, &how,
                       &err) != CLLM_OK) {
        return fprintf(stderr, "%s\n", err.message), 1;
    }
    double evaluated = cllm__now();
    char *report;
    if (cllm__report_text(&report, evaluation, &(cllm__report_options){.model = SIZE_MAX, .pool = pool}, &err) != CLLM_OK)
        return 1;
    double reported = cllm__now();

    printf("%zu users x %zu items, %zu training rows; %zu users evaluated\n", users, items, train.count,
           evaluation->n_users);
    for (size_t i = 0; i < baselines.count; i++) {
        double recall20, recall40, ndcg;
        if (cllm__evaluation_mean(evaluation, i, CLLM__RECALL_CAPPED, 20, &recall20, &err) != CLLM_OK ||
            cllm__evaluation_mean(evaluation, i, CLLM__RECALL_CAPPED, 40, &recall40, &err) != CLLM_OK ||
            cllm__evaluation_mean(evaluation, i, CLLM__NDCG, 100, &ndcg, &err) != CLLM_OK) {
            return fprintf(stderr, "%s\n", err.message), 1;
        }
        printf("%-12s %-28s recall_capped@20 %.4f  recall_capped@40 %.4f  ndcg@100 %.4f\n", scorers[i].name,
               baselines.models[i].parameters, recall20, recall40, ndcg);
    }
    printf("tuning and fitting %.2f s, ranking %.2f s, intervals %.2f s\n", made - began, evaluated - made,
           reported - evaluated);
    cllm__free(report);
    cllm__evaluation_free(evaluation);
    cllm__baselines_free(&baselines);
    cllm__pool_free(pool);
    cllm__free((void *)train.start);
    cllm__free((void *)train.items);
    cllm__free((void *)valid.start);
    cllm__free((void *)valid.items);
    return 0;
}
