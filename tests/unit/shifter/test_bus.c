/*
 * test_bus.c -- the contract of shifter/bus/bus.h, and the local bus against hostile peers.
 */
#include "shifter/bus/bus.h"
#include "shifter/bus/bus_message.h"
#include "shifter/bus/bus_redis_roster.h"
#include "shifter/net/link.h"
#include "shifter/store/store_redis_script.h"
#include "tests/unit/shifter/redis_bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SEEN_MAX 64

/* What one side heard. */
struct heard {
    json_t *messages[SEEN_MAX];
    unsigned absent;
    unsigned count;
    unsigned ups, downs;
    bool up;
    unsigned agents;
};

struct place {
    struct event_base *loop;
    struct xf_config config;
    struct xf_config_service services[2];
    struct redis_bench redis; /* port 0: the local bus */
    char folder[256];
    struct xf_bus_leader *leader;
    struct xf_bus_agent *agent;
    struct heard up;   /* at the leader */
    struct heard down; /* at the agent */
};

static void hear(void *context, json_t *message)
{
    struct heard *heard = context;
    const char *kind = json_string_value(json_object_get(message, "kind"));
    if (kind != NULL && strcmp(kind, "absent") == 0) {
        heard->absent++; /* said each turn while the store has nothing */
    } else if (heard->count < SEEN_MAX) {
        heard->messages[heard->count++] = json_incref(message);
    }
}

static void forget(struct heard *heard)
{
    for (unsigned i = 0; i < heard->count; i++) {
        json_decref(heard->messages[i]);
    }
    heard->count = 0;
}

static void hear_connected(void *context, bool up)
{
    struct heard *heard = context;
    heard->up = up;
    heard->ups += up;
    heard->downs += !up;
}

static void hear_agents(void *context, unsigned agents)
{
    ((struct heard *) context)->agents = agents;
}

static void lead(struct place *place)
{
    struct xf_error err = {0};
    struct xf_bus_leader_calls calls = {hear, hear_agents, &place->up};
    if (xf_bus_lead(&place->config, place->loop, &calls, &place->leader, &err) != 0) {
        fail_msg("%s", err.message);
    }
}

static void follow(struct place *place)
{
    struct xf_error err = {0};
    struct xf_bus_agent_calls calls = {
        .received = hear, .connected = hear_connected, .context = &place->down};
    assert_int_equal(xf_bus_follow(&place->config, place->loop, &calls, &place->agent, &err), 0);
}

static int setup_local(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    place->loop = event_base_new();
    snprintf(place->folder, sizeof(place->folder), "/tmp/xf-bus-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    /* Longer than a socket's address has room for. */
    size_t length = strlen(place->folder);
    place->folder[length] = '/';
    memset(place->folder + length + 1, 'd', 150);
    assert_int_equal(mkdir(place->folder, 0700), 0);
    place->config.store.kind = XF_STORE_SQLITE;
    place->config.state_dir = place->folder;
    *state = place;
    return 0;
}

static int teardown_local(void **state)
{
    struct place *place = *state;
    xf_bus_agent_destroy(place->agent);
    xf_bus_leader_destroy(place->leader);
    forget(&place->up);
    forget(&place->down);
    event_base_free(place->loop);
    char command[320];
    snprintf(command, sizeof(command), "rm -rf '%.18s'", place->folder);
    int code = place->folder[0] != '\0' ? system(command) : 0;
    free(place);
    return code;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    (void) arg;
}

/* Runs the loop until `done`, at most 10 s. */
static bool until(struct place *place, bool (*done)(struct place *))
{
    struct event *tick = event_new(place->loop, -1, EV_PERSIST, on_tick, NULL);
    struct timeval every = {0, 2000};
    event_add(tick, &every);
    int64_t end = xf_clock_monotonic_ms(xf_clock_system()) + 10000;
    while (!done(place) && xf_clock_monotonic_ms(xf_clock_system()) < end) {
        event_base_loop(place->loop, EVLOOP_ONCE);
    }
    event_free(tick);
    return done(place);
}

/* Runs the loop for so long. */
static void run_for(struct place *place, int ms)
{
    struct timeval wait = {ms / 1000, (suseconds_t) (ms % 1000) * 1000};
    event_base_loopexit(place->loop, &wait);
    event_base_dispatch(place->loop);
}

static bool both_connected(struct place *place)
{
    bool local = place->redis.port == 0; /* in a fleet the leader does not count its agents */
    return place->down.up && (!local || place->up.agents == 1);
}

static bool agent_is_down(struct place *place)
{
    return !place->down.up;
}

static bool nobody_is_connected(struct place *place)
{
    return place->up.agents == 0;
}

static bool one_is_connected(struct place *place)
{
    return place->up.agents == 1;
}

static bool two_are_connected(struct place *place)
{
    return place->up.agents == 2;
}

static bool leader_heard_one(struct place *place)
{
    return place->up.count == 1;
}

static bool agent_heard_one(struct place *place)
{
    return place->down.count == 1;
}

static bool agent_heard_two(struct place *place)
{
    return place->down.count == 2;
}

static void publish(struct place *place, json_t *message)
{
    assert_non_null(message);
    xf_bus_publish(place->leader, message);
    json_decref(message);
}

/* In a fleet the document is read from where the store keeps it. */
static void store_document(struct place *place, const char *service, int generation,
                           const char *write_id, const char *document)
{
    if (place->redis.port == 0) {
        return;
    }
    redis_by_hand(&place->redis,
                  "HSET cf:{test:%s}:state epoch 1 generation %d revision 0 "
                  "write_id %s",
                  service, generation, write_id);
    redis_set_by_hand(&place->redis, service, document);
    redis_by_hand(&place->redis, "XADD cf:{test:%s}:log %d-0 write_id %s entry {}", service,
                  generation, write_id);
}

static void publish_document(struct place *place, const char *service, int generation,
                             const char *document)
{
    struct xf_message_state state = {.version = {1, (uint64_t) generation, 0},
                                     .write_id = "11111111-0000-4000-8000-000000000001",
                                     .document = document,
                                     .progress = {1000, 2000, 3, 0, 2},
                                     .store_time_ms = 1795348800123,
                                     .leader = {"aaaaaaaa-0000-4000-8000-000000000001", "one"}};
    snprintf(state.service, sizeof(state.service), "%s", service);
    store_document(place, service, generation, state.write_id, document);
    publish(place, xf_message_state_make(&state));
}

static void publish_state(struct place *place, const char *service, int generation)
{
    publish_document(place, service, generation, "{}");
}

static int generation_of(const json_t *message)
{
    return (int) json_integer_value(
        json_object_get(json_object_get(message, "version"), "generation"));
}

static const char *text_of(const json_t *message, const char *key)
{
    return json_string_value(json_object_get(message, key));
}

/* ---- the contract ---- */

static void a_state_reaches_an_agent(void **state)
{
    struct place *place = *state;
    lead(place);
    follow(place);
    assert_true(until(place, both_connected));
    publish_state(place, "gateway", 1);
    assert_true(until(place, agent_heard_one));
    assert_int_equal(generation_of(place->down.messages[0]), 1);
}

static void one_that_joins_late_gets_the_last_state_of_each_service(void **state)
{
    struct place *place = *state;
    lead(place);
    publish_state(place, "gateway", 1);
    publish_state(place, "gateway", 2);
    publish_state(place, "admin", 7);
    follow(place);
    assert_true(until(place, agent_heard_two));
    assert_string_equal(text_of(place->down.messages[0], "service"), "gateway");
    assert_int_equal(generation_of(place->down.messages[0]), 2);
    assert_int_equal(generation_of(place->down.messages[1]), 7);
}

static void a_command_goes_up_and_its_reply_comes_down(void **state)
{
    struct place *place = *state;
    lead(place);
    follow(place);
    assert_true(until(place, both_connected));
    json_t *command = json_pack("{s:s, s:s, s:s}", "kind", "command", "request", "r-1", "reason",
                                "ümlauts \"quoted\"\n");
    assert_true(xf_bus_send(place->agent, command));
    assert_true(until(place, leader_heard_one));
    assert_true(json_equal(command, place->up.messages[0]));
    json_decref(command);
    publish(place, json_pack("{s:s, s:s, s:i}", "kind", "reply", "request", "r-1", "exit", 4));
    assert_true(until(place, agent_heard_one));
    assert_string_equal(text_of(place->down.messages[0], "request"), "r-1");
}

static void nothing_is_sent_without_a_leader_and_the_agent_waits_for_one(void **state)
{
    struct place *place = *state;
    follow(place);
    json_t *message = json_pack("{s:s}", "kind", "heartbeat");
    for (int i = 0; i < 20; i++) {
        event_base_loop(place->loop, EVLOOP_NONBLOCK);
        assert_false(xf_bus_send(place->agent, message));
    }
    lead(place);
    assert_true(until(place, both_connected));
    assert_true(xf_bus_send(place->agent, message));
    json_decref(message);
    assert_true(until(place, leader_heard_one));
}

static void an_agent_comes_back_after_its_leader_was_replaced(void **state)
{
    struct place *place = *state;
    lead(place);
    follow(place);
    assert_true(until(place, both_connected));
    xf_bus_leader_destroy(place->leader);
    place->leader = NULL;
    assert_true(until(place, agent_is_down));
    place->up.agents = 0;
    lead(place);
    publish_state(place, "gateway", 9);
    assert_true(until(place, agent_heard_one));
    assert_int_equal(generation_of(place->down.messages[0]), 9);
    assert_int_equal(place->down.ups, 2);
    assert_int_equal(place->down.downs, 1);
}

static void an_answer_too_large_for_the_bus_becomes_one_that_says_so(void **state)
{
    struct place *place = *state;
    lead(place);
    follow(place);
    assert_true(until(place, both_connected));
    char *body = malloc(XF_LINK_FRAME_BYTES_MAX + 1);
    memset(body, 'x', XF_LINK_FRAME_BYTES_MAX);
    body[XF_LINK_FRAME_BYTES_MAX] = '\0';
    publish(place, json_pack("{s:s, s:s, s:i, s:s}", "kind", "reply", "request", "r-2", "exit", 0,
                             "body", body));
    free(body);
    assert_true(until(place, agent_heard_one));
    assert_string_equal(text_of(place->down.messages[0], "request"), "r-2");
    assert_int_equal(json_integer_value(json_object_get(place->down.messages[0], "exit")), 1);
}

static void the_largest_document_passes(void **state)
{
    struct place *place = *state;
    lead(place);
    follow(place);
    char *document = malloc(XF_DOCUMENT_BYTES_MAX + 1);
    memset(document, '"', XF_DOCUMENT_BYTES_MAX); /* each takes two bytes on the way */
    document[XF_DOCUMENT_BYTES_MAX] = '\0';
    publish_document(place, "gateway", 1, document);
    assert_true(until(place, agent_heard_one));
    assert_string_equal(text_of(place->down.messages[0], "document"), document);
    free(document);
}

/* ---- the local socket against strangers ---- */

/* Connects without the bus's own code. */
static int connect_raw(struct place *place)
{
    int folder = open(place->folder, O_PATH | O_DIRECTORY);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/bus.sock", folder);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    int code = connect(fd, (struct sockaddr *) &address, sizeof(address));
    close(folder);
    if (code != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void what_is_no_frame_closes_its_link_and_no_other(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
    } cases[] = {
        {"\xff\xff\xff\xff", 4},
        {"\x00\x40\x00\x00", 4},                   /* 4 MiB */
        {"\x00\x00\x00\x00", 4},                   /* empty */
        {"\x00\x00\x00\x04nope", 8},               /* no JSON */
        {"\x00\x00\x00\x02[]", 6},                 /* no object */
        {"\x00\x00\x00\x02{\xff", 6},              /* no UTF-8 */
        {"\x00\x00\x00\x0e{\"a\":1,\"a\":2}", 17}, /* the same key twice, one byte too long */
        {"\x00\x00\x00\x0d{\"a\":1,\"a\":2}", 17}, /* the same key twice */
        {"GET / HTTP/1.1\r\n\r\n", 18},
    };
    struct place *place = *state;
    lead(place);
    follow(place);
    assert_true(until(place, both_connected));
    for (size_t i = 0; i < XF_COUNT(cases); i++) {
        int fd = connect_raw(place);
        assert_true(until(place, two_are_connected));
        assert_int_equal(send(fd, cases[i].bytes, cases[i].length, 0), cases[i].length);
        shutdown(fd, SHUT_WR);
        assert_true(until(place, one_is_connected));
        close(fd);
    }
    assert_true(place->down.up);
    assert_int_equal(place->up.count, 0);
}

static void a_link_that_breaks_the_rules_is_closed_without_waiting_for_its_end(void **state)
{
    struct place *place = *state;
    lead(place);
    int fd = connect_raw(place);
    assert_true(until(place, one_is_connected));
    assert_int_equal(send(fd, "\xff\xff\xff\xff", 4, 0), 4);
    assert_true(until(place, nobody_is_connected));
    close(fd);
}

static void a_frame_may_arrive_byte_by_byte(void **state)
{
    struct place *place = *state;
    static const char frame[] = "\x00\x00\x00\x14{\"kind\":\"heartbeat\"}";
    lead(place);
    int fd = connect_raw(place);
    for (size_t i = 0; i < sizeof(frame) - 1; i++) {
        assert_int_equal(send(fd, frame + i, 1, 0), 1);
        event_base_loop(place->loop, EVLOOP_NONBLOCK);
    }
    assert_true(until(place, leader_heard_one));
    close(fd);
}

/* Reads exactly `length` bytes while the loop runs. */
static void read_all(struct place *place, int fd, char *bytes, size_t length)
{
    for (size_t got = 0; got < length;) {
        event_base_loop(place->loop, EVLOOP_NONBLOCK);
        ssize_t n = recv(fd, bytes + got, length - got, MSG_DONTWAIT);
        assert_true(n > 0 || (n < 0 && errno == EAGAIN));
        got += n > 0 ? (size_t) n : 0;
    }
}

/* Reads one frame's text; the caller frees it. */
static char *read_frame(struct place *place, int fd)
{
    uint32_t head;
    read_all(place, fd, (char *) &head, sizeof(head));
    char *text = calloc(1, ntohl(head) + 1);
    read_all(place, fd, text, ntohl(head));
    return text;
}

static void a_slow_agent_gets_the_newest_state_and_costs_a_bounded_queue(void **state)
{
    struct place *place = *state;
    lead(place);
    int fd = connect_raw(place);
    assert_true(until(place, one_is_connected));
    char *document = malloc(500001);
    memset(document, 'x', 500000);
    document[500000] = '\0';
    for (int i = 1; i <= 200; i++) { /* 100 MB, if each were queued */
        publish_document(place, "gateway", i, document);
        event_base_loop(place->loop, EVLOOP_NONBLOCK);
    }
    free(document);
    assert_int_equal(place->up.agents, 1);
    int generation = 0, frames = 0;
    while (generation < 200) {
        char *text = read_frame(place, fd);
        json_t *message = json_loads(text, 0, NULL);
        assert_true(generation_of(message) > generation);
        generation = generation_of(message);
        json_decref(message);
        free(text);
        frames++;
    }
    assert_true(frames < 10);
    close(fd);
}

static void an_agent_that_never_reads_its_replies_loses_its_link(void **state)
{
    struct place *place = *state;
    lead(place);
    int fd = connect_raw(place);
    assert_true(until(place, one_is_connected));
    char *body = calloc(1, 1000001);
    memset(body, 'x', 1000000);
    for (int i = 0; i < 20 && place->up.agents == 1; i++) {
        publish(place, json_pack("{s:s, s:s, s:s}", "kind", "reply", "request", "r", "body", body));
        event_base_loop(place->loop, EVLOOP_NONBLOCK);
    }
    free(body);
    assert_true(until(place, nobody_is_connected));
    close(fd);
}

static void the_socket_is_for_the_owner_alone(void **state)
{
    struct place *place = *state;
    char path[300];
    struct stat status;
    lead(place);
    snprintf(path, sizeof(path), "%s/bus.sock", place->folder);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void another_user_is_turned_away_even_with_access_to_the_socket(void **state)
{
    struct place *place = *state;
    char path[300];
    if (geteuid() != 0) {
        print_message("only root can become another user\n");
        return;
    }
    lead(place);
    snprintf(path, sizeof(path), "%s/bus.sock", place->folder);
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(chmod(place->folder, 0755), 0);
    snprintf(path, sizeof(path), "%.18s", place->folder);
    assert_int_equal(chmod(path, 0755), 0);
    pid_t child = fork();
    if (child == 0) {
        int fd = setuid(65534) == 0 ? connect_raw(place) : -1;
        char byte;
        _exit(fd >= 0 && recv(fd, &byte, 1, 0) == 0 ? 0 : 1);
    }
    int status = -1;
    while (waitpid(child, &status, WNOHANG) == 0) {
        event_base_loop(place->loop, EVLOOP_NONBLOCK);
        usleep(1000);
    }
    assert_int_equal(status, 0);
    assert_int_equal(place->up.agents, 0);
}

/* ---- Redis alone ---- */

static struct redis_bench shared;

static int group_setup_redis(void **state)
{
    (void) state;
    redis_bench_start(&shared);
    return 0;
}

static int group_teardown_redis(void **state)
{
    (void) state;
    redis_bench_stop(&shared);
    return 0;
}

static int setup_redis(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    place->loop = event_base_new();
    place->redis = shared;
    redis_by_hand(&shared, "FLUSHALL");
    redis_bench_config(&place->redis, &place->config);
    place->services[0].name = (char *) "gateway";
    place->services[1].name = (char *) "admin";
    place->config.services = place->services;
    place->config.services_count = 2;
    *state = place;
    return 0;
}

static int teardown_redis(void **state)
{
    shared.pid = ((struct place *) *state)->redis.pid;
    return teardown_local(state);
}

static bool agent_is_up(struct place *place)
{
    return place->down.up;
}

static bool leader_heard_three(struct place *place)
{
    return place->up.count >= 3;
}

static bool agent_heard_twice(struct place *place)
{
    return place->down.count >= 2;
}

static bool agent_hears_absent(struct place *place)
{
    return place->down.absent > 0 && place->down.up;
}

static void
redis_an_agent_hears_that_the_store_has_nothing_and_its_newest_offer_is_told(void **state)
{
    struct place *place = *state;
    struct xf_message_offer offer = {.service = "gateway",
                                     .version = {2, 9, 0},
                                     .write_id = "aaaaaaaa-0000-4000-8000-000000000001",
                                     .document = "{}"};
    follow(place);
    assert_true(until(place, agent_hears_absent));
    json_t *newer = xf_message_offer_make(&offer);
    offer.version.generation = 8;
    json_t *older = xf_message_offer_make(&offer);
    assert_true(xf_bus_send(place->agent, newer));
    assert_true(xf_bus_send(place->agent, older));
    lead(place);
    assert_true(until(place, leader_heard_one));
    assert_string_equal(text_of(place->up.messages[0], "kind"), "offer");
    assert_int_equal(generation_of(place->up.messages[0]), 9);
    json_decref(newer);
    json_decref(older);
}

static void redis_what_the_store_holds_is_told_without_any_leader(void **state)
{
    struct place *place = *state;
    follow(place);
    assert_true(until(place, agent_is_up));
    store_document(place, "admin", 5, "22222222-0000-4000-8000-000000000002", "{\"a\":1}");
    assert_true(until(place, agent_heard_one));
    struct xf_message_state told;
    assert_int_equal(xf_message_state_read(place->down.messages[0], &told, NULL), 0);
    assert_string_equal(told.service, "admin");
    assert_int_equal(told.version.epoch, 1);
    assert_int_equal(told.version.generation, 5);
    assert_string_equal(told.write_id, "22222222-0000-4000-8000-000000000002");
    assert_string_equal(told.document, "{\"a\":1}");
    assert_int_equal(told.progress.step_elapsed_ms, -1);
}

static void redis_progress_of_the_documents_epoch_comes_beside_it(void **state)
{
    struct place *place = *state;
    struct xf_message_state told;
    lead(place);
    follow(place);
    assert_true(until(place, agent_is_up));
    while (place->down.count == 0 ||
           xf_message_state_read(place->down.messages[place->down.count - 1], &told, NULL) != 0 ||
           told.progress.tunnels != 3) {
        publish_state(place, "gateway", 1); /* again: the leader may not be connected yet */
        until(place, agent_heard_twice);
        assert_true(place->down.count < SEEN_MAX);
    }
    assert_int_equal(told.progress.step_remaining_ms, 2000);
    assert_string_equal(told.leader.name, "one");
    forget(&place->down);
    redis_by_hand(&place->redis, "HSET cf:{test:gateway}:state epoch 2 generation 2");
    assert_true(until(place, agent_heard_one));
    assert_int_equal(xf_message_state_read(place->down.messages[0], &told, NULL), 0);
    assert_int_equal(told.version.epoch, 2);
    assert_int_equal(told.progress.tunnels, 0); /* said by a leader of before */
}

static void redis_a_change_is_told_long_before_the_next_look(void **state)
{
    struct place *place = *state;
    follow(place);
    assert_true(until(place, agent_is_up));
    store_document(place, "gateway", 1, "22222222-0000-4000-8000-000000000002", "{}");
    assert_true(until(place, agent_heard_one));
    int64_t longest = 0;
    for (int i = 2; i < 12; i++) {
        forget(&place->down);
        int64_t begin = xf_clock_monotonic_ms(xf_clock_system());
        store_document(place, "gateway", i, "22222222-0000-4000-8000-000000000002", "{}");
        assert_true(until(place, agent_heard_one));
        assert_int_equal(generation_of(place->down.messages[0]), i);
        int64_t took = xf_clock_monotonic_ms(xf_clock_system()) - begin;
        longest = took > longest ? took : longest;
    }
    assert_in_range(longest, 0, 700); /* a look each second would take longer, once in ten */
}

static void redis_what_is_not_ours_is_not_told(void **state)
{
    static const char *const damages[] = {
        "HSET cf:{test:gateway}:state generation x",
        "SET cf:{test:gateway}:state text",
        "DEL cf:{test:gateway}:state",
        "SET cf:{test:gateway}:log text",
        "SET cf:{test:fleet}:replies text",
        "FLUSHALL",
    };
    struct place *place = *state;
    follow(place);
    assert_true(until(place, agent_is_up));
    for (size_t i = 0; i < XF_COUNT(damages); i++) {
        redis_by_hand(&place->redis, "FLUSHALL");
        forget(&place->down);
        store_document(place, "gateway", 10 + (int) i, "22222222-0000-4000-8000-000000000002",
                       "{}");
        assert_true(until(place, agent_heard_one));
        redis_by_hand(&place->redis, "%s", damages[i]);
        run_for(place, 1300);
        assert_int_equal(place->down.count, 1);
        assert_true(place->down.up);
    }
}

static void redis_messages_upwards_reach_every_shifter(void **state)
{
    struct place *place = *state;
    struct place other = {.loop = place->loop, .config = place->config};
    lead(place);
    lead(&other);
    follow(place);
    assert_true(until(place, agent_is_up));
    json_t *heartbeat = json_pack("{s:s}", "kind", "heartbeat");
    json_t *command = json_pack("{s:s, s:s}", "kind", "command", "request", "r-1");
    for (int i = 0; i < 100 && (place->up.count < 3 || other.up.count < 3); i++) {
        assert_true(xf_bus_send(place->agent, heartbeat));
        assert_true(xf_bus_send(place->agent, command));
        run_for(place, 50);
    }
    assert_true(until(place, leader_heard_three) && until(&other, leader_heard_three));
    json_decref(heartbeat);
    json_decref(command);
    xf_bus_leader_destroy(other.leader);
    forget(&other.up);
}

static void redis_a_command_given_while_nobody_listened_is_heard(void **state)
{
    struct place *place = *state;
    follow(place);
    assert_true(until(place, agent_is_up));
    json_t *command = json_pack("{s:s, s:s}", "kind", "command", "request", "r-1");
    assert_true(xf_bus_send(place->agent, command));
    run_for(place, 200);
    lead(place); /* the next leader, within the 10 s of a command */
    assert_true(until(place, leader_heard_one));
    assert_true(json_equal(command, place->up.messages[0]));
    json_decref(command);
}

static void redis_killed_and_started_again_the_bus_goes_on(void **state)
{
    struct place *place = *state;
    lead(place);
    follow(place);
    assert_true(until(place, agent_is_up));
    publish_state(place, "gateway", 1);
    assert_true(until(place, agent_heard_one));
    redis_bench_kill(&place->redis);
    assert_true(until(place, agent_is_down));
    json_t *message = json_pack("{s:s, s:s}", "kind", "command", "request", "r-1");
    assert_false(xf_bus_send(place->agent, message));
    redis_bench_restart(&place->redis);
    assert_true(until(place, agent_is_up));
    assert_true(xf_bus_send(place->agent, message));
    json_decref(message);
    assert_true(until(place, leader_heard_one));
    forget(&place->down);
    publish_state(place, "gateway", 2);
    assert_true(until(place, agent_heard_one));
    assert_int_equal(generation_of(place->down.messages[0]), 2);
}

static void redis_its_streams_are_bounded(void **state)
{
    struct place *place = *state;
    follow(place);
    assert_true(until(place, agent_is_up));
    json_t *command = json_pack("{s:s}", "kind", "command");
    for (int i = 0; i < 3000; i++) {
        while (!xf_bus_send(place->agent, command)) {
            event_base_loop(place->loop, EVLOOP_ONCE);
        }
    }
    run_for(place, 300);
    json_decref(command);
    assert_in_range(atoi(redis_by_hand(&place->redis, "XLEN cf:{test:fleet}:commands")), 200, 600);
    char *text = malloc(600000);
    memset(text, 'x', 599999);
    text[599999] = '\0';
    json_t *large = json_pack("{s:s, s:s}", "kind", "command", "text", text);
    assert_false(xf_bus_send(place->agent, large));
    json_decref(large);
    free(text);
}

static bool agent_heard_a_state(struct place *place)
{
    return place->down.count > 0;
}

static const struct xf_message_proxy edge = {.id = "aaaaaaaa-0000-4000-8000-000000000001",
                                             .boot = "bbbbbbbb-0000-4000-8000-000000000001",
                                             .name = "edge-1"};

static const char *member(struct place *place, const char *service)
{
    return redis_by_hand(&place->redis, "HGET cf:{test:%s}:roster %s", service, edge.id);
}

static bool is_back(struct place *place)
{
    return strstr(member(place, "gateway"), "edge-1") != NULL;
}

static bool is_gone(struct place *place)
{
    return strstr(member(place, "gateway"), "edge-1") == NULL &&
           strstr(member(place, "billing"), "edge-1") == NULL;
}

static void redis_an_agent_joins_its_rosters_before_it_hears_a_state_and_leaves_them(void **state)
{
    struct place *place = *state;
    struct xf_error err = {0};
    struct xf_bus_agent_calls calls = {
        .received = hear, .connected = hear_connected, .context = &place->down, .self = &edge};
    lead(place);
    publish_state(place, "gateway", 4);
    redis_by_hand(&place->redis, "SET cf:{test:gateway}:roster x"); /* what is not ours goes */
    assert_int_equal(xf_bus_follow(&place->config, place->loop, &calls, &place->agent, &err), 0);
    assert_true(until(place, agent_heard_a_state));
    assert_true(is_back(place));
    char version[64];
    snprintf(version, sizeof(version), "%s",
             redis_by_hand(&place->redis, "HGET cf:{test:gateway}:roster version"));
    redis_by_hand(&place->redis, "DEL cf:{test:gateway}:roster"); /* lost: it joins again */
    assert_true(until(place, is_back));
    assert_string_not_equal(version,
                            redis_by_hand(&place->redis, "HGET cf:{test:gateway}:roster version"));
    json_t *left = json_pack("{s:s, s:b}", "kind", "heartbeat", "left", 1);
    assert_true(xf_bus_send(place->agent, left));
    json_decref(left);
    assert_true(until(place, is_gone));
}

static void redis_the_least_rights_that_are_documented_are_enough(void **state)
{
    struct place *place = *state;
    char path[] = "/tmp/xf-password-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "word", 4), 4);
    close(fd);
    redis_by_hand(&place->redis,
                  "ACL SETUSER cf " XF_REDIS_RIGHTS " on >word ~cf:{test:* &cf:{test:*");
    place->config.store.user = (char *) "cf";
    place->config.store.password_file = path;
    a_command_goes_up_and_its_reply_comes_down(state);
    forget(&place->down);
    publish_state(place, "gateway", 4);
    assert_true(until(place, agent_heard_one));
    assert_int_equal(generation_of(place->down.messages[0]), 4);
    redis_by_hand(&place->redis, "ACL DELUSER cf");
    unlink(path);
}

static void hear_ready(void *context, bool up, const char *why)
{
    (void) why;
    ((struct place *) context)->down.up = up;
}

static void hear_joined(void *context)
{
    ((struct place *) context)->down.ups++;
}

static void hear_refused(void *context, const char *why)
{
    ((struct place *) context)->down.downs += why != NULL;
}

#define TWIN  "00000000-0000-4000-8000-00000000000a"
#define OTHER "00000000-0000-4000-8000-00000000000b"

static bool place_is_claimed(struct place *place)
{
    return strcmp(redis_by_hand(&place->redis, "HEXISTS cf:{test:gateway}:roster claim." TWIN),
                  "1") == 0;
}

static bool agent_is_refused_or_in(struct place *place)
{
    return place->down.downs + place->down.ups > 0;
}

/* The other one lives but was slow: what it says counts, though its time is over. */
static void redis_a_refusal_that_came_late_still_refuses(void **state)
{
    struct place *place = *state;
    struct xf_resp_calls calls = {hear_ready, place};
    struct xf_message_proxy self = {
        .id = TWIN, .boot = "00000000-0000-4000-8000-00000000000c", .name = "host"};
    place->config.services_count = 1;
    struct xf_resp *resp =
        xf_resp_create(place->loop, xf_clock_system(), &place->config.store, &calls);
    struct xf_bus_roster *roster =
        xf_bus_roster_create(&place->config, resp, &self, hear_joined, hear_refused, place);
    redis_by_hand(&place->redis, "HSET cf:{test:gateway}:roster version 1 " TWIN " " OTHER);
    assert_true(until(place, agent_is_up));
    xf_bus_roster_join(roster);
    assert_true(until(place, place_is_claimed));
    run_for(place, 3100);
    redis_by_hand(&place->redis, "EVAL redis.call('HSET',KEYS[1],KEYS[2],'no'..string.char(32).."
                                 "redis.call('HGET',KEYS[1],KEYS[2])) "
                                 "2 cf:{test:gateway}:roster claim." TWIN);
    xf_bus_roster_join(roster);
    assert_true(until(place, agent_is_refused_or_in));
    assert_int_equal(place->down.ups, 0);
    assert_string_equal(redis_by_hand(&place->redis, "HGET cf:{test:gateway}:roster " TWIN), OTHER);
    xf_resp_destroy(resp);
    xf_bus_roster_destroy(roster);
}

/* What a roster told: of two services, each with a place of its own. */
static struct {
    unsigned joins, refusals, releases;
} told;

static void tell_joined(void *context)
{
    (void) context;
    told.joins++;
}

static void tell_refused(void *context, const char *why)
{
    (void) context;
    told.refusals += why != NULL;
    told.releases += why == NULL;
}

static bool both_are_claimed(struct place *place)
{
    return place_is_claimed(place) &&
           strcmp(redis_by_hand(&place->redis, "HEXISTS cf:{test:admin}:roster claim." TWIN),
                  "1") == 0;
}

static bool both_are_refused(struct place *place)
{
    (void) place;
    return told.refusals == 2;
}

static bool one_is_joined(struct place *place)
{
    (void) place;
    return told.joins == 1;
}

static bool both_are_joined(struct place *place)
{
    (void) place;
    return told.joins == 2;
}

static void redis_an_identity_is_refused_until_no_roster_refuses_it(void **state)
{
    struct place *place = *state;
    struct xf_resp_calls calls = {hear_ready, place};
    struct xf_message_proxy self = {
        .id = TWIN, .boot = "00000000-0000-4000-8000-00000000000c", .name = "host"};
    static const char *const rosters[] = {"cf:{test:gateway}:roster", "cf:{test:admin}:roster"};
    struct xf_resp *resp =
        xf_resp_create(place->loop, xf_clock_system(), &place->config.store, &calls);
    struct xf_bus_roster *roster =
        xf_bus_roster_create(&place->config, resp, &self, tell_joined, tell_refused, place);
    for (unsigned i = 0; i < XF_COUNT(rosters); i++) {
        redis_by_hand(&place->redis, "HSET %s version 1 " TWIN " " OTHER, rosters[i]);
    }
    assert_true(until(place, agent_is_up));
    xf_bus_roster_join(roster);
    assert_true(until(place, both_are_claimed));
    for (unsigned i = 0; i < XF_COUNT(rosters); i++) {
        redis_by_hand(&place->redis,
                      "EVAL redis.call('HSET',KEYS[1],KEYS[2],'no'..string.char(32).."
                      "redis.call('HGET',KEYS[1],KEYS[2])) 2 %s claim." TWIN,
                      rosters[i]);
    }
    run_for(place, 100); /* the answers to the first call */
    xf_bus_roster_join(roster);
    assert_true(until(place, both_are_refused));
    redis_by_hand(&place->redis, "HDEL cf:{test:admin}:roster " TWIN);
    xf_bus_roster_join(roster);
    assert_true(until(place, one_is_joined));
    assert_int_equal(told.releases, 0); /* the other one still lives in the gateway's */
    redis_by_hand(&place->redis, "HDEL cf:{test:gateway}:roster " TWIN);
    xf_bus_roster_join(roster);
    assert_true(until(place, both_are_joined));
    assert_int_equal(told.releases, 1);
    xf_resp_destroy(resp);
    xf_bus_roster_destroy(roster);
}

static bool mark_is_gone(struct place *place)
{
    return strcmp(redis_by_hand(&place->redis, "HEXISTS cf:{test:gateway}:roster gone." TWIN),
                  "0") == 0;
}

static void redis_who_was_forgotten_reads_it_and_joins_again(void **state)
{
    struct place *place = *state;
    struct xf_resp_calls calls = {hear_ready, place};
    struct xf_message_proxy self = {.id = TWIN, .boot = OTHER, .name = "host"};
    redisReply nothing = {.type = REDIS_REPLY_NIL};
    redisReply mark = {.type = REDIS_REPLY_STRING, .str = (char *) "1", .len = 1};
    redisReply *fields[] = {&nothing, &nothing, &mark};
    redisReply read = {.type = REDIS_REPLY_ARRAY, .elements = 3, .element = fields};
    place->config.services_count = 1;
    told.joins = 0;
    struct xf_resp *resp =
        xf_resp_create(place->loop, xf_clock_system(), &place->config.store, &calls);
    struct xf_bus_roster *roster =
        xf_bus_roster_create(&place->config, resp, &self, tell_joined, tell_refused, place);
    redis_by_hand(&place->redis, "HSET cf:{test:gateway}:roster version 1 gone." TWIN " 1");
    assert_true(until(place, agent_is_up));
    assert_true(xf_bus_roster_seen(roster, 0, &read));
    xf_bus_roster_join(roster);
    assert_true(until(place, one_is_joined));
    assert_true(mark_is_gone(place));
    fields[2] = &nothing;
    assert_false(xf_bus_roster_seen(roster, 0, &read)); /* only not in: it joins, as ever */
    xf_resp_destroy(resp);
    xf_bus_roster_destroy(roster);
}

#define ON_REDIS(test) cmocka_unit_test_setup_teardown(test, setup_redis, teardown_redis)
#define ON_LOCAL(test) cmocka_unit_test_setup_teardown(test, setup_local, teardown_local)
#define CONTRACT(on)                                                                               \
    on(a_state_reaches_an_agent), on(one_that_joins_late_gets_the_last_state_of_each_service),     \
        on(a_command_goes_up_and_its_reply_comes_down),                                            \
        on(an_answer_too_large_for_the_bus_becomes_one_that_says_so),                              \
        on(the_largest_document_passes)

int main(void)
{
    const struct CMUnitTest local_tests[] = {
        CONTRACT(ON_LOCAL),
        ON_LOCAL(nothing_is_sent_without_a_leader_and_the_agent_waits_for_one),
        ON_LOCAL(an_agent_comes_back_after_its_leader_was_replaced),
        ON_LOCAL(what_is_no_frame_closes_its_link_and_no_other),
        ON_LOCAL(a_link_that_breaks_the_rules_is_closed_without_waiting_for_its_end),
        ON_LOCAL(a_frame_may_arrive_byte_by_byte),
        ON_LOCAL(a_slow_agent_gets_the_newest_state_and_costs_a_bounded_queue),
        ON_LOCAL(an_agent_that_never_reads_its_replies_loses_its_link),
        ON_LOCAL(the_socket_is_for_the_owner_alone),
        ON_LOCAL(another_user_is_turned_away_even_with_access_to_the_socket),
    };
    const struct CMUnitTest redis_tests[] = {
        CONTRACT(ON_REDIS),
        ON_REDIS(redis_what_the_store_holds_is_told_without_any_leader),
        ON_REDIS(redis_an_agent_hears_that_the_store_has_nothing_and_its_newest_offer_is_told),
        ON_REDIS(redis_progress_of_the_documents_epoch_comes_beside_it),
        ON_REDIS(redis_a_change_is_told_long_before_the_next_look),
        ON_REDIS(redis_what_is_not_ours_is_not_told),
        ON_REDIS(redis_messages_upwards_reach_every_shifter),
        ON_REDIS(redis_a_command_given_while_nobody_listened_is_heard),
        ON_REDIS(redis_killed_and_started_again_the_bus_goes_on),
        ON_REDIS(redis_its_streams_are_bounded),
        ON_REDIS(redis_an_agent_joins_its_rosters_before_it_hears_a_state_and_leaves_them),
        ON_REDIS(redis_a_refusal_that_came_late_still_refuses),
        ON_REDIS(redis_an_identity_is_refused_until_no_roster_refuses_it),
        ON_REDIS(redis_who_was_forgotten_reads_it_and_joins_again),
        ON_REDIS(redis_the_least_rights_that_are_documented_are_enough),
    };
    return cmocka_run_group_tests_name("local", local_tests, NULL, NULL) +
           cmocka_run_group_tests_name("redis", redis_tests, group_setup_redis,
                                       group_teardown_redis);
}
