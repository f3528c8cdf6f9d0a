/*
 * test_resp_slot.c -- slots as redis-server computes them, and redirects of strangers.
 */
#include "shifter/store/resp_slot.h"

#include "config/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* As `CLUSTER KEYSLOT` of redis-server 7.0 answers. */
static void a_slot_comes_from_what_stands_between_the_first_braces(void **state)
{
    (void) state;
    static const struct {
        const char *key;
        int slot;
    } rows[] = {
        {"123456789", 12739},
        {"foo", 12182},
        {"foo{}{bar}", 8363},
        {"foo{{bar}}zap", 4015},
        {"foo{bar}{zap}", 5061},
        {"{user1000}.following", 3443},
        {"{user1000}.followers", 3443},
        {"", 0},
        {"{open", 7674},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        if (xf_resp_slot(rows[i].key) != rows[i].slot) {
            fail_msg("%s is in %d", rows[i].key, xf_resp_slot(rows[i].key));
        }
    }
}

static void a_command_belongs_to_its_first_key_of_ours(void **state)
{
    (void) state;
    const char *const read[] = {"XREAD", "STREAMS", "cf:{a:web}:log", "cf:{a:api}:log", "0", "0"};
    const char *const set[] = {"SET", "cf:{a:api}:shown", "cf:{a:web}:log"};
    const char *const none[] = {"WAIT", "1", "1000"};
    assert_int_equal(xf_resp_slot_of(XF_COUNT(read), read), xf_resp_slot("cf:{a:web}:state"));
    assert_int_equal(xf_resp_slot_of(XF_COUNT(set), set), xf_resp_slot("cf:{a:api}:state"));
    assert_int_not_equal(xf_resp_slot("cf:{a:api}:state"), xf_resp_slot("cf:{a:web}:state"));
    assert_int_equal(xf_resp_slot_of(XF_COUNT(none), none), XF_RESP_NO_SLOT);
}

static redisReply error(const char *text)
{
    return (redisReply){
        .type = REDIS_REPLY_ERROR, .str = (char *) (uintptr_t) text, .len = (int) strlen(text)};
}

static void redirects_are_read(void **state)
{
    (void) state;
    static const struct {
        const char *text, *host;
        bool ask;
        int slot, port;
    } rows[] = {
        {"MOVED 3999 127.0.0.1:6381", "127.0.0.1", false, 3999, 6381},
        {"ASK 0 node-3.example:1", "node-3.example", true, 0, 1},
        {"MOVED 16383 fd00::7:6379", "fd00::7", false, 16383, 6379},
        {"MOVED 1 :6379", "", false, 1, 6379},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        redisReply reply = error(rows[i].text);
        struct xf_resp_redirect to;
        assert_true(xf_resp_redirect_read(&reply, &to));
        assert_true(xf_resp_unavailable(&reply));
        assert_string_equal(to.host, rows[i].host);
        assert_int_equal(to.ask, rows[i].ask);
        assert_int_equal(to.slot, rows[i].slot);
        assert_int_equal(to.port, rows[i].port);
    }
}

static void what_is_no_redirect_is_not_followed(void **state)
{
    (void) state;
    static const char *const rows[] = {
        "MOVED",
        "MOVED ",
        "MOVED 1",
        "MOVED 1 127.0.0.1",
        "MOVED 16384 127.0.0.1:6379",
        "MOVED -1 127.0.0.1:6379",
        "MOVED 1 127.0.0.1:0",
        "MOVED 1 127.0.0.1:65536",
        "MOVED 1 127.0.0.1:6379x",
        "MOVED 1 /run/other.sock:6379",
        "MOVED 1 ?:6379",
        "MOVED 1:2 x",
        "MOVEDX 1 127.0.0.1:6379",
        "ERR MOVED 1 127.0.0.1:6379",
        "",
    };
    struct xf_resp_redirect to;
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        redisReply reply = error(rows[i]);
        if (xf_resp_redirect_read(&reply, &to)) {
            fail_msg("%s is followed", rows[i]);
        }
    }
    char large[1000] = "MOVED 1 ";
    memset(large + 8, 'a', sizeof(large) - 16);
    strcpy(large + sizeof(large) - 8, ":6379");
    redisReply reply = error(large);
    assert_false(xf_resp_redirect_read(&reply, &to));
    reply = error("MOVED 1 127.0.0.1:6379");
    reply.type = REDIS_REPLY_STRING;
    assert_false(xf_resp_redirect_read(&reply, &to));
}

static void only_errors_of_a_cluster_say_that_nobody_answers(void **state)
{
    (void) state;
    redisReply down = error("CLUSTERDOWN The cluster is down");
    redisReply again = error("TRYAGAIN Multiple keys request during rehashing of slot");
    redisReply type = error("WRONGTYPE Operation against a key");
    redisReply text = {.type = REDIS_REPLY_STRING, .str = (char *) "TRYAGAIN ", .len = 9};
    assert_true(xf_resp_unavailable(&down));
    assert_true(xf_resp_unavailable(&again));
    assert_false(xf_resp_unavailable(&type));
    assert_false(xf_resp_unavailable(&text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slot_comes_from_what_stands_between_the_first_braces),
        cmocka_unit_test(a_command_belongs_to_its_first_key_of_ours),
        cmocka_unit_test(redirects_are_read),
        cmocka_unit_test(what_is_no_redirect_is_not_followed),
        cmocka_unit_test(only_errors_of_a_cluster_say_that_nobody_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
