#include "api/report_svg.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_LABELS = 64 };

void cllm__svg_number(double value, char text[32]) {
    snprintf(text, 32, "%.4g", value == 0 ? 0 : value);
}

/* ---- Scales ---- */

typedef struct scale {
    double low, high;   /* in data, or in decades */
    double from, to;    /* in the view */
    bool log;
    double zero;        /* log: where 0 stands, in decades */
} scale;

static double at(const scale *s, double value) {
    if (s->log) value = value > 0 ? log10(value) : s->zero;
    return s->from + (value - s->low) / (s->high - s->low) * (s->to - s->from);
}

/* A step of 1, 2 or 5 times a power of ten that gives about `wanted` ticks. */
static double nice_step(double span, int wanted) {
    double raw = span / wanted, power = pow(10, floor(log10(raw))), part = raw / power;
    return power * (part < 1.5 ? 1 : part < 3.5 ? 2 : part < 7.5 ? 5 : 10);
}

typedef struct range {
    double low, high;
} range;

static void include(range *r, double value) {
    if (!isfinite(value)) return;
    if (value < r->low) r->low = value;
    if (value > r->high) r->high = value;
}

static bool is_empty(const range *r) {
    return !(r->low <= r->high);
}

/* Widened to whole steps; a range of one value gets some room. */
static double widen(range *r, int wanted, bool zero) {
    if (zero && r->low > 0) r->low = 0;
    if (r->high - r->low < 1e-12 * (fabs(r->high) + 1e-300)) {
        double room = r->high != 0 ? 0.1 * fabs(r->high) : 1;
        r->low -= zero ? 0 : room;
        r->high += room;
    }
    double step = nice_step(r->high - r->low, wanted);
    r->low = step * floor(r->low / step + 1e-9);
    r->high = step * ceil(r->high / step - 1e-9);
    return step;
}

/* ---- Marks ---- */

static const char *class_of(int style) {
    static const char *const names[CLLM__SVG_STYLES] = {"s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"};
    return style >= CLLM__SVG_BASELINE ? "b" : names[style % CLLM__SVG_STYLES];
}

static const char *dash_of(int style) {
    static const char *const runs[] = {"none", "7 3", "2 3", "9 3 2 3"}, *const baselines[] = {"4 3", "1 3", "8 3", "8 3 1 3", "none"};
    return style >= CLLM__SVG_BASELINE ? baselines[(style - CLLM__SVG_BASELINE) % 5] : runs[style % 4];
}

/* A run's mark is filled, a baseline's is hollow; the shape goes round. */
static void mark(cllm__page *page, int style, double x, double y, double size) {
    bool base = style >= CLLM__SVG_BASELINE;
    const char *kind = base ? "mark open" : "mark";
    switch ((base ? style - CLLM__SVG_BASELINE : style) % 4) {
    case 0: cllm__page_put(page, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"/>", kind, x, y, size); break;
    case 1:
        cllm__page_put(page, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>", kind, x - 0.9 * size, y - 0.9 * size,
                       1.8 * size, 1.8 * size);
        break;
    case 2:
        cllm__page_put(page, "<path class=\"%s\" d=\"M%.1f %.1fl%.1f %.1fh%.1fz\"/>", kind, x, y - 1.2 * size, 1.15 * size, 2.1 * size, -2.3 * size);
        break;
    default:
        cllm__page_put(page, "<path class=\"%s\" d=\"M%.1f %.1fl%.1f %.1fl%.1f %.1fl%.1f %.1fz\"/>", kind, x, y - 1.3 * size, 1.3 * size, 1.3 * size,
                       -1.3 * size, 1.3 * size, -1.3 * size, -1.3 * size);
    }
}

void cllm__svg_key(cllm__page *page, const cllm__svg_series *series, size_t count) {
    cllm__page_put(page, "<ul class=\"key\">");
    for (size_t i = 0; i < count; i++) {
        cllm__page_put(page, "<li class=\"%s\"><svg viewBox=\"0 0 34 14\" aria-hidden=\"true\"><path class=\"line\" stroke-dasharray=\"%s\" d=\"M1 7h32\"/>",
                       class_of(series[i].style), dash_of(series[i].style));
        mark(page, series[i].style, 17, 7, 4);
        cllm__page_put(page, "</svg>");
        cllm__page_data(page, series[i].name, 60);
        cllm__page_put(page, "</li>");
    }
    cllm__page_put(page, "</ul>\n");
}

/* ---- Frames ---- */

static void begin(cllm__page *page, const char *title, int width, int height) {
    unsigned id = page->ids++;
    cllm__page_put(page, "<figure><svg viewBox=\"0 0 %d %d\" role=\"img\" aria-labelledby=\"t%u d%u\"><title id=\"t%u\">", width, height, id, id, id);
    cllm__page_text(page, title, 0);
    cllm__page_put(page, "</title><desc id=\"d%u\">", id);
}

static void end(cllm__page *page, const char *title, const char *note) {
    cllm__page_put(page, "</svg><figcaption><b>");
    cllm__page_text(page, title, 0);
    cllm__page_put(page, "</b>");
    if (note != NULL) {
        cllm__page_put(page, ": ");
        cllm__page_text(page, note, 0);
    }
    cllm__page_put(page, "</figcaption></figure>\n");
}

static void text_at(cllm__page *page, double x, double y, const char *anchor, const char *kind, const char *text, size_t limit) {
    cllm__page_put(page, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", kind, x, y, anchor);
    cllm__page_text(page, text, limit);
    cllm__page_put(page, "</text>");
}

static void tick_text(double value, double step, char text[32]) {
    int digits = step < 1 ? (int)ceil(-log10(step) - 1e-9) : 0;
    if (digits > 6 || fabs(value) >= 1e6) snprintf(text, 32, "%.3g", value);
    else snprintf(text, 32, "%.*f", digits, fabs(value) < 0.5 * step ? 0.0 : value);
}

/* The width of a text in the figures' face, roughly. */
static double text_width(const char *text) {
    double n = 0;
    for (; *text != '\0'; text++) n += (*text & 0xc0) != 0x80;
    return 7.3 * n;
}

/* ---- Lines ---- */

static void describe(cllm__page *page, const cllm__svg_plot *plot, const cllm__svg_series *series, size_t count) {
    char x[32], y[32];
    for (size_t i = 0; i < count; i++) {
        cllm__page_text(page, series[i].name, 60);
        cllm__page_put(page, ": ");
        size_t stride = series[i].count > 24 ? series[i].count / 12 : 1;
        const char *between = "";
        for (size_t p = 0; p < series[i].count; p += stride) {
            if (!isfinite(series[i].y[p])) continue;
            cllm__svg_number(series[i].y[p], y);
            cllm__page_put(page, "%s%s at ", between, y);
            if (plot->ticks != NULL) {
                cllm__page_text(page, plot->ticks[(size_t)series[i].x[p]], 0);
            } else {
                cllm__svg_number(series[i].x[p], x);
                cllm__page_put(page, "%s", x);
            }
            between = ", ";
        }
        cllm__page_put(page, ". ");
    }
}

static void y_axis(cllm__page *page, const scale *y, double step, double left, double right) {
    for (int i = 0; y->low + i * step <= y->high + 0.5 * step; i++) {
        char text[32];
        double value = y->low + i * step, place = at(y, value);
        tick_text(value, step, text);
        cllm__page_put(page, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>", left, place, right);
        text_at(page, left - 7, place + 4, "end", "t", text, 0);
    }
}

static void x_tick(cllm__page *page, const scale *x, double value, double bottom, const char *text) {
    double place = at(x, value);
    cllm__page_put(page, "<path class=\"axis\" d=\"M%.1f %.1fv4\"/>", place, bottom);
    text_at(page, place, bottom + 17, "middle", "t", text, 0);
}

static void x_axis(cllm__page *page, const cllm__svg_plot *plot, const scale *x, double bottom, bool has_zero) {
    char text[32];
    cllm__page_put(page, "<path class=\"axis\" d=\"M%.1f %.1fH%.1f\"/>", fmin(x->from, x->to) - 4, bottom, fmax(x->from, x->to) + 4);
    if (plot->ticks != NULL) {
        for (size_t i = 0; i < plot->n_ticks; i++) {
            x_tick(page, x, (double)i, bottom, plot->ticks[i]);
            if (plot->under != NULL) text_at(page, at(x, (double)i), bottom + 32, "middle", "t", plot->under[i], 0);
        }
    } else if (plot->log_x) {
        int every = 1 + (int)((x->high - x->low) / 7);
        if (has_zero) x_tick(page, x, 0, bottom, "0");
        for (int decade = (int)ceil(has_zero ? x->zero + 0.5 : x->low - 1e-9); decade <= x->high + 1e-9; decade += every) {
            snprintf(text, sizeof text, decade >= -3 && decade <= 4 ? "%g" : "%.0e", pow(10, decade));
            x_tick(page, x, pow(10, decade), bottom, text);
        }
    } else {
        double step = fmax(nice_step(x->high - x->low, 5), plot->scatter ? 0 : 1);
        for (double value = step * ceil(x->low / step - 1e-9); value <= x->high + 1e-9 * step; value += step) {
            tick_text(value, step, text);
            x_tick(page, x, value, bottom, text);
        }
    }
}

typedef struct label {
    double y;
    size_t series;
} label;

/* Names beside the lines' ends, moved apart until none covers another. */
static void place_names(cllm__page *page, const cllm__svg_series *series, size_t count, const scale *y, double x, double top, double bottom) {
    label labels[MAX_LABELS];
    size_t n = 0;
    for (size_t i = 0; i < count && n < MAX_LABELS; i++) {
        for (size_t p = series[i].count; p > 0; p--) {
            if (!isfinite(series[i].y[p - 1])) continue;
            labels[n++] = (label){at(y, series[i].y[p - 1]), i};
            break;
        }
    }
    for (size_t i = 1; i < n; i++) { /* by height */
        for (size_t j = i; j > 0 && labels[j].y < labels[j - 1].y; j--) {
            label swap = labels[j];
            labels[j] = labels[j - 1];
            labels[j - 1] = swap;
        }
    }
    const double gap = 14;
    for (int round = 0; round < 100; round++) {
        for (size_t i = 1; i < n; i++) {
            double overlap = gap - (labels[i].y - labels[i - 1].y);
            if (overlap <= 0) continue;
            labels[i - 1].y -= 0.5 * overlap;
            labels[i].y += 0.5 * overlap;
        }
        if (n > 0 && labels[0].y < top) labels[0].y = top;
        if (n > 0 && labels[n - 1].y > bottom) labels[n - 1].y = bottom;
    }
    for (size_t i = 0; i < n; i++) {
        const cllm__svg_series *s = &series[labels[i].series];
        cllm__page_put(page, "<g class=\"%s\">", class_of(s->style));
        text_at(page, x, labels[i].y + 4, "start", "name", s->name, 15);
        cllm__page_put(page, "</g>");
    }
}

static void draw(cllm__page *page, const cllm__svg_plot *plot, const cllm__svg_series *s, const scale *x, const scale *y) {
    cllm__page_put(page, "<g class=\"%s%s\">", class_of(s->style), s->style >= CLLM__SVG_BASELINE ? " base" : "");
    bool lone = true; /* a single point has no line, so it needs a mark */
    if (!plot->scatter && s->count > 1) {
        bool down = false;
        cllm__page_put(page, "<path class=\"line\" stroke-dasharray=\"%s\" d=\"", dash_of(s->style));
        for (size_t p = 0; p < s->count; p++) {
            if (!isfinite(s->y[p])) {
                down = false;
                continue;
            }
            cllm__page_put(page, "%c%.1f %.1f", down ? 'L' : 'M', at(x, s->x[p]), at(y, s->y[p]));
            lone = lone && !down;
            down = true;
        }
        cllm__page_put(page, "\"/>");
    }
    for (size_t p = 0; p < s->count; p++) {
        if (!isfinite(s->y[p])) continue;
        double px = at(x, s->x[p]), py = at(y, s->y[p]);
        if (s->low != NULL && isfinite(s->low[p])) {
            cllm__page_put(page, "<path class=\"range\" d=\"M%.1f %.1fV%.1f\"/>", px, at(y, s->low[p]), at(y, s->high[p]));
        }
        if (plot->points || lone) mark(page, s->style, px, py, 3.6);
        if (s->marked == p) cllm__page_put(page, "<circle class=\"line\" cx=\"%.1f\" cy=\"%.1f\" r=\"6\"/>", px, py);
    }
    cllm__page_put(page, "</g>");
}

void cllm__svg_lines(cllm__page *page, const cllm__svg_plot *plot, const cllm__svg_series *series, size_t count) {
    range rx = {INFINITY, -INFINITY}, ry = rx, positive = rx;
    bool has_zero = false;
    for (size_t i = 0; i < count; i++) {
        for (size_t p = 0; p < series[i].count; p++) {
            if (!isfinite(series[i].y[p])) continue;
            include(&rx, series[i].x[p]);
            if (series[i].x[p] > 0) include(&positive, series[i].x[p]);
            else has_zero = true;
            include(&ry, series[i].y[p]);
            if (series[i].low == NULL) continue;
            include(&ry, series[i].low[p]);
            include(&ry, series[i].high[p]);
        }
    }
    if (is_empty(&rx) || is_empty(&ry)) return;
    include(&ry, plot->reference);
    double step = widen(&ry, 4, plot->zero_y);
    double margin = 0;
    for (double value = ry.low; value <= ry.high + 0.5 * step; value += step) {
        char text[32];
        tick_text(value, step, text);
        margin = fmax(margin, text_width(text));
    }
    double left = margin + 13, right = plot->width - (plot->names ? 112 : 16), top = 12;
    double bottom = plot->height - (plot->under != NULL ? 54 : 38);
    scale y = {ry.low, ry.high, bottom, top, false, 0};
    scale x = {rx.low, rx.high, left + 10, right - 4, plot->log_x && !is_empty(&positive), 0};
    if (plot->ticks != NULL) {
        x.low = -0.35;
        x.high = (double)plot->n_ticks - 0.65;
    } else if (x.log) {
        x.low = log10(positive.low);
        x.high = log10(positive.high);
        x.zero = floor(x.low) - 1;
        if (has_zero) x.low = x.zero;
    }
    if (x.high - x.low < 1e-12) {
        x.low -= 1;
        x.high += 1;
    }
    cllm__svg_plot shown = *plot;
    shown.log_x = x.log;
    begin(page, plot->title, plot->width, plot->height);
    describe(page, plot, series, count);
    cllm__page_put(page, "</desc>");
    y_axis(page, &y, step, left, right);
    x_axis(page, &shown, &x, bottom, has_zero);
    text_at(page, 0.5 * (left + right), plot->height - 4, "middle", "t", plot->x_label, 0);
    if (isfinite(plot->reference)) {
        cllm__page_put(page, "<path class=\"ref\" d=\"M%.1f %.1fH%.1f\"/>", left, at(&y, plot->reference), right);
        if (plot->reference_name != NULL) text_at(page, right, at(&y, plot->reference) - 5, "end", "t", plot->reference_name, 24);
    }
    for (size_t i = count; i > 0; i--) draw(page, plot, &series[i - 1], &x, &y); /* the first on top */
    if (plot->names) place_names(page, series, count, &y, right + 8, top, bottom);
    end(page, plot->title, plot->note);
}

/* ---- Dots ---- */

/* Characters of a name, beyond which it is cut; figures are as wide as their names need. */
enum { SHORT_NAME = 15, LONG_NAME = 30 };

void cllm__svg_dots(cllm__page *page, const char *title, const char *note, const cllm__svg_row *rows, size_t count, double reference) {
    range rx = {INFINITY, -INFINITY};
    double names = 0;
    for (size_t i = 0; i < count; i++) {
        include(&rx, rows[i].value);
        include(&rx, rows[i].low);
        include(&rx, rows[i].high);
        names = fmax(names, fmin(text_width(rows[i].name), (LONG_NAME + 0.5) * 7.3));
    }
    if (is_empty(&rx)) return;
    double step = widen(&rx, 4, false);
    int width = 360 + (int)fmax(0, names - (SHORT_NAME + 0.5) * 7.3), height = 40 + 24 * (int)count;
    double left = names + 14, bottom = height - 26;
    scale x = {rx.low, rx.high, left + 6, width - 18, false, 0};
    begin(page, title, width, height);
    for (size_t i = 0; i < count; i++) {
        cllm__page_text(page, rows[i].name, 60);
        if (isfinite(rows[i].low)) cllm__page_put(page, ": %.4f, interval %.4f to %.4f. ", rows[i].value, rows[i].low, rows[i].high);
        else cllm__page_put(page, ": %.4f. ", rows[i].value);
    }
    cllm__page_put(page, "</desc>");
    for (int i = 0; rx.low + i * step <= rx.high + 0.5 * step; i++) {
        char text[32];
        double value = rx.low + i * step;
        tick_text(value, step, text);
        cllm__page_put(page, "<path class=\"grid\" d=\"M%.1f 6V%.1f\"/>", at(&x, value), bottom);
        text_at(page, at(&x, value), bottom + 16, "middle", "t", text, 0);
    }
    if (isfinite(reference)) cllm__page_put(page, "<path class=\"ref\" d=\"M%.1f 6V%.1f\"/>", at(&x, reference), bottom);
    for (size_t i = 0; i < count; i++) {
        double place = 20 + 24 * (double)i;
        cllm__page_put(page, "<g class=\"%s\">", class_of(rows[i].style));
        text_at(page, left - 8, place + 4, "end", "name", rows[i].name, LONG_NAME);
        if (isfinite(rows[i].low)) cllm__page_put(page, "<path class=\"range\" d=\"M%.1f %.1fH%.1f\"/>", at(&x, rows[i].low), place, at(&x, rows[i].high));
        if (isfinite(rows[i].value)) mark(page, rows[i].style, at(&x, rows[i].value), place, 4.4);
        cllm__page_put(page, "</g>");
    }
    end(page, title, note);
}
