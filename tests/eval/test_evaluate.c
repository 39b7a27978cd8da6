/* Evaluation against the protocol written out once more: a full sort per user and the definitions of the metrics. */
#include "eval_fixture.h"

#include "base/alloc.h"
#include "eval/evaluate.h"
#include "eval/topk.h"

static const size_t g_ks[] = {1, 3, 10, 50};
enum { KS = 4 };

/* ---- The slow reference ---- */

typedef struct reference {
    double mean[CLLM__METRICS * KS], bucket[CLLM__BUCKETS][CLLM__METRICS * KS];
    double coverage[KS], popularity[KS], novelty[KS], gini[KS];
    size_t users, without, bucket_users[CLLM__BUCKETS];
} reference;

static size_t bucket_by_hand(size_t n) {
    return n == 0 ? 0 : n <= 2 ? 1 : n <= 5 ? 2 : n <= 10 ? 3 : n <= 20 ? 4 : 5;
}

/* Ranks by counting for each item how many come before it. */
static size_t rank_by_counting(const float *scores, const bool *masked, const uint32_t *key, size_t n, int32_t *ranked) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++) count += !masked[i] && scores[i] != -INFINITY;
    for (size_t i = 0; i < n; i++) {
        if (masked[i] || scores[i] == -INFINITY) continue;
        size_t before = 0;
        for (size_t j = 0; j < n; j++) {
            if (masked[j] || scores[j] == -INFINITY) continue;
            before += scores[j] > scores[i] || (scores[j] == scores[i] && key[j] < key[i]);
        }
        ranked[before] = (int32_t)i;
    }
    return count;
}

static double metric_by_hand(int metric, const bool *hit, size_t n_ranked, size_t n_targets, size_t k) {
    double hits = 0, dcg = 0, ideal = 0, first = 0, precision = 0;
    for (size_t r = 0; r < k; r++) {
        if (r < n_targets) ideal += 1 / log2((double)r + 2);
        if (r >= n_ranked || !hit[r]) continue;
        hits++;
        dcg += 1 / log2((double)r + 2);
        precision += hits / (double)(r + 1);
        if (first == 0) first = (double)(r + 1);
    }
    double capped = fmin((double)k, (double)n_targets);
    double values[CLLM__METRICS] = {hits / (double)n_targets,  hits / capped,      dcg / ideal,     hits > 0,
                                    first > 0 ? 1 / first : 0, precision / capped, hits / (double)k};
    return values[metric];
}

static reference evaluate_slowly(const fixture *f, const float *scores, cllm__split split, bool mask_valid, uint64_t seed) {
    reference ref = {0};
    size_t n = f->n_items;
    cllm__ties ties;
    cllm_error err;
    check_ok(cllm__ties_create(&ties, n, seed, &err), &err);
    bool *masked = malloc(n), *hit = malloc(n * sizeof *hit);
    int32_t *ranked = malloc(n * sizeof *ranked);
    double *shown = calloc(KS * n, sizeof *shown), active = 0;
    for (size_t u = 0; u < f->n_users; u++) {
        active += cllm__row_count(&f->split[0], u) > 0;
        size_t n_targets = cllm__row_count(&f->split[split], u), bucket = bucket_by_hand(cllm__row_count(&f->split[0], u));
        if (n_targets == 0) {
            ref.without++;
            continue;
        }
        ref.users++;
        ref.bucket_users[bucket]++;
        for (size_t i = 0; i < n; i++) {
            masked[i] = has_item(&f->split[0], u, (int32_t)i) ||
                        (mask_valid && split == CLLM__TEST && has_item(&f->split[1], u, (int32_t)i));
        }
        size_t n_ranked = rank_by_counting(scores + u * n, masked, ties.key, n, ranked);
        for (size_t r = 0; r < n_ranked; r++) hit[r] = has_item(&f->split[split], u, ranked[r]);
        for (size_t v = 0; v < CLLM__METRICS * KS; v++) {
            double value = metric_by_hand((int)(v / KS), hit, n_ranked, n_targets, g_ks[v % KS]);
            ref.mean[v] += value;
            ref.bucket[bucket][v] += value;
        }
        for (size_t c = 0; c < KS; c++) {
            for (size_t r = 0; r < g_ks[c] && r < n_ranked; r++) shown[c * n + (size_t)ranked[r]]++;
        }
    }
    for (size_t v = 0; v < CLLM__METRICS * KS; v++) {
        ref.mean[v] /= (double)ref.users;
        for (int b = 0; b < CLLM__BUCKETS; b++)
            ref.bucket[b][v] /= ref.bucket_users[b] > 0 ? (double)ref.bucket_users[b] : 1;
    }
    for (size_t c = 0; c < KS; c++) {
        double total = 0, differences = 0;
        for (size_t i = 0; i < n; i++) {
            double had = 0, x = shown[c * n + i];
            for (size_t u = 0; u < f->n_users; u++) had += has_item(&f->split[0], u, (int32_t)i);
            total += x;
            ref.coverage[c] += x > 0 ? 1.0 / (double)n : 0;
            ref.popularity[c] += x * had / active;
            ref.novelty[c] += x * log2(active / fmax(had, 1));
            for (size_t j = 0; j < n; j++) differences += fabs(x - shown[c * n + j]);
        }
        ref.popularity[c] /= total;
        ref.novelty[c] /= total;
        ref.gini[c] = differences / (2 * (double)n * total); /* half the relative mean difference */
    }
    free(masked);
    free(hit);
    free(ranked);
    free(shown);
    cllm__ties_free(&ties);
    return ref;
}

/* ---- The tests ---- */

static cllm__eval_data data_of(const fixture *f) {
    return (cllm__eval_data){&f->split[0], &f->split[1], &f->split[2]};
}

static void check_equal(const cllm__evaluation *e, size_t model, const reference *ref) {
    const cllm__eval_model *m = &e->models[model];
    assert_int_equal(e->n_users, ref->users);
    assert_int_equal(e->without_targets, ref->without);
    for (size_t b = 0; b < CLLM__BUCKETS; b++) assert_int_equal(e->bucket_users[b], ref->bucket_users[b]);
    for (size_t v = 0; v < e->values; v++) {
        check_near(m->mean[v], ref->mean[v], 1e-12);
        for (size_t b = 0; b < CLLM__BUCKETS; b++) check_near(m->bucket[b * e->values + v], ref->bucket[b][v], 1e-12);
    }
    for (size_t c = 0; c < KS; c++) {
        check_near(m->coverage[c], ref->coverage[c], 1e-12);
        check_near(m->popularity[c], ref->popularity[c], 1e-12);
        check_near(m->novelty[c], ref->novelty[c], 1e-9);
        check_near(m->gini[c], ref->gini[c], 1e-12);
    }
}

static void test_against_reference(void **state) {
    (void)state;
    cllm_error err;
    fixture f = make_fixture(61, 37, 30, 1); /* 50 > 37 items */
    cllm__eval_data data = data_of(&f);
    float *scores[2] = {random_scores(61, 37, 0, 5), random_scores(61, 37, 5, 6)};
    for (size_t i = 0; i < 61 * 37; i += 11) scores[1][i] = -INFINITY;
    table tables[2] = {{.n_items = 37, .scores = scores[0]}, {.n_items = 37, .scores = scores[1]}};
    cllm__scorer scorers[2] = {{"smooth", &tables[0], score_table, 4}, {"tied", &tables[1], score_table, 0}};
    for (int variant = 0; variant < 3; variant++) {
        cllm__eval_options options = {.split = variant == 0 ? CLLM__VALID : CLLM__TEST,
                                      .mask_valid = variant == 2,
                                      .ks = g_ks,
                                      .n_ks = KS,
                                      .seed = 9,
                                      .chunk = 16};
        cllm__evaluation *e;
        check_ok(cllm__evaluate(&e, &data, scorers, 2, &options, &err), &err);
        assert_true(e->without_targets > 5 && e->n_users > 20);
        assert_int_equal(e->mask_valid, variant == 2);
        for (size_t m = 0; m < 2; m++) {
            assert_string_equal(e->models[m].name, scorers[m].name);
            reference ref = evaluate_slowly(&f, scores[m], options.split, options.mask_valid, 9);
            check_equal(e, m, &ref);
            /* Means of what is kept per user are the means. */
            for (size_t v = 0; v < e->n_kept; v++) {
                double sum = 0;
                for (size_t u = 0; u < e->n_users; u++) sum += (double)e->models[m].kept[u * e->n_kept + v];
                check_near(sum / (double)e->n_users, e->models[m].mean[e->kept[v]], 1e-6);
            }
        }
        double mean, sum;
        check_ok(cllm__evaluation_mean(e, 1, CLLM__NDCG, 10, &mean, &err), &err);
        check_near(mean, e->models[1].mean[2 * KS + 2], 0);
        cllm__monitor monitor;
        check_ok(cllm__monitor_parse("ndcg@10+recall@3", &monitor, &err), &err);
        check_ok(cllm__evaluation_monitor(e, 1, &monitor, &sum, &err), &err);
        check_near(sum, mean + e->models[1].mean[1], 1e-15);
        assert_int_equal(cllm__evaluation_mean(e, 0, CLLM__NDCG, 11, &mean, &err), CLLM_ERR_USAGE);
        check_message(&err, "ndcg@11");
        cllm__evaluation_free(e);
    }
    assert_int_equal(tables[0].largest_batch, 4);
    assert_int_equal(tables[1].largest_batch, 16);
    free(scores[0]);
    free(scores[1]);
    free_fixture(&f);
}

static void check_same(const cllm__evaluation *a, const cllm__evaluation *b) {
    assert_int_equal(a->n_users, b->n_users);
    for (size_t m = 0; m < a->n_models; m++) {
        const cllm__eval_model *x = &a->models[m], *y = &b->models[m];
        assert_memory_equal(x->mean, y->mean, a->values * sizeof *x->mean);
        assert_memory_equal(x->bucket, y->bucket, CLLM__BUCKETS * a->values * sizeof *x->bucket);
        assert_memory_equal(x->kept, y->kept, a->n_users * a->n_kept * sizeof *x->kept);
        assert_memory_equal(x->coverage, y->coverage, sizeof x->coverage);
        for (size_t c = 0; c < a->cutoffs.count; c++) { /* sums over items, whose order may differ */
            check_near(x->popularity[c], y->popularity[c], 1e-12);
            check_near(x->novelty[c], y->novelty[c], 1e-12);
        }
        assert_memory_equal(x->gini, y->gini, sizeof x->gini);
    }
}

static void test_threads_and_chunks_change_nothing(void **state) {
    (void)state;
    cllm_error err;
    fixture f = make_fixture(150, 80, 40, 2);
    cllm__eval_data data = data_of(&f);
    float *scores = random_scores(150, 80, 7, 3);
    table t = {.n_items = 80, .scores = scores};
    cllm__scorer scorers[2] = {{"a", &t, score_table, 64}, {"b", &t, score_table, 7}};
    cllm__eval_options options = {.split = CLLM__TEST};
    cllm__evaluation *base, *other;
    check_ok(cllm__evaluate(&base, &data, scorers, 2, &options, &err), &err);
    assert_memory_equal(base->models[0].mean, base->models[1].mean, base->values * sizeof(double));
    for (int threads = 1; threads <= 4; threads++) {
        check_ok(cllm__pool_create(&options.pool, threads, &err), &err);
        options.chunk = threads == 1 ? 1 : 50 / (size_t)threads;
        check_ok(cllm__evaluate(&other, &data, scorers, 2, &options, &err), &err);
        check_same(base, other);
        cllm__evaluation_free(other);
        cllm__pool_free(options.pool);
    }
    cllm__evaluation_free(base);
    free(scores);
    free_fixture(&f);
}

static void test_renumbering_items_changes_nothing(void **state) {
    (void)state;
    cllm_error err;
    enum { U = 40, N = 50 };
    fixture f = make_fixture(U, N, 25, 3), g = make_fixture(U, N, 25, 3);
    float *scores = random_scores(U, N, 0, 4), *moved = malloc(U * N * sizeof *moved);
    for (int s = 0; s < 3; s++) {
        int32_t *items = (int32_t *)g.split[s].items;
        for (size_t i = 0; i < g.split[s].count; i++) items[i] = (items[i] * 7 + 11) % N;
    }
    for (size_t u = 0; u < U; u++) {
        for (size_t i = 0; i < N; i++) moved[u * N + (i * 7 + 11) % N] = scores[u * N + i];
    }
    table t[2] = {{.n_items = N, .scores = scores}, {.n_items = N, .scores = moved}};
    cllm__eval_options options = {.split = CLLM__TEST};
    cllm__evaluation *e[2];
    for (int i = 0; i < 2; i++) {
        cllm__eval_data data = data_of(i == 0 ? &f : &g);
        check_ok(cllm__evaluate(&e[i], &data, &(cllm__scorer){"m", &t[i], score_table, 16}, 1, &options, &err), &err);
    }
    check_same(e[0], e[1]);
    cllm__evaluation_free(e[0]);
    cllm__evaluation_free(e[1]);
    free(scores);
    free(moved);
    free_fixture(&f);
    free_fixture(&g);
}

static void test_perfect_model(void **state) {
    (void)state;
    cllm_error err;
    fixture f = make_fixture(50, 40, 30, 4);
    float *scores = malloc(50 * 40 * sizeof *scores);
    for (size_t i = 0; i < 50 * 40; i++) scores[i] = has_item(&f.split[2], i / 40, (int32_t)(i % 40)) ? 1 : 0;
    table t = {.n_items = 40, .scores = scores};
    cllm__eval_data data = data_of(&f);
    cllm__evaluation *e;
    check_ok(cllm__evaluate(&e, &data, &(cllm__scorer){"perfect", &t, score_table, 8}, 1,
                            &(cllm__eval_options){.split = CLLM__TEST}, &err),
             &err);
    for (size_t c = 0; c < e->cutoffs.count; c++) {
        check_near(e->models[0].mean[CLLM__RECALL_CAPPED * e->cutoffs.count + c], 1, 1e-12);
        check_near(e->models[0].mean[CLLM__NDCG * e->cutoffs.count + c], 1, 1e-12);
        check_near(e->models[0].mean[CLLM__MAP * e->cutoffs.count + c], 1, 1e-12);
    }
    cllm__evaluation_free(e);
    free(scores);
    free_fixture(&f);
}

static void test_repeated_targets_count_once(void **state) {
    (void)state;
    cllm_error err;
    cllm__interactions train = make_rows(1, 4, 2, (int32_t[]){0, -1}), valid = make_rows(1, 4, 4, (int32_t[]){2, 2, 3, 2});
    float scores[] = {9, 5, 4, 3}; /* ranked 1, 2, 3; item 0 is masked */
    table t = {.n_items = 4, .scores = scores};
    cllm__evaluation *e;
    cllm__eval_options options = {.split = CLLM__VALID, .ks = (size_t[]){2}, .n_ks = 1};
    check_ok(cllm__evaluate(&e, &(cllm__eval_data){.train = &train, .valid = &valid},
                            &(cllm__scorer){"m", &t, score_table, 1}, 1, &options, &err),
             &err);
    check_near(e->models[0].mean[CLLM__RECALL], 0.5, 0);
    check_near(e->models[0].mean[CLLM__MRR], 0.5, 0);
    cllm__evaluation_free(e);
    free_rows(&train);
    free_rows(&valid);
}

/* ---- Visiting ---- */

typedef struct visits {
    size_t count, stop_at;
    int32_t last_user;
    double recall;
    const fixture *f;
} visits;

static cllm_status visit(void *context, const cllm__eval_user *user, cllm_error *err) {
    visits *v = context;
    if (++v->count == v->stop_at) return cllm__fail(err, CLLM_ERR_IO, "disk full");
    assert_int_equal(user->scorer, (v->count - 1) % 2);
    assert_string_equal(user->name, user->scorer == 0 ? "a" : "b");
    if (user->scorer == 0) {
        assert_true(user->user > v->last_user);
        v->last_user = user->user;
    }
    assert_int_equal(user->user, v->last_user);
    for (size_t r = 0; r < user->n_ranked; r++) {
        assert_int_equal(user->hits[r], has_item(&v->f->split[1], (size_t)user->user, user->items[r]));
        assert_false(has_item(&v->f->split[0], (size_t)user->user, user->items[r]));
        if (r > 0) assert_true(user->scores[r] <= user->scores[r - 1]);
    }
    assert_int_equal(user->n_targets, cllm__row_count(&v->f->split[1], (size_t)user->user));
    if (user->scorer == 1) v->recall += user->values[cllm__cutoffs_index(user->cutoffs, CLLM__RECALL, 10)];
    return CLLM_OK;
}

static void test_visitor(void **state) {
    (void)state;
    cllm_error err;
    fixture f = make_fixture(40, 30, 20, 5);
    cllm__eval_data data = data_of(&f);
    float *scores[2] = {random_scores(40, 30, 0, 1), random_scores(40, 30, 0, 2)};
    table t[2] = {{.n_items = 30, .scores = scores[0]}, {.n_items = 30, .scores = scores[1]}};
    cllm__scorer scorers[2] = {{"a", &t[0], score_table, 8}, {"b", &t[1], score_table, 8}};
    visits v = {.f = &f, .last_user = -1};
    cllm__eval_options options = {.split = CLLM__VALID, .chunk = 7, .visit = visit, .visit_context = &v};
    cllm__evaluation *e;
    check_ok(cllm__evaluate(&e, &data, scorers, 2, &options, &err), &err);
    assert_int_equal(v.count, 2 * e->n_users);
    double mean;
    check_ok(cllm__evaluation_mean(e, 1, CLLM__RECALL, 10, &mean, &err), &err);
    check_near(v.recall / (double)e->n_users, mean, 1e-12);
    cllm__evaluation_free(e);

    v = (visits){.f = &f, .last_user = -1, .stop_at = 5};
    e = NULL;
    assert_int_equal(cllm__evaluate(&e, &data, scorers, 2, &options, &err), CLLM_ERR_IO);
    assert_null(e);
    assert_string_equal(err.message, "disk full");

    int32_t some[] = {7, 3, 3, 12, 0};
    options = (cllm__eval_options){.split = CLLM__VALID, .users = some, .n_users = 5};
    check_ok(cllm__evaluate(&e, &data, scorers, 2, &options, &err), &err);
    assert_int_equal(e->n_users + e->without_targets, 5);
    cllm__evaluation_free(e);
    some[2] = 40;
    assert_int_equal(cllm__evaluate(&e, &data, scorers, 2, &options, &err), CLLM_ERR_USAGE);
    check_message(&err, "user 40");
    free(scores[0]);
    free(scores[1]);
    free_fixture(&f);
}

/* ---- Trouble ---- */

static void test_bad_score_names_the_place(void **state) {
    (void)state;
    cllm_error err;
    fixture f = make_fixture(40, 30, 20, 6);
    cllm__eval_data data = data_of(&f);
    float *scores = random_scores(40, 30, 0, 1);
    size_t user = 0;
    while (user < 20 || cllm__row_count(&f.split[1], user) == 0) user++;
    size_t item = 17;
    while (has_item(&f.split[0], user, (int32_t)item)) item++;
    scores[user * 30 + item] = NAN;
    table t = {.n_items = 30, .scores = scores};
    char place[64];
    snprintf(place, sizeof place, "broken, user %zu: the score of item %zu", user, item);
    cllm__evaluation *e = NULL;
    assert_int_equal(cllm__evaluate(&e, &data, &(cllm__scorer){"broken", &t, score_table, 8}, 1,
                                    &(cllm__eval_options){.split = CLLM__VALID}, &err),
                     CLLM_ERR_FAILED);
    check_message(&err, place);
    assert_null(e);
    free(scores);
    free_fixture(&f);
}

static cllm_status failing_score(void *context, const int32_t *users, size_t count, float *scores, cllm_error *err) {
    (void)context;
    (void)users;
    (void)count;
    (void)scores;
    return cllm__fail(err, CLLM_ERR_MISMATCH, "no such model");
}

static bool cancel_third(void *user) {
    return ++*(int *)user >= 3;
}

static void count_progress(void *user, const cllm_progress *progress) {
    assert_string_equal(progress->phase, "evaluate");
    assert_true(progress->done <= progress->total);
    *(int *)user += progress->final;
}

static void test_failures_and_cancelling(void **state) {
    (void)state;
    cllm_error err;
    fixture f = make_fixture(40, 30, 20, 7), other = make_fixture(40, 31, 20, 7);
    cllm__eval_data data = data_of(&f);
    float *scores = random_scores(40, 30, 0, 1);
    table t = {.n_items = 30, .scores = scores};
    cllm__scorer good = {"good", &t, score_table, 4}, bad = {"bad", NULL, failing_score, 4};
    cllm__evaluation *e = NULL;
    cllm__eval_options options = {.split = CLLM__VALID};
    assert_int_equal(cllm__evaluate(&e, &data, &bad, 1, &options, &err), CLLM_ERR_MISMATCH);
    assert_int_equal(
        cllm__evaluate(&e, &(cllm__eval_data){.train = &f.split[0], .valid = &other.split[1]}, &good, 1, &options, &err),
        CLLM_ERR_MISMATCH);
    check_message(&err, "40 x 31");
    assert_int_equal(cllm__evaluate(&e, &(cllm__eval_data){.train = &f.split[0]}, &good, 1, &options, &err),
                     CLLM_ERR_USAGE);
    options.split = CLLM__TRAIN;
    assert_int_equal(cllm__evaluate(&e, &data, &good, 1, &options, &err), CLLM_ERR_USAGE);

    int asked = 0, ends = 0;
    cllm_host host = {.cancelled = cancel_third, .user = &asked};
    options = (cllm__eval_options){.split = CLLM__VALID, .host = &host};
    assert_int_equal(cllm__evaluate(&e, &data, &good, 1, &options, &err), CLLM_ERR_INTERRUPTED);
    assert_int_equal(asked, 3);
    assert_null(e);
    host = (cllm_host){.progress = count_progress, .user = &ends};
    check_ok(cllm__evaluate(&e, &data, &good, 1, &options, &err), &err);
    assert_int_equal(ends, 1);
    cllm__evaluation_free(e);
    free(scores);
    free_fixture(&f);
    free_fixture(&other);
}

static void test_small_and_empty(void **state) {
    (void)state;
    cllm_error err;
    /* One user, one item, which is the target. */
    cllm__interactions none = make_rows(1, 1, 1, (int32_t[]){-1}), one = make_rows(1, 1, 1, (int32_t[]){0});
    float score = 3;
    table t = {.n_items = 1, .scores = &score};
    cllm__scorer scorer = {"m", &t, score_table, 1};
    cllm__eval_options options = {.split = CLLM__TEST};
    cllm__evaluation *e;
    check_ok(cllm__evaluate(&e, &(cllm__eval_data){&none, &none, &one}, &scorer, 1, &options, &err), &err);
    assert_int_equal(e->bucket_users[0], 1);
    for (size_t c = 0; c < e->cutoffs.count; c++) {
        check_near(e->models[0].mean[c], 1, 0);
        check_near(e->models[0].coverage[c], 1, 0);
        check_near(e->models[0].gini[c], 0, 0);
    }
    cllm__evaluation_free(e);
    /* The only item is masked: nothing to list. */
    check_ok(cllm__evaluate(&e, &(cllm__eval_data){&one, &none, &one}, &scorer, 1, &options, &err), &err);
    check_near(e->models[0].mean[0], 0, 0);
    check_near(e->models[0].coverage[0], 0, 0);
    cllm__evaluation_free(e);
    /* Nobody has a target; nobody at all; no items; no scorers. */
    check_ok(cllm__evaluate(&e, &(cllm__eval_data){&one, &none, &none}, &scorer, 1, &options, &err), &err);
    assert_int_equal(e->n_users, 0);
    assert_int_equal(e->without_targets, 1);
    check_near(e->models[0].mean[0], 0, 0);
    cllm__evaluation_free(e);
    cllm__interactions nobody = make_rows(0, 3, 1, NULL), no_items = make_rows(2, 0, 1, (int32_t[]){-1, -1});
    check_ok(cllm__evaluate(&e, &(cllm__eval_data){&nobody, &nobody, &nobody}, &scorer, 1, &options, &err), &err);
    cllm__evaluation_free(e);
    check_ok(cllm__evaluate(&e, &(cllm__eval_data){&no_items, &no_items, &no_items}, &scorer, 1, &options, &err), &err);
    assert_int_equal(e->without_targets, 2);
    cllm__evaluation_free(e);
    check_ok(cllm__evaluate(&e, &(cllm__eval_data){&none, &none, &one}, NULL, 0, &options, &err), &err);
    assert_int_equal(e->n_users, 1);
    cllm__evaluation_free(e);
    cllm__evaluation_free(NULL);
    free_rows(&none);
    free_rows(&one);
    free_rows(&nobody);
    free_rows(&no_items);
}

static void test_allocation_failures(void **state) {
    (void)state;
    cllm_error err;
    fixture f = make_fixture(12, 20, 12, 8);
    cllm__eval_data data = data_of(&f);
    float *scores = random_scores(12, 20, 0, 1);
    table t = {.n_items = 20, .scores = scores};
    cllm__scorer scorers[2] = {{"a", &t, score_table, 4}, {"b", &t, score_table, 4}};
    cllm__eval_options options = {.split = CLLM__VALID};
    cllm__evaluation *e = NULL;
    size_t n = 1;
    for (;; n++) {
        cllm__alloc_fail_at(n, false);
        cllm_status status = cllm__evaluate(&e, &data, scorers, 2, &options, &err);
        if (status == CLLM_OK) break;
        assert_int_equal(status, CLLM_ERR_NOMEM);
        assert_null(e);
    }
    cllm__alloc_fail_at(0, false);
    assert_true(n > 15);
    cllm__evaluation_free(e);
    free(scores);
    free_fixture(&f);
}

static void test_buckets(void **state) {
    (void)state;
    for (size_t n = 0; n < 100; n++) assert_int_equal(cllm__bucket_of(n), bucket_by_hand(n));
    assert_int_equal(cllm__bucket_of(SIZE_MAX), CLLM__BUCKETS - 1);
    assert_string_equal(cllm__bucket_name(4), "11-20");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_reference),
        cmocka_unit_test(test_threads_and_chunks_change_nothing),
        cmocka_unit_test(test_renumbering_items_changes_nothing),
        cmocka_unit_test(test_perfect_model),
        cmocka_unit_test(test_repeated_targets_count_once),
        cmocka_unit_test(test_visitor),
        cmocka_unit_test(test_bad_score_names_the_place),
        cmocka_unit_test(test_failures_and_cancelling),
        cmocka_unit_test(test_small_and_empty),
        cmocka_unit_test(test_allocation_failures),
        cmocka_unit_test(test_buckets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
