/*
 * problems.c -- what is wrong with a file, collected until somebody reads it.
 */
#include "config/yaml.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROBLEMS_MAX          100u
#define PROBLEM_MESSAGE_BYTES 512u

/* Names in a message come from the file; a terminal must not obey them. */
static void disarm(char *text)
{
    for (char *p = text; *p != '\0'; p++) {
        if ((unsigned char) *p < 0x20 || *p == 0x7f) {
            *p = '?';
        }
    }
}

/* Makes room for one more, in the order of the file.  Full, an error takes a warning's place. */
static struct xf_problem *insert(struct xf_problems *problems, const struct xf_problem *added)
{
    struct xf_problem *items = problems->items;
    if (items == NULL) {
        items = calloc(PROBLEMS_MAX, sizeof(*items));
        if (items == NULL) {
            return NULL;
        }
        problems->items = items;
    }
    if (problems->count == PROBLEMS_MAX) {
        unsigned victim = PROBLEMS_MAX;
        while (!added->warning && victim > 0 && !items[victim - 1].warning) {
            victim--;
        }
        if (added->warning || victim == 0) {
            return NULL;
        }
        free(items[victim - 1].message);
        problems->count--;
        memmove(&items[victim - 1], &items[victim],
                (problems->count - (victim - 1)) * sizeof(*items));
    }
    unsigned place = problems->count++;
    while (place > 0 &&
           (items[place - 1].line > added->line ||
            (items[place - 1].line == added->line && items[place - 1].column > added->column))) {
        items[place] = items[place - 1];
        place--;
    }
    return &items[place];
}

void xf_problems_add(struct xf_problems *problems, unsigned line, unsigned column, bool warning,
                     const char *format, ...)
{
    problems->errors += warning ? 0 : 1;
    struct xf_problem added = {.line = line, .column = column, .warning = warning};
    struct xf_problem *place = insert(problems, &added);
    if (place == NULL) {
        return;
    }
    *place = added;
    char message[PROBLEM_MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    disarm(message);
    place->message = strdup(message);
}

void xf_problems_release(struct xf_problems *problems)
{
    for (unsigned i = 0; i < problems->count; i++) {
        free(problems->items[i].message);
    }
    free(problems->items);
    *problems = (struct xf_problems){0};
}

void xf_problems_print(const struct xf_problems *problems, void *stream)
{
    const char *file = problems->file == NULL ? "configuration" : problems->file;
    for (unsigned i = 0; i < problems->count; i++) {
        const struct xf_problem *problem = &problems->items[i];
        const char *message = problem->message == NULL ? "out of memory" : problem->message;
        const char *kind = problem->warning ? "warning: " : "";
        if (problem->line == 0) {
            fprintf(stream, "%s: %s%s\n", file, kind, message);
        } else {
            fprintf(stream, "%s:%u:%u: %s%s\n", file, problem->line, problem->column, kind,
                    message);
        }
    }
}
