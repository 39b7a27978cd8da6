#include "table.h"

#include <math.h>
#include <string.h>

#include "cli.h"

/* One end of the pair of numbers at `path`; NaN if there is none. */
static double range_at(struct json_object *object, const char *path, size_t end) {
    struct json_object *range = json_at(object, path);
    if (!json_object_is_type(range, json_type_array) || json_object_array_length(range) != 2) return NAN;
    return json_object_get_double(json_object_array_get_idx(range, end));
}

static void print_headline(FILE *to, struct json_object *report, struct json_object *headline) {
    struct json_object *models = json_at(report, "models");
    const char *coverage = json_text_at(report, "headline_coverage", "coverage@20");
    fprintf(to, "%-14s", "model");
    for (size_t i = 0; i < json_object_array_length(headline); i++) {
        fprintf(to, "  %20s", json_text_at(json_object_array_get_idx(headline, i), "label", "?"));
    }
    fprintf(to, "  %12s\n", coverage);
    json_object_object_foreach(models, name, model) {
        fprintf(to, "%-14s", name);
        for (size_t i = 0; i < json_object_array_length(headline); i++) {
            const char *metric = json_text_at(json_object_array_get_idx(headline, i), "metric", "?");
            struct json_object *intervals = json_at(model, "interval");
            double value = json_number_at(model, metric, NAN), low = range_at(intervals, metric, 0), high = range_at(intervals, metric, 1);
            if (isnan(low)) fprintf(to, "  %20.4f", value);
            else fprintf(to, "  %.4f [%.4f,%.4f]", value, low, high);
        }
        fprintf(to, "  %12.4f", json_number_at(model, coverage, NAN));
        const char *parameters = json_text_at(model, "parameters", "");
        fprintf(to, "%s%s\n", parameters[0] != '\0' ? "   " : "", parameters);
    }
}

static void print_buckets(FILE *to, struct json_object *report, const char *metric) {
    struct json_object *buckets = json_at(report, "buckets");
    if (!json_object_is_type(buckets, json_type_array) || json_object_array_length(buckets) == 0) return;
    fprintf(to, "\n%s by length of the training history\n", metric);
    bool titled = false;
    for (size_t i = 0; i < json_object_array_length(buckets); i++) {
        struct json_object *bucket = json_object_array_get_idx(buckets, i), *models = json_at(bucket, "models");
        if (models == NULL || json_number_at(bucket, "users", 0) == 0) continue;
        if (!titled) {
            fprintf(to, "%-10s %8s", "history", "users");
            json_object_object_foreach(models, title, unused) {
                (void)unused;
                fprintf(to, "  %12s", title);
            }
            fputc('\n', to);
            titled = true;
        }
        fprintf(to, "%-10s %8.0f", json_text_at(bucket, "history", "?"), json_number_at(bucket, "users", 0));
        json_object_object_foreach(models, name, model) {
            (void)name;
            struct json_object *value = json_at(model, metric);
            fprintf(to, "  %12.4f", value != NULL ? json_object_get_double(value) : NAN);
        }
        fputc('\n', to);
    }
}

void print_evaluation(FILE *to, struct json_object *report) {
    struct json_object *headline = json_at(report, "headline");
    double users = json_number_at(report, "users", 0);
    fprintf(to, "%s split, %.0f users", json_text_at(report, "split", "?"), users);
    double without = json_number_at(report, "users_without_targets", 0);
    if (without > 0) fprintf(to, " (%.0f more have nothing held out)", without);
    fprintf(to, "; full ranking, training items masked; 95 %% bootstrap intervals\n\n");
    if (json_object_is_type(headline, json_type_array) && json_at(report, "models") != NULL) {
        print_headline(to, report, headline);
        size_t n = json_object_array_length(headline);
        if (n > 0) print_buckets(to, report, json_text_at(json_object_array_get_idx(headline, n - 1), "metric", "?"));
    }
    struct json_object *paired = json_at(report, "paired");
    if (paired != NULL) {
        fprintf(to, "\n%s against the best baseline shown (%s), %s: difference %+.4f [%+.4f, %+.4f], p = %.3g (paired over users)\n",
                json_text_at(paired, "model", "?"), json_text_at(paired, "best_baseline", "?"), json_text_at(paired, "metric", "?"),
                json_number_at(paired, "difference", NAN), range_at(paired, "interval", 0), range_at(paired, "interval", 1), json_number_at(paired, "p", NAN));
    }
    struct json_object *content = json_at(report, "content");
    if (content != NULL && json_number_at(content, "reviews", 0) > 0) {
        fprintf(to, "\nheld-out reviews (%.0f, %.0f tokens): perplexity %.2f with their own user and item tokens, %.2f with shuffled ones (p = %.3g);"
                    " %.3f [%.3f, %.3f] nats a token\n",
                json_number_at(content, "reviews", 0), json_number_at(content, "tokens", 0), json_number_at(content, "perplexity/true", NAN),
                json_number_at(content, "perplexity/shuffled", NAN), json_number_at(content, "p", NAN), json_number_at(content, "nll/true", NAN),
                range_at(content, "nll_intervals/true", 0), range_at(content, "nll_intervals/true", 1));
    }
}
