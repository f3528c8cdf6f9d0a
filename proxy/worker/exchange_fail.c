/*
 * exchange_fail.c -- when a server fails: what is tried again, what the client is told, and who
 * is charged; see exchange.h.
 *
 * A request is sent again only where it cannot be executed twice: nothing of it was written, or
 * its method is idempotent (RFC 9110 9.2.2) and nothing of an answer came.
 */
#include "proxy/worker/exchange.h"

#include "proxy/worker/eject.h"
#include "proxy/worker/pool.h"

struct verdict {
    enum xf_error_kind kind;
    uint16_t status;
    const char *text;
};

static const struct verdict verdicts[] = {
    [XF_FAILURE_CONNECT] = {XF_ERROR_CONNECT, 502, "no server could be reached"},
    [XF_FAILURE_CLOSED] = {XF_ERROR_RESET, 502, "the server closed without an answer"},
    [XF_FAILURE_MALFORMED] = {XF_ERROR_RESET, 502, "the server's answer was malformed"},
    [XF_FAILURE_TIMEOUT] = {XF_ERROR_TIMEOUT, 504, "the server did not answer in time"},
    [XF_FAILURE_TRUNCATED] = {XF_ERROR_TRUNCATED, 502, "the server's answer was cut short"},
};

void xf_exchange_charge(struct xf_exchange *exchange, enum xf_error_kind kind)
{
    struct xf_stats_pair *pair =
        xf_engine_pair(exchange->engine, exchange->service, exchange->choice.cluster);
    xf_exchange_judge(exchange, XF_JUDGED_BAD);
    if (pair != NULL && !exchange->charged) {
        exchange->charged = true;
        xf_count(&pair->errors[kind], 1);
    }
}

static void log_failure(struct xf_exchange *exchange, const struct verdict *verdict)
{
    struct xf_engine *engine = exchange->engine;
    const char *server =
        exchange->server < 0 ? "-" : engine->servers[exchange->server].config->endpoint.text;
    xf_log_limited(&engine->log_limit, 10, XF_LOG_WARNING, "upstream.failed",
                   "service=%s cluster=%s server=%s state=%s reason=\"%s\"",
                   engine->services[exchange->service].config->name,
                   engine->clusters[exchange->choice.cluster].config->name, server,
                   xf_exchange_state_name((enum xf_exchange_state) exchange->state), verdict->text);
}

/* The request's cluster has failed it.  Blue may answer for green; else the client is told. */
static bool give_up(struct xf_exchange *exchange, enum xf_failure failure)
{
    const struct verdict *verdict = &verdicts[failure];
    log_failure(exchange, verdict);
    xf_exchange_charge(exchange, verdict->kind);
    if (xf_exchange_rescue(exchange)) {
        return xf_exchange_try(exchange);
    }
    if (failure == XF_FAILURE_CONNECT && xf_exchange_fall_back(exchange)) {
        return xf_exchange_try(exchange);
    }
    xf_exchange_answer_self(exchange, verdict->status, verdict->text);
    return false;
}

bool xf_exchange_gave_up(struct xf_exchange *exchange)
{
    if (exchange->tries > 0) {
        return give_up(exchange, (enum xf_failure) exchange->failure);
    }
    if (xf_exchange_fall_back(exchange)) {
        return xf_exchange_try(exchange);
    }
    struct xf_engine *engine = exchange->engine;
    xf_count(&engine->services[exchange->service].stats->no_server, 1);
    log_failure(exchange, &(struct verdict){XF_ERROR_CONNECT, 503, "no server is up"});
    xf_exchange_charge(exchange, XF_ERROR_CONNECT);
    xf_exchange_answer_self(exchange, 503, "no server is up");
    return false;
}

bool xf_exchange_no_room(struct xf_exchange *exchange, const char *text)
{
    log_failure(exchange, &(struct verdict){XF_ERROR_TIMEOUT, 503, text});
    xf_exchange_charge(exchange, XF_ERROR_TIMEOUT);
    if (xf_exchange_rescue(exchange)) {
        return xf_exchange_try(exchange);
    }
    xf_exchange_answer_self(exchange, 503, text);
    return false;
}

/* The answer has begun: all that is left is to let the client see that it is not whole. */
static void cut_answer(struct xf_exchange *exchange, const struct verdict *verdict)
{
    log_failure(exchange, verdict);
    xf_exchange_charge(exchange, verdict->kind);
    xf_exchange_break_off(exchange, XF_ENDING_SERVER);
}

/* Whether the same request may be sent once more, on another connection. */
static bool may_repeat(const struct xf_exchange *exchange, enum xf_failure failure)
{
    if (!exchange->replayable) {
        return false;
    }
    if (failure == XF_FAILURE_CONNECT) {
        return true;
    }
    if (failure != XF_FAILURE_CLOSED) {
        return false;
    }
    return !exchange->written || xf_http_method_idempotent((enum xf_http_method) exchange->method);
}

bool xf_exchange_failed(struct xf_exchange *exchange, enum xf_failure failure)
{
    struct xf_engine *engine = exchange->engine;
    struct xf_engine_server *server = &engine->servers[exchange->server];
    bool stale =
        failure == XF_FAILURE_CLOSED && exchange->upstream != NULL && exchange->upstream->reused;
    bool repeat = may_repeat(exchange, failure);
    exchange->failure = (uint8_t) failure;
    if (!stale || !repeat) {
        xf_exchange_judge(exchange, XF_JUDGED_BAD); /* though another try may hide it */
        xf_count(&server->stats->failures, 1);
        xf_eject_failed(engine, (unsigned) exchange->server);
    }
    if (exchange->head_sent) {
        cut_answer(exchange, &verdicts[failure]);
        return false;
    }
    xf_exchange_detach(exchange, false);
    if (!repeat) {
        return give_up(exchange, failure);
    }
    struct xf_stats_pair *pair =
        xf_engine_pair(engine, exchange->service, exchange->choice.cluster);
    xf_count(&pair->retried, 1);
    exchange->retries++;
    xf_exchange_enter(exchange, XF_ON_FAILED);
    if (stale) { /* the connection was old, the server need not be down: it is not "tried" */
        exchange->tries--;
        exchange->no_pool = true;
        xf_pool_close_server(engine, (unsigned) exchange->server);
    }
    return xf_exchange_try(exchange);
}
