/*
 * metrics.c -- one function per family or group of families.
 *
 * Counters of (service, cluster) pairs are described in a table, so that a new one is one line.
 * Label values are names of the configuration and words of ours; servers' addresses are escaped.
 */
#include "shifter/agent/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct writer {
    struct xf_text text;
    const struct xf_metrics_view *view;
};

static void family(struct writer *writer, const char *name, const char *type, const char *help)
{
    xf_text_printf(&writer->text, "# HELP crossfade_%s %s\n# TYPE crossfade_%s %s\n", name, help,
                   name, type);
}

static void whole(struct writer *writer, uint64_t value)
{
    xf_text_printf(&writer->text, "%" PRIu64 "\n", value);
}

static void real(struct writer *writer, double value)
{
    if (isnan(value)) {
        xf_text_puts(&writer->text, "NaN\n");
    } else {
        xf_text_printf(&writer->text, "%.12g\n", value);
    }
}

/* `crossfade_NAME{…} `, the labels as printf makes them. */
static void sample(struct writer *writer, const char *name, const char *labels, ...)
    XF_PRINTF(3, 4);
static void sample(struct writer *writer, const char *name, const char *labels, ...)
{
    char made[512];
    va_list args;
    va_start(args, labels);
    (void) vsnprintf(made, sizeof(made), labels, args);
    va_end(args);
    xf_text_printf(&writer->text, "crossfade_%s{%s} ", name, made);
}

static void single(struct writer *writer, const char *name, const char *type, const char *help,
                   double value)
{
    family(writer, name, type, help);
    xf_text_printf(&writer->text, "crossfade_%s ", name);
    real(writer, value);
}

/* ---- pairs of service and cluster ---- */

typedef void write_pair(struct writer *writer, const char *service, const char *cluster,
                        const struct xf_totals_pair *pair);

static void each_pair(struct writer *writer, write_pair *write)
{
    const struct xf_config *config = writer->view->config;
    for (unsigned i = 0; i < config->services_count; i++) {
        const struct xf_config_service *service = &config->services[i];
        for (unsigned k = 0; k < service->clusters_count; k++) {
            write(writer, service->name, config->clusters[service->clusters[k]].name,
                  &writer->view->totals->pairs[service->first_pair + k]);
        }
    }
}

#define PAIR_LABELS "service=\"%s\",cluster=\"%s\""

static void write_answers(struct writer *writer, const char *service, const char *cluster,
                          const struct xf_totals_pair *pair)
{
    static const char *const classes[6] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
    for (unsigned i = 0; i < XF_COUNT(classes); i++) {
        sample(writer, "requests_total", PAIR_LABELS ",code=\"%s\"", service, cluster, classes[i]);
        whole(writer, pair->class[i]);
    }
}

static void write_errors(struct writer *writer, const char *service, const char *cluster,
                         const struct xf_totals_pair *pair)
{
    static const char *const reasons[XF_ERROR_KINDS] = {"status", "connect", "reset", "timeout",
                                                        "truncated"};
    for (unsigned i = 0; i < XF_ERROR_KINDS; i++) {
        sample(writer, "upstream_errors_total", PAIR_LABELS ",reason=\"%s\"", service, cluster,
               reasons[i]);
        whole(writer, pair->errors[i]);
    }
}

static void write_choices(struct writer *writer, const char *service, const char *cluster,
                          const struct xf_totals_pair *pair)
{
    static const char *const why[XF_WHYS] = {"weight", "sticky", "override", "rescue", "fallback"};
    for (unsigned i = 0; i < XF_WHYS; i++) {
        sample(writer, "choices_total", PAIR_LABELS ",why=\"%s\"", service, cluster, why[i]);
        whole(writer, pair->why[i]);
    }
}

/* Plain counters of a pair: name, help, place. */
static const struct {
    const char *name, *help;
    size_t at;
} pair_counters[] = {
    {"upstream_requests_total", "Requests sent to the cluster.",
     offsetof(struct xf_totals_pair, requests)},
    {"rescues_total", "Requests that failed on the cluster and were answered by blue.",
     offsetof(struct xf_totals_pair, rescued)},
    {"upstream_retries_total", "Further connections tried for a request.",
     offsetof(struct xf_totals_pair, retried)},
    {"client_aborts_total", "Requests whose client hung up first.",
     offsetof(struct xf_totals_pair, client_aborts)},
    {"no_route_total", "Answers in which Kong says that no route matched: 404s of its own.",
     offsetof(struct xf_totals_pair, no_route)},
    {"request_bytes_total", "Bytes of requests sent to the cluster.",
     offsetof(struct xf_totals_pair, bytes_in)},
    {"response_bytes_total", "Bytes of responses passed on.",
     offsetof(struct xf_totals_pair, bytes_out)},
};

static void write_pair_counters(struct writer *writer)
{
    const struct xf_config *config = writer->view->config;
    for (unsigned c = 0; c < XF_COUNT(pair_counters); c++) {
        family(writer, pair_counters[c].name, "counter", pair_counters[c].help);
        for (unsigned i = 0; i < config->services_count; i++) {
            const struct xf_config_service *service = &config->services[i];
            for (unsigned k = 0; k < service->clusters_count; k++) {
                const char *pair =
                    (const char *) &writer->view->totals->pairs[service->first_pair + k];
                uint64_t value;
                memcpy(&value, pair + pair_counters[c].at, sizeof(value));
                sample(writer, pair_counters[c].name, PAIR_LABELS, service->name,
                       config->clusters[service->clusters[k]].name);
                whole(writer, value);
            }
        }
    }
}

static void write_latency(struct writer *writer, const char *service, const char *cluster,
                          const struct xf_totals_pair *pair)
{
    static const struct {
        const char *le;
        uint64_t us;
    } edges[] = {{"0.001", 1000},  {"0.0025", 2500}, {"0.005", 5000},  {"0.01", 10000},
                 {"0.025", 25000}, {"0.05", 50000},  {"0.1", 100000},  {"0.25", 250000},
                 {"0.5", 500000},  {"1", 1000000},   {"2.5", 2500000}, {"5", 5000000},
                 {"10", 10000000}};
    uint64_t seen = 0;
    unsigned bucket = 0;
    for (unsigned i = 0; i < XF_COUNT(edges); i++) {
        while (bucket < XF_HISTOGRAM_BUCKETS && xf_histogram_edge(bucket) <= edges[i].us) {
            seen += pair->latency[bucket++];
        }
        sample(writer, "request_duration_seconds_bucket", PAIR_LABELS ",le=\"%s\"", service,
               cluster, edges[i].le);
        whole(writer, seen);
    }
    while (bucket < XF_HISTOGRAM_BUCKETS) {
        seen += pair->latency[bucket++];
    }
    sample(writer, "request_duration_seconds_bucket", PAIR_LABELS ",le=\"+Inf\"", service, cluster);
    whole(writer, seen);
    sample(writer, "request_duration_seconds_sum", PAIR_LABELS, service, cluster);
    real(writer, (double) pair->latency_sum_us / 1e6);
    sample(writer, "request_duration_seconds_count", PAIR_LABELS, service, cluster);
    whole(writer, seen);
}

static void write_pairs(struct writer *writer)
{
    family(writer, "requests_total", "counter", "Answers passed on, by class of status.");
    each_pair(writer, write_answers);
    family(writer, "upstream_errors_total", "counter", "Errors charged to the cluster.");
    each_pair(writer, write_errors);
    family(writer, "choices_total", "counter", "Requests by why the cluster was chosen.");
    each_pair(writer, write_choices);
    write_pair_counters(writer);
    family(writer, "request_duration_seconds", "histogram",
           "Time from dispatch to the last byte of the answer.");
    each_pair(writer, write_latency);
}

/* ---- services ---- */

static void write_refused(struct writer *writer)
{
    const struct xf_config *config = writer->view->config;
    static const char *const classes[6] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
    family(writer, "refused_total", "counter", "Answers made by the proxy itself, by class.");
    for (unsigned i = 0; i < config->services_count; i++) {
        for (unsigned k = 1; k < XF_COUNT(classes); k++) {
            sample(writer, "refused_total", "service=\"%s\",code=\"%s\"", config->services[i].name,
                   classes[k]);
            whole(writer, writer->view->totals->services[i].refused[k]);
        }
    }
    family(writer, "fenced_total", "counter", "Requests refused by a fence.");
    for (unsigned i = 0; i < config->services_count; i++) {
        sample(writer, "fenced_total", "service=\"%s\"", config->services[i].name);
        whole(writer, writer->view->totals->services[i].fenced);
    }
    family(writer, "no_server_total", "counter", "Requests for which no server was up.");
    for (unsigned i = 0; i < config->services_count; i++) {
        sample(writer, "no_server_total", "service=\"%s\"", config->services[i].name);
        whole(writer, writer->view->totals->services[i].no_server);
    }
}

/* A gauge of each service; NAN leaves the service out. */
static void service_gauge(struct writer *writer, const char *name, const char *help,
                          double (*value)(const struct xf_metrics_service *service))
{
    family(writer, name, "gauge", help);
    for (unsigned i = 0; i < writer->view->services_count; i++) {
        double now = value(&writer->view->services[i]);
        if (!isnan(now)) {
            sample(writer, name, "service=\"%s\"", writer->view->services[i].name);
            real(writer, now);
        }
    }
}

static double desired(const struct xf_metrics_service *service)
{
    return service->document != NULL ? service->document->weight / (double) XF_WEIGHT_FULL : NAN;
}

static double served(const struct xf_metrics_service *service)
{
    return service->routed ? service->weight / (double) XF_WEIGHT_FULL : NAN;
}

static double generation(const struct xf_metrics_service *service)
{
    return service->document != NULL ? (double) service->version.generation : NAN;
}

static double epoch(const struct xf_metrics_service *service)
{
    return service->document != NULL ? (double) service->version.epoch : NAN;
}

static double step(const struct xf_metrics_service *service)
{
    return service->document != NULL ? service->document->step + 1 : NAN;
}

static double in_force(const struct xf_metrics_service *service)
{
    return service->in_force;
}

static double led(const struct xf_metrics_service *service)
{
    return service->led;
}

static double fork_seen(const struct xf_metrics_service *service)
{
    return service->fork;
}

static double stale(const struct xf_metrics_service *service)
{
    return service->stale;
}

static double lag(const struct xf_metrics_service *service)
{
    return service->lag_s;
}

static double signal_sequence(const struct xf_metrics_service *service)
{
    return service->document != NULL ? service->document->signal.sequence : NAN;
}

static double journal_up(const struct xf_metrics_service *service)
{
    return service->journal > 0 ? service->journal - 1.0 : NAN;
}

static double journal_backlog(const struct xf_metrics_service *service)
{
    return service->journal > 0 ? (double) service->journal_backlog : NAN;
}

static void write_states(struct writer *writer)
{
    family(writer, "state", "gauge", "1 for the state of the service's cutover, else 0.");
    for (unsigned i = 0; i < writer->view->services_count; i++) {
        const struct xf_metrics_service *service = &writer->view->services[i];
        for (unsigned k = 0; service->document != NULL && k < XF_CUTOVER_STATES; k++) {
            sample(writer, "state", "service=\"%s\",state=\"%s\"", service->name,
                   xf_cutover_state_name((enum xf_cutover_state) k));
            whole(writer, service->document->state == (enum xf_cutover_state) k);
        }
    }
    family(writer, "hold", "gauge", "1 while the reason holds the weight, else 0.");
    for (unsigned i = 0; i < writer->view->services_count; i++) {
        const struct xf_metrics_service *service = &writer->view->services[i];
        for (unsigned k = 0; service->document != NULL && k < XF_HOLDS; k++) {
            sample(writer, "hold", "service=\"%s\",reason=\"%s\"", service->name,
                   xf_hold_name((enum xf_hold) k));
            whole(writer, service->document->holds[k].on);
        }
    }
}

static void write_services(struct writer *writer)
{
    write_refused(writer);
    service_gauge(writer, "weight_desired_ratio", "Green's share as decided.", desired);
    service_gauge(writer, "weight_actual_ratio", "Green's share on this proxy's boards.", served);
    service_gauge(writer, "generation", "Generation of the control state.", generation);
    service_gauge(writer, "epoch", "Epoch of the leader that wrote it.", epoch);
    service_gauge(writer, "step", "Step of the plan, counted from 1.", step);
    service_gauge(writer, "version_in_force", "1 when no worker can still act on an older version.",
                  in_force);
    service_gauge(writer, "leader_up", "1 while a leader of the service is heard.", led);
    service_gauge(writer, "fork", "1 when one version came with two write ids.", fork_seen);
    service_gauge(writer, "stale", "1 while a snapshot or an assumption is served.", stale);
    service_gauge(writer, "store_lag_seconds", "Since the state was last confirmed.", lag);
    service_gauge(writer, "signal_sequence", "0 none, 1 decommission, 2 revoked.", signal_sequence);
    service_gauge(writer, "journal_up", "1 while the journal takes rows, as its leader says.",
                  journal_up);
    service_gauge(writer, "journal_backlog_changes", "Changes that the journal lacks.",
                  journal_backlog);
    write_states(writer);
}

/* ---- clusters and servers ---- */

static const struct {
    const char *name, *help;
    size_t at;
} cluster_gauges[] = {
    {"in_flight_requests", "Requests from the choice of the cluster to the last byte.",
     offsetof(struct xf_totals_cluster, in_flight)},
    {"tunnels", "Open tunnels.", offsetof(struct xf_totals_cluster, tunnels)},
    {"pooled_connections", "Idle connections kept.", offsetof(struct xf_totals_cluster, pooled)},
    {"queued_requests", "Requests that wait for a server.",
     offsetof(struct xf_totals_cluster, queued)},
};

static void write_clusters(struct writer *writer)
{
    const struct xf_config *config = writer->view->config;
    for (unsigned g = 0; g < XF_COUNT(cluster_gauges); g++) {
        family(writer, cluster_gauges[g].name, "gauge", cluster_gauges[g].help);
        for (unsigned i = 0; i < config->clusters_count; i++) {
            const char *cluster = (const char *) &writer->view->totals->clusters[i];
            uint64_t value;
            memcpy(&value, cluster + cluster_gauges[g].at, sizeof(value));
            sample(writer, cluster_gauges[g].name, "cluster=\"%s\"", config->clusters[i].name);
            whole(writer, value);
        }
    }
}

static void write_drained(struct writer *writer)
{
    static const char *const kinds[XF_DRAINED_KINDS] = {"tunnel", "answer", "request"};
    const struct xf_config *config = writer->view->config;
    family(writer, "drained_total", "counter",
           "Ended by a drain: tunnels, answers that had begun, requests that waited for one.");
    for (unsigned i = 0; i < config->clusters_count; i++) {
        for (unsigned k = 0; k < XF_DRAINED_KINDS; k++) {
            sample(writer, "drained_total", "cluster=\"%s\",kind=\"%s\"", config->clusters[i].name,
                   kinds[k]);
            whole(writer, writer->view->totals->clusters[i].drained[k]);
        }
    }
}

typedef uint64_t server_value(const struct xf_metrics_view *view, unsigned server);

static uint64_t server_up(const struct xf_metrics_view *view, unsigned server)
{
    return view->server_up[server];
}

static uint64_t server_in_flight(const struct xf_metrics_view *view, unsigned server)
{
    return view->totals->servers[server].in_flight;
}

static uint64_t server_requests(const struct xf_metrics_view *view, unsigned server)
{
    return view->totals->servers[server].requests;
}

static uint64_t server_failures(const struct xf_metrics_view *view, unsigned server)
{
    return view->totals->servers[server].failures;
}

static uint64_t server_ejections(const struct xf_metrics_view *view, unsigned server)
{
    return view->totals->servers[server].ejections;
}

static uint64_t server_ejected(const struct xf_metrics_view *view, unsigned server)
{
    return view->totals->servers[server].ejected;
}

static void server_family(struct writer *writer, const char *name, const char *type,
                          const char *help, server_value *value)
{
    const struct xf_config *config = writer->view->config;
    family(writer, name, type, help);
    for (unsigned i = 0; i < config->clusters_count; i++) {
        const struct xf_config_cluster *cluster = &config->clusters[i];
        for (unsigned k = 0; k < cluster->servers_count; k++) {
            xf_text_printf(&writer->text, "crossfade_%s{cluster=\"%s\",server=", name,
                           cluster->name);
            const char *address = cluster->servers[k].endpoint.text;
            xf_text_json(&writer->text, address, strlen(address));
            xf_text_puts(&writer->text, "} ");
            whole(writer, value(writer->view, cluster->first_server + k));
        }
    }
}

static void write_servers(struct writer *writer)
{
    server_family(writer, "server_up", "gauge", "1 while the server may be chosen.", server_up);
    server_family(writer, "server_in_flight_requests", "gauge", "Requests in flight.",
                  server_in_flight);
    server_family(writer, "server_requests_total", "counter", "Requests sent.", server_requests);
    server_family(writer, "server_failures_total", "counter",
                  "Connect failures, resets and time-outs.", server_failures);
    server_family(writer, "server_ejections_total", "counter",
                  "Times that a worker took the server out after failures in a row.",
                  server_ejections);
    server_family(writer, "server_ejecting_workers", "gauge", "Workers that have ejected it.",
                  server_ejected);
}

/* ---- certificates ---- */

static bool is_repeated(const struct xf_config_listener *listener, unsigned certificate)
{
    const char *path = xf_config_certificate(listener, certificate)->certificate;
    for (unsigned i = 0; i < certificate; i++) {
        if (strcmp(xf_config_certificate(listener, i)->certificate, path) == 0) {
            return true;
        }
    }
    return false;
}

static void write_certificates(struct writer *writer)
{
    static const char name[] = "tls_certificate_expiry_timestamp_seconds";
    const struct xf_config *config = writer->view->config;
    const int64_t *expiry = writer->view->expiry;
    if (expiry == NULL) {
        return;
    }
    family(writer, name, "gauge", "When a listener's certificate ends, as it was last loaded.");
    for (unsigned i = 0; i < config->listeners_count; i++) {
        const struct xf_config_listener *listener = &config->listeners[i];
        const struct xf_config_tls *tls;
        for (unsigned k = 0; (tls = xf_config_certificate(listener, k)) != NULL; k++, expiry++) {
            if (*expiry < 0 || is_repeated(listener, k)) {
                continue;
            }
            xf_text_printf(&writer->text, "crossfade_%s{listener=", name);
            xf_text_json(&writer->text, listener->bind.text, strlen(listener->bind.text));
            xf_text_puts(&writer->text, ",certificate=");
            xf_text_json(&writer->text, tls->certificate, strlen(tls->certificate));
            xf_text_puts(&writer->text, "} ");
            whole(writer, (uint64_t) *expiry);
        }
    }
}

/* ---- the host ---- */

static void write_host(struct writer *writer)
{
    const struct xf_metrics_view *view = writer->view;
    const struct xf_totals *totals = view->totals;
    family(writer, "build_info", "gauge", "The version that runs.");
    sample(writer, "build_info", "version=\"%s\"", XF_VERSION);
    whole(writer, 1);
    single(writer, "client_connections", "gauge", "Open client connections.",
           (double) totals->clients);
    single(writer, "accepted_total", "counter", "Client connections accepted.",
           (double) totals->accepted);
    single(writer, "tls_handshakes_total", "counter", "TLS handshakes finished with clients.",
           (double) totals->tls_handshakes);
    single(writer, "tls_resumed_total", "counter", "TLS sessions resumed.",
           (double) totals->tls_resumed);
    single(writer, "log_dropped_total", "counter", "Access log lines dropped.",
           (double) totals->log_dropped);
    single(writer, "workers", "gauge", "Worker slots of live editions.", totals->workers);
    single(writer, "workers_accepting", "gauge", "Workers that accept.",
           (double) totals->accepting);
    single(writer, "buffer_bytes", "gauge", "Bytes of buffers in use.", (double) totals->buffers);
    single(writer, "editions", "gauge", "Live editions of workers.", view->editions);
    single(writer, "store_up", "gauge", "1 while the bus to the leader is connected.",
           view->bus_up);
    single(writer, "config_reload_success", "gauge", "1 when the last reload was accepted.",
           view->reload_ok);
    single(writer, "snapshot_success", "gauge", "1 when the last snapshot was written.",
           view->snapshot_ok);
}

char *xf_metrics_write(const struct xf_metrics_view *view, size_t *ret_length)
{
    struct writer writer = {.view = view};
    xf_text_init(&writer.text, XF_METRICS_BYTES_MAX);
    write_host(&writer);
    write_certificates(&writer);
    write_services(&writer);
    write_clusters(&writer);
    write_drained(&writer);
    write_servers(&writer);
    write_pairs(&writer);
    *ret_length = writer.text.length;
    char *ret = xf_text_take(&writer.text);
    xf_text_release(&writer.text);
    return ret;
}
