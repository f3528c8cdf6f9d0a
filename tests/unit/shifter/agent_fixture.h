/*
 * agent_fixture.h -- a configuration and documents that the agent's tests share.
 */
#ifndef XF_TESTS_AGENT_FIXTURE_H
#define XF_TESTS_AGENT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/config.h"
#include "shifter/plan/document.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIXTURE_CONFIG                                                                             \
    "store: sqlite:/tmp/none.db\n"                                                                 \
    "listeners: [{bind: \"127.0.0.1:18000\", service: gateway}, "                                  \
    "{bind: \"127.0.0.1:18001\", service: kong-admin}]\n"                                          \
    "services:\n"                                                                                  \
    "  gateway: {live: old, clusters: [old, new]}\n"                                               \
    "  kong-admin: {follows: gateway, clusters: [old-admin, new-admin]}\n"                         \
    "clusters:\n"                                                                                  \
    "  old: [\"127.0.0.1:18010\", \"127.0.0.1:18011\"]\n"                                          \
    "  new: \"127.0.0.1:18012\"\n"                                                                 \
    "  old-admin: \"127.0.0.1:18013\"\n"                                                           \
    "  new-admin: \"127.0.0.1:18014\"\n"

static inline struct xf_config *fixture_config_of(const char *text)
{
    struct xf_config *config = NULL;
    struct xf_problems problems = {0};
    if (xf_config_parse("test.yaml", text, strlen(text), &config, &problems) != 0) {
        xf_problems_print(&problems, stderr);
        fail_msg("the fixture's configuration does not parse");
    }
    xf_problems_release(&problems);
    return config;
}

/* What `fence:` of a plan will mean, once plans may have one. */
static inline void fixture_fence(struct xf_plan *plan)
{
    plan->fence_on = true;
    plan->fence_methods = 1u << 3 | 1u << 5; /* POST, DELETE: enum xf_http_method */
    plan->fence_services = calloc(1, sizeof(plan->fence_services[0]));
    plan->fence_allow = calloc(1, sizeof(plan->fence_allow[0]));
    plan->fence_allow[0] = strdup("/schemas/*/validate");
    plan->fence_services_count = plan->fence_allow_count = 1;
    (void) snprintf(plan->fence_services[0], sizeof(plan->fence_services[0]), "kong-admin");
}

/* A document of a cutover from old to new in `state` at `weight`, with a plan of two steps. */
static inline struct xf_document *fixture_document(enum xf_cutover_state state, unsigned weight)
{
    static const char plan[] = "name: move\nservice: gateway\nto: new\n"
                               "steps:\n  - {weight: 25%, hold: 10m, approve: true}\n"
                               "  - {weight: 100%, hold: 30m}\n";
    struct xf_document *document = xf_document_create("gateway", "old");
    struct xf_problems problems = {0};
    assert_non_null(document);
    if (xf_plan_parse("plan.yaml", plan, strlen(plan), &document->plan, &problems) != 0) {
        xf_problems_print(&problems, stderr);
        fail_msg("the fixture's plan does not parse");
    }
    xf_problems_release(&problems);
    fixture_fence(document->plan);
    document->fence.up = true;
    document->state = state;
    document->weight = weight;
    document->step = 0;
    document->step_entry = 3;
    document->attempts = 7;
    document->seed = 0x1234567890abcdefull >> 1;
    document->tau_us = 25000;
    (void) snprintf(document->cutover, sizeof(document->cutover), "move/7");
    (void) snprintf(document->from, sizeof(document->from), "old");
    (void) snprintf(document->to, sizeof(document->to), "new");
    document->since_ms = 1790000000000;
    return document;
}

#endif
