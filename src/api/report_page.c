#include "api/report_page.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "formats/utf8.h"

/* ---- Writing ---- */

static void keep(cllm__page *page, cllm_status status) {
    if (page->status == CLLM_OK) page->status = status;
}

static void write(cllm__page *page, const char *data, size_t size) {
    if (page->status == CLLM_OK) keep(page, cllm__out_write(page->out, data, size, &page->failure));
}

void cllm__page_put(cllm__page *page, const char *format, ...) {
    char text[2048];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    CLLM_ASSERT(n >= 0 && (size_t)n < sizeof text); /* our own markup; what has no bound goes through _text */
    write(page, text, (size_t)n);
}

/* Whether XML 1.0 has the code point; U+FFFE and U+FFFF are none of its characters either. */
static bool is_xml(uint32_t c) {
    return c >= 0x20 ? c != 0x7f && c != 0xfffe && c != 0xffff : c == '\t' || c == '\n' || c == '\r';
}

void cllm__page_text(cllm__page *page, const char *text, size_t limit) {
    size_t length = strlen(text), good = cllm__utf8_check(text, length), count = 0;
    for (size_t at = 0, size; at < length; at += size, count++) {
        if (limit > 0 && count == limit) {
            write(page, "…", strlen("…"));
            return;
        }
        size = 1;
        if (at == good) { /* a byte that begins nothing; go on behind it */
            good = at + 1 + cllm__utf8_check(text + at + 1, length - at - 1);
            write(page, "\xef\xbf\xbd", 3);
            continue;
        }
        uint32_t c = cllm__utf8_get(text + at, &size);
        switch (c) {
        case '&': write(page, "&amp;", 5); break;
        case '<': write(page, "&lt;", 4); break;
        case '>': write(page, "&gt;", 4); break;
        case '"': write(page, "&quot;", 6); break;
        case '\'': write(page, "&#39;", 5); break;
        default:
            if (is_xml(c)) write(page, text + at, size);
            else write(page, "\xef\xbf\xbd", 3);
        }
    }
}

void cllm__page_element(cllm__page *page, const char *tag, const char *text) {
    cllm__page_put(page, "<%s>", tag);
    cllm__page_text(page, text, 0);
    cllm__page_put(page, "</%s>", tag);
}

void cllm__page_data(cllm__page *page, const char *text, size_t limit) {
    cllm__page_put(page, "<bdi>");
    cllm__page_text(page, text, limit);
    cllm__page_put(page, "</bdi>");
}

/* ---- The page around it ---- */

/* Colours: eight for runs, told apart also by shape and dash; greys for baselines. The series colours are Okabe and Ito's, which
 * people with any common colour blindness can tell apart, darkened for light and lightened for dark grounds. */
static const char STYLE[] =
    ":root{color-scheme:light dark;--bg:#fdfcfa;--ink:#1d2127;--soft:#5c6470;--line:#d9d7d1;--grid:#e9e7e1;--card:#f5f3ee;--good:#00684a;"
    "--bad:#a8390d;--s0:#005a9c;--s1:#b34700;--s2:#00785a;--s3:#8e4585;--s4:#7a6000;--s5:#2a7fb0;--s6:#a1283c;--s7:#41484f;--b:#767d87}\n"
    "@media (prefers-color-scheme:dark){:root{--bg:#14171b;--ink:#e7e5e0;--soft:#a2a9b4;--line:#3a4048;--grid:#282d34;--card:#1d2126;"
    "--good:#5fcfa5;--bad:#ff9a70;--s0:#6db7f2;--s1:#f2a15f;--s2:#4fc9a0;--s3:#d795cf;--s4:#dcc04f;--s5:#92d4f5;--s6:#f28b9b;--s7:#c3c9d0;"
    "--b:#8d949e}}\n"
    "*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);font:17px/1.55 Charter,'Bitstream Charter',"
    "'Iowan Old Style',Palatino,'Palatino Linotype',Georgia,'DejaVu Serif',serif}\n"
    "main{max-width:66rem;margin:0 auto;padding:3rem 1.5rem 4rem}h1{font-size:2.1rem;line-height:1.15;margin:0 0 .6rem;font-weight:600;"
    "overflow-wrap:anywhere}h2{font-size:1.35rem;margin:3rem 0 .4rem;font-weight:600;overflow-wrap:anywhere}"
    "h3{font-size:1.05rem;margin:1.6rem 0 .3rem;font-weight:600}p{max-width:44rem;margin:.5rem 0 1rem}"
    ".lead{font-size:1.2rem;line-height:1.5;max-width:46rem}.soft,figcaption,footer{color:var(--soft)}.run small{font-weight:400}\n"
    "table,dl,figcaption,svg,.key,footer,code{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,'DejaVu Sans',"
    "sans-serif}code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;font-size:.82em;"
    "overflow-wrap:anywhere}\n"
    ".wide{overflow-x:auto;margin:1rem 0}table{border-collapse:collapse;font-size:.88rem;line-height:1.35;min-width:100%}"
    "caption{text-align:left;color:var(--soft);padding:0 0 .5rem;font-size:.88rem}th,td{padding:.42rem .9rem .42rem 0;text-align:left;"
    "vertical-align:top;border-bottom:1px solid var(--line)}thead th{border-bottom:1.5px solid var(--ink);font-weight:600;"
    "vertical-align:bottom}tbody th{font-weight:400}.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
    "td.n small{display:block;color:var(--soft);font-size:.8em}tr.run th{font-weight:600}.best{font-weight:700}.best small{font-weight:400}"
    ".good{color:var(--good)}.bad{color:var(--bad)}\n"
    "dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(8.5rem,1fr));gap:.2rem 1rem;font-size:.88rem;margin:1rem 0}"
    "dl div{border-top:1px solid var(--line);padding:.35rem 0}dt{color:var(--soft);font-size:.82rem}dd{margin:0;"
    "font-variant-numeric:tabular-nums;font-size:1.05rem;overflow-wrap:anywhere}\n"
    ".figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,19rem),1fr));gap:1.2rem 1.6rem;margin:1rem 0}"
    ".figures.two{grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr))}figure{margin:0;break-inside:avoid}"
    "figcaption{font-size:.88rem;line-height:1.4}figcaption b{color:var(--ink);font-weight:600}svg{display:block;width:100%;height:auto}"
    ".figures svg{max-width:40rem}.key{display:flex;flex-wrap:wrap;gap:.2rem 1.3rem;list-style:none;padding:0;margin:.6rem 0;font-size:.85rem}"
    ".key li{display:flex;align-items:center;gap:.45rem;overflow-wrap:anywhere}.key svg{width:34px;flex:none}\n"
    ".users{display:grid;grid-template-columns:1fr;gap:1.4rem;margin:1rem 0}.user{border-top:1.5px solid var(--ink);padding-top:.5rem;"
    "break-inside:avoid}.user h3{margin:0 0 .3rem}.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,20rem),1fr));gap:.6rem 2.5rem}"
    ".pair h4{margin:.2rem 0;font-size:.85rem;font-weight:400;color:var(--soft)}.pair ol,.pair ul{margin:0;padding-left:1.5rem;font-size:.95rem;"
    "line-height:1.4}.pair li{margin:.2rem 0;overflow-wrap:anywhere}.pair small{color:var(--soft);white-space:nowrap}\n"
    "footer{border-top:1px solid var(--line);margin-top:3.5rem;padding-top:1rem;font-size:.85rem}footer p{max-width:none;margin:.35rem 0}\n"
    "svg text{font-size:12px;fill:var(--ink)}svg .t{fill:var(--soft);font-variant-numeric:tabular-nums}.grid{stroke:var(--grid);stroke-width:1}"
    ".axis{stroke:var(--soft);stroke-width:1}.ref{stroke:var(--b);stroke-width:1.2;stroke-dasharray:2 3}.line{fill:none;stroke:var(--c);"
    "stroke-width:1.8;stroke-linejoin:round}.mark{fill:var(--c);stroke:var(--c);stroke-width:1.6}.open{fill:var(--bg)}"
    ".name{fill:var(--c)}.range{stroke:var(--c);stroke-width:2}.base .line{stroke-width:1.3}\n"
    ".s0{--c:var(--s0)}.s1{--c:var(--s1)}.s2{--c:var(--s2)}.s3{--c:var(--s3)}.s4{--c:var(--s4)}.s5{--c:var(--s5)}.s6{--c:var(--s6)}"
    ".s7{--c:var(--s7)}.b{--c:var(--b)}\n"
    "@media print{body{background:#fff}main{padding:0}}\n";

#define BEGIN "<!DOCTYPE html>\n"
#define GENERATOR "<meta name=\"generator\" content=\"cllm4rec "

cllm_status cllm__page_check_kind(const char *path, bool force, cllm_error *err) {
    return cllm__file_check_kind(path, force, BEGIN, GENERATOR, err);
}

cllm_status cllm__page_begin(cllm__page *page, const char *path, const char *title, cllm_error *err) {
    *page = (cllm__page){0};
    CLLM_TRY(cllm__out_create(&page->out, path, err));
    cllm__page_put(page, BEGIN "<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
                         "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n"
                         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
                         GENERATOR "%s\"/>\n", cllm_version());
    cllm__page_element(page, "title", title);
    cllm__page_put(page, "\n<style>\n");
    write(page, STYLE, strlen(STYLE));
    cllm__page_put(page, "</style>\n</head>\n<body>\n<main>\n");
    return CLLM_OK;
}

cllm_status cllm__page_end(cllm__page *page, uint64_t *size, cllm_error *err) {
    cllm__page_put(page, "</main>\n</body>\n</html>\n");
    if (page->status != CLLM_OK) {
        cllm_status status = page->status;
        if (err != NULL) *err = page->failure;
        cllm__page_abort(page);
        return status;
    }
    uint64_t written = cllm__out_size(page->out);
    cllm__out *out = page->out;
    page->out = NULL;
    CLLM_TRY(cllm__out_commit(out, err));
    *size = written;
    return CLLM_OK;
}

void cllm__page_abort(cllm__page *page) {
    cllm__out_abort(page->out);
    page->out = NULL;
}
