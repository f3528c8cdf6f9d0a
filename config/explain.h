/*
 * explain.h -- the table of keys as a page; `crossfade explain` itself is in config.h.
 */
#ifndef XF_CONFIG_EXPLAIN_H
#define XF_CONFIG_EXPLAIN_H

/* Prints config/KEYS.md to `stream` (a FILE). */
void xf_config_explain_page(void *stream);

#endif
