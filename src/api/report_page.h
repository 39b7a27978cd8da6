/*
 * Writing the HTML of a report: a sticky writer, escaping, and the page around the contents.
 *
 * The page is also well-formed XML: every element is closed, every attribute quoted. It loads nothing and runs nothing; its
 * Content-Security-Policy says so to the browser as well.
 */
#ifndef CLLM_API_REPORT_PAGE_H
#define CLLM_API_REPORT_PAGE_H

#include "base/io.h"

/* After a first failure nothing more is written; the failure is kept for cllm__page_end(). */
typedef struct cllm__page {
    cllm__out *out;
    cllm_status status;
    cllm_error failure;
    unsigned ids; /* given out so far */
} cllm__page;

/* Markup of our own: the format's arguments are numbers, or texts that are our own too. */
void cllm__page_put(cllm__page *page, const char *format, ...) CLLM_PRINTF(2, 3);
/* Text from anywhere, for contents and for attributes: markup is escaped, and what is no character of XML (control characters,
 * bytes that are not UTF-8) becomes U+FFFD. At most `limit` characters, an ellipsis for the rest; 0: all. */
void cllm__page_text(cllm__page *page, const char *text, size_t limit);
/* <tag>text</tag> */
void cllm__page_element(cllm__page *page, const char *tag, const char *text);
/* Text from data in an element of its own direction, so that a title in another script does not turn what stands beside it. */
void cllm__page_data(cllm__page *page, const char *text, size_t limit);

/* Whether a page may be written to `path`: with `force` over another page of ours, or an empty file; else CLLM_ERR_EXISTS. */
CLLM_CHECK cllm_status cllm__page_check_kind(const char *path, bool force, cllm_error *err);
CLLM_CHECK cllm_status cllm__page_begin(cllm__page *page, const char *path, const char *title, cllm_error *err);
/* Closes the page and makes the file appear; *size is its size. Without success nothing is left, and `page` is done in every case. */
CLLM_CHECK cllm_status cllm__page_end(cllm__page *page, uint64_t *size, cllm_error *err);
/* Leaves nothing behind. */
void cllm__page_abort(cllm__page *page);

#endif
