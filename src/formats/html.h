/*
 * HTML in texts: entities decoded, tags and comments dropped.
 *
 * Entities need their semicolon: &#NN; &#xHH; (128–159 are taken as Windows-1252 and impossible code points become U+FFFD,
 * both as browsers do) and the named ones of HTML 4 for Latin-1 and common punctuation. Unknown ones stay as they are.
 * One pass: &amp;lt; becomes &lt;, and a '<' that came from an entity never begins a tag. A tag is '<', an optional '/',
 * the name of an HTML element, and anything up to '>'; so "3 < 4", "<3" and "<sigh>" stay. Elements that break the line
 * (br, p, div, li, …) leave one space unless there is white space beside them.
 */
#ifndef CLLM_FORMATS_HTML_H
#define CLLM_FORMATS_HTML_H

#include <stdbool.h>
#include <stddef.h>

/* Cleans text[0 … *length) in place (the result is never longer, and well-formed UTF-8 stays so); *length becomes the new
 * length, no NUL is written. Returns whether anything changed. */
bool cllm__html_clean(char *text, size_t *length);

#endif
