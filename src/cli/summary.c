#include "summary.h"

#include <math.h>

#include "cli.h"

static void print_scalar(FILE *to, struct json_object *value) {
    switch (json_object_get_type(value)) {
    case json_type_double: {
        double number = json_object_get_double(value);
        fprintf(to, fabs(number) >= 1e-3 || number == 0 ? "%.6g" : "%.3e", number);
        break;
    }
    case json_type_int: {
        /* Thousands apart, as people read them. */
        char digits[32];
        int n = snprintf(digits, sizeof digits, "%lld", (long long)json_object_get_int64(value));
        for (int i = 0; i < n; i++) {
            fputc(digits[i], to);
            int rest = n - 1 - i;
            if (rest > 0 && rest % 3 == 0 && digits[i] != '-') fputc(',', to);
        }
        break;
    }
    case json_type_null: fputs("-", to); break;
    default: fputs(json_object_get_string(value), to);
    }
}

static void print_members(FILE *to, struct json_object *object) {
    const char *between = "";
    json_object_object_foreach(object, name, value) {
        fprintf(to, "%s%s ", between, name);
        if (json_object_is_type(value, json_type_object)) {
            fputc('(', to);
            print_members(to, value);
            fputc(')', to);
        } else if (json_object_is_type(value, json_type_array)) {
            for (size_t i = 0; i < json_object_array_length(value); i++) {
                if (i > 0) fputc(' ', to);
                print_scalar(to, json_object_array_get_idx(value, i));
            }
        } else {
            print_scalar(to, value);
        }
        between = ", ";
    }
}

void print_summary(FILE *to, const char *folder, const char *json) {
    struct json_object *object = json_tokener_parse(json);
    if (!json_object_is_type(object, json_type_object)) {
        json_object_put(object);
        return;
    }
    fprintf(to, "%s\n", folder);
    json_object_object_foreach(object, name, value) {
        fprintf(to, "  %-14s ", name);
        if (json_object_is_type(value, json_type_object)) {
            if (json_object_object_length(value) == 0) fputs("none", to);
            else print_members(to, value);
        } else if (json_object_is_type(value, json_type_array)) {
            for (size_t i = 0; i < json_object_array_length(value); i++) {
                struct json_object *element = json_object_array_get_idx(value, i);
                bool members = json_object_is_type(element, json_type_object);
                if (i > 0) fprintf(to, members ? "\n%17s" : ", ", ""); /* objects a line each */
                if (members) print_members(to, element);
                else print_scalar(to, element);
            }
        } else {
            print_scalar(to, value);
        }
        fputc('\n', to);
    }
    json_object_put(object);
}
