/*
 * The built-in shop: people with a taste (a theme that they love, one that they like, and a style), things of a theme and a style,
 * and reviews whose words follow both. The truth is planted, so that what a model learns can be checked.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/demo_words.h"
#include "base/alloc.h"
#include "base/io.h"
#include "base/rng.h"

typedef struct item {
    int theme, style;
    double appeal; /* some things sell better than others */
} item;

typedef struct person {
    int loved, liked, style;
} person;

typedef struct shop {
    cllm__rng rng;
    size_t n_items, n_users;
    item *items;
    person *people;
    double *weights; /* [n_items] scratch */
} shop;

static int pick(shop *s, int n) {
    return (int)cllm__rng_below(&s->rng, (uint64_t)n);
}

/* Share of a person's choices that fall to each kind of match. */
static double affinity(const person *who, const item *what) {
    double theme = what->theme == who->loved ? 1.0 : what->theme == who->liked ? 0.35 : 0.015;
    double style = what->style == who->style ? 1.0 : 0.22;
    return theme * style * what->appeal;
}

static void plant(shop *s) {
    for (size_t i = 0; i < s->n_items; i++) {
        s->items[i] = (item){.theme = (int)(i % DEMO_THEMES), .style = pick(s, DEMO_STYLES), .appeal = exp(0.5 * cllm__rng_normal(&s->rng))};
    }
    for (size_t u = 0; u < s->n_users; u++) {
        person who = {.loved = pick(s, DEMO_THEMES), .style = pick(s, DEMO_STYLES)};
        who.liked = (who.loved + 1 + pick(s, DEMO_THEMES - 1)) % DEMO_THEMES;
        s->people[u] = who;
    }
}

static size_t draw_item(shop *s, double *weights, double total) {
    double at = cllm__rng_uniform(&s->rng) * total;
    for (size_t i = 0; i < s->n_items; i++) {
        at -= weights[i];
        if (at < 0) return i;
    }
    return s->n_items - 1;
}

static const char *topic(shop *s, int theme) {
    return DEMO_THEME[theme].topics[pick(s, DEMO_WORDS)];
}

static const char *praise(shop *s, int style) {
    return DEMO_STYLE[style].praise[pick(s, DEMO_WORDS)];
}

/* What stands in a review follows the thing (its theme and style) and the person (what he looks for). */
static void write_review(shop *s, const person *who, const item *what, bool pleased, char *text, size_t size) {
    const char *thing = DEMO_THEME[what->theme].things[pick(s, DEMO_WORDS)];
    const char *a = topic(s, what->theme), *b = topic(s, what->theme), *c = praise(s, what->style), *d = praise(s, who->style);
    switch (pick(s, 5)) {
    case 0: snprintf(text, size, "Took it to %s and it was %s. Great for the %s and the %s.", DEMO_THEME[what->theme].place, c, a, b); break;
    case 1: snprintf(text, size, "%s, just what I want from a %s. The %s never looked better.", c, thing, a); break;
    case 2: snprintf(text, size, "I wanted something %s. This one is %s, and with the %s it works well.", d, c, a); break;
    case 3: snprintf(text, size, "My third %s this year. %s. Think of %s, %s and you know why.", thing, c, a, b); break;
    default: snprintf(text, size, "For %s I need things that are %s. %s!", DEMO_THEME[who->loved].activity, DEMO_STYLE[who->style].wish, c); break;
    }
    if (!pleased) {
        size_t used = strlen(text);
        snprintf(text + used, size - used, " Still, I sent it back: not for my %s.", topic(s, who->loved));
    }
}

static cllm_status write_items(shop *s, const char *path, cllm_error *err) {
    cllm__out *out;
    CLLM_TRY(cllm__out_create(&out, path, err));
    cllm_status status = cllm__out_printf(out, err, "item\ttitle\tbrand\tcategories\tdescription\n");
    for (size_t i = 0; i < s->n_items && status == CLLM_OK; i++) {
        const item *what = &s->items[i];
        const demo_theme *theme = &DEMO_THEME[what->theme];
        const char *thing = theme->things[(i / DEMO_THEMES) % DEMO_WORDS];
        status = cllm__out_printf(out, err,
                                  "SKU-%04zu\t%s %s No. %zu\t%s\t%s, %s\tA %s for %s, %s: %s, %s. Made with %s and %s in mind.\n", i + 1,
                                  DEMO_STYLE[what->style].name, thing, 1 + i / (DEMO_THEMES * DEMO_WORDS), theme->brands[pick(s, 2)], theme->name,
                                  DEMO_STYLE[what->style].name, thing, theme->activity, DEMO_STYLE[what->style].wish, praise(s, what->style),
                                  praise(s, what->style), topic(s, what->theme), topic(s, what->theme));
    }
    if (status == CLLM_OK) return cllm__out_commit(out, err);
    cllm__out_abort(out);
    return status;
}

static void user_name(size_t u, char *name, size_t size) {
    snprintf(name, size, "%s-%03zu", DEMO_FIRST_NAMES[u % (sizeof DEMO_FIRST_NAMES / sizeof DEMO_FIRST_NAMES[0])], u + 1);
}

static cllm_status write_users(shop *s, const char *path, cllm_error *err) {
    cllm__out *out;
    CLLM_TRY(cllm__out_create(&out, path, err));
    cllm_status status = cllm__out_printf(out, err, "user\tbiography\n");
    for (size_t u = 0; u < s->n_users && status == CLLM_OK; u++) {
        const person *who = &s->people[u];
        char name[48];
        user_name(u, name, sizeof name);
        status = cllm__out_printf(out, err, "%s\tI spend my weekends %s, with %s and %s on my mind. Sometimes %s. I look for things that are %s.\n", name,
                                  DEMO_THEME[who->loved].activity, topic(s, who->loved), topic(s, who->loved), DEMO_THEME[who->liked].activity,
                                  DEMO_STYLE[who->style].wish);
    }
    if (status == CLLM_OK) return cllm__out_commit(out, err);
    cllm__out_abort(out);
    return status;
}

/* Most people bought few things, some bought many. */
static size_t purchases(shop *s) {
    double u = cllm__rng_uniform(&s->rng);
    return 4 + (size_t)floor(3.2 * -log(1 - u)) % 24;
}

static cllm_status write_purchases(shop *s, size_t u, int64_t *clock, cllm__out *out, cllm_error *err) {
    const person *who = &s->people[u];
    double total = 0;
    for (size_t i = 0; i < s->n_items; i++) total += s->weights[i] = affinity(who, &s->items[i]);
    size_t n = purchases(s);
    for (size_t k = 0; k < n && total > 1e-9; k++) {
        size_t i = draw_item(s, s->weights, total);
        total -= s->weights[i];
        s->weights[i] = 0;
        bool pleased = cllm__rng_uniform(&s->rng) < 0.9;
        char text[512], name[48];
        write_review(s, who, &s->items[i], pleased, text, sizeof text);
        user_name(u, name, sizeof name);
        *clock += 600 + (int64_t)cllm__rng_below(&s->rng, 7200);
        CLLM_TRY(cllm__out_printf(out, err, "{\"reviewerID\": \"%s\", \"asin\": \"SKU-%04zu\", \"overall\": %.1f, \"reviewText\": \"%s\", \"unixReviewTime\": %lld}\n",
                                  name, i + 1, pleased ? 4.0 + pick(s, 2) : 1.0 + pick(s, 3), text, (long long)*clock));
    }
    return CLLM_OK;
}

static cllm_status write_reviews(shop *s, const char *path, cllm_error *err) {
    cllm__out *out;
    CLLM_TRY(cllm__out_create(&out, path, err));
    cllm_status status = CLLM_OK;
    int64_t clock = 1600000000;
    for (size_t u = 0; u < s->n_users && status == CLLM_OK; u++) status = write_purchases(s, u, &clock, out, err);
    if (status == CLLM_OK) return cllm__out_commit(out, err);
    cllm__out_abort(out);
    return status;
}

static cllm_status write_shop(shop *s, const char *folder, cllm_error *err) {
    CLLM_TRY(CLLM_NEW(s->items, s->n_items, err));
    CLLM_TRY(CLLM_NEW(s->people, s->n_users, err));
    CLLM_TRY(CLLM_NEW(s->weights, s->n_items, err));
    plant(s);
    static const struct {
        const char *name;
        cllm_status (*write)(shop *s, const char *path, cllm_error *err);
    } files[] = {{"items.tsv", write_items}, {"users.tsv", write_users}, {"reviews.jsonl", write_reviews}};
    for (size_t i = 0; i < CLLM_LEN(files); i++) {
        char *path = cllm__path_join(folder, files[i].name);
        cllm_status status = path == NULL ? cllm__fail_nomem(err) : files[i].write(s, path, err);
        cllm__free(path);
        CLLM_TRY(status);
    }
    return CLLM_OK;
}

cllm_status cllm_demo_shop(const char *folder, size_t users, size_t items, uint64_t seed, cllm_error *err) {
    if (users < 1 || users > 1000000 || items < DEMO_THEMES || items > 100000) {
        return cllm__fail(err, CLLM_ERR_USAGE, "a shop of %zu users and %zu items: give 1 to 1000000 users and %d to 100000 items", users, items, DEMO_THEMES);
    }
    shop s = {.rng = cllm__rng_make(seed, CLLM_RNG_DEMO, 0, 0), .n_items = items, .n_users = users};
    char *temporary = NULL;
    cllm_status status;
    if (cllm__path_is_folder(folder)) { /* the caller's own: what else is in it stays, the three files are replaced one by one */
        status = write_shop(&s, folder, err);
    } else {
        status = cllm__folder_begin(folder, false, NULL, &temporary, err);
        if (status == CLLM_OK) status = write_shop(&s, temporary, err);
        if (status == CLLM_OK) status = cllm__folder_commit(temporary, folder, err);
        if (status != CLLM_OK && temporary != NULL) cllm__remove_tree(temporary);
        cllm__free(temporary);
    }
    cllm__free(s.items);
    cllm__free(s.people);
    cllm__free(s.weights);
    return status;
}
