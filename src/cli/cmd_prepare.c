#include <string.h>

#include "cli.h"
#include "summary.h"

static bool split_rule(const char *name, cllm_split_rule *rule) {
    static const char *const names[] = {"ratio", "loo", "time", "files"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0) {
            *rule = (cllm_split_rule)i;
            return true;
        }
    }
    return false;
}

int cmd_prepare(int argc, char **argv) {
    cllm_prepare_options options;
    cllm_prepare_options_init(&options);
    const char *split = NULL, *train = NULL, *header = "auto", *quote = NULL;
    double min_rating = -1e300;
    size_t max_bad_rows = 0;
    const option_spec specs[] = {
        {"output", 'o', OPTION_TEXT, &options.output, "DIR", "the data set folder to make"},
        {"force", 'f', OPTION_FLAG, &options.force, NULL, "replace an existing folder"},
        {NULL, 0, OPTION_GROUP, NULL, NULL, "What to read"},
        {"items", 0, OPTION_TEXT, &options.items, "FILE", "item titles, brands, categories, descriptions; fixes the item universe"},
        {"only-seen-items", 0, OPTION_FLAG, &options.only_seen_items, NULL, "leave out the items of that file that have no interactions"},
        {"users", 0, OPTION_TEXT, &options.users, "FILE", "user biographies"},
        {"texts", 0, OPTION_TEXT, &options.texts, "FILE", "reviews in a file of their own: user, item, text"},
        {"train", 0, OPTION_TEXT, &train, "FILE", "already split data: the training part (user, item; or .npz)"},
        {"valid", 0, OPTION_TEXT, &options.valid, "FILE", "already split data: the validation part"},
        {"test", 0, OPTION_TEXT, &options.test, "FILE", "already split data: the test part"},
        {NULL, 0, OPTION_GROUP, NULL, NULL, "How to read it (recognised by content where not given)"},
        {"format", 0, OPTION_TEXT, &options.format, "NAME", "amazon, delimited, recbole, npz or sequence"},
        {"user-col", 0, OPTION_TEXT, &options.user_column, "NAME", "the column with the user's id"},
        {"item-col", 0, OPTION_TEXT, &options.item_column, "NAME", "the column with the item's id"},
        {"rating-col", 0, OPTION_TEXT, &options.rating_column, "NAME", "the column with the rating"},
        {"time-col", 0, OPTION_TEXT, &options.time_column, "NAME", "the column with the time"},
        {"text-col", 0, OPTION_TEXT, &options.text_column, "NAME", "the column with the review"},
        {"sep", 0, OPTION_TEXT, &options.separator, "TEXT", "what separates columns"},
        {"quote", 0, OPTION_TEXT, &quote, "CHAR|none", "what quotes fields (CSV: \"; TSV: nothing)"},
        {"header", 0, OPTION_TEXT, &header, "auto|yes|no", "whether the first line names the columns"},
        {"encoding", 0, OPTION_TEXT, &options.encoding, "NAME", "utf-8 (default) or latin1"},
        {"raw-text", 0, OPTION_FLAG, &options.raw_text, NULL, "keep HTML entities and tags in texts"},
        {"max-bad-rows", 0, OPTION_COUNT, &max_bad_rows, "N", "tolerate and count up to N malformed rows"},
        {NULL, 0, OPTION_GROUP, NULL, NULL, "What to keep"},
        {"min-rating", 0, OPTION_NUMBER, &min_rating, "X", "set rows rated below X aside (the paper: 4)"},
        {"kcore", 0, OPTION_INT, &options.kcore, "N", "drop users and items with fewer than N rows, until none is left"},
        {NULL, 0, OPTION_GROUP, NULL, NULL, "How to split it"},
        {"split", 0, OPTION_TEXT, &split, "RULE", "ratio (default: the paper's, per user), loo, time or files"},
        {"seed", 0, OPTION_SEED, &options.seed, "N", "of the split and of the items' numbering"},
        COMMON_OPTIONS,
    };
    const usage use = {
        .synopsis = "prepare FILE... -o DIR [options]",
        .about = "Reads reviews or interactions (JSON lines, CSV, TSV, RecBole, .npz, sequences; plain, .gz, .zst or .xz; - is stdin),\n"
                 "filters and splits them, and writes a data set folder.",
        .examples = "  cllm4rec prepare reviews_Beauty_5.json.gz -o data/beauty --min-rating 4 --kcore 5\n"
                    "  cllm4rec prepare log.csv -o data/log --user-col customer --item-col sku --split time\n"
                    "  cllm4rec prepare --train train.tsv --valid val.tsv --items items.tsv -o data/split\n",
        .min_arguments = 0,
        .max_arguments = 1024,
    };
    text_list inputs;
    int code = options_parse(argc, argv, &use, specs, sizeof specs / sizeof specs[0], &inputs);
    if (code >= 0) return code;
    const int wrong = cllm_status_exit_code(CLLM_ERR_USAGE);
    if (train != NULL) {
        if (inputs.count > 0) {
            code = console_fail_text(argv[0], wrong, "give either FILE... or --train FILE");
            goto cleanup;
        }
        text_list_add(&inputs, train);
        if (split == NULL) split = "files";
    }
    if (inputs.count == 0) {
        code = console_fail_text(argv[0], wrong, "no input: give a file, - for stdin, or --train FILE");
        goto cleanup;
    }
    if (options.output == NULL) {
        code = console_fail_text(argv[0], wrong, "no output folder: give -o DIR");
        goto cleanup;
    }
    if (split != NULL && !split_rule(split, &options.split)) {
        code = console_fail_text(argv[0], wrong, "--split '%s': give ratio, loo, time or files", split);
        goto cleanup;
    }
    if (strcmp(header, "yes") == 0) options.header = 1;
    else if (strcmp(header, "no") == 0) options.header = -1;
    else if (strcmp(header, "auto") != 0) {
        code = console_fail_text(argv[0], wrong, "--header '%s': give auto, yes or no", header);
        goto cleanup;
    }
    if (quote != NULL && strcmp(quote, "none") == 0) {
        options.quote = CLLM_QUOTE_NOTHING;
    } else if (quote != NULL) {
        if (strlen(quote) != 1) {
            code = console_fail_text(argv[0], wrong, "--quote '%s': give one character, or none", quote);
            goto cleanup;
        }
        options.quote = quote[0];
    }
    options.has_min_rating = min_rating > -1e300;
    options.min_rating = options.has_min_rating ? min_rating : 0;
    options.max_bad_rows = max_bad_rows;
    options.inputs = inputs.values;
    options.n_inputs = inputs.count;
    options.host = console_host();

    cllm_error err = {0};
    char *json = NULL;
    cllm_status status = cllm_prepare(&options, &json, &err);
    code = status == CLLM_OK ? 0 : console_fail(argv[0], &err);
    if (status == CLLM_OK) {
        console_json(json);
        if (!COMMON.quiet) print_summary(console_report(), options.output, json);
    }
    cllm_text_free(json);
cleanup:
    text_list_free(&inputs);
    return code;
}
