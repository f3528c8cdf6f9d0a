/*
 * admin_answer.c -- see admin_answer.h.
 */
#include "shifter/agent/admin_answer.h"

#include <stdlib.h>
#include <string.h>

#define REAL_DIGITS 12 /* 12.34 is shown as it was written, not as the nearest double */

void xf_admin_answer_json(struct xf_admin_exchange *exchange, unsigned status, json_t *body)
{
    static const char failed[] = "{\"exit\": 1, \"message\": \"no memory\"}\n";
    char *text = body != NULL ? json_dumps(body, JSON_REAL_PRECISION(REAL_DIGITS)) : NULL;
    json_decref(body);
    if (text == NULL) {
        xf_admin_answer(exchange, 500, "application/json", failed, sizeof(failed) - 1);
        return;
    }
    size_t length = strlen(text);
    text[length++] = '\n'; /* where the NUL was: the length goes with it */
    xf_admin_answer(exchange, status, "application/json", text, length);
    free(text);
}

void xf_admin_answer_text(struct xf_admin_exchange *exchange, unsigned status, int exit_code,
                          const char *message)
{
    xf_admin_answer_json(exchange, status,
                         json_pack("{s:i, s:s}", "exit", exit_code, "message", message));
}

void xf_admin_answer_error(struct xf_admin_exchange *exchange, int exit_code, const char *message)
{
    xf_admin_answer_text(exchange, xf_admin_status_of(exit_code), exit_code, message);
}

unsigned xf_admin_status_of(int exit_code)
{
    static const struct {
        int exit_code;
        unsigned status;
    } table[] = {{0, 200}, {1, 500}, {2, 400}, {3, 409}, {4, 409},
                 {5, 409}, {6, 422}, {7, 503}, {8, 403}, {124, 504}};
    for (unsigned i = 0; i < XF_COUNT(table); i++) {
        if (table[i].exit_code == exit_code) {
            return table[i].status;
        }
    }
    return 500;
}
