/*
 * agent_checks.c -- one target for each server that is named and checked in the same way.
 *
 * A target owns a timer, at most one probe and at most one lookup.  It knows no board: what it
 * found is written to every live edition's servers that match it, when it changes and when the
 * editions do.  The agent is the only writer of health.
 */
#include "shifter/agent/agent_checks.h"

#include "config/base/list.h"
#include "config/base/log.h"
#include "proxy/transport/tls_cluster.h"
#include "shifter/agent/agent_probe.h"
#include "shifter/net/lookup.h"
#include "shifter/net/source_address.h"

#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROBES_MAX     256u /* at once: descriptors are the data path's */
#define CROWDED_MS     50   /* before a check that found no room is tried again */
#define LOOKUP_MS      5000
#define TTL_MS_LEAST   5000
#define TTL_MS_MOST    60000
#define RAMP_TICK_MS   250
#define TLS_SAID_BYTES 8192u
#define RAMP_FIRST     10u /* per cent of its weight with which a server comes back */

struct target {
    struct xf_list node;
    struct xf_agent *agent;
    bool wanted; /* named by a live edition */
    /* What it is; its own copies. */
    char cluster[XF_NAME_BYTES];
    char *text, *host, *path, *body;
    char *tls_name; /* NULL: checked without TLS */
    char *tls_said; /* how the configuration has it */
    SSL_CTX *tls;   /* as the files were when the newest edition began; NULL: unusable */
    uint16_t port;
    struct xf_config_check check; /* path and body are the copies */
    bool send_proxy;
    unsigned weight_configured;
    int64_t slow_start_ms;

    struct sockaddr_storage address;
    unsigned address_bytes; /* 0: not known yet */
    struct event *timer, *renew, *ramp;
    struct xf_probe *probe;
    struct xf_lookup *lookup;

    bool up, drained;
    unsigned passed, failed; /* in a row */
    unsigned weight_ordered; /* by an operator; 0: the configured one */
    int64_t changed_ms;      /* CLOCK_BOOTTIME of the last change of `up`; 0: never */
    char reason[XF_PROBE_REASON_BYTES];
};

struct xf_agent_checks {
    struct xf_list targets;
    unsigned probes;
};

static void begin_probe(evutil_socket_t fd, short what, void *arg);
static void begin_lookup(evutil_socket_t fd, short what, void *arg);
static void ramp_tick(evutil_socket_t fd, short what, void *arg);

/* ---- targets ---- */

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* What two targets must have in common to speak TLS alike; empty: they speak none. */
static void say_tls(const struct xf_config_cluster *cluster, char said[static TLS_SAID_BYTES])
{
    const struct xf_config_upstream_tls *tls = &cluster->tls;
    const char *const texts[] = {tls->ca, tls->server_name, tls->certificate, tls->key,
                                 tls->groups};
    int at = snprintf(said, TLS_SAID_BYTES, "%s", !tls->enabled ? "" : tls->verify ? "y" : "n");
    for (size_t i = 0; tls->enabled && i < XF_COUNT(texts) && at < (int) TLS_SAID_BYTES; i++) {
        at += snprintf(said + at, TLS_SAID_BYTES - (size_t) at, "\n%s",
                       texts[i] != NULL ? texts[i] : "");
    }
}

/* Renewed files are read at each edition; connections under way keep what they have. */
static void load_tls(struct target *target, const struct xf_config_cluster *cluster)
{
    struct xf_error err = {0};
    SSL_CTX *tls = NULL;
    if (target->tls_name == NULL) {
        return;
    }
    if (xf_tls_cluster_load(cluster, &tls, &err) != 0) {
        char quoted[XF_LOG_QUOTE_BYTES];
        xf_log(XF_LOG_ERROR, "check.tls_unusable", "cluster=%s reason=%s", target->cluster,
               xf_log_quote(err.message, quoted));
        SSL_CTX_free(tls);
        return;
    }
    SSL_CTX_free(target->tls);
    target->tls = tls;
}

static bool matches(const struct target *target, const struct xf_config_cluster *cluster,
                    const struct xf_config_server *server)
{
    const struct xf_config_check *a = &target->check, *b = &cluster->check;
    char said[TLS_SAID_BYTES];
    say_tls(cluster, said);
    return strcmp(target->cluster, cluster->name) == 0 &&
           strcmp(target->text, server->endpoint.text) == 0 && same_text(target->path, b->path) &&
           same_text(target->tls_said, said) && same_text(a->body, b->body) &&
           a->every_ms == b->every_ms && a->timeout_ms == b->timeout_ms &&
           a->expect_low == b->expect_low && a->expect_high == b->expect_high &&
           a->rise == b->rise && a->fall == b->fall && target->send_proxy == cluster->send_proxy &&
           target->weight_configured == server->weight &&
           target->slow_start_ms == cluster->slow_start_ms;
}

static void destroy_target(struct target *target)
{
    struct event *const events[] = {target->timer, target->renew, target->ramp};
    xf_list_remove(&target->node);
    if (target->probe != NULL) {
        target->agent->checks->probes--;
        xf_probe_cancel(target->probe);
    }
    xf_lookup_destroy(target->lookup);
    for (unsigned i = 0; i < XF_COUNT(events); i++) {
        if (events[i] != NULL) {
            event_free(events[i]);
        }
    }
    free(target->text);
    free(target->host);
    free(target->path);
    free(target->body);
    free(target->tls_name);
    free(target->tls_said);
    SSL_CTX_free(target->tls);
    free(target);
}

static char *copy_text(const char *text, bool *ok)
{
    char *copy = text != NULL ? strdup(text) : NULL;
    *ok = *ok && (text == NULL || copy != NULL);
    return copy;
}

static struct target *create_target(struct xf_agent *agent, const struct xf_config_cluster *cluster,
                                    const struct xf_config_server *server)
{
    struct target *target = calloc(1, sizeof(*target));
    bool ok = true;
    if (target == NULL) {
        return NULL;
    }
    xf_list_init(&target->node);
    target->agent = agent;
    target->up = true;
    target->check = cluster->check;
    target->port = server->endpoint.port;
    target->send_proxy = cluster->send_proxy;
    target->weight_configured = server->weight;
    target->slow_start_ms = cluster->slow_start_ms;
    xf_agent_copy(target->cluster, sizeof(target->cluster), cluster->name);
    target->text = copy_text(server->endpoint.text, &ok);
    target->host = copy_text(server->endpoint.host, &ok);
    target->path = copy_text(cluster->check.path, &ok);
    target->body = copy_text(cluster->check.body, &ok);
    char said[TLS_SAID_BYTES];
    say_tls(cluster, said);
    target->tls_said = copy_text(said, &ok);
    if (cluster->tls.enabled && cluster->check.path != NULL) {
        unsigned number = (unsigned) (server - cluster->servers);
        target->tls_name = copy_text(xf_tls_name(cluster, number), &ok);
    }
    target->check.path = target->path;
    target->check.body = target->body;
    if (server->endpoint.numeric) {
        target->address = server->endpoint.address;
        target->address_bytes = (unsigned) server->endpoint.address_bytes;
    }
    target->timer = evtimer_new(agent->loop, begin_probe, target);
    target->renew = evtimer_new(agent->loop, begin_lookup, target);
    target->ramp = evtimer_new(agent->loop, ramp_tick, target);
    if (!ok || target->timer == NULL || target->renew == NULL || target->ramp == NULL) {
        destroy_target(target);
        return NULL;
    }
    xf_list_append(&agent->checks->targets, &target->node);
    return target;
}

static struct target *find_target(const struct xf_agent *agent,
                                  const struct xf_config_cluster *cluster,
                                  const struct xf_config_server *server)
{
    const struct xf_list *head = &agent->checks->targets;
    for (struct xf_list *node = head->next; node != head; node = node->next) {
        struct target *target = XF_CONTAINER_OF(node, struct target, node);
        if (matches(target, cluster, server)) {
            return target;
        }
    }
    return NULL;
}

/* ---- what was found, on the boards ---- */

static unsigned effective_weight(const struct target *target)
{
    unsigned full =
        target->weight_ordered != 0 ? target->weight_ordered : target->weight_configured;
    int64_t age_ms = xf_clock_boottime_ms(target->agent->clock) - target->changed_ms;
    if (target->changed_ms == 0 || !target->up || target->slow_start_ms <= 0 ||
        age_ms >= target->slow_start_ms) {
        return full;
    }
    unsigned share = RAMP_FIRST + (unsigned) (age_ms * (100 - RAMP_FIRST) / target->slow_start_ms);
    unsigned weight = full * share / 100;
    return weight > 0 ? weight : 1;
}

static void write_address(struct xf_server_health *health, const struct target *target)
{
    if (target->address_bytes == 0 ||
        (health->address_bytes == target->address_bytes &&
         memcmp(&health->address, &target->address, target->address_bytes) == 0)) {
        return;
    }
    uint32_t sequence = atomic_load_explicit(&health->sequence, memory_order_relaxed);
    atomic_store_explicit(&health->sequence, sequence | 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    health->address = target->address;
    health->address_bytes = target->address_bytes;
    atomic_store_explicit(&health->sequence, (sequence | 1) + 1, memory_order_release);
}

static void write_health(struct xf_server_health *health, const struct target *target)
{
    write_address(health, target);
    atomic_store_explicit(&health->changed_ms, (uint64_t) target->changed_ms, memory_order_relaxed);
    atomic_store_explicit(&health->weight, effective_weight(target), memory_order_relaxed);
    atomic_store_explicit(&health->drained, target->drained, memory_order_relaxed);
    atomic_store_explicit(&health->up, target->up, memory_order_relaxed);
}

static void publish(const struct target *target)
{
    const struct xf_agent *agent = target->agent;
    for (unsigned e = 0; e < agent->editions_count; e++) {
        const struct xf_agent_edition *edition = agent->editions[e];
        int place = xf_config_find_cluster(edition->config, target->cluster);
        if (place < 0 || edition->refused) {
            continue;
        }
        const struct xf_config_cluster *cluster = &edition->config->clusters[place];
        for (unsigned i = 0; i < cluster->servers_count; i++) {
            if (matches(target, cluster, &cluster->servers[i])) {
                write_health(xf_board_health(edition->board, cluster->first_server + i), target);
            }
        }
    }
}

static void ramp_tick(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct target *target = arg;
    publish(target);
    int64_t age_ms = xf_clock_boottime_ms(target->agent->clock) - target->changed_ms;
    if (target->up && age_ms < target->slow_start_ms) {
        evtimer_add(target->ramp, &(struct timeval){.tv_usec = RAMP_TICK_MS * 1000});
    }
}

static void change(struct target *target, bool up)
{
    char quoted[XF_LOG_QUOTE_BYTES];
    target->up = up;
    target->changed_ms = xf_clock_boottime_ms(target->agent->clock);
    xf_log(XF_LOG_NOTICE, up ? "server.up" : "server.down", "cluster=%s server=%s reason=%s",
           target->cluster, target->text, xf_log_quote(up ? "passed" : target->reason, quoted));
    ramp_tick(-1, 0, target);
}

/* ---- probes ---- */

/* Checks of one interval are spread, so that a fleet does not beat in time. */
static void add_timer(struct event *timer, int64_t ms)
{
    uint32_t random;
    evutil_secure_rng_get_bytes(&random, sizeof(random));
    int64_t spread = ms - ms / 10 + (int64_t) random % (ms / 5 + 1);
    struct timeval delay = {.tv_sec = spread / 1000, .tv_usec = spread % 1000 * 1000};
    evtimer_add(timer, &delay);
}

static void probed(void *context, bool passed, const char *reason)
{
    struct target *target = context;
    target->probe = NULL;
    target->agent->checks->probes--;
    target->passed = passed ? target->passed + 1 : 0;
    target->failed = passed ? 0 : target->failed + 1;
    if (!passed) {
        xf_agent_copy(target->reason, sizeof(target->reason), reason);
    }
    if (target->up && target->failed >= target->check.fall) {
        change(target, false);
    } else if (!target->up && target->passed >= target->check.rise) {
        target->reason[0] = '\0';
        change(target, true);
    }
    add_timer(target->timer, target->check.every_ms);
}

static void begin_probe(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct target *target = arg;
    struct xf_agent_checks *checks = target->agent->checks;
    /* Its name has no address yet, or TLS cannot be spoken: what is unknown stays as it was. */
    if (target->address_bytes == 0 || (target->tls_name != NULL && target->tls == NULL)) {
        add_timer(target->timer, target->check.every_ms);
        return;
    }
    struct xf_probe_options options = {.address = &target->address,
                                       .host = target->text,
                                       .path = target->path,
                                       .expect_low = target->check.expect_low,
                                       .expect_high = target->check.expect_high,
                                       .body = target->body,
                                       .send_proxy = target->send_proxy,
                                       .tls = target->tls,
                                       .tls_name = target->tls_name,
                                       .timeout_ms = target->check.timeout_ms};
    if (checks->probes < PROBES_MAX) {
        target->probe = xf_probe_start(target->agent->loop, &options, probed, target);
    }
    if (target->probe == NULL) {
        add_timer(target->timer, CROWDED_MS);
        return;
    }
    checks->probes++;
}

/* ---- names ---- */

static bool is_among(const struct target *target, const struct sockaddr_storage *addresses,
                     size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (target->address_bytes == (unsigned) xf_address_bytes(&addresses[i]) &&
            memcmp(&target->address, &addresses[i], target->address_bytes) == 0) {
            return true;
        }
    }
    return false;
}

/* An address that still stands in the answer is kept; without an answer the last one stays. */
static void looked_up(void *context, const struct sockaddr_storage *addresses, size_t count,
                      unsigned ttl_s, const char *why)
{
    struct target *target = context;
    char quoted[XF_LOG_QUOTE_BYTES];
    int64_t next_ms = TTL_MS_LEAST;
    if (why != NULL || count == 0) {
        xf_log(XF_LOG_WARNING, "server.unresolved", "cluster=%s server=%s reason=%s",
               target->cluster, target->text, xf_log_quote(why != NULL ? why : "none", quoted));
        if (target->address_bytes == 0) {
            xf_agent_copy(target->reason, sizeof(target->reason), "its name has no address");
        }
    } else {
        next_ms = (int64_t) ttl_s * 1000;
        next_ms = next_ms < TTL_MS_LEAST ? TTL_MS_LEAST : next_ms;
        next_ms = next_ms > TTL_MS_MOST ? TTL_MS_MOST : next_ms;
        if (!is_among(target, addresses, count)) {
            memset(&target->address, 0, sizeof(target->address));
            target->address_bytes = (unsigned) xf_address_bytes(&addresses[0]);
            memcpy(&target->address, &addresses[0], target->address_bytes);
            xf_log(XF_LOG_INFO, "server.resolved", "cluster=%s server=%s addresses=%zu",
                   target->cluster, target->text, count);
            publish(target);
        }
    }
    xf_lookup_destroy(target->lookup);
    target->lookup = NULL;
    add_timer(target->renew, next_ms);
}

static void begin_lookup(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct target *target = arg;
    struct xf_error err = {0};
    if (xf_lookup_start(target->agent->loop, target->host, target->port, LOOKUP_MS, looked_up,
                        target, &target->lookup, &err) != 0) {
        target->lookup = NULL;
        add_timer(target->renew, TTL_MS_LEAST);
    }
}

/* ---- editions ---- */

/* What an agent before this one, or an edition before, knew of the server. */
static void inherit(struct target *target, const struct xf_server_health *health)
{
    bool up = atomic_load_explicit(&health->up, memory_order_relaxed) != 0;
    target->drained = atomic_load_explicit(&health->drained, memory_order_relaxed) != 0;
    if (!up) {
        target->up = false;
        target->changed_ms =
            (int64_t) atomic_load_explicit(&health->changed_ms, memory_order_relaxed);
        xf_agent_copy(target->reason, sizeof(target->reason), "check fails");
    }
    if (target->address_bytes == 0 && health->address_bytes > 0 &&
        health->address_bytes <= sizeof(health->address)) {
        target->address = health->address;
        target->address_bytes = health->address_bytes;
    }
}

static void begin_target(struct target *target, bool numeric)
{
    if (!numeric) {
        begin_lookup(-1, 0, target);
    }
    add_timer(target->timer, target->check.every_ms < 1000 ? target->check.every_ms : 1000);
}

static void configure_edition(struct xf_agent *agent, const struct xf_agent_edition *edition)
{
    for (unsigned c = 0; c < edition->config->clusters_count && !edition->refused; c++) {
        const struct xf_config_cluster *cluster = &edition->config->clusters[c];
        for (unsigned i = 0; i < cluster->servers_count; i++) {
            const struct xf_config_server *server = &cluster->servers[i];
            struct target *target = find_target(agent, cluster, server);
            if (target == NULL) {
                target = create_target(agent, cluster, server);
                if (target == NULL) {
                    continue; /* no memory: it stays up, as unknown is */
                }
                inherit(target, xf_board_health(edition->board, cluster->first_server + i));
                begin_target(target, server->endpoint.numeric);
            }
            load_tls(target, cluster);
            target->wanted = true;
            write_health(xf_board_health(edition->board, cluster->first_server + i), target);
        }
    }
}

void xf_agent_checks_configure(struct xf_agent *agent)
{
    struct xf_list *head = &agent->checks->targets;
    for (struct xf_list *node = head->next; node != head; node = node->next) {
        XF_CONTAINER_OF(node, struct target, node)->wanted = false;
    }
    for (unsigned i = 0; i < agent->editions_count; i++) {
        configure_edition(agent, agent->editions[i]);
    }
    struct xf_list *node = head->next;
    while (node != head) {
        struct target *target = XF_CONTAINER_OF(node, struct target, node);
        node = node->next;
        if (!target->wanted) {
            destroy_target(target);
        }
    }
}

struct xf_agent_checks *xf_agent_checks_create(void)
{
    struct xf_agent_checks *checks = calloc(1, sizeof(*checks));
    if (checks != NULL) {
        xf_list_init(&checks->targets);
    }
    return checks;
}

void xf_agent_checks_destroy(struct xf_agent_checks *checks)
{
    if (checks == NULL) {
        return;
    }
    while (!xf_list_empty(&checks->targets)) {
        destroy_target(XF_CONTAINER_OF(checks->targets.next, struct target, node));
    }
    free(checks);
}

/* ---- questions and orders ---- */

static const struct xf_config_cluster *cluster_of(const struct xf_config *config, unsigned server)
{
    for (unsigned i = 0; i < config->clusters_count; i++) {
        const struct xf_config_cluster *cluster = &config->clusters[i];
        if (server >= cluster->first_server &&
            server < cluster->first_server + cluster->servers_count) {
            return cluster;
        }
    }
    return NULL;
}

static const struct target *target_of(const struct xf_agent *agent, unsigned server)
{
    const struct xf_config_cluster *cluster = cluster_of(agent->config, server);
    if (cluster == NULL) {
        return NULL;
    }
    return find_target(agent, cluster, &cluster->servers[server - cluster->first_server]);
}

unsigned xf_agent_checks_weight(const struct xf_agent *agent, unsigned server)
{
    const struct target *target = target_of(agent, server);
    return target != NULL ? effective_weight(target) : 0;
}

/* What the workers say of it: out where none of them chooses it; said already where one does not.
 */
static bool is_ejected(const struct xf_agent *agent, unsigned server, char *reason, size_t bytes)
{
    uint64_t ejecting = agent->totals.servers[server].ejected;
    if (ejecting == 0) {
        return false;
    }
    (void) snprintf(reason, bytes, "ejected by %llu of %llu workers: failures in a row",
                    (unsigned long long) ejecting, (unsigned long long) agent->totals.accepting);
    return ejecting >= agent->totals.accepting;
}

bool xf_agent_checks_up(const struct xf_agent *agent, unsigned server, char *reason, size_t bytes)
{
    const struct target *target = target_of(agent, server);
    if (target == NULL) {
        xf_agent_copy(reason, bytes, "not checked yet");
        return false;
    }
    if (target->drained) {
        xf_agent_copy(reason, bytes, "drained by an operator");
        return false;
    }
    bool usable = target->up && target->address_bytes != 0;
    xf_agent_copy(reason, bytes, usable ? "" : target->reason);
    return usable && !is_ejected(agent, server, reason, bytes);
}

void xf_agent_checks_source(const struct xf_agent *agent, unsigned server,
                            char ret[INET6_ADDRSTRLEN])
{
    const struct target *target = target_of(agent, server);
    if (target == NULL || target->address_bytes == 0 ||
        !xf_source_address((const struct sockaddr *) &target->address, target->address_bytes,
                           ret)) {
        ret[0] = '\0';
    }
}

int xf_agent_checks_order(struct xf_agent *agent, const char *cluster, const char *address,
                          enum xf_agent_server_word word, unsigned weight, struct xf_error *err)
{
    static const char *const words[] = {"drain", "ready", "weight"};
    struct xf_list *head = &agent->checks->targets;
    bool any = false;
    for (struct xf_list *node = head->next; node != head; node = node->next) {
        struct target *target = XF_CONTAINER_OF(node, struct target, node);
        if (strcmp(target->cluster, cluster) != 0 || strcmp(target->text, address) != 0) {
            continue;
        }
        any = true;
        target->drained = word == XF_SERVER_DRAIN || (word == XF_SERVER_WEIGHT && target->drained);
        target->weight_ordered = word == XF_SERVER_WEIGHT ? weight : target->weight_ordered;
        publish(target);
    }
    if (!any) {
        return XF_FAIL(err, XF_E_USAGE, "cluster %s has no server %s on this host", cluster,
                       address);
    }
    xf_log(XF_LOG_NOTICE, "server.order", "cluster=%s server=%s order=%s weight=%u", cluster,
           address, words[word], weight);
    return 0;
}
