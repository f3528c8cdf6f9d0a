/*
 * plan_parts.h -- what the files of plan share: the reader of one plan; nothing else includes it.
 *
 * Every function notes what is wrong in `problems` with its line and column and goes on, so that
 * all errors are told at once.
 */
#ifndef XF_SHIFTER_PLAN_PARTS_H
#define XF_SHIFTER_PLAN_PARTS_H

#include "config/base/check.h"
#include "config/yaml.h"
#include "shifter/plan/plan.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define XF_PLAN_DURATION_MS_MAX ((int64_t) 366 * 86400 * 1000)

struct xf_plan_reader {
    struct xf_plan *plan;
    struct xf_problems *problems;
    bool failed;
};

void xf_plan_complain(struct xf_plan_reader *reader, const struct xf_yaml_node *node,
                      const char *format, ...) XF_PRINTF(3, 4);
/* Complains about every key of `mapping` that is not among the `count` of `known`; `where` is for
 * the message: `guard`.  False when `mapping` is no mapping. */
bool xf_plan_keys(struct xf_plan_reader *reader, const struct xf_yaml_node *mapping,
                  const char *where, const char *const *known, size_t count);

/* Scalars.  Each does nothing when `node` is NULL, and leaves *ret alone when it complains. */
void xf_plan_text(struct xf_plan_reader *reader, const struct xf_yaml_node *node,
                  bool (*valid)(const char *), char ret[XF_NAME_BYTES]);
void xf_plan_bool(struct xf_plan_reader *reader, const struct xf_yaml_node *node, bool *ret);
void xf_plan_duration(struct xf_plan_reader *reader, const struct xf_yaml_node *node, int64_t least,
                      int64_t *ret);
void xf_plan_weight(struct xf_plan_reader *reader, const struct xf_yaml_node *node, unsigned *ret);
/* `0.05%` within (0, most] as a fraction; `1.2x` from 1 to 1000 as a number. */
void xf_plan_share(struct xf_plan_reader *reader, const struct xf_yaml_node *node, double most,
                   double *ret);
void xf_plan_ratio(struct xf_plan_reader *reader, const struct xf_yaml_node *node, double *ret);
/* One of `count` words; *ret is its number. */
void xf_plan_choice(struct xf_plan_reader *reader, const struct xf_yaml_node *node,
                    const char *const *words, size_t count, unsigned *ret);
bool xf_plan_is_word(const struct xf_yaml_node *node, const char *word);

extern const char *const xf_plan_then_names[4];  /* by enum xf_guard_then */
extern const char *const xf_plan_drain_names[3]; /* by enum xf_drain_policy */

void xf_plan_guard_default(struct xf_plan_guard *guard);
void xf_plan_guard_read(struct xf_plan_reader *reader, const struct xf_yaml_node *node);
void xf_plan_gates_read(struct xf_plan_reader *reader, const struct xf_yaml_node *node);
void xf_plan_gates_write(json_t *root, const struct xf_plan *plan, bool *ok);
/* One gate, its kind checked; a new reference, or NULL with a complaint. */
json_t *xf_plan_gate_read(struct xf_plan_reader *reader, const struct xf_yaml_node *node);
void xf_plan_finalize_read(struct xf_plan_reader *reader, const struct xf_yaml_node *node);
void xf_plan_finalize_write(json_t *root, const struct xf_plan *plan, bool *ok);
bool xf_plan_finalize_check(const struct xf_plan *plan, const struct xf_config *config,
                            struct xf_problems *problems);
void xf_plan_notify_read(struct xf_plan_reader *reader, const struct xf_yaml_node *node);
void xf_plan_notify_write(json_t *root, const struct xf_plan *plan, bool *ok);
bool xf_plan_notify_check(const struct xf_plan *plan, const struct xf_config *config,
                          struct xf_problems *problems);
void xf_plan_fence_read(struct xf_plan_reader *reader, const struct xf_yaml_node *node);
void xf_plan_fence_write(json_t *root, const struct xf_plan *plan, bool *ok);
/* `Mon-Thu 22:00-06:00 Europe/Paris`; false: not of that form, or an unknown zone. */
bool xf_plan_window_parse(const char *text, struct xf_plan_window *ret);
/* The same back; `out` of 128 bytes. */
void xf_plan_window_format(const struct xf_plan_window *window, char out[128]);
/* Fills plan->json; false without memory. */
XF_NODISCARD bool xf_plan_write(struct xf_plan *plan);

#endif
