/*
 * test_resp_cluster.c -- commands of a Redis Cluster find their server: against servers in the
 * test's own loop, which answer what each test says.
 */
#include "shifter/store/resp.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEY    "cf:{test:web}:state" /* its slot is 3009 */
#define OTHER  "cf:{test:api}:state"
#define ANSWER "$2\r\nme\r\n"

struct server { /* one that pretends */
    struct evconnlistener *listener;
    uint16_t port;
    char answers[4][128]; /* to one command each, in turn; empty: the one before, again */
    unsigned next;
    char heard[256]; /* the commands' names */
    struct bufferevent *client;
    redisReader *reader;
};

struct place {
    struct event_base *loop;
    struct server servers[2];
    struct xf_config_store config;
    struct xf_endpoint endpoints[2];
    struct xf_resp *resp;
    bool up;
    unsigned answers, lost, connection;
    char text[160];
};

/* ---- servers ---- */

static void answer(struct server *server, const char *name)
{
    size_t length = strlen(server->heard);
    snprintf(server->heard + length, sizeof(server->heard) - length, "%s ", name);
    if (strcmp(name, "CLIENT") == 0) {
        bufferevent_write(server->client, "+OK\r\n", 5);
        return;
    }
    const char *text = server->answers[server->next];
    bufferevent_write(server->client, text, strlen(text));
    if (server->next + 1 < XF_COUNT(server->answers) &&
        server->answers[server->next + 1][0] != '\0') {
        server->next++;
    }
}

static void on_command(struct bufferevent *client, void *arg)
{
    struct server *server = arg;
    char bytes[4096];
    size_t length = bufferevent_read(client, bytes, sizeof(bytes));
    redisReaderFeed(server->reader, bytes, length);
    void *command = NULL;
    while (redisReaderGetReply(server->reader, &command) == REDIS_OK && command != NULL) {
        answer(server, ((redisReply *) command)->element[0]->str);
        freeReplyObject(command);
    }
}

static void hang_up(struct server *server)
{
    if (server->client != NULL) {
        bufferevent_free(server->client);
        redisReaderFree(server->reader);
        server->client = NULL;
    }
}

static void on_client(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                      int length, void *arg)
{
    (void) address;
    (void) length;
    struct server *server = arg;
    hang_up(server);
    server->reader = redisReaderCreate();
    server->client =
        bufferevent_socket_new(evconnlistener_get_base(listener), fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(server->client, on_command, NULL, NULL, server);
    bufferevent_enable(server->client, EV_READ | EV_WRITE);
}

static void serve(struct place *place, struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(address);
    address.sin_port = htons(server->port);
    server->listener = evconnlistener_new_bind(place->loop, on_client, server,
                                               LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 8,
                                               (struct sockaddr *) &address, sizeof(address));
    assert_non_null(server->listener);
    getsockname(evconnlistener_get_fd(server->listener), (struct sockaddr *) &address, &length);
    server->port = ntohs(address.sin_port);
}

static void stop(struct server *server)
{
    if (server->listener != NULL) {
        evconnlistener_free(server->listener);
        server->listener = NULL;
    }
    hang_up(server);
}

/* The number of this server's next answer; `%u` stands for the other one's port. */
static void says(struct server *server, unsigned turn, const char *format, uint16_t port)
{
    const char *hole = strstr(format, "%u");
    if (hole == NULL) {
        snprintf(server->answers[turn], sizeof(server->answers[turn]), "%s", format);
    } else {
        snprintf(server->answers[turn], sizeof(server->answers[turn]), "%.*s%u%s",
                 (int) (hole - format), format, port, hole + 2);
    }
}

/* ---- the client ---- */

static void on_ready(void *context, bool up, const char *why)
{
    (void) why;
    ((struct place *) context)->up = up;
}

static void on_answer(void *context, const redisReply *reply, const char *why)
{
    struct place *place = context;
    place->answers++;
    place->lost += reply == NULL;
    place->connection = xf_resp_answering(place->resp);
    snprintf(place->text, sizeof(place->text), "%s",
             reply == NULL        ? why
             : reply->str != NULL ? reply->str
                                  : "");
}

static int setup(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    place->loop = event_base_new();
    for (size_t i = 0; i < XF_COUNT(place->servers); i++) {
        serve(place, &place->servers[i]);
        says(&place->servers[i], 0, ANSWER, 0);
    }
    place->endpoints[0] =
        (struct xf_endpoint){.host = (char *) "127.0.0.1", .port = place->servers[0].port};
    place->config.kind = XF_STORE_REDIS;
    place->config.endpoints = place->endpoints;
    place->config.endpoints_count = 1;
    *state = place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;
    xf_resp_destroy(place->resp);
    for (size_t i = 0; i < XF_COUNT(place->servers); i++) {
        stop(&place->servers[i]);
    }
    event_base_free(place->loop);
    free(place);
    return 0;
}

static void on_late(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    *(bool *) arg = true;
}

static bool until(struct place *place, bool (*done)(struct place *))
{
    bool late = false;
    struct event *limit = evtimer_new(place->loop, on_late, &late);
    struct timeval most = {10, 0};
    event_add(limit, &most);
    while (!done(place) && !late) {
        event_base_loop(place->loop, EVLOOP_ONCE);
    }
    event_free(limit);
    return done(place);
}

static bool is_up(struct place *place)
{
    return place->up;
}

static bool has_answer(struct place *place)
{
    return place->answers > 0;
}

static void connect_to_it(struct place *place)
{
    struct xf_resp_calls calls = {on_ready, place};
    place->resp = xf_resp_create(place->loop, xf_clock_system(), &place->config, &calls);
    assert_non_null(place->resp);
    assert_true(until(place, is_up));
}

/* Asks for a key; the answer is in `text`. */
static void ask(struct place *place, const char *key)
{
    const char *const words[] = {"GET", key};
    place->answers = 0;
    assert_true(xf_resp_call(place->resp, 2, words, NULL, 0, on_answer, place));
    assert_true(until(place, has_answer));
}

/* ---- tests ---- */

static void who_is_named_by_moved_is_asked_and_remembered(void **state)
{
    struct place *place = *state;
    struct server *first = &place->servers[0], *second = &place->servers[1];
    says(first, 0, "-MOVED 3009 127.0.0.1:%u\r\n", second->port);
    connect_to_it(place);
    ask(place, KEY);
    assert_string_equal(place->text, "me");
    assert_int_equal(place->lost, 0);
    ask(place, KEY);
    assert_string_equal(first->heard, "CLIENT GET ");
    assert_string_equal(second->heard, "CLIENT GET GET ");
}

static void who_is_named_by_ask_is_asked_once_behind_asking(void **state)
{
    struct place *place = *state;
    struct server *first = &place->servers[0], *second = &place->servers[1];
    says(first, 0, "-ASK 3009 127.0.0.1:%u\r\n", second->port);
    says(first, 1, "$5\r\nfirst\r\n", 0);
    says(second, 0, "+OK\r\n", 0);
    says(second, 1, ANSWER, 0);
    connect_to_it(place);
    ask(place, KEY);
    assert_string_equal(place->text, "me");
    ask(place, KEY);
    assert_string_equal(place->text, "first");
    assert_string_equal(second->heard, "CLIENT ASKING GET ");
}

static void a_host_that_is_left_out_is_that_of_who_answered(void **state)
{
    struct place *place = *state;
    says(&place->servers[0], 0, "-MOVED 3009 :%u\r\n", place->servers[1].port);
    connect_to_it(place);
    ask(place, KEY);
    assert_string_equal(place->text, "me");
}

static void servers_that_send_each_other_to_and_fro_are_asked_a_few_times(void **state)
{
    struct place *place = *state;
    struct server *first = &place->servers[0], *second = &place->servers[1];
    says(first, 0, "-MOVED 3009 127.0.0.1:%u\r\n", second->port);
    says(second, 0, "-MOVED 3009 127.0.0.1:%u\r\n", second->port);
    connect_to_it(place);
    ask(place, KEY);
    assert_non_null(strstr(place->text, "MOVED 3009"));
    assert_string_equal(second->heard, "CLIENT GET GET GET GET GET ");
}

static void a_redirect_for_another_slot_or_without_a_key_is_an_answer(void **state)
{
    struct place *place = *state;
    says(&place->servers[0], 0, "-MOVED 1 127.0.0.1:%u\r\n", place->servers[1].port);
    connect_to_it(place);
    ask(place, KEY);
    assert_non_null(strstr(place->text, "MOVED 1 "));
    ask(place, "a");
    assert_non_null(strstr(place->text, "MOVED 1 "));
    assert_string_equal(place->servers[1].heard, "");
}

static void a_right_to_ask_that_lacks_is_the_answer(void **state)
{
    struct place *place = *state;
    struct server *first = &place->servers[0], *second = &place->servers[1];
    says(first, 0, "-ASK 3009 127.0.0.1:%u\r\n", second->port);
    says(second, 0, "-NOPERM no permissions to run the 'asking' command\r\n", 0);
    says(second, 1, "-MOVED 3009 127.0.0.1:%u\r\n", first->port);
    connect_to_it(place);
    ask(place, KEY);
    assert_non_null(strstr(place->text, "'asking'"));
}

static void a_server_that_cannot_be_reached_costs_its_own_commands_only(void **state)
{
    struct place *place = *state;
    struct server *first = &place->servers[0], *second = &place->servers[1];
    says(first, 0, "-MOVED 3009 127.0.0.1:%u\r\n", second->port);
    says(first, 1, "$5\r\nfirst\r\n", 0);
    stop(second);
    connect_to_it(place);
    ask(place, KEY);
    assert_int_equal(place->lost, 1);
    assert_true(place->up);
    ask(place, OTHER);
    assert_string_equal(place->text, "first");
}

static void a_server_that_dies_is_forgotten_and_its_slot_asked_for_anew(void **state)
{
    struct place *place = *state;
    struct server *first = &place->servers[0], *second = &place->servers[1];
    says(first, 0, "-MOVED 3009 127.0.0.1:%u\r\n", second->port);
    says(first, 1, "$5\r\nfirst\r\n", 0);
    says(second, 1, "", 0);
    connect_to_it(place);
    ask(place, KEY);
    assert_string_equal(place->text, "me");
    const char *const words[] = {"GET", KEY};
    says(second, 0, "?", 0); /* no answer that makes sense: the connection is closed */
    place->answers = 0;
    assert_true(xf_resp_call(place->resp, 2, words, NULL, 0, on_answer, place));
    assert_true(until(place, has_answer));
    assert_int_equal(place->lost, 1);
    assert_true(place->up);
    ask(place, KEY);
    assert_string_equal(place->text, "first");
}

static void a_command_without_a_key_goes_over_the_connection_that_answered(void **state)
{
    struct place *place = *state;
    struct server *first = &place->servers[0], *second = &place->servers[1];
    const char *const wait[] = {"WAIT", "1", "10"};
    says(first, 0, "-MOVED 3009 127.0.0.1:%u\r\n", second->port);
    connect_to_it(place);
    ask(place, KEY);
    unsigned connection = place->connection;
    assert_true(connection != 0);
    place->answers = 0;
    assert_true(xf_resp_call_on(place->resp, connection, 3, wait, 0, on_answer, place));
    assert_true(until(place, has_answer));
    assert_string_equal(second->heard, "CLIENT GET WAIT ");
    /* A new connection to the same server is another one: nothing was written over it. */
    hang_up(second);
    stop(second);
    while (xf_resp_call_on(place->resp, connection, 3, wait, 0, on_answer, place)) {
        event_base_loop(place->loop, EVLOOP_ONCE);
    }
    serve(place, second);
    says(first, 1, "", 0);
    ask(place, KEY);
    assert_false(xf_resp_call_on(place->resp, connection, 3, wait, 0, on_answer, place));
    assert_false(xf_resp_call_on(place->resp, 0, 3, wait, 0, on_answer, place));
}

static void a_dead_server_of_several_is_passed_over(void **state)
{
    struct place *place = *state;
    struct server *first = &place->servers[0], *second = &place->servers[1];
    place->endpoints[1] = (struct xf_endpoint){.host = (char *) "127.0.0.1", .port = second->port};
    place->config.endpoints_count = 2;
    stop(first);
    says(second, 0, "$30\r\n# Cluster\r\ncluster_enabled:1\r\n\r\n", 0);
    says(second, 1, ANSWER, 0);
    connect_to_it(place);
    ask(place, KEY);
    assert_string_equal(place->text, "me");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_is_named_by_moved_is_asked_and_remembered),
        TEST(who_is_named_by_ask_is_asked_once_behind_asking),
        TEST(a_host_that_is_left_out_is_that_of_who_answered),
        TEST(servers_that_send_each_other_to_and_fro_are_asked_a_few_times),
        TEST(a_redirect_for_another_slot_or_without_a_key_is_an_answer),
        TEST(a_right_to_ask_that_lacks_is_the_answer),
        TEST(a_server_that_cannot_be_reached_costs_its_own_commands_only),
        TEST(a_server_that_dies_is_forgotten_and_its_slot_asked_for_anew),
        TEST(a_command_without_a_key_goes_over_the_connection_that_answered),
        TEST(a_dead_server_of_several_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
