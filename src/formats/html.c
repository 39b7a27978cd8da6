#include "formats/html.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "formats/utf8.h"

typedef struct entry {
    char name[12];
    int value;
} entry;

/* HTML 4's entities of Latin-1, and of the rest the punctuation and signs that reviews hold; sorted by name. */
static const entry entities[] = {
    {"AElig", 198},   {"Aacute", 193},  {"Acirc", 194},   {"Agrave", 192}, {"Aring", 197},  {"Atilde", 195},
    {"Auml", 196},    {"Ccedil", 199},  {"Dagger", 8225}, {"Delta", 916},  {"ETH", 208},    {"Eacute", 201},
    {"Ecirc", 202},   {"Egrave", 200},  {"Euml", 203},    {"Iacute", 205}, {"Icirc", 206},  {"Igrave", 204},
    {"Iuml", 207},    {"Ntilde", 209},  {"OElig", 338},   {"Oacute", 211}, {"Ocirc", 212},  {"Ograve", 210},
    {"Omega", 937},   {"Oslash", 216},  {"Otilde", 213},  {"Ouml", 214},   {"Prime", 8243}, {"Scaron", 352},
    {"THORN", 222},   {"Uacute", 218},  {"Ucirc", 219},   {"Ugrave", 217}, {"Uuml", 220},   {"Yacute", 221},
    {"Yuml", 376},    {"aacute", 225},  {"acirc", 226},   {"acute", 180},  {"aelig", 230},  {"agrave", 224},
    {"alpha", 945},   {"amp", 38},      {"apos", 39},     {"aring", 229},  {"asymp", 8776}, {"atilde", 227},
    {"auml", 228},    {"bdquo", 8222},  {"beta", 946},    {"brvbar", 166}, {"bull", 8226},  {"ccedil", 231},
    {"cedil", 184},   {"cent", 162},    {"circ", 710},    {"clubs", 9827}, {"copy", 169},   {"curren", 164},
    {"dagger", 8224}, {"darr", 8595},   {"deg", 176},     {"delta", 948},  {"diams", 9830}, {"divide", 247},
    {"eacute", 233},  {"ecirc", 234},   {"egrave", 232},  {"emsp", 8195},  {"ensp", 8194},  {"eth", 240},
    {"euml", 235},    {"euro", 8364},   {"fnof", 402},    {"frac12", 189}, {"frac14", 188}, {"frac34", 190},
    {"frasl", 8260},  {"gamma", 947},   {"ge", 8805},     {"gt", 62},      {"harr", 8596},  {"hearts", 9829},
    {"hellip", 8230}, {"iacute", 237},  {"icirc", 238},   {"iexcl", 161},  {"igrave", 236}, {"infin", 8734},
    {"iquest", 191},  {"iuml", 239},    {"laquo", 171},   {"larr", 8592},  {"ldquo", 8220}, {"le", 8804},
    {"lrm", 8206},    {"lsaquo", 8249}, {"lsquo", 8216},  {"lt", 60},      {"macr", 175},   {"mdash", 8212},
    {"micro", 181},   {"middot", 183},  {"minus", 8722},  {"mu", 956},     {"nbsp", 160},   {"ndash", 8211},
    {"ne", 8800},     {"not", 172},     {"ntilde", 241},  {"oacute", 243}, {"ocirc", 244},  {"oelig", 339},
    {"ograve", 242},  {"omega", 969},   {"ordf", 170},    {"ordm", 186},   {"oslash", 248}, {"otilde", 245},
    {"ouml", 246},    {"para", 182},    {"permil", 8240}, {"pi", 960},     {"plusmn", 177}, {"pound", 163},
    {"prime", 8242},  {"quot", 34},     {"radic", 8730},  {"raquo", 187},  {"rarr", 8594},  {"rdquo", 8221},
    {"reg", 174},     {"rlm", 8207},    {"rsaquo", 8250}, {"rsquo", 8217}, {"sbquo", 8218}, {"scaron", 353},
    {"sect", 167},    {"shy", 173},     {"spades", 9824}, {"sup1", 185},   {"sup2", 178},   {"sup3", 179},
    {"szlig", 223},   {"thinsp", 8201}, {"thorn", 254},   {"tilde", 732},  {"times", 215},  {"trade", 8482},
    {"uacute", 250},  {"uarr", 8593},   {"ucirc", 251},   {"ugrave", 249}, {"uml", 168},    {"uuml", 252},
    {"yacute", 253},  {"yen", 165},     {"yuml", 255},    {"zwj", 8205},   {"zwnj", 8204},
};

/* HTML's elements, sorted; 1: the element begins a new line. */
static const entry elements[] = {
    {"a", 0},        {"abbr", 0},    {"acronym", 0},  {"address", 1},  {"applet", 0},     {"area", 0},
    {"article", 1},  {"aside", 1},   {"audio", 0},    {"b", 0},        {"base", 0},       {"basefont", 0},
    {"bdi", 0},      {"bdo", 0},     {"big", 0},      {"blink", 0},    {"blockquote", 1}, {"body", 1},
    {"br", 1},       {"button", 0},  {"canvas", 0},   {"caption", 1},  {"center", 1},     {"cite", 0},
    {"code", 0},     {"col", 0},     {"colgroup", 0}, {"data", 0},     {"datalist", 0},   {"dd", 1},
    {"del", 0},      {"details", 1}, {"dfn", 0},      {"dialog", 1},   {"dir", 1},        {"div", 1},
    {"dl", 1},       {"dt", 1},      {"em", 0},       {"embed", 0},    {"fieldset", 1},   {"figcaption", 1},
    {"figure", 1},   {"font", 0},    {"footer", 1},   {"form", 1},     {"frame", 0},      {"frameset", 1},
    {"h1", 1},       {"h2", 1},      {"h3", 1},       {"h4", 1},       {"h5", 1},         {"h6", 1},
    {"head", 0},     {"header", 1},  {"hr", 1},       {"html", 1},     {"i", 0},          {"iframe", 0},
    {"img", 0},      {"input", 0},   {"ins", 0},      {"kbd", 0},      {"label", 0},      {"legend", 1},
    {"li", 1},       {"link", 0},    {"main", 1},     {"map", 0},      {"mark", 0},       {"marquee", 0},
    {"menu", 1},     {"meta", 0},    {"meter", 0},    {"nav", 1},      {"nobr", 0},       {"noframes", 1},
    {"noscript", 0}, {"object", 0},  {"ol", 1},       {"optgroup", 1}, {"option", 1},     {"output", 0},
    {"p", 1},        {"param", 0},   {"picture", 0},  {"pre", 1},      {"progress", 0},   {"q", 0},
    {"rp", 0},       {"rt", 0},      {"ruby", 0},     {"s", 0},        {"samp", 0},       {"script", 0},
    {"section", 1},  {"select", 1},  {"small", 0},    {"source", 0},   {"span", 0},       {"strike", 0},
    {"strong", 0},   {"style", 0},   {"sub", 0},      {"summary", 1},  {"sup", 0},        {"svg", 0},
    {"table", 1},    {"tbody", 1},   {"td", 1},       {"template", 0}, {"textarea", 0},   {"tfoot", 1},
    {"th", 1},       {"thead", 1},   {"time", 0},     {"title", 1},    {"tr", 1},         {"track", 0},
    {"tt", 0},       {"u", 0},       {"ul", 1},       {"var", 0},      {"video", 0},      {"wbr", 0},
};

/* What browsers take 128 … 159 for: Windows-1252; 0 where that has nothing. */
static const uint16_t windows_1252[32] = {0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021,
                                          0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0,      0x017D, 0,
                                          0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
                                          0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178};

static int compare(const void *key, const void *element) {
    return strcmp(key, ((const entry *)element)->name);
}

static const entry *look_up(const entry *table, size_t count, const char *name) {
    return bsearch(name, table, count, sizeof *table, compare);
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static uint32_t repair(uint32_t c) {
    if (c >= 128 && c < 160 && windows_1252[c - 128] != 0) return windows_1252[c - 128];
    return c == 0 || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000) ? 0xFFFD : c;
}

/* The entity that begins at s[0] = '&': its code point, and its length in *size; false if it is none. */
static bool read_entity(const char *s, size_t n, uint32_t *code_point, size_t *size) {
    size_t i = 1;
    if (i < n && s[i] == '#') {
        i++;
        bool hex = i < n && (s[i] == 'x' || s[i] == 'X');
        if (hex) i++;
        size_t first = i;
        uint32_t c = 0;
        for (; i < n; i++) {
            uint32_t digit;
            if (is_digit(s[i])) digit = (uint32_t)(s[i] - '0');
            else if (hex && ((s[i] | 32) >= 'a' && (s[i] | 32) <= 'f')) digit = (uint32_t)((s[i] | 32) - 'a' + 10);
            else break;
            if (c <= 0x10FFFF) c = c * (hex ? 16 : 10) + digit;
        }
        if (i == first || i == n || s[i] != ';') return false;
        *code_point = repair(c);
    } else {
        char name[sizeof entities[0].name];
        size_t length = 0;
        for (; i < n && length + 1 < sizeof name && (is_letter(s[i]) || is_digit(s[i])); i++) name[length++] = s[i];
        name[length] = '\0';
        if (length == 0 || i == n || s[i] != ';') return false;
        const entry *found = look_up(entities, CLLM_LEN(entities), name);
        if (found == NULL) return false;
        *code_point = (uint32_t)found->value;
    }
    *size = i + 1;
    return true;
}

/* Which searches to the text's end have failed already, so that a text full of '<' costs linear time. */
typedef struct limits {
    bool no_comment_end, no_tag_end, no_quote, no_apostrophe;
} limits;

static size_t comment_length(const char *s, size_t n, limits *known) {
    for (size_t i = 4; !known->no_comment_end && i + 3 <= n; i++) {
        const char *dash = memchr(s + i, '-', n - i);
        if (dash == NULL) break;
        i = (size_t)(dash - s);
        if (n - i >= 3 && memcmp(dash, "-->", 3) == 0) return i + 3;
    }
    known->no_comment_end = true;
    return 0;
}

/* Length of the tag or comment that begins at s[0] = '<', 0 if it is none; *line: it breaks the line. */
static size_t read_tag(const char *s, size_t n, bool *line, limits *known) {
    *line = false;
    if (n >= 4 && memcmp(s, "<!--", 4) == 0) return comment_length(s, n, known);
    if (known->no_tag_end) return 0;
    size_t i = 1;
    bool declaration = n > 9 && (memcmp(s, "<!DOCTYPE", 9) == 0 || memcmp(s, "<!doctype", 9) == 0);
    if (declaration) {
        i = 9;
    } else {
        if (i < n && s[i] == '/') i++;
        char name[sizeof elements[0].name];
        size_t length = 0;
        for (; i < n && length + 1 < sizeof name && (is_letter(s[i]) || is_digit(s[i])); i++) {
            name[length++] = is_digit(s[i]) ? s[i] : (char)(s[i] | 32);
        }
        name[length] = '\0';
        const entry *found = length == 0 ? NULL : look_up(elements, CLLM_LEN(elements), name);
        if (found == NULL || i == n || !(s[i] == '>' || s[i] == '/' || is_space(s[i]))) return 0;
        *line = found->value != 0;
    }
    /* A '>' inside a quoted value does not end the tag, unless the quote is never closed. */
    const char *end = memchr(s + i, '>', n - i);
    if (end == NULL) {
        known->no_tag_end = true;
        return 0;
    }
    size_t plain = (size_t)(end - s) + 1;
    for (; i < n; i++) {
        if (s[i] == '>') return i + 1;
        if ((s[i] != '"' && s[i] != '\'') || s[i - 1] != '=') continue;
        bool *missing = s[i] == '"' ? &known->no_quote : &known->no_apostrophe;
        const char *close = *missing ? NULL : memchr(s + i + 1, s[i], n - i - 1);
        if (close == NULL) {
            *missing = true;
            break;
        }
        i = (size_t)(close - s);
    }
    return plain;
}

bool cllm__html_clean(char *text, size_t *length) {
    size_t n = *length, from = 0, to = 0;
    bool changed = false, broken = false; /* broken: a tag that breaks the line was dropped here */
    limits known = {0};
    while (from < n) {
        char bytes[4];
        uint32_t code_point;
        size_t size, put = 1;
        bool line;
        if (text[from] == '<' && (size = read_tag(text + from, n - from, &line, &known)) > 0) {
            from += size;
            broken |= line;
            changed = true;
            continue;
        }
        if (text[from] == '&' && read_entity(text + from, n - from, &code_point, &size)) {
            put = cllm__utf8_put(bytes, code_point);
            changed = true;
        } else { /* one byte that begins nothing, and the plain text behind it */
            bytes[0] = text[from];
            size = 1;
        }
        if (broken && to > 0 && !is_space(text[to - 1]) && !is_space(bytes[0])) text[to++] = ' ';
        broken = false;
        memcpy(text + to, bytes, put);
        to += put;
        from += size;
        size_t run = from;
        while (run < n && text[run] != '&' && text[run] != '<') run++;
        if (to != from) memmove(text + to, text + from, run - from);
        to += run - from;
        from = run;
    }
    *length = to;
    return changed;
}
