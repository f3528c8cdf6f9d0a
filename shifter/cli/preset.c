/*
 * preset.c -- the plan for pipelines, and what the Kong presets are made of.
 */
#include "shifter/cli/preset.h"

#include <stdio.h>
#include <string.h>

static const char canary[] =
    "# A canary for unattended pipelines: nobody is asked, it ends by itself.\n"
    "# Change the names and times, then\n"
    "#   crossfade plan canary.yaml             what it does, when, and what could fail at worst\n"
    "#   crossfade start canary.yaml --wait     0 finalized, 3 held, 5 aborted, 124 time is up\n"
    "\n"
    "name: canary                               # the cutovers are called canary/1, canary/2, ...\n"
    "service: web                               # of the configuration, as are the clusters\n"
    "to: web-v2                                 # from: the cluster that is live\n"
    "\n"
    "steps:\n"
    "  - {weight: 1%, hold: 5m}                 # a hold is the least time; evidence comes on top\n"
    "  - {weight: 5%, hold: 5m}\n"
    "  - {weight: 25%, hold: 10m}\n"
    "  - {weight: 50%, hold: 10m}\n"
    "  - {weight: 80%, hold: 10m}               # above 75 % the old cluster is a poor measure\n"
    "  - {weight: 100%, hold: 10m}              # the soak: the old cluster stays warm\n"
    "\n"
    "guard:\n"
    "  errors: {worse_than: 1.2x, ignore_below: 0.05%, limit: 5%, then: abort}\n"
    "  latency: {worse_than: 1.5x, then: hold}  # exit 3; the deadline aborts if nobody resumes\n"
    "  false_pause: 1%                          # of healthy cutovers, at most\n"
    "  prove: {errors_below: 1%, or_ratio_below: 2x}\n"
    "\n"
    "deadline: 4h                               # of the whole, held or not\n"
    "on_deadline: abort\n"
    "finalize: {when: auto}                     # web-v2 is live once web-v1 may go\n"
    "\n"
    "# When the old cluster may go; both must stand in the configuration:\n"
    "# signal: {webhook: ops, hook: decommission-blue}\n"
    "# Checks before it begins; `crossfade preflight canary.yaml` runs them:\n"
    "# gates: {before_start: [{http: {url: \"http://10.0.1.11:8080/health\", status: 200}}]}\n"
    "# Long connections on the old cluster are waited for; to end them:\n"
    "# drain: {policy: deadline, deadline: 10m}\n";

void xf_preset_canary(struct xf_text *plan)
{
    xf_text_puts(plan, canary);
}

static void write_name(const struct xf_kong_version *version, unsigned parts,
                       char ret[XF_PRESET_NAME_BYTES])
{
    size_t used = (size_t) snprintf(ret, XF_PRESET_NAME_BYTES, "kong-");
    for (unsigned i = 0; i < parts && version->part[i] >= 0; i++) {
        used += (size_t) snprintf(ret + used, XF_PRESET_NAME_BYTES - used, "%d", version->part[i]);
    }
}

bool xf_preset_kong_names(const struct xf_preset_kong *kong, char ret_old[XF_PRESET_NAME_BYTES],
                          char ret_new[XF_PRESET_NAME_BYTES])
{
    unsigned parts = xf_kong_version_same_minor(&kong->from, &kong->to) ? 4 : 2;
    write_name(&kong->from, parts, ret_old);
    write_name(&kong->to, parts, ret_new);
    return strcmp(ret_old, ret_new) != 0;
}
