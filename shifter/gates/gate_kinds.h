/*
 * gate_kinds.h -- one function per kind of gate; only gate.c calls them.
 */
#ifndef XF_SHIFTER_GATE_KINDS_H
#define XF_SHIFTER_GATE_KINDS_H

#include "shifter/gates/gate.h"

void xf_gate_kong(const json_t *options, const struct xf_gate_context *context,
                  struct xf_checks *checks);
void xf_gate_postgres(const json_t *options, const struct xf_gate_context *context,
                      struct xf_checks *checks);
void xf_gate_http(const json_t *options, const struct xf_gate_context *context,
                  struct xf_checks *checks);
void xf_gate_prometheus(const json_t *options, const struct xf_gate_context *context,
                        struct xf_checks *checks);
/* `name`: a JSON string, the name of a configured hook. */
void xf_gate_hook(const json_t *name, const struct xf_gate_context *context,
                  struct xf_checks *checks);

#endif
