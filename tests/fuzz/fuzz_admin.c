/*
 * fuzz_admin.c -- any bytes on the admin socket: what the handler sees keeps its bounds, every
 * request that it sees is answered once, and the server's own words are valid HTTP.
 */
#include "fuzz.h"

#include "config/base/clock.h"
#include "proxy/http/http1.h"
#include "shifter/admin/admin.h"
#include "shifter/admin/admin_connection.h"

#include <event2/event.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWERS_BYTES (1024u * 1024u)

static unsigned handled;

static void check_text(const char *text, size_t room)
{
    FUZZ_CHECK(memchr(text, '\0', room) != NULL && strpbrk(text, "\r\n") == NULL);
}

static void handle(void *context, struct xf_admin_exchange *exchange,
                   const struct xf_admin_request *request)
{
    (void) context;
    handled++;
    FUZZ_CHECK(request->path[0] == '/' || request->path[0] == '*' || request->path[0] == 'h' ||
               request->path[0] == 'H');
    FUZZ_CHECK(strpbrk(request->path, " \r\n?") == NULL);
    FUZZ_CHECK(strpbrk(request->query, " \r\n") == NULL);
    FUZZ_CHECK(request->body[request->body_length] == '\0');
    check_text(request->host, sizeof(request->host));
    check_text(request->origin, sizeof(request->origin));
    check_text(request->idempotency_key, sizeof(request->idempotency_key));
    check_text(request->authorization, sizeof(request->authorization));
    xf_admin_answer(exchange, 200, "text/plain", request->path, strlen(request->path));
}

/* Reads answers one after another; their number. */
static unsigned count_answers(const char *bytes, size_t length, bool head)
{
    static const struct xf_http_limits limits = {.head_bytes_max = 65536, .fields_max = 64};
    static struct xf_field fields[64];
    unsigned count = 0;
    for (size_t at = 0; at < length; count++) {
        struct xf_http_response response;
        struct xf_http_refusal refusal;
        FUZZ_CHECK(xf_http_parse_response(bytes + at, length - at, 0,
                                          head ? XF_METHOD_HEAD : XF_METHOD_GET, &limits, fields,
                                          &response, &refusal) == XF_HTTP_DONE);
        FUZZ_CHECK(response.framing != XF_FRAMING_CHUNKED);
        at += response.head_bytes;
        size_t body = response.framing == XF_FRAMING_NONE ? 0 : (size_t) response.content_length;
        FUZZ_CHECK(body <= length - at);
        at += body;
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct event_base *loop;
    static char answers[ANSWERS_BYTES];
    int pair[2];
    loop = loop != NULL ? loop : event_base_new();
    struct xf_admin_calls calls = {handle, NULL};
    struct xf_admin *admin = xf_admin_create(loop, xf_clock_system(), &calls);
    FUZZ_CHECK(admin != NULL);
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    struct xf_admin_peer peer = {.local = true};
    xf_admin_connection_open(admin, pair[0], &peer);
    handled = 0;
    size_t got = 0, sent = 0, piece = 1 + fuzz_hash(data, size) % (size + 1);
    bool over = false;
    while (!over) {
        size_t length = size - sent < piece ? size - sent : piece;
        ssize_t put = length > 0 ? send(pair[1], data + sent, length, MSG_NOSIGNAL) : 0;
        sent += put > 0 ? (size_t) put : 0;
        if (sent == size || put < 0) {
            over = true;
        }
        (void) event_base_loop(loop, EVLOOP_NONBLOCK);
        ssize_t took;
        while ((took = recv(pair[1], answers + got, sizeof(answers) - got, 0)) > 0) {
            got += (size_t) took;
            (void) event_base_loop(loop, EVLOOP_NONBLOCK);
        }
    }
    bool head = size >= 4 && memmem(data, size, "HEAD", 4) != NULL;
    if (!head) { /* else it is not known which answer belongs to it */
        unsigned count = count_answers(answers, got, false);
        FUZZ_CHECK(count == handled || count == handled + 1); /* one more: a refusal */
    }
    close(pair[1]);
    xf_admin_destroy(admin);
    return 0;
}
