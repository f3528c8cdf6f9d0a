/*
 * test_proxy_header.c -- PROXY headers, version 1 and 2.
 */
#include "proxy/http/proxy_header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define ADDRESSES "\xc0\x00\x02\x07\xc6\x33\x64\x01\x12\x67\x01\xbb"
#define BYTES(literal)                                                                             \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

struct input {
    const char *bytes;
    size_t length;
};

static void check(const struct xf_proxy_header *header, const char *client, unsigned port)
{
    char text[XF_ADDRESS_TEXT_BYTES];
    assert_int_equal(header->named, client != NULL);
    if (client != NULL) {
        assert_true(xf_address_text(&header->client, text) > 0);
        assert_string_equal(text, client);
        assert_int_equal(header->client_port, port);
    }
}

static void a_header_names_the_client_and_wants_every_byte_of_itself(void **state)
{
    (void) state;
    static const struct {
        struct input input;
        const char *client;
        unsigned port;
    } rows[] = {
        {BYTES("PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n"), "192.0.2.7", 4711},
        {BYTES("PROXY TCP6 2001:db8::7 ::1 0 65535\r\n"), "2001:db8::7", 0},
        {BYTES("PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n"), "192.0.2.7", 1},
        {BYTES("PROXY UNKNOWN\r\n"), NULL, 0},
        {BYTES("PROXY UNKNOWN ff:: whatever 1\r\n"), NULL, 0},
        {BYTES(SIGNATURE "\x21\x11\0\x0c" ADDRESSES), "192.0.2.7", 4711},
        {BYTES(SIGNATURE "\x21\x11\0\x12" ADDRESSES "\x04\0\3abc"), "192.0.2.7", 4711},
        {BYTES(SIGNATURE "\x21\x12\0\x0c" ADDRESSES), NULL, 0}, /* UDP */
        {BYTES(SIGNATURE "\x20\x00\0\0"), NULL, 0},
        {BYTES(SIGNATURE "\x20\x11\0\x0c" ADDRESSES), NULL, 0}, /* LOCAL */
        {BYTES(SIGNATURE "\x21\x00\0\2xy"), NULL, 0},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        char bytes[256];
        struct xf_proxy_header header = {0};
        size_t length = rows[i].input.length;
        memcpy(bytes, rows[i].input.bytes, length);
        memcpy(bytes + length, "GET", 3);
        for (size_t part = 0; part < length; part++) {
            assert_int_equal(xf_proxy_header_read(bytes, part, &header), XF_PROXY_MORE);
        }
        assert_int_equal(xf_proxy_header_read(bytes, length + 3, &header), XF_PROXY_DONE);
        assert_int_equal(header.bytes, length);
        check(&header, rows[i].client, rows[i].port);
    }
}

static void what_breaks_the_rules_is_refused(void **state)
{
    (void) state;
    static const struct input rows[] = {
        BYTES("GET / HTTP/1.1\r\n"),
        BYTES("proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n"),
        BYTES("PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n"),
        BYTES("PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n"),
        BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n"),
        BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n"),
        BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n"),
        BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n"),
        BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\rx"),
        BYTES("PROXY TCP4 1.2.3.4\t1.2.3.4 1 2\r\n"),
        BYTES("PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n"),
        BYTES("PROXY TCP4 ::1 ::1 1 2\r\n"),
        BYTES("PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n"),
        BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n"),
        BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n"),
        BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n"),
        BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n"),
        BYTES("PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n"),
        BYTES("PROXY \r\n"),
        BYTES(
            "PROXY UNKNOWN xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
        BYTES(SIGNATURE "\x11\x11\0\x0c" ADDRESSES),          /* version 1 */
        BYTES(SIGNATURE "\x22\x11\0\x0c" ADDRESSES),          /* a command that is none */
        BYTES(SIGNATURE "\x21\x41\0\x0c" ADDRESSES),          /* a family that is none */
        BYTES(SIGNATURE "\x21\x11\0\x0b" ADDRESSES),          /* too short for its family */
        BYTES(SIGNATURE "\x21\x21\0\x0c" ADDRESSES),          /* likewise */
        BYTES(SIGNATURE "\x21\x11\0\x0e" ADDRESSES "\x04\0"), /* half an extension */
        BYTES(SIGNATURE "\x21\x11\0\x12" ADDRESSES "\x04\0\4abc"),
        BYTES(SIGNATURE "\x21\x11\xff\xff" ADDRESSES),
        BYTES("\r\n\r\nQUIT"),
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        struct xf_proxy_header header;
        assert_int_equal(xf_proxy_header_read(rows[i].bytes, rows[i].length, &header),
                         XF_PROXY_BAD);
    }
}

static void what_is_written_is_read_back(void **state)
{
    (void) state;
    struct xf_proxy_header header = {
        .named = true, .client_port = 4711, .server_port = 443, .client = {{192, 0, 2, 7}, 4}};
    struct xf_proxy_header read = {0};
    char bytes[XF_PROXY_HEADER_WRITTEN];
    header.server = (struct xf_address){{198, 51, 100, 1}, 4};
    assert_int_equal(xf_proxy_header_write(&header, bytes), 28);
    assert_memory_equal(bytes, SIGNATURE "\x21\x11\0\x0c" ADDRESSES, 28);
    header.client = (struct xf_address){{0x20, 0x01, 0x0d, 0xb8, [15] = 7}, 16};
    header.server = (struct xf_address){.length = 16};
    assert_int_equal(xf_proxy_header_write(&header, bytes), 52);
    assert_int_equal(xf_proxy_header_read(bytes, 52, &read), XF_PROXY_DONE);
    check(&read, "2001:db8::7", 4711);
    header.server.length = 4; /* two families: nobody is named */
    assert_int_equal(xf_proxy_header_write(&header, bytes), 16);
    assert_memory_equal(bytes, SIGNATURE "\x20\0\0\0", 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_names_the_client_and_wants_every_byte_of_itself),
        cmocka_unit_test(what_breaks_the_rules_is_refused),
        cmocka_unit_test(what_is_written_is_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
