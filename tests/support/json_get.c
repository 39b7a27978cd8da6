/*
 * Reads JSON for shell tests.
 *
 *     json_get PATH < FILE    prints the member at a path like models/ease/ndcg@100 or items/0/id ("" is the whole)
 *     json_get -n PATH        the number of members of the array or object there
 *     json_get -l             checks that every line is an object, and prints their number
 *
 * Standard input must hold exactly one JSON value (-l: one a line). 1: it does not; 2: there is no such member.
 */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *read_all(size_t *size) {
    size_t used = 0, capacity = 1 << 16;
    char *text = malloc(capacity + 1);
    for (size_t n; text != NULL && (n = fread(text + used, 1, capacity - used, stdin)) > 0;) {
        used += n;
        if (used == capacity) text = realloc(text, (capacity *= 2) + 1);
    }
    if (text != NULL) text[used] = '\0';
    *size = used;
    return text;
}

/* The value that text[0 … size) is, white space around it aside; false if it is anything else. */
static int parse(const char *text, size_t size, struct json_object **value) {
    struct json_tokener *tokener = json_tokener_new_ex(64);
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8 | JSON_TOKENER_ALLOW_TRAILING_CHARS);
    *value = json_tokener_parse_ex(tokener, text, (int)size + 1);
    size_t end = json_tokener_get_parse_end(tokener);
    int good = json_tokener_get_error(tokener) == json_tokener_success && end <= size && strspn(text + end, " \t\r\n") == size - end;
    json_tokener_free(tokener);
    return good;
}

static int check_lines(char *text) {
    int lines = 0;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"), lines++) {
        struct json_object *value;
        int good = parse(line, strlen(line), &value) && json_object_is_type(value, json_type_object);
        json_object_put(value);
        if (!good) {
            fprintf(stderr, "json_get: line %d is no JSON object: %.200s\n", lines + 1, line);
            return 1;
        }
    }
    printf("%d\n", lines);
    return 0;
}

/* 0, or 2 if there is no such member. */
static int find(struct json_object **value, char *path) {
    for (char *name = strtok(path, "/"); name != NULL; name = strtok(NULL, "/")) {
        if (json_object_is_type(*value, json_type_array)) {
            *value = json_object_array_get_idx(*value, strtoul(name, NULL, 10));
            if (*value == NULL) return 2;
        } else if (!json_object_is_type(*value, json_type_object) || !json_object_object_get_ex(*value, name, value)) {
            return 2;
        }
    }
    return 0;
}

int main(int argc, char **argv) {
    size_t size;
    char *text = read_all(&size);
    if (text == NULL || argc < 2) return 1;
    if (strcmp(argv[1], "-l") == 0) return check_lines(text);
    struct json_object *root, *value;
    if (!parse(text, size, &root)) {
        fprintf(stderr, "json_get: not one JSON value: %.200s\n", text);
        return 1;
    }
    value = root;
    int count = strcmp(argv[1], "-n") == 0, code = find(&value, argv[argc - 1]);
    if (code != 0) fprintf(stderr, "json_get: there is no such member\n");
    else if (count && json_object_is_type(value, json_type_array)) printf("%zu\n", json_object_array_length(value));
    else if (count && json_object_is_type(value, json_type_object)) printf("%d\n", json_object_object_length(value));
    else if (count) code = 2;
    else puts(value == NULL ? "null" : json_object_get_string(value));
    json_object_put(root);
    free(text);
    return code;
}
