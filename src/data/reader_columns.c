#include "data/reader_columns.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One list, cut by NULL into the columns' lists. parent_asin stands before asin: Amazon's 2023 files have both, and the
 * parent is what reviews of one product share. */
static const char *const g_names[] = {
    "user",        "user_id",     "userId",   "uid",         "reviewerID",  "reviewer_id",    "customer_id",
    "member_id",   "visitorid",   NULL,       "item",        "item_id",     "itemId",         "iid",
    "parent_asin", "asin",        "movie_id", "movieId",     "business_id", "product_id",     "productId",
    "book_id",     "game_id",     "song_id",  "recipe_id",   NULL,          "overall",        "rating",
    "ratings",     "stars",       "score",    "star_rating", NULL,          "unixReviewTime", "timestamp",
    "time",        "unix_time",   "date",     NULL,          "reviewText",  "review_text",    "review",
    "text",        "review_body", "comment",  NULL,          "title",       "movie_title",    "product_title",
    "name",        NULL,          "brand",    "store",       "publisher",   "manufacturer",   "author",
    NULL,          "categories",  "category", "genres",      "genre",       "class",          NULL,
    "description", "desc",        NULL,       "biography",   "bio",         "description",    "about",
    "text",        NULL,
};

const char *cllm__column_name(cllm__column column) {
    static const char *const names[CLLM__COLUMNS] = {"user",  "item",  "rating",     "time",        "text",
                                                     "title", "brand", "categories", "description", "biography"};
    return names[column];
}

const char *const *cllm__column_names(cllm__column column) {
    const char *const *name = g_names;
    for (int skip = column; skip > 0; name++) {
        if (*name == NULL) skip--;
    }
    return name;
}

static_assert(CLLM_LEN(g_names) <= CLLM__COLUMN_NAMES_MAX, "make room");

size_t cllm__column_all_names(const char *names[CLLM__COLUMN_NAMES_MAX]) {
    size_t n = 0;
    for (size_t i = 0; i < CLLM_LEN(g_names); i++) {
        if (g_names[i] != NULL) names[n++] = g_names[i];
    }
    return n;
}

bool cllm__parse_number(const char *text, size_t length, double *value) {
    char copy[64];
    if (length == 0 || length >= sizeof copy) return false;
    /* strtod also takes hexadecimal, "inf" and "nan", which nobody means here. */
    for (size_t i = 0; i < length; i++) {
        if (strchr("0123456789+-.eE", text[i]) == NULL || text[i] == '\0') return false;
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    char *end;
    double number = strtod(copy, &end);
    if (end == copy || *end != '\0' || !isfinite(number)) return false;
    *value = number;
    return true;
}

bool cllm__time_from_number(double value, int64_t *seconds) {
    if (!isfinite(value)) return false;
    double size = fabs(value);
    if (size >= 1e17) value /= 1e9;
    else if (size >= 1e14) value /= 1e6;
    else if (size >= 1e11) value /= 1e3;
    value = floor(value);
    if (fabs(value) >= 35184372088832.0) return false; /* 2^45 */
    *seconds = (int64_t)value;
    return true;
}

/* Days since 1970-01-01 in the Gregorian calendar. */
static int64_t days_of(int year, int month, int day) {
    int64_t y = year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* Exactly `n` digits at *text. */
static bool digits(const char **text, const char *end, int n, int *value) {
    int sum = 0;
    for (int i = 0; i < n; i++, (*text)++) {
        if (*text == end || **text < '0' || **text > '9') return false;
        sum = 10 * sum + (**text - '0');
    }
    *value = sum;
    return true;
}

static bool skip(const char **text, const char *end, char c) {
    if (*text == end || **text != c) return false;
    (*text)++;
    return true;
}

static bool parse_date(const char *text, size_t length, int64_t *seconds) {
    const char *end = text + length;
    int year, month, day, hour = 0, minute = 0, second = 0;
    if (!digits(&text, end, 4, &year) || !skip(&text, end, '-') || !digits(&text, end, 2, &month) ||
        !skip(&text, end, '-') || !digits(&text, end, 2, &day)) {
        return false;
    }
    if (skip(&text, end, 'T') || skip(&text, end, ' ')) {
        if (!digits(&text, end, 2, &hour) || !skip(&text, end, ':') || !digits(&text, end, 2, &minute)) return false;
        if (skip(&text, end, ':') && !digits(&text, end, 2, &second)) return false;
        if (skip(&text, end, '.')) {
            while (text < end && *text >= '0' && *text <= '9') text++;
        }
        (void)skip(&text, end, 'Z');
    }
    static const int last[12] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (text != end || month < 1 || month > 12 || day < 1 || day > last[month - 1] || hour > 23 || minute > 59 ||
        second > 60) {
        return false;
    }
    *seconds = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    return true;
}

bool cllm__parse_time(const char *text, size_t length, int64_t *seconds) {
    double value;
    if (cllm__parse_number(text, length, &value)) return cllm__time_from_number(value, seconds);
    return parse_date(text, length, seconds);
}
