/*
 * tenure_blame.c -- which servers and which paths carry the trouble, over the fleet: the newest
 * tally of every proxy, summed when somebody asks.
 */
#include "shifter/judge/judge_tally.h"
#include "shifter/controller/tenure_parts.h"

#include <stdlib.h>
#include <string.h>

#define PROXIES_KEPT 512u /* beyond, the others say enough */

void xf_tenure_blame_drop(struct xf_tenure *tenure)
{
    for (unsigned i = 0; i < tenure->blames_count; i++) {
        json_decref(tenure->blames[i].told);
    }
    free(tenure->blames);
    tenure->blames = NULL;
    tenure->blames_count = 0;
}

static struct xf_tenure_blame *place_of(struct xf_tenure *tenure, const char *proxy)
{
    for (unsigned i = 0; i < tenure->blames_count; i++) {
        if (strcmp(tenure->blames[i].proxy, proxy) == 0) {
            return &tenure->blames[i];
        }
    }
    if (tenure->blames_count == PROXIES_KEPT) {
        return NULL;
    }
    struct xf_tenure_blame *grown =
        realloc(tenure->blames, (tenure->blames_count + 1) * sizeof(*grown));
    if (grown == NULL) {
        return NULL;
    }
    tenure->blames = grown;
    struct xf_tenure_blame *place = &grown[tenure->blames_count++];
    *place = (struct xf_tenure_blame){.told = NULL};
    memcpy(place->proxy, proxy, strnlen(proxy, sizeof(place->proxy) - 1));
    return place;
}

void xf_tenure_blame_take(struct xf_tenure *tenure, const struct xf_message_samples *samples)
{
    struct xf_tally tally;
    unsigned attempt;
    xf_tally_init(&tally);
    if (samples->blame == NULL || xf_tally_add_json(&tally, samples->blame, &attempt, NULL) != 0 ||
        attempt != tenure->document->verdict_attempt) {
        return;
    }
    struct xf_tenure_blame *place = place_of(tenure, samples->proxy.id);
    json_t *told = place != NULL ? xf_tally_json(&tally, attempt) : NULL; /* no more than that */
    if (told != NULL) {
        json_decref(place->told);
        place->told = told;
    }
}

/* What the last verdict was about; errors where there was none. */
static enum xf_judge_stream stream_of(const struct xf_tenure *tenure)
{
    const char *text = tenure->document->last_verdict_json;
    json_t *verdict = text != NULL ? json_loads(text, 0, NULL) : NULL;
    const char *rule = json_string_value(json_object_get(verdict, "rule"));
    const struct xf_judge_finding *errors = &tenure->judge.findings[XF_JUDGE_ERRORS];
    enum xf_judge_stream stream = XF_STREAM_ERRORS;
    if (rule != NULL && strcmp(rule, xf_judge_rule_name(XF_JUDGE_LATENCY)) == 0) {
        stream = XF_STREAM_SLOW;
    } else if (errors->standing && errors->kind == XF_FINDING_4XX) {
        stream = XF_STREAM_4XX;
    } else if (errors->standing && errors->kind == XF_FINDING_SILENCE) {
        stream = XF_STREAM_SLOW;
    }
    json_decref(verdict);
    return stream;
}

static unsigned servers_of(const struct xf_tenure *tenure, const char *cluster)
{
    const struct xf_config *config = tenure->options.config;
    for (unsigned i = 0; i < config->clusters_count; i++) {
        if (strcmp(config->clusters[i].name, cluster) == 0) {
            return config->clusters[i].servers_count;
        }
    }
    return 0;
}

json_t *xf_tenure_blame(const struct xf_tenure *tenure)
{
    struct xf_tally sum;
    unsigned attempt;
    xf_tally_init(&sum);
    if (!tenure->judging) {
        return NULL;
    }
    for (unsigned i = 0; i < tenure->blames_count; i++) {
        const struct xf_tenure_blame *blame = &tenure->blames[i];
        const json_t *of = json_object_get(blame->told, "attempt");
        if ((unsigned) json_integer_value(of) == tenure->document->verdict_attempt) {
            if (xf_tally_add_json(&sum, blame->told, &attempt, NULL) != 0) {
                return NULL; /* no memory: our own text was read before */
            }
        }
    }
    return xf_tally_explain(&sum, stream_of(tenure), servers_of(tenure, tenure->document->to));
}
