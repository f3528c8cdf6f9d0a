/*
 * test_store_redis_reply.c -- whatever stands in Redis is read, or is unreadable, and no more.
 *
 * Answers that are ours are mutated byte by byte, by a seeded generator, and read through the
 * same reader and the same functions as those of a server.
 */
#include "shifter/store/resp_reader.h"
#include "shifter/store/store_redis_reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MUTATIONS 100000u
#define WRITE_ID  "11111111-0000-4000-8000-000000000001"

static const char *const answers[] = {
    "*5\r\n$1\r\n3\r\n$2\r\n17\r\n$1\r\n0\r\n$36\r\n" WRITE_ID "\r\n$13\r\n{\"weight\":12}\r\n",
    "*4\r\n$1\r\n3\r\n$2\r\n17\r\n$1\r\n0\r\n$36\r\n" WRITE_ID "\r\n",
    "*3\r\n$36\r\n" WRITE_ID "\r\n$1\r\n2\r\n$3\r\n105\r\n",
    "*1\r\n*2\r\n$4\r\n17-0\r\n*4\r\n$8\r\nwrite_id\r\n$36\r\n" WRITE_ID
    "\r\n$5\r\nentry\r\n$2\r\n{}\r\n",
    "*2\r\n$10\r\n1795348800\r\n$6\r\n123456\r\n",
    "$13\r\n{\"weight\":12}\r\n",
    "$-1\r\n",
};

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void ignore_state(void *context, enum xf_store_result result,
                         const struct xf_store_state *state, const char *message)
{
    (void) context;
    (void) result;
    (void) state;
    (void) message;
}

/* Reads an answer as each kind; what is OK must hold what the contract says. */
static void read_as_everything(const redisReply *reply)
{
    struct xf_store_asker nobody = {XF_ANSWER_STATE, {.state = ignore_state}, NULL};
    struct xf_store_answer *answer = xf_store_answer_create(&nobody);
    struct xf_store_state state;
    struct xf_store_lease lease;
    struct xf_version version;
    char write_id[XF_UUID_TEXT_BYTES];
    char *text = NULL;
    uint64_t generation, revision;
    if (xf_redis_read_state(reply, &state, &text) == XF_STORE_OK) {
        assert_true(state.version.epoch <= INT64_MAX && state.version.generation <= INT64_MAX);
        assert_true(strlen(text) <= XF_DOCUMENT_BYTES_MAX);
        assert_true(strlen(state.write_id) < XF_UUID_TEXT_BYTES);
        free(text);
    }
    if (xf_redis_read_version(reply, &version, write_id)) {
        assert_true(version.generation <= INT64_MAX);
    }
    if (xf_redis_read_lease(reply, &lease) == XF_STORE_OK) {
        assert_true(strlen(lease.holder) < XF_UUID_TEXT_BYTES);
    }
    if (xf_redis_read_text(reply, &text) == XF_STORE_OK) {
        free(text);
    }
    if (xf_redis_read_time(reply, &text) == XF_STORE_OK) {
        assert_true(strtoll(text, NULL, 10) >= 0);
        free(text);
    }
    (void) xf_redis_read_place(reply, &generation, &revision);
    (void) xf_redis_find_field(reply, "entry");
    if (xf_redis_read_log(reply, answer) == XF_STORE_OK) {
        for (size_t i = 0; i < answer->entries_count; i++) {
            assert_true(strlen(answer->entries[i].entry) <= XF_STORE_ENTRY_BYTES_MAX);
        }
    }
    xf_store_answer_destroy(answer);
}

static unsigned read_bytes(const char *bytes, size_t length)
{
    struct xf_resp_reader *reader = xf_resp_reader_create();
    redisReply *reply;
    unsigned count = 0;
    if (xf_resp_reader_feed(reader, bytes, length)) {
        while (xf_resp_reader_next(reader, &reply) == XF_RESP_REPLY) {
            read_as_everything(reply);
            freeReplyObject(reply);
            count++;
        }
    }
    xf_resp_reader_destroy(reader);
    return count;
}

static void what_is_ours_is_read(void **state)
{
    (void) state;
    for (size_t i = 0; i < XF_COUNT(answers); i++) {
        assert_int_equal(read_bytes(answers[i], strlen(answers[i])), 1);
    }
}

static void a_hundred_thousand_mutations_are_read_or_unreadable(void **state)
{
    uint64_t seed = 20261122;
    unsigned whole = 0;
    (void) state;
    for (unsigned i = 0; i < MUTATIONS; i++) {
        char bytes[256];
        const char *from = answers[next_random(&seed) % XF_COUNT(answers)];
        size_t length = strlen(from);
        memcpy(bytes, from, length);
        for (uint64_t changes = 1 + next_random(&seed) % 3; changes > 0; changes--) {
            static const char interesting[] = "0123456789-+:$*\r\n\0x";
            uint64_t draw = next_random(&seed);
            bytes[draw % length] = (draw >> 32) % 4 == 0
                                       ? (char) (draw >> 40)
                                       : interesting[(draw >> 40) % (sizeof(interesting) - 1)];
        }
        whole += read_bytes(bytes, length) > 0;
    }
    assert_true(whole > MUTATIONS / 10); /* enough of them got past the reader */
}

static void numbers_and_lengths_out_of_range_are_unreadable(void **state)
{
    static const char *const bad[] = {
        "*5\r\n$2\r\n-1\r\n$1\r\n1\r\n$1\r\n0\r\n$1\r\nw\r\n$2\r\n{}\r\n",
        "*5\r\n$1\r\n1\r\n$20\r\n99999999999999999999\r\n$1\r\n0\r\n$1\r\nw\r\n$2\r\n{}\r\n",
        "*5\r\n$1\r\n1\r\n:7\r\n$1\r\n0\r\n$1\r\nw\r\n$2\r\n{}\r\n",
        "*5\r\n$1\r\n1\r\n$1\r\n1\r\n$1\r\n0\r\n$"
        "40\r\n1234567890123456789012345678901234567890\r\n$2"
        "\r\n{}\r\n",
        "*5\r\n$1\r\n1\r\n$1\r\n1\r\n$1\r\n0\r\n$1\r\nw\r\n$3\r\n{\0}\r\n",
        "*5\r\n$1\r\n1\r\n$1\r\n1\r\n$1\r\n0\r\n$1\r\nw\r\n$-1\r\n",
        "*4\r\n$1\r\n1\r\n$1\r\n1\r\n$1\r\n0\r\n$1\r\nw\r\n",
        "+OK\r\n",
    };
    (void) state;
    for (size_t i = 0; i < XF_COUNT(bad); i++) {
        struct xf_resp_reader *reader = xf_resp_reader_create();
        struct xf_store_state read;
        redisReply *reply = NULL;
        char *text = NULL;
        size_t length = strlen(bad[i]);
        length += bad[i][length - 1] == '{' ? 5 : 0; /* the NUL and what follows */
        assert_true(xf_resp_reader_feed(reader, bad[i], length));
        assert_int_equal(xf_resp_reader_next(reader, &reply), XF_RESP_REPLY);
        assert_int_equal(xf_redis_read_state(reply, &read, &text), XF_STORE_UNREADABLE);
        freeReplyObject(reply);
        xf_resp_reader_destroy(reader);
    }
}

/* A name that is no text must not look like a store that is lost: its proxy is a member. */
static void a_roster_is_read_whatever_bytes_its_names_have(void **state)
{
    static const char answer[] = "*4\r\n$7\r\nversion\r\n$1\r\n7\r\n"
                                 "$36\r\n" WRITE_ID "\r\n$9\r\nboot a\xff\"b\r\n";
    (void) state;
    struct xf_resp_reader *reader = xf_resp_reader_create();
    redisReply *reply = NULL;
    char *text = NULL;
    assert_true(xf_resp_reader_feed(reader, answer, sizeof(answer) - 1));
    assert_int_equal(xf_resp_reader_next(reader, &reply), XF_RESP_REPLY);
    assert_int_equal(xf_redis_read_roster(reply, &text), XF_STORE_OK);
    assert_string_equal(text, "{\"version\":\"7\",\"members\":[[\"" WRITE_ID
                              "\",\"a\xef\xbf\xbd\\\"b\"]]}");
    free(text);
    freeReplyObject(reply);
    xf_resp_reader_destroy(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_ours_is_read),
        cmocka_unit_test(a_hundred_thousand_mutations_are_read_or_unreadable),
        cmocka_unit_test(a_roster_is_read_whatever_bytes_its_names_have),
        cmocka_unit_test(numbers_and_lengths_out_of_range_are_unreadable),
    };
    return cmocka_run_group_tests_name("store_redis_reply", tests, NULL, NULL);
}
