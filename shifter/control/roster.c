/*
 * roster.c -- members and what each confirmed; see roster.h.
 */
#include "shifter/control/roster.h"

#include "shifter/control/override.h"
#include "shifter/control/roster_traffic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XF_LEFT_MAX   64u
#define LEFT_MS       10000 /* so long a roster that was read before it left may still come */
#define FIRST_WORD_MS 2000  /* so long who joined may take to its first heartbeat */

struct xf_roster {
    const struct xf_config *config;
    struct xf_member *members;
    unsigned count, capacity;
    uint64_t version;
    struct xf_roster_traffic traffic;
    struct xf_forgotten forgotten[XF_FORGOTTEN_MAX]; /* a ring; an empty id is none */
    unsigned forgotten_next;
    struct {
        char id[XF_UUID_TEXT_BYTES];
        int64_t at_ms;
    } left[XF_LEFT_MAX]; /* a ring */
    unsigned left_next;
};

struct xf_roster *xf_roster_create(const struct xf_config *config)
{
    struct xf_roster *roster = calloc(1, sizeof(*roster));
    if (roster == NULL) {
        return NULL;
    }
    roster->config = config;
    if (!xf_roster_traffic_init(&roster->traffic, config)) {
        xf_roster_destroy(roster);
        return NULL;
    }
    return roster;
}

void xf_roster_destroy(struct xf_roster *roster)
{
    if (roster == NULL) {
        return;
    }
    for (unsigned i = 0; i < roster->count; i++) {
        xf_message_heartbeat_release(&roster->members[i].heartbeat);
    }
    free(roster->members);
    xf_roster_traffic_release(&roster->traffic);
    free(roster);
}

static struct xf_member *find_id(const struct xf_roster *roster, const char *id)
{
    for (unsigned i = 0; i < roster->count; i++) {
        if (strcmp(roster->members[i].heartbeat.proxy.id, id) == 0) {
            return &roster->members[i];
        }
    }
    return NULL;
}

static struct xf_member *add(struct xf_roster *roster)
{
    if (roster->count == roster->capacity) {
        unsigned capacity = roster->capacity == 0 ? 4 : roster->capacity * 2;
        struct xf_member *members = capacity <= XF_PROXIES_MAX
                                        ? realloc(roster->members, capacity * sizeof(*members))
                                        : NULL;
        if (members == NULL) {
            return NULL;
        }
        roster->members = members;
        roster->capacity = capacity;
    }
    struct xf_member *member = &roster->members[roster->count++];
    *member = (struct xf_member){0};
    roster->version++;
    return member;
}

static void take_out(struct xf_roster *roster, struct xf_member *member)
{
    xf_message_heartbeat_release(&member->heartbeat);
    unsigned index = (unsigned) (member - roster->members);
    memmove(member, member + 1, (roster->count - index - 1) * sizeof(*member));
    roster->count--;
    roster->version++;
}

bool xf_roster_recall(struct xf_roster *roster, const char *id, const char *name)
{
    if (find_id(roster, id) != NULL) {
        return true;
    }
    struct xf_member *member = add(roster);
    if (member == NULL) {
        return false;
    }
    (void) snprintf(member->heartbeat.proxy.id, sizeof(member->heartbeat.proxy.id), "%s", id);
    (void) snprintf(member->heartbeat.proxy.name, sizeof(member->heartbeat.proxy.name), "%s", name);
    member->heartbeat.reload_ok = true;
    member->seen_ms = -XF_SILENT_MS - 1; /* CLOCK_BOOTTIME is never below 0 */
    return true;
}

/* Whether it left at `since_ms` or later. */
static bool has_left(const struct xf_roster *roster, const char *id, int64_t since_ms)
{
    for (unsigned i = 0; i < XF_LEFT_MAX; i++) {
        if (strcmp(roster->left[i].id, id) == 0 && roster->left[i].at_ms >= since_ms) {
            return true;
        }
    }
    return false;
}

bool xf_roster_joined(struct xf_roster *roster, const char *id, const char *name, int64_t now_ms)
{
    if (find_id(roster, id) != NULL || xf_roster_forgotten(roster, id) ||
        has_left(roster, id, now_ms - LEFT_MS + 1)) {
        return true;
    }
    if (!xf_roster_recall(roster, id, name)) {
        return false;
    }
    find_id(roster, id)->seen_ms = now_ms - XF_SILENT_MS + FIRST_WORD_MS;
    return true;
}

bool xf_roster_expect(struct xf_roster *roster, const char *id, const char *name)
{
    return xf_roster_forgotten(roster, id) || has_left(roster, id, 0) ||
           xf_roster_recall(roster, id, name);
}

uint64_t xf_roster_version(const struct xf_roster *roster)
{
    return roster->version;
}

static void bury(struct xf_roster *roster, const struct xf_message_proxy *proxy)
{
    struct xf_forgotten *tomb = &roster->forgotten[roster->forgotten_next++ % XF_FORGOTTEN_MAX];
    memcpy(tomb->id, proxy->id, sizeof(tomb->id));
    memcpy(tomb->name, proxy->name, sizeof(tomb->name));
}

static bool unbury(struct xf_roster *roster, const char *id)
{
    bool found = false;
    for (unsigned i = 0; i < XF_FORGOTTEN_MAX; i++) {
        if (strcmp(roster->forgotten[i].id, id) == 0) {
            roster->forgotten[i] = (struct xf_forgotten){0};
            found = true;
        }
    }
    return found;
}

bool xf_roster_forgotten(const struct xf_roster *roster, const char *proxy)
{
    for (unsigned i = 0; proxy[0] != '\0' && i < XF_FORGOTTEN_MAX; i++) {
        const struct xf_forgotten *tomb = &roster->forgotten[i];
        if (tomb->id[0] != '\0' &&
            (strcmp(tomb->id, proxy) == 0 || strcmp(tomb->name, proxy) == 0)) {
            return true;
        }
    }
    return false;
}

unsigned xf_roster_tombs(const struct xf_roster *roster, const struct xf_forgotten **ret)
{
    *ret = roster->forgotten;
    return XF_FORGOTTEN_MAX;
}

void xf_roster_noticed(struct xf_roster *roster, const char *id)
{
    struct xf_member *member = find_id(roster, id);
    if (member != NULL) {
        member->returned = false;
    }
}

const struct xf_member *xf_roster_find(const struct xf_roster *roster, const char *proxy)
{
    for (unsigned i = 0; i < roster->count; i++) {
        const struct xf_message_proxy *member = &roster->members[i].heartbeat.proxy;
        if (strcmp(member->id, proxy) == 0 || strcmp(member->name, proxy) == 0) {
            return &roster->members[i];
        }
    }
    return NULL;
}

bool xf_roster_heartbeat(struct xf_roster *roster, struct xf_message_heartbeat *heartbeat,
                         int64_t now_ms)
{
    struct xf_member *member = find_id(roster, heartbeat->proxy.id);
    if (heartbeat->left) {
        unsigned slot = roster->left_next++ % XF_LEFT_MAX;
        memcpy(roster->left[slot].id, heartbeat->proxy.id, sizeof(roster->left[slot].id));
        roster->left[slot].at_ms = now_ms;
        if (member != NULL) {
            take_out(roster, member);
        }
        xf_message_heartbeat_release(heartbeat);
        return true;
    }
    bool fresh = member == NULL;
    if (fresh) {
        member = add(roster);
    }
    if (member == NULL) {
        xf_message_heartbeat_release(heartbeat);
        return false;
    }
    bool same_boot = !fresh && strcmp(member->heartbeat.proxy.boot, heartbeat->proxy.boot) == 0;
    member->twice = !fresh && !same_boot && !xf_member_silent(member, now_ms);
    member->returned = member->returned || (fresh && unbury(roster, heartbeat->proxy.id));
    xf_roster_traffic_add(&roster->traffic, same_boot ? &member->heartbeat : NULL, heartbeat,
                          now_ms);
    xf_message_heartbeat_release(&member->heartbeat);
    member->heartbeat = *heartbeat;
    member->seen_ms = now_ms;
    *heartbeat = (struct xf_message_heartbeat){0};
    return true;
}

bool xf_roster_forget(struct xf_roster *roster, const char *proxy, int64_t now_ms)
{
    for (unsigned i = 0; i < roster->count; i++) {
        struct xf_member *member = &roster->members[i];
        if (xf_member_silent(member, now_ms) &&
            (strcmp(member->heartbeat.proxy.id, proxy) == 0 ||
             strcmp(member->heartbeat.proxy.name, proxy) == 0)) {
            bury(roster, &member->heartbeat.proxy);
            take_out(roster, member);
            return true;
        }
    }
    return false;
}

void xf_roster_recall_forgotten(struct xf_roster *roster, const char *id, int64_t now_ms)
{
    struct xf_message_proxy proxy = {.name = ""};
    if (!xf_roster_forget(roster, id, now_ms) && find_id(roster, id) == NULL &&
        !xf_roster_forgotten(roster, id)) {
        (void) snprintf(proxy.id, sizeof(proxy.id), "%s", id);
        bury(roster, &proxy);
    }
}

unsigned xf_roster_count(const struct xf_roster *roster)
{
    return roster->count;
}

const struct xf_message_heartbeat *xf_roster_said(const void *roster, unsigned index)
{
    return index < xf_roster_count(roster) ? &xf_roster_member(roster, index)->heartbeat : NULL;
}

const struct xf_member *xf_roster_member(const struct xf_roster *roster, unsigned index)
{
    return &roster->members[index];
}

bool xf_member_silent(const struct xf_member *member, int64_t now_ms)
{
    return now_ms - member->seen_ms > XF_SILENT_MS;
}

const struct xf_message_service *xf_member_service(const struct xf_member *member,
                                                   const char *service)
{
    for (size_t i = 0; i < member->heartbeat.services_count; i++) {
        if (strcmp(member->heartbeat.services[i].name, service) == 0) {
            return &member->heartbeat.services[i];
        }
    }
    return NULL;
}

const struct xf_message_cluster *xf_member_cluster(const struct xf_member *member,
                                                   const char *cluster)
{
    return xf_message_cluster_of(&member->heartbeat, cluster);
}

static void append(char names[XF_SENTENCE_BYTES], const char *name)
{
    size_t length = strlen(names);
    if (length + strlen(name) + 6 < XF_SENTENCE_BYTES) {
        (void) snprintf(names + length, XF_SENTENCE_BYTES - length, "%s%s", length > 0 ? ", " : "",
                        name);
    } else if (length > 3 && strcmp(names + length - 3, "...") != 0) {
        (void) snprintf(names + length, XF_SENTENCE_BYTES - length, "...");
    }
}

static void look_at_blue(const struct xf_member *member, const char *blue, struct xf_fleet *ret)
{
    const struct xf_message_cluster *cluster = xf_member_cluster(member, blue);
    int64_t quiet_ms = cluster != NULL ? cluster->quiet_ms : -1;
    if (quiet_ms < 0 && ret->blue_busy[0] == '\0') {
        if (cluster == NULL) {
            (void) snprintf(ret->blue_busy, sizeof(ret->blue_busy), "%s does not report on %s",
                            member->heartbeat.proxy.name, blue);
        } else {
            (void) snprintf(
                ret->blue_busy, sizeof(ret->blue_busy),
                "%s: %s has %llu in flight, %llu tunnels, %llu pooled",
                member->heartbeat.proxy.name, blue, (unsigned long long) cluster->in_flight,
                (unsigned long long) cluster->tunnels, (unsigned long long) cluster->pooled);
        }
    }
    if (quiet_ms < ret->blue_quiet_ms) {
        ret->blue_quiet_ms = quiet_ms;
    }
}

static bool is_up(const struct xf_member *member, const char *name)
{
    const struct xf_message_cluster *cluster = xf_member_cluster(member, name);
    for (size_t i = 0; cluster != NULL && i < cluster->servers_count; i++) {
        if (cluster->servers[i].up) {
            return true;
        }
    }
    return false;
}

/* An override that the document has not taken over, and the least weight that is served. */
static void look_at_weight(const struct xf_member *member, const struct xf_message_service *service,
                           const struct xf_roster_question *question, struct xf_fleet *ret)
{
    unsigned weight = service->weight;
    if (service->override_on && question->document != NULL &&
        !xf_override_taken(question->document, &question->version, &service->override.base,
                           service->override.weight)) {
        char text[XF_WEIGHT_TEXT_BYTES];
        if (ret->overrides++ == 0) {
            (void) snprintf(ret->override_by, sizeof(ret->override_by), "%s",
                            service->override.actor);
            (void) snprintf(
                ret->override_sentence, sizeof(ret->override_sentence),
                "proxy %.63s serves %s by %.127s%s%.250s", member->heartbeat.proxy.name,
                xf_format_weight(service->override.weight, text), service->override.actor,
                service->override.reason[0] != '\0' ? ": " : "", service->override.reason);
        }
        weight = service->override.weight < weight ? service->override.weight : weight;
    } else if (!service->in_force) {
        return; /* it may not serve at all yet */
    }
    ret->override_weight = weight < ret->override_weight ? weight : ret->override_weight;
}

/* The same version by another write: two primaries wrote apart. */
static bool is_forked(const struct xf_message_service *service,
                      const struct xf_roster_question *question)
{
    return service->version.generation > 0 &&
           xf_version_compare(&service->version, &question->version) == 0 &&
           strcmp(service->write_id, question->write_id) != 0;
}

/* Whether its host has other servers in this service's clusters than this one. */
static bool differs(const struct xf_roster *roster, const struct xf_message_service *service)
{
    int place = service != NULL ? xf_config_find_service(roster->config, service->name) : -1;
    return place >= 0 && service->digest[0] != '\0' &&
           strcmp(service->digest, roster->config->services[place].digest) != 0;
}

void xf_roster_fleet(const struct xf_roster *roster, const struct xf_roster_question *question,
                     struct xf_fleet *ret)
{
    *ret = (struct xf_fleet){.members = roster->count,
                             .in_force = roster->count > 0,
                             .blue_quiet_ms =
                                 roster->count > 0 && question->blues_count > 0 ? INT64_MAX : -1,
                             .blue_up = true,
                             .override_weight = XF_WEIGHT_FULL,
                             .green_up = roster->count > 0};
    for (unsigned i = 0; i < roster->count; i++) {
        const struct xf_member *member = &roster->members[i];
        const struct xf_message_service *service = xf_member_service(member, question->service);
        const char *name = member->heartbeat.proxy.name;
        bool silent = xf_member_silent(member, question->now_ms);
        if (!silent && service != NULL) {
            look_at_weight(member, service, question, ret);
            if (is_forked(service, question)) {
                append(ret->forked, name);
            }
        }
        if (silent) {
            ret->silent++;
            append(ret->silent_names, name);
        } else if (service == NULL || member->twice || service->override_on || !service->in_force ||
                   xf_version_compare(&service->version, &question->version) != 0 ||
                   strcmp(service->write_id, question->write_id) != 0) {
            ret->in_force = false;
            append(ret->lagging, name);
        }
        for (unsigned j = 0; j < question->blues_count; j++) {
            look_at_blue(member, question->blues[j], ret);
            ret->blue_up = ret->blue_up && (silent || is_up(member, question->blues[j]));
        }
        ret->green_up = ret->green_up && is_up(member, question->green);
        if (differs(roster, service)) {
            append(ret->digests_differ, name);
        }
    }
    ret->blue_up = ret->blue_up && ret->silent < ret->members;
    ret->in_force = ret->in_force && ret->silent == 0;
}

bool xf_roster_reached(const struct xf_roster *roster, const struct xf_roster_question *question,
                       char ret_lagging[XF_SENTENCE_BYTES], char ret_silent[XF_SENTENCE_BYTES])
{
    unsigned live = 0;
    ret_lagging[0] = '\0';
    ret_silent[0] = '\0';
    for (unsigned i = 0; i < roster->count; i++) {
        const struct xf_member *member = &roster->members[i];
        const struct xf_message_service *service = xf_member_service(member, question->service);
        if (xf_member_silent(member, question->now_ms)) {
            append(ret_silent, member->heartbeat.proxy.name);
            continue;
        }
        live++;
        if (service == NULL || !service->in_force || service->override_on ||
            xf_version_compare(&service->version, &question->version) < 0) {
            append(ret_lagging, member->heartbeat.proxy.name);
        }
    }
    return live > 0 && ret_lagging[0] == '\0';
}

void xf_roster_traffic(const struct xf_roster *roster, const char *service, const char *cluster,
                       int64_t now_ms, struct xf_traffic *ret)
{
    *ret = (struct xf_traffic){.rps = -1, .error_ratio = -1};
    for (unsigned i = 0; i < roster->count; i++) {
        const struct xf_member *member = &roster->members[i];
        const struct xf_message_cluster *gauges = xf_member_cluster(member, cluster);
        const struct xf_message_service *pairs = xf_member_service(member, service);
        if (gauges != NULL) {
            ret->in_flight += gauges->in_flight;
            ret->tunnels += gauges->tunnels;
            ret->pooled += gauges->pooled;
        }
        for (size_t j = 0; pairs != NULL && j < pairs->pairs_count; j++) {
            if (strcmp(pairs->pairs[j].cluster, cluster) == 0) {
                ret->requests += pairs->pairs[j].requests;
                ret->errors += pairs->pairs[j].errors;
                ret->rescued += pairs->pairs[j].rescued;
                ret->no_route += pairs->pairs[j].no_route;
            }
        }
    }
    xf_roster_traffic_rates(&roster->traffic, service, cluster, now_ms, ret);
}
