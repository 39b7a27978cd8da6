/*
 * Small plots as inline SVG: axes, lines, dots with intervals. Each is a <figure> with a caption, a title and a description for
 * those who do not see it. Colours come from the page's style; series also differ in shape and dash.
 */
#ifndef CLLM_API_REPORT_SVG_H
#define CLLM_API_REPORT_SVG_H

#include <stddef.h>

#include "api/report_page.h"

enum { CLLM__SVG_STYLES = 8, CLLM__SVG_BASELINE = 100 };

/* How a series looks: 0 … 7 a run, CLLM__SVG_BASELINE + i the i-th baseline. */
typedef struct cllm__svg_series {
    const char *name; /* borrowed; from data */
    int style;
    size_t count;
    const double *x, *y;      /* [count]; a y that is NaN is left out */
    const double *low, *high; /* [count], NULL: no intervals */
    size_t marked;            /* the index of a point with a ring; SIZE_MAX: none */
} cllm__svg_series;

typedef struct cllm__svg_plot {
    const char *title;        /* our own words */
    const char *note;         /* more of them, may be NULL */
    const char *x_label;
    const char *const *ticks; /* [n_ticks] categories at x = 0, 1, …; NULL: numbers */
    const char *const *under; /* [n_ticks] a second line below the categories, or NULL */
    size_t n_ticks;
    bool log_x;               /* 0 stands a decade left of the smallest other x */
    bool zero_y;              /* the axis begins at 0 */
    bool names;               /* names at the ends of the lines */
    bool points;              /* a mark at each point */
    bool scatter;             /* no lines */
    double reference;         /* a dashed level, NaN: none */
    const char *reference_name;
    int width, height;        /* of the view; text is 12 units high */
} cllm__svg_plot;

/* Does nothing if no series has a point. */
void cllm__svg_lines(cllm__page *page, const cllm__svg_plot *plot, const cllm__svg_series *series, size_t count);

/* One row for each value: a dot and its interval, a dashed line at `reference` (NaN: none). */
typedef struct cllm__svg_row {
    const char *name;
    int style;
    double value, low, high; /* NaN for low: no interval */
} cllm__svg_row;
void cllm__svg_dots(cllm__page *page, const char *title, const char *note, const cllm__svg_row *rows, size_t count, double reference);

/* A list that says which series looks how. */
void cllm__svg_key(cllm__page *page, const cllm__svg_series *series, size_t count);

/* Four significant digits, no more zeros than needed. */
void cllm__svg_number(double value, char text[32]);

#endif
