/*
 * exchange_queue.c -- where requests are capped: who waits, and who is next; see exchange.h.
 *
 * A cluster's queue is in order of arrival.  A request that waits is in flight on its cluster, but
 * has not been admitted.  Who is woken is admitted at once and goes on in the next turn; until
 * then nobody who comes later is let past it.  If no server has room for it after all, it returns
 * to its place, before all who came later.
 *
 * Nobody is forgotten: a request waits only while another one of the same cluster is under way
 * in this worker, each one's end wakes one, and who is woken either gets under way or ends.
 */
#include "proxy/worker/exchange.h"

static struct xf_engine_cluster *cluster_of(const struct xf_exchange *exchange)
{
    return &exchange->engine->clusters[exchange->choice.cluster];
}

static bool is_full(const struct xf_engine_cluster *cluster)
{
    return cluster->admitted_max > 0 && cluster->admitted >= cluster->admitted_max;
}

static void let_in(struct xf_engine_cluster *cluster, struct xf_exchange *exchange)
{
    if (cluster->admitted_max > 0) {
        cluster->admitted++;
        exchange->choice.admitted = true;
    }
}

static void let_out(struct xf_engine_cluster *cluster, struct xf_exchange *exchange)
{
    if (exchange->choice.admitted) {
        cluster->admitted--;
        exchange->choice.admitted = false;
    }
}

static void take_out(struct xf_engine_cluster *cluster, struct xf_exchange *exchange)
{
    xf_list_remove(&exchange->queued);
    cluster->queued--;
    xf_uncount(&cluster->stats->queued);
}

static void answer_call(struct xf_engine_cluster *cluster, struct xf_exchange *exchange)
{
    cluster->called -= exchange->called;
    exchange->called = false;
}

/* Who was woken goes before all who came later; of those only others that were woken may wait. */
static void take_place(struct xf_engine_cluster *cluster, struct xf_exchange *exchange)
{
    struct xf_list *before = &cluster->queue;
    while (exchange->woken && before->next != &cluster->queue &&
           XF_CONTAINER_OF(before->next, struct xf_exchange, queued)->place < exchange->place) {
        before = before->next;
    }
    if (!exchange->woken) {
        exchange->place = ++cluster->places;
        before = cluster->queue.previous;
    }
    xf_list_insert_after(before, &exchange->queued);
}

bool xf_exchange_admit(struct xf_exchange *exchange)
{
    struct xf_engine_cluster *cluster = cluster_of(exchange);
    answer_call(cluster, exchange);
    if (exchange->choice.admitted) {
        return true;
    }
    if (is_full(cluster) || (cluster->queued + cluster->called > 0 && !exchange->woken)) {
        return false;
    }
    let_in(cluster, exchange);
    return true;
}

bool xf_exchange_enqueue(struct xf_exchange *exchange)
{
    struct xf_engine_cluster *cluster = cluster_of(exchange);
    let_out(cluster, exchange);
    if (cluster->queued >= XF_QUEUE_MAX ||
        exchange->engine->services[exchange->service].config->timeouts.queue == 0) {
        return xf_exchange_no_room(exchange, "the servers are busy and the queue is full");
    }
    take_place(cluster, exchange);
    cluster->queued++;
    xf_count(&cluster->stats->queued, 1);
    xf_exchange_enter(exchange, XF_ON_WAIT);
    return true;
}

bool xf_exchange_waited_enough(struct xf_exchange *exchange)
{
    return xf_exchange_no_room(exchange, "no server had room in time");
}

void xf_exchange_leave(struct xf_exchange *exchange)
{
    struct xf_engine_cluster *cluster = cluster_of(exchange);
    if (exchange->state == XF_EXCHANGE_QUEUED) { /* that makes no room for anybody */
        take_out(cluster, exchange);
        return;
    }
    answer_call(cluster, exchange);
    let_out(cluster, exchange);
    xf_cluster_wake(exchange->engine, exchange->choice.cluster);
}

void xf_cluster_wake(struct xf_engine *engine, unsigned number)
{
    struct xf_engine_cluster *cluster = &engine->clusters[number];
    if (XF_LIKELY(cluster->queued == 0) || is_full(cluster)) {
        return;
    }
    struct xf_exchange *first = XF_CONTAINER_OF(cluster->queue.next, struct xf_exchange, queued);
    take_out(cluster, first);
    let_in(cluster, first);
    first->woken = first->called = true;
    cluster->called++;
    xf_exchange_enter(first, XF_ON_ROOM);
    xf_client_again(first->client);
}
