/*
 * config_text.h -- reading a configuration from a literal, for the tests of config/.
 */
#ifndef XF_TESTS_CONFIG_TEXT_H
#define XF_TESTS_CONFIG_TEXT_H

#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A whole valid file; tests put more before it or change it. */
#define VALID_LISTENERS "listeners: [{bind: 127.0.0.1:8000}]\n"
#define VALID_SERVICES  "services: {web: {live: web-v1}}\n"
#define VALID_CLUSTERS  "clusters: {web-v1: 127.0.0.1:9001, web-v2: 127.0.0.1:9002}\n"
#define VALID_FILE      VALID_LISTENERS VALID_SERVICES VALID_CLUSTERS

/* The problems as they would be printed; the caller frees. */
static inline char *problems_text(const struct xf_problems *problems)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    assert_non_null(stream);
    xf_problems_print(problems, stream);
    fclose(stream);
    return text;
}

/* The configuration of a text that must be good. */
static inline struct xf_config *good_config(const char *text)
{
    struct xf_config *config = NULL;
    struct xf_problems problems;
    if (xf_config_parse("crossfade.yaml", text, strlen(text), &config, &problems) != 0) {
        char *why = problems_text(&problems);
        xf_problems_release(&problems);
        fail_msg("refused:\n%s\nin:\n%s", why, text);
    }
    xf_problems_release(&problems);
    return config;
}

/* What is said about a text that must be refused; the caller frees. */
static inline char *refusal(const char *text)
{
    struct xf_config *config = NULL;
    struct xf_problems problems;
    if (xf_config_parse("crossfade.yaml", text, strlen(text), &config, &problems) == 0) {
        fail_msg("accepted:\n%s", text);
    }
    assert_null(config);
    char *why = problems_text(&problems);
    xf_problems_release(&problems);
    return why;
}

/* Reads a whole file of the tree; the caller frees. */
static inline char *file_text(const char *path)
{
    FILE *stream = fopen(path, "re");
    if (stream == NULL) {
        fail_msg("cannot open %s", path);
    }
    char *text = calloc(1, 1024 * 1024);
    assert_non_null(text);
    size_t length = fread(text, 1, 1024 * 1024 - 1, stream);
    fclose(stream);
    assert_true(length > 0);
    return text;
}

/* A copy of `text` with every `from` replaced by `to`; the caller frees. */
static inline char *replaced(const char *text, const char *from, const char *to)
{
    char *copy = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&copy, &length);
    assert_non_null(stream);
    for (const char *p = text; *p != '\0';) {
        if (strncmp(p, from, strlen(from)) == 0) {
            fputs(to, stream);
            p += strlen(from);
        } else {
            fputc(*p++, stream);
        }
    }
    fclose(stream);
    return copy;
}

#endif
