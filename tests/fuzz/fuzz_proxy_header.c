/*
 * fuzz_proxy_header.c -- PROXY headers: every prefix of an accepted one wants more, what follows it
 * changes nothing, and what version 2 can say is read back as it was written.
 */
#include "fuzz.h"

#include "proxy/http/proxy_header.h"

static enum xf_proxy_verdict look(const uint8_t *data, size_t size, struct xf_proxy_header *ret)
{
    char *exact = fuzz_exact(data, size);
    enum xf_proxy_verdict verdict = xf_proxy_header_read(exact, size, ret);
    free(exact);
    return verdict;
}

static void check_address(const struct xf_address *address, bool named)
{
    FUZZ_CHECK(named ? address->length == 4 || address->length == 16 : address->length == 0);
    char text[XF_ADDRESS_TEXT_BYTES];
    FUZZ_CHECK(!named || xf_address_text(address, text) > 0);
}

static void check_round_trip(const struct xf_proxy_header *header)
{
    char bytes[XF_PROXY_HEADER_WRITTEN];
    struct xf_proxy_header again;
    size_t written = xf_proxy_header_write(header, bytes);
    FUZZ_CHECK(written <= sizeof(bytes));
    FUZZ_CHECK(look((const uint8_t *) bytes, written, &again) == XF_PROXY_DONE);
    FUZZ_CHECK(again.bytes == written);
    if (header->named && header->client.length == header->server.length) {
        FUZZ_CHECK(again.named);
        FUZZ_CHECK(again.client.length == header->client.length);
        FUZZ_CHECK(memcmp(again.client.bytes, header->client.bytes, header->client.length) == 0);
        FUZZ_CHECK(memcmp(again.server.bytes, header->server.bytes, header->server.length) == 0);
        FUZZ_CHECK(again.client_port == header->client_port);
        FUZZ_CHECK(again.server_port == header->server_port);
    } else {
        FUZZ_CHECK(!again.named);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xf_proxy_header header, shorter;
    enum xf_proxy_verdict verdict = look(data, size, &header);
    if (verdict == XF_PROXY_MORE) {
        FUZZ_CHECK(size < XF_PROXY_HEADER_MAX);
    }
    if (verdict != XF_PROXY_DONE) {
        return 0;
    }
    FUZZ_CHECK(header.bytes <= size && header.bytes <= XF_PROXY_HEADER_MAX);
    check_address(&header.client, header.named);
    check_address(&header.server, header.named);
    FUZZ_CHECK(look(data, header.bytes, &shorter) == XF_PROXY_DONE);
    FUZZ_CHECK(shorter.bytes == header.bytes && shorter.named == header.named);
    for (size_t i = 0; i < header.bytes; i++) {
        FUZZ_CHECK(look(data, i, &shorter) == XF_PROXY_MORE);
    }
    check_round_trip(&header);
    return 0;
}
