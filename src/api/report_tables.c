/* The tables of a report: what was found, what it was found on, and how it was made. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/report_data.h"
#include "eval/fusion.h"

static void thousands(double value, char text[32]) {
    char digits[32];
    int n = snprintf(digits, sizeof digits, "%.0f", value), used = 0;
    for (int i = 0; i < n && used < 30; i++) {
        text[used++] = digits[i];
        if ((n - 1 - i) % 3 == 0 && i + 1 < n && digits[i] != '-') text[used++] = ',';
    }
    text[used] = '\0';
}

static void duration(double seconds, char text[32]) {
    long whole = (long)(seconds + 0.5);
    if (seconds < 60) snprintf(text, 32, "%.*f s", seconds < 10 ? 1 : 0, seconds);
    else if (whole < 3600) snprintf(text, 32, "%ld min %02ld s", whole / 60, whole % 60);
    else snprintf(text, 32, "%ld h %02ld min", whole / 3600, whole / 60 % 60);
}

static void memory_cell(cllm__page *page, double bytes) {
    if (bytes > 0 && bytes < 1e15) cllm__page_put(page, "<td class=\"n\">%.0f MB</td>", 1e-6 * bytes);
    else cllm__page_put(page, "<td class=\"n\">–</td>");
}

static void term(cllm__page *page, const char *name, const char *value) {
    cllm__page_put(page, "<div>");
    cllm__page_element(page, "dt", name);
    cllm__page_element(page, "dd", value);
    cllm__page_put(page, "</div>");
}

static void term_count(cllm__page *page, struct json_object *summary, const char *name, const char *member) {
    double value = cllm__json_number(summary, member);
    char text[32];
    if (!isfinite(value)) return;
    thousands(value, text);
    term(page, name, text);
}

static void data_terms(cllm__page *page, struct json_object *summary) {
    char text[64];
    cllm__page_put(page, "<dl>");
    term_count(page, summary, "users", "users");
    term_count(page, summary, "items", "items");
    term_count(page, summary, "interactions", "interactions");
    term_count(page, summary, "training rows", "train");
    term_count(page, summary, "validation rows", "valid");
    term_count(page, summary, "test rows", "test");
    double density = cllm__json_number(summary, "density");
    if (isfinite(density)) {
        snprintf(text, sizeof text, "%.3g %%", 100 * density);
        term(page, "density", text);
    }
    term_count(page, summary, "texts", "texts");
    double median = cllm__json_number(summary, "history/median");
    if (isfinite(median)) {
        snprintf(text, sizeof text, "%.3g items", median);
        term(page, "median history", text);
    }
    const char *split = cllm__json_shown(summary, "split");
    term(page, "split rule", strcmp(split, "ratio") == 0 ? "80/10/10 by user" : strcmp(split, "loo") == 0 ? "leave one out" : split);
    cllm__page_put(page, "</dl>\n");
}

/* The paired test of a run against the best baseline, in a cell. */
static void difference_cell(cllm__page *page, const cllm__report_run *run) {
    struct json_object *paired = run == NULL ? NULL : cllm__json_at(run->evaluation, "paired");
    if (paired == NULL) {
        cllm__page_put(page, "<td class=\"n\"></td>");
        return;
    }
    double low, high, difference = cllm__json_number(paired, "difference"), p = cllm__json_number(paired, "p");
    cllm__report_interval(cllm__json_at(paired, "interval"), &low, &high);
    cllm__page_put(page, "<td class=\"n %s\">%+.4f<small>%+.4f to %+.4f</small><small>p %s %.2g</small></td>", low > 0 ? "good" : high < 0 ? "bad" : "",
                   difference, low, high, p <= 0.002 ? "≤" : "=", p);
}

static void value_cell(cllm__page *page, struct json_object *model, const char *metric, bool best) {
    double low, high, value = cllm__json_number(model, metric);
    cllm__report_interval(cllm__json_at(cllm__json_at(model, "interval"), metric), &low, &high);
    cllm__page_put(page, "<td class=\"n%s\">%.4f", best ? " best" : "", value);
    if (isfinite(low)) cllm__page_put(page, "<small>%.4f–%.4f</small>", low, high);
    cllm__page_put(page, "</td>");
}

static const cllm__report_run *first_of(const cllm__report_data *data, size_t group) {
    for (size_t i = 0; i < data->n_runs; i++) {
        if (data->runs[i].group == group) return &data->runs[i];
    }
    return NULL;
}

/* One sentence that says how it ended. */
static void verdict(cllm__page *page, const cllm__report_run *run, const char *metric, const char *label) {
    double low, high, value = cllm__json_number(cllm__json_at(cllm__json_at(run->evaluation, "models"), cllm__report_own_model(run)), metric);
    struct json_object *paired = cllm__json_at(run->evaluation, "paired");
    const char *split = cllm__json_shown(run->evaluation, "split");
    cllm__page_put(page, "<p class=\"lead\">");
    cllm__page_data(page, run->name, 60);
    cllm__page_put(page, " reaches %s %.4f on the %s rows of ", label, value, strcmp(split, "valid") == 0 ? "validation" : "test");
    char users[32];
    thousands(cllm__json_number(run->evaluation, "users"), users);
    cllm__page_put(page, "%s users", users);
    if (paired == NULL) {
        cllm__page_put(page, ".</p>\n");
        return;
    }
    double difference = cllm__json_number(paired, "difference");
    const char *best = cllm__json_shown(paired, "best_baseline"), *tested = cllm__json_shown(paired, "metric");
    double theirs = cllm__json_number(cllm__json_at(cllm__json_at(run->evaluation, "models"), best), tested);
    cllm__report_interval(cllm__json_at(paired, "interval"), &low, &high);
    cllm__page_put(page, "; the best baseline shown, ");
    cllm__page_text(page, best, 60);
    if (strcmp(tested, metric) == 0) cllm__page_put(page, ", reaches %.4f. ", theirs);
    else cllm__page_put(page, ", is compared by %s. ", tested);
    if (low > 0) cllm__page_put(page, "The run is better, by %.4f (95 %% interval %.4f to %.4f).", difference, low, high);
    else if (high < 0) cllm__page_put(page, "The baseline is better, by %.4f (95 %% interval %.4f to %.4f).", -difference, -high, -low);
    else cllm__page_put(page, "The difference, %+.4f (95 %% interval %+.4f to %+.4f), is not clear of zero.", difference, low, high);
    cllm__page_put(page, "</p>\n");
}

/* ---- The transformer's part ---- */

/* What a history goes through: the question that every comparison of language models for recommending has to answer. */
enum { NO_TRANSFORMER, RANDOM_TRANSFORMER, GIVEN_TRANSFORMER, TRANSFORMERS };

static int transformer_of(const cllm__report_run *run) {
    struct json_object *made = cllm__json_at(run->run.manifest, "backbone/made_here");
    if (run->run.config.bag) return NO_TRANSFORMER;
    return made != NULL && json_object_get_boolean(made) ? RANDOM_TRANSFORMER : GIVEN_TRANSFORMER;
}

static void transformer_name(cllm__page *page, const cllm__report_run *run) {
    static const char *const NAMES[TRANSFORMERS] = {"no transformer", "frozen transformer, random weights", "frozen transformer, given weights"};
    cllm__page_put(page, "<br/><small class=\"soft\">%s</small>", NAMES[transformer_of(run)]);
}

/* Says which of the three the page lacks, and how to add it. */
static void missing_transformers(cllm__page *page, const cllm__report_row *rows, size_t count) {
    static const char *const HOW[TRANSFORMERS] = {"without one (<code>train --readout bag --content 0</code>)",
                                                  "through random weights (what <code>train</code> does by itself)",
                                                  "through pretrained weights (<code>train --backbone FILE</code>)"};
    bool seen[TRANSFORMERS] = {false};
    const char *between = "Is it the transformer? To say so, the page lacks a run ";
    for (size_t i = 0; i < count; i++)
        if (rows[i].run != NULL) seen[transformer_of(rows[i].run)] = true;
    for (int t = 0; t < TRANSFORMERS; t++) {
        if (seen[t]) continue;
        cllm__page_put(page, "%s%s", between[0] == 'I' ? "<p class=\"soft\">" : "", between);
        cllm__page_put(page, "%s", HOW[t]);
        between = " and one ";
    }
    if (between[0] != 'I') cllm__page_put(page, ".</p>\n");
}

void cllm__report_tables(cllm__page *page, const cllm__report_data *data, size_t group, const cllm__report_row *rows, size_t count) {
    const cllm__report_run *first = first_of(data, group), *best = NULL;
    const char *metric, *label;
    cllm__report_main_metric(first, &metric, &label);
    for (size_t i = 0; i < count && best == NULL; i++) best = rows[i].run;
    if (data->n_groups > 1) {
        cllm__page_put(page, "<h2>");
        cllm__page_data(page, first->data_path, 0);
        cllm__page_put(page, "</h2>\n");
    }
    verdict(page, best, metric, label);
    data_terms(page, first->summary);

    struct json_object *headline = cllm__json_at(first->evaluation, "headline");
    size_t n_headline = json_object_array_length(headline);
    cllm__page_put(page, "<div class=\"wide\"><table><caption>Every item is a candidate for every user, those of the user’s training rows "
                         "aside. Below each figure its 95 %% bootstrap interval over users.</caption><thead><tr><th scope=\"col\">model</th>");
    for (size_t h = 0; h < n_headline; h++) {
        cllm__page_put(page, "<th scope=\"col\" class=\"n\">");
        cllm__page_text(page, cllm__json_shown(json_object_array_get_idx(headline, h), "label"), 0);
        cllm__page_put(page, "</th>");
    }
    const char *coverage_at = cllm__json_shown(first->evaluation, "headline_coverage");
    cllm__page_put(page, "<th scope=\"col\" class=\"n\">%s</th>", coverage_at);
    if (cllm__json_at(first->evaluation, "paired") != NULL) {
        cllm__page_put(page, "<th scope=\"col\" class=\"n\">%s against<br/>the best baseline shown</th>", cllm__json_shown(first->evaluation, "paired/metric"));
    }
    cllm__page_put(page, "</tr></thead>\n<tbody>");
    for (size_t i = 0; i < count; i++) {
        cllm__page_put(page, "<tr%s><th scope=\"row\">", rows[i].run != NULL ? " class=\"run\"" : "");
        cllm__page_data(page, rows[i].name, 60);
        const char *parameters = cllm__json_shown(rows[i].model, "parameters");
        if (parameters[0] != '\0') {
            cllm__page_put(page, "<br/><small class=\"soft\">");
            for (const char *c = parameters; *c != '\0'; c++) cllm__page_put(page, *c == ',' ? ", " : "%c", *c); /* so that lines can break */
            cllm__page_put(page, "</small>");
        }
        if (rows[i].run != NULL) transformer_name(page, rows[i].run);
        cllm__page_put(page, "</th>");
        for (size_t h = 0; h < n_headline; h++) {
            const char *name = cllm__json_shown(json_object_array_get_idx(headline, h), "metric");
            double top = -INFINITY;
            for (size_t j = 0; j < count; j++) top = fmax(top, cllm__json_number(rows[j].model, name));
            value_cell(page, rows[i].model, name, cllm__json_number(rows[i].model, name) >= top);
        }
        double coverage = cllm__json_number(rows[i].model, coverage_at);
        if (isfinite(coverage)) cllm__page_put(page, "<td class=\"n\">%.4f</td>", coverage);
        else cllm__page_put(page, "<td class=\"n\">–</td>");
        if (cllm__json_at(first->evaluation, "paired") != NULL) difference_cell(page, rows[i].run);
        cllm__page_put(page, "</tr>\n");
    }
    cllm__page_put(page, "</tbody></table></div>\n");
    missing_transformers(page, rows, count);
}

/* ---- Means over seeds ---- */

static void mean_difference_cell(cllm__page *page, struct json_object *paired) {
    double low, high;
    cllm__report_interval(cllm__json_at(paired, "interval"), &low, &high);
    cllm__page_put(page, "<td class=\"n\">%+.4f<small>[%+.4f, %+.4f]</small><small>", cllm__json_number(paired, "difference"), low, high);
    cllm__page_text(page, cllm__json_shown(paired, "best_baseline"), 40);
    cllm__page_put(page, "</small></td>");
}

static void mean_row(cllm__page *page, struct json_object *mean, struct json_object *headline) {
    struct json_object *runs = cllm__json_at(mean, "runs"), *seeds = cllm__json_at(mean, "seeds");
    char text[32];
    cllm__page_put(page, "<tr class=\"run\"><th scope=\"row\">");
    for (size_t i = 0; i < json_object_array_length(runs); i++) {
        if (i > 0) cllm__page_put(page, ", ");
        cllm__page_data(page, json_object_get_string(json_object_array_get_idx(runs, i)), 60);
    }
    cllm__page_put(page, "<br/><small class=\"soft\">");
    cllm__page_text(page, cllm__json_shown(mean, "preset"), 40);
    cllm__page_put(page, "</small></th><td>");
    for (size_t i = 0; i < json_object_array_length(seeds); i++) {
        cllm__page_put(page, "%s%s", i > 0 ? ", " : "", json_object_get_string(json_object_array_get_idx(seeds, i)));
    }
    cllm__page_put(page, "</td>");
    for (size_t h = 0; h < json_object_array_length(headline); h++) {
        double value = cllm__json_number(cllm__json_at(mean, "mean"), cllm__json_shown(json_object_array_get_idx(headline, h), "metric"));
        cllm__page_put(page, "<td class=\"n\">%.4f</td>", value);
    }
    if (cllm__json_at(mean, "paired") != NULL) mean_difference_cell(page, cllm__json_at(mean, "paired"));
    duration(cllm__json_number(mean, "training_seconds"), text);
    cllm__page_put(page, "<td class=\"n\">%s</td>", text);
    memory_cell(page, cllm__json_number(mean, "peak_memory_bytes"));
    cllm__page_put(page, "</tr>\n");
}

void cllm__report_mean_table(cllm__page *page, const cllm__report_data *data, size_t group) {
    const cllm__report_run *first = first_of(data, group);
    struct json_object *headline = cllm__json_at(first->evaluation, "headline");
    bool begun = false;
    for (size_t i = 0; i < json_object_array_length(data->means); i++) {
        struct json_object *mean = json_object_array_get_idx(data->means, i);
        if (strcmp(cllm__json_shown(mean, "hash"), cllm__json_shown(first->run.manifest, "dataset/hash")) != 0) continue;
        if (!begun) {
            cllm__page_put(page, "<h3>Means over seeds</h3>\n<div class=\"wide\"><table><caption>Runs that differ in their seed alone; in small print the 95 %% "
                                 "interval of each user's mean over them against the baseline.</caption><thead><tr><th scope=\"col\">runs</th><th scope=\"col\">seeds</th>");
            for (size_t h = 0; h < json_object_array_length(headline); h++) {
                cllm__page_put(page, "<th scope=\"col\" class=\"n\">");
                cllm__page_text(page, cllm__json_shown(json_object_array_get_idx(headline, h), "label"), 0);
                cllm__page_put(page, "</th>");
            }
            if (cllm__json_at(mean, "paired") != NULL) {
                cllm__page_put(page, "<th scope=\"col\" class=\"n\">%s against<br/>the best baseline shown</th>", cllm__json_shown(mean, "paired/metric"));
            }
            cllm__page_put(page, "<th scope=\"col\" class=\"n\">training</th><th scope=\"col\" class=\"n\">peak memory</th></tr></thead>\n<tbody>");
            begun = true;
        }
        mean_row(page, mean, headline);
    }
    if (begun) cllm__page_put(page, "</tbody></table></div>\n");
}

/* ---- How the runs were made ---- */

static void changed_settings(cllm__page *page, const cllm__report_run *run) {
    struct json_object *changed = cllm__report_changed_settings(run);
    const char *between = "";
    json_object_object_foreach(changed, name, value) {
        cllm__page_put(page, "%s<code>%s=", between, name);
        cllm__page_text(page, json_object_get_string(value), 0);
        cllm__page_put(page, "</code>");
        between = " ";
    }
    if (between[0] == '\0') cllm__page_put(page, "none");
    json_object_put(changed);
}

/* Of the parts beside the tokens, where validation rows chose them. */
static void chosen_weights(cllm__page *page, const cllm__report_run *run) {
    struct json_object *chosen = cllm__json_at(run->run.manifest, "part_weights");
    const char *before = "<br/><small class=\"soft\">weights by validation rows:";
    bool any = false;
    for (int k = 0; k < CLLM__FUSION_PARTS; k++) {
        const char *part = cllm__fusion_part_name((cllm__fusion_part)k);
        double weight = cllm__json_number(chosen, part);
        if (!isfinite(weight)) continue;
        cllm__page_put(page, "%s %s %.3g", any ? "," : before, part, weight);
        any = true;
    }
    if (any) cllm__page_put(page, "</small>");
}

void cllm__report_settings(cllm__page *page, const cllm__report_data *data, size_t group) {
    cllm__page_put(page, "<h3>How the runs were made</h3>\n<div class=\"wide\"><table><thead><tr><th scope=\"col\">run</th><th scope=\"col\">backbone</th>"
                         "<th scope=\"col\">preset</th><th scope=\"col\">settings unlike the preset’s</th><th scope=\"col\" class=\"n\">rec epoch taken</th>"
                         "<th scope=\"col\" class=\"n\">training</th><th scope=\"col\" class=\"n\">peak memory</th></tr></thead>\n<tbody>");
    for (size_t i = 0; i < data->n_runs; i++) {
        const cllm__report_run *run = &data->runs[i];
        if (run->group != group) continue;
        struct json_object *backbone = cllm__json_at(run->run.manifest, "backbone");
        char text[32];
        cllm__page_put(page, "<tr class=\"run\"><th scope=\"row\">");
        cllm__page_data(page, run->name, 60);
        cllm__page_put(page, "</th><td>");
        cllm__page_text(page, cllm__json_shown(backbone, "family"), 40);
        cllm__page_put(page, ", %.0f layers × %.0f", cllm__json_number(backbone, "layers"), cllm__json_number(backbone, "width"));
        struct json_object *made = cllm__json_at(backbone, "made_here");
        if (made != NULL && json_object_get_boolean(made)) {
            cllm__page_put(page, ", random, made of the data’s words");
        } else {
            const char *path = cllm__json_shown(backbone, "path"), *name = strrchr(path, '/');
            cllm__page_put(page, "<br/><small class=\"soft\">");
            cllm__page_data(page, name != NULL && name[1] != '\0' ? name + 1 : path, 60);
            cllm__page_put(page, "</small>");
        }
        const char *frozen = cllm__json_shown(run->run.manifest, "backbone_dtype");
        if (frozen[0] != '\0') {
            cllm__page_put(page, ", ");
            cllm__page_text(page, frozen, 16);
        }
        cllm__page_put(page, "</td><td>");
        cllm__page_text(page, run->run.config.preset, 40);
        cllm__page_put(page, "</td><td>");
        changed_settings(page, run);
        chosen_weights(page, run);
        double best = cllm__json_number(run->run.manifest, "best_epoch");
        if (isfinite(best)) snprintf(text, sizeof text, "%.0f", best);
        else snprintf(text, sizeof text, "–");
        cllm__page_put(page, "</td><td class=\"n\">%s</td>", text);
        duration(run->seconds, text);
        cllm__page_put(page, "<td class=\"n\">%s</td>", text);
        memory_cell(page, run->memory);
        cllm__page_put(page, "</tr>\n");
    }
    cllm__page_put(page, "</tbody></table></div>\n");
}
