/*
 * agent_editions.c -- the configurations and boards of the editions that live.
 *
 * A board comes with the text of the configuration it was made from, so that places on the board
 * mean the same here as in its workers, also for an agent that was restarted.  The newest
 * edition's configuration is the agent's.
 */
#include "shifter/agent/agent_state.h"

#include "config/base/log.h"
#include "shifter/admin/admin.h"
#include "shifter/admin/admin_tls.h"
#include "shifter/agent/lone_judge.h"
#include "shifter/agent/agent_checks.h"
#include "shifter/agent/agent_drain.h"
#include "shifter/agent/agent_rates.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct xf_agent_service *xf_agent_find(struct xf_agent *agent, const char *name)
{
    for (unsigned i = 0; i < agent->services_count; i++) {
        if (strcmp(agent->services[i].name, name) == 0) {
            return &agent->services[i];
        }
    }
    return NULL;
}

struct xf_agent_service *xf_agent_deciding(struct xf_agent *agent, unsigned service)
{
    XF_ASSERT(service < agent->services_count);
    return &agent->services[xf_agent_route_source(agent->config, service)];
}

static char *read_memfd(int fd, size_t *ret_length)
{
    struct stat about;
    if (fstat(fd, &about) != 0 || about.st_size < 0 ||
        (uint64_t) about.st_size > XF_CONFIG_BYTES_MAX) {
        return NULL;
    }
    char *text = malloc((size_t) about.st_size + 1);
    ssize_t length = text != NULL ? pread(fd, text, (size_t) about.st_size, 0) : -1;
    if (length != about.st_size) {
        free(text);
        return NULL;
    }
    text[length] = '\0';
    *ret_length = (size_t) length;
    return text;
}

struct xf_config *xf_agent_editions_read(int fd, char *reason, size_t bytes)
{
    size_t length = 0;
    char *text = read_memfd(fd, &length);
    close(fd);
    if (text == NULL) {
        (void) snprintf(reason, bytes, "the configuration could not be read");
        return NULL;
    }
    struct xf_config *config = NULL;
    struct xf_problems problems = {0};
    if (xf_config_parse("configuration", text, length, &config, &problems) != 0) {
        xf_agent_copy(reason, bytes,
                      problems.count > 0 ? problems.items[0].message : "it does not parse");
        config = NULL;
    }
    xf_problems_release(&problems);
    free(text);
    return config;
}

void xf_agent_editions_offer(struct xf_agent *agent, uint64_t number, int config_fd)
{
    char reason[XF_CHANNEL_TEXT_BYTES], quoted[XF_LOG_QUOTE_BYTES];
    xf_config_destroy(agent->offered);
    agent->offered = xf_agent_editions_read(config_fd, reason, sizeof(reason));
    agent->offered_edition = number;
    if (agent->offered == NULL) {
        xf_log(XF_LOG_ERROR, "agent.config_unreadable", "edition=%llu problem=%s",
               (unsigned long long) number, xf_log_quote(reason, quoted));
    }
}

/* ---- the newest configuration becomes the agent's ---- */

static void init_service(struct xf_agent_service *service, const char *name)
{
    memset(service, 0, sizeof(*service));
    xf_agent_copy(service->name, sizeof(service->name), name);
}

/* Services keep what is known of them, by name. */
static bool adopt_services(struct xf_agent *agent, const struct xf_config *config)
{
    struct xf_agent_service *services = calloc(config->services_count + 1, sizeof(services[0]));
    struct xf_agent_quiet *quiet = calloc(config->clusters_count + 1, sizeof(quiet[0]));
    struct xf_agent_rates *rates = xf_agent_rates_create(config);
    struct xf_agent_drains *drains = xf_agent_drains_create(config);
    struct xf_totals totals;
    if (services == NULL || quiet == NULL || rates == NULL || drains == NULL ||
        !xf_totals_init(&totals, config)) {
        free(services);
        free(quiet);
        xf_agent_drains_destroy(drains);
        xf_agent_rates_destroy(rates);
        return false;
    }
    for (unsigned i = 0; i < config->services_count; i++) {
        struct xf_agent_service *known = xf_agent_find(agent, config->services[i].name);
        if (known != NULL) {
            services[i] = *known;
            known->document = NULL;
            known->lone = NULL;
        } else {
            init_service(&services[i], config->services[i].name);
        }
    }
    for (unsigned i = 0; i < agent->services_count; i++) {
        xf_document_destroy(agent->services[i].document);
        xf_lone_judge_destroy(agent->services[i].lone);
    }
    for (unsigned i = 0; i < config->clusters_count; i++) {
        quiet[i].since_ms = -1;
    }
    free(agent->services);
    free(agent->quiet);
    xf_totals_release(&agent->totals);
    xf_agent_rates_destroy(agent->rates);
    xf_agent_drains_inherit(drains, config, agent->drains, agent->config);
    xf_agent_drains_destroy(agent->drains);
    agent->drains = drains;
    agent->rates = rates;
    agent->services = services;
    agent->services_count = config->services_count;
    agent->quiet = quiet;
    agent->totals = totals;
    return true;
}

/* Files that cannot be read now leave the old ones in use. */
static void use_admin_tls(struct xf_agent *agent)
{
    struct ssl_ctx_st *context = NULL;
    struct xf_error err = {0};
    char quoted[XF_LOG_QUOTE_BYTES];
    if (xf_admin_tls_load(&agent->config->admin.tls, &context, &err) == 0) {
        xf_admin_use_tls(agent->admin, context);
    } else {
        xf_log(XF_LOG_ERROR, "admin.tls", "problem=%s", xf_log_quote(err.message, quoted));
    }
}

bool xf_agent_editions_adopt(struct xf_agent *agent, const struct xf_config *config)
{
    if (!adopt_services(agent, config)) {
        return false;
    }
    agent->config = config;
    use_admin_tls(agent);
    for (unsigned i = 0; i < agent->editions_count; i++) {
        xf_agent_edition_map(agent->editions[i], config);
    }
    return true;
}

/* ---- editions come and go ---- */

/* Words that an agent before this one wrote: their records, and those that workers may still hold,
 * are not to be touched before the next wait has passed. */
static void respect_records(struct xf_agent *agent, const struct xf_agent_edition *edition)
{
    bool found = false;
    for (unsigned i = 0; i < edition->config->services_count; i++) {
        uint64_t word =
            atomic_load_explicit(&xf_board_route(edition->board, i)->word, memory_order_relaxed);
        int place = edition->services[i];
        if ((xf_route_flags(word) & XF_ROUTE_VALID) == 0 || place < 0) {
            continue;
        }
        struct xf_agent_service *service = &agent->services[place];
        service->slot = xf_route_record_number(word) % XF_AGENT_SLOTS;
        service->weight = service->weight_before = xf_route_weight(word);
        service->routed = true;
        service->sequence = agent->sequence + 1;
        for (unsigned k = 0; k < XF_AGENT_SLOTS; k++) {
            service->slot_until[k] = agent->sequence + 1;
        }
        found = true;
    }
    agent->sequence += found ? 1 : 0;
}

static struct xf_board *attach(const struct xf_channel_message *message, struct xf_error *err)
{
    unsigned workers = (unsigned) message->b;
    struct xf_board *board = NULL;
    if (message->b == 0 || message->b > XF_WORKERS_MAX || message->fds_count != workers + 2) {
        for (unsigned i = 0; i < message->fds_count; i++) {
            close(message->fds[i]);
        }
        (void) XF_FAIL(err, XF_E_FAILED, "an edition of %llu workers came with %u descriptors",
                       (unsigned long long) message->b, message->fds_count);
        return NULL;
    }
    if (xf_board_attach(message->fds[0], message->fds[1], &message->fds[2], workers, &board, err) !=
        0) {
        return NULL;
    }
    return board;
}

static void refuse(uint64_t number, const char *why)
{
    char quoted[XF_LOG_QUOTE_BYTES];
    xf_log(XF_LOG_ERROR, "agent.edition_refused", "edition=%llu problem=%s",
           (unsigned long long) number, xf_log_quote(why, quoted));
}

void xf_agent_editions_add(struct xf_agent *agent, const struct xf_channel_message *message)
{
    struct xf_error err = {0};
    struct xf_board *board = attach(message, &err);
    struct xf_config *config = agent->offered_edition == message->a ? agent->offered : NULL;
    if (board == NULL || config == NULL || agent->editions_count == XF_INFORCE_EDITIONS_MAX) {
        refuse(message->a, board == NULL    ? err.message
                           : config == NULL ? "its configuration is not known"
                                            : "too many editions live");
        xf_board_destroy(board);
        return;
    }
    agent->offered = NULL;
    struct xf_agent_edition *edition = xf_agent_edition_create(message->a, config, board);
    if (edition == NULL) {
        refuse(message->a, "no memory");
        return;
    }
    edition->refused = !xf_agent_edition_fits(edition);
    if (edition->refused) {
        refuse(message->a, "its board does not fit its configuration");
    }
    agent->editions[agent->editions_count++] = edition;
    bool newest = true;
    for (unsigned i = 0; i < agent->editions_count; i++) {
        newest = newest && agent->editions[i]->number <= edition->number;
    }
    if (newest && !xf_agent_editions_adopt(agent, config)) {
        refuse(message->a, "no memory");
    }
    xf_agent_edition_map(edition, agent->config);
    if (!edition->refused) {
        respect_records(agent, edition);
    }
    atomic_store_explicit(&board->control->clock_offset_us, agent->clock_offset_us,
                          memory_order_relaxed);
    xf_log(XF_LOG_INFO, "agent.edition", "edition=%llu workers=%u", (unsigned long long) message->a,
           board->workers);
    xf_agent_checks_configure(agent);
    xf_agent_routes_update(agent);
    /* The sums began anew with the configuration: nobody may see them as zero. */
    if (!xf_totals_read(&agent->totals, agent->editions, agent->editions_count,
                        xf_clock_boottime_ms(agent->clock))) {
        xf_agent_quiet_reset(agent);
    }
}

void xf_agent_editions_remove(struct xf_agent *agent, uint64_t number)
{
    for (unsigned i = 0; i < agent->editions_count; i++) {
        struct xf_agent_edition *edition = agent->editions[i];
        if (edition->number != number) {
            continue;
        }
        for (unsigned w = 0; w < edition->board->workers; w++) {
            xf_inforce_forget(&agent->inforce, edition->board->stats[w]);
        }
        xf_agent_samples_forget(agent, number);
        agent->editions_count--;
        memmove(&agent->editions[i], &agent->editions[i + 1],
                (agent->editions_count - i) * sizeof(agent->editions[0]));
        if (edition->config == agent->config) {
            agent->config = NULL;
        }
        if (agent->config == NULL) {
            /* The newest went (a start that failed): what is left decides, else the first one. */
            const struct xf_config *heir = agent->editions_count > 0
                                               ? agent->editions[agent->editions_count - 1]->config
                                               : agent->start->config;
            if (!xf_agent_editions_adopt(agent, heir)) {
                agent->config = agent->start->config;
            }
        }
        xf_agent_edition_destroy(edition);
        xf_agent_checks_configure(agent);
        return;
    }
}

void xf_agent_editions_release(struct xf_agent *agent)
{
    for (unsigned i = 0; i < agent->editions_count; i++) {
        xf_agent_edition_destroy(agent->editions[i]);
    }
    agent->editions_count = 0;
    xf_config_destroy(agent->offered);
    agent->offered = NULL;
}

static bool has_all_routes(const struct xf_agent_edition *edition)
{
    for (unsigned i = 0; i < edition->config->services_count; i++) {
        uint64_t word =
            atomic_load_explicit(&xf_board_route(edition->board, i)->word, memory_order_relaxed);
        if ((xf_route_flags(word) & XF_ROUTE_VALID) == 0) {
            return false;
        }
    }
    return true;
}

void xf_agent_editions_announce(struct xf_agent *agent)
{
    for (unsigned i = 0; i < agent->editions_count; i++) {
        struct xf_agent_edition *edition = agent->editions[i];
        if (edition->routed || edition->refused || !has_all_routes(edition)) {
            continue;
        }
        struct xf_channel_message message = {.kind = XF_CHANNEL_ROUTED, .a = edition->number};
        edition->routed = xf_channel_send(agent->start->channel_fd, &message);
    }
}

/* ---- reloads ---- */

static bool has_cluster(const struct xf_config *config, const char *service, const char *cluster)
{
    int place = xf_config_find_service(config, service);
    int number = xf_config_find_cluster(config, cluster);
    return place >= 0 && number >= 0 &&
           xf_config_pair(config, (unsigned) place, (unsigned) number) >= 0;
}

bool xf_agent_editions_allow(struct xf_agent *agent, const struct xf_config *config, char *reason,
                             size_t bytes)
{
    for (unsigned i = 0; i < agent->services_count; i++) {
        const struct xf_document *document = agent->services[i].document;
        if (document == NULL || agent->config->services[i].follows >= 0) {
            continue;
        }
        const char *names[] = {document->live, document->from, document->to};
        for (unsigned k = 0; k < XF_COUNT(names); k++) {
            if (names[k][0] == '\0' || has_cluster(config, document->service, names[k])) {
                continue;
            }
            (void) snprintf(reason, bytes,
                            "cluster \"%s\" is named by the control state of service \"%s\" (%s) "
                            "and cannot be dropped now",
                            names[k], document->service, xf_cutover_state_name(document->state));
            return false;
        }
    }
    return true;
}
