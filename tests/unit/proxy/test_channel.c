/*
 * test_channel.c -- packets between the supervisor and its children.
 */
#include "proxy/board/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct xf_channel_message sent, got;

static void a_message_arrives_whole_with_its_descriptors(void **state)
{
    (void) state;
    int ends[2], pipes[2];
    assert_true(xf_channel_pair(ends));
    assert_int_equal(pipe(pipes), 0);
    sent = (struct xf_channel_message){
        .kind = XF_CHANNEL_EDITION, .a = 1, .b = UINT64_MAX, .c = 3, .d = 4, .text = "why not"};
    sent.fds_count = XF_CHANNEL_FDS_MAX;
    for (unsigned i = 0; i < XF_CHANNEL_FDS_MAX; i++) {
        sent.fds[i] = pipes[1];
    }
    assert_true(xf_channel_send(ends[0], &sent));
    assert_int_equal(xf_channel_receive(ends[1], &got), XF_CHANNEL_GOT);
    assert_int_equal(got.kind, XF_CHANNEL_EDITION);
    assert_true(got.a == 1 && got.b == UINT64_MAX && got.c == 3 && got.d == 4);
    assert_string_equal(got.text, "why not");
    assert_int_equal(got.fds_count, XF_CHANNEL_FDS_MAX);
    assert_int_equal(write(got.fds[XF_CHANNEL_FDS_MAX - 1], "x", 1), 1);
    for (unsigned i = 0; i < got.fds_count; i++) {
        assert_true((fcntl(got.fds[i], F_GETFD) & FD_CLOEXEC) != 0);
        close(got.fds[i]);
    }
    assert_int_equal(xf_channel_receive(ends[1], &got), XF_CHANNEL_EMPTY);
    close(ends[0]);
    assert_int_equal(xf_channel_receive(ends[1], &got), XF_CHANNEL_CLOSED);
    close(ends[1]);
    close(pipes[0]);
    close(pipes[1]);
}

static void a_text_of_the_full_length_is_kept_and_ended(void **state)
{
    (void) state;
    int ends[2];
    assert_true(xf_channel_pair(ends));
    sent = (struct xf_channel_message){.kind = XF_CHANNEL_RELOADED};
    memset(sent.text, 'x', sizeof(sent.text));
    assert_true(xf_channel_send(ends[0], &sent));
    assert_int_equal(xf_channel_receive(ends[1], &got), XF_CHANNEL_GOT);
    assert_int_equal(strlen(got.text), XF_CHANNEL_TEXT_BYTES - 1);
    close(ends[0]);
    close(ends[1]);
}

static void a_malformed_packet_ends_the_channel(void **state)
{
    (void) state;
    static const struct {
        uint32_t kind, fds_count;
        size_t bytes;
    } packets[] = {
        {0, 0, 40},                                         /* no kind */
        {XF_CHANNEL_KINDS, 0, 40},                          /* a kind from the future */
        {XF_CHANNEL_ACCEPT, 0, 39},                         /* too short */
        {XF_CHANNEL_ACCEPT, 0, 4},                          /* much too short */
        {XF_CHANNEL_ACCEPT, 1, 40},                         /* a descriptor that is not there */
        {XF_CHANNEL_ACCEPT, 0, 40 + XF_CHANNEL_TEXT_BYTES}, /* too long */
    };
    for (size_t i = 0; i < XF_COUNT(packets); i++) {
        char bytes[1024] = {0};
        int ends[2];
        assert_true(xf_channel_pair(ends));
        memcpy(bytes, &packets[i].kind, 4);
        memcpy(bytes + 4, &packets[i].fds_count, 4);
        assert_int_equal(send(ends[0], bytes, packets[i].bytes, 0), packets[i].bytes);
        assert_int_equal(xf_channel_receive(ends[1], &got), XF_CHANNEL_CLOSED);
        assert_int_equal(got.fds_count, 0);
        close(ends[0]);
        close(ends[1]);
    }
}

static void a_full_queue_is_told_and_never_waited_for(void **state)
{
    (void) state;
    int ends[2];
    unsigned count = 0;
    assert_true(xf_channel_pair(ends));
    sent = (struct xf_channel_message){.kind = XF_CHANNEL_ACCEPT};
    while (xf_channel_send(ends[0], &sent)) {
        count++;
        assert_true(count < 1000000);
    }
    assert_int_equal(errno, EAGAIN);
    assert_true(count >= 8);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_arrives_whole_with_its_descriptors),
        cmocka_unit_test(a_text_of_the_full_length_is_kept_and_ended),
        cmocka_unit_test(a_malformed_packet_ends_the_channel),
        cmocka_unit_test(a_full_queue_is_told_and_never_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
