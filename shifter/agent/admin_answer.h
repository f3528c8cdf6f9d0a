/*
 * admin_answer.h -- JSON answers of the admin API, and the status codes that go with exit codes.
 */
#ifndef XF_SHIFTER_ADMIN_ANSWER_H
#define XF_SHIFTER_ADMIN_ANSWER_H

#include "shifter/admin/admin.h"

#include <jansson.h>

/* Takes `body`; NULL is answered as no memory. */
void xf_admin_answer_json(struct xf_admin_exchange *exchange, unsigned status, json_t *body);
/* {exit, message} with the status of API.md. */
void xf_admin_answer_error(struct xf_admin_exchange *exchange, int exit_code, const char *message);
/* The same with a status of its own. */
void xf_admin_answer_text(struct xf_admin_exchange *exchange, unsigned status, int exit_code,
                          const char *message);
unsigned xf_admin_status_of(int exit_code);

#endif
