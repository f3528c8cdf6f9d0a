/*
 * load_client.c -- the closed-loop client of bench/load.
 */
#include "bench/load.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define SAMPLES_MAX 2000000u
#define BODY_BYTES  1024u

struct link {
    int fd;
    size_t expected; /* bytes of an answer; 0: not learned yet */
    size_t got;
    uint64_t sent_us;
    bool open;
    bool waiting; /* a request is out */
};

struct run {
    const struct load_options *options;
    int epoll;
    char request[4096];
    size_t request_length;
    bool fresh; /* a new connection per request */
    uint64_t answered, failed, bytes;
    uint32_t *samples;
    size_t samples_count;
    bool counting;
};

static char input[1 << 20];

static void build_request(struct run *run)
{
    const struct load_options *o = run->options;
    static const char browser[] =
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
        "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n"
        "Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"
        "Referer: https://shop.example.com/catalogue/shoes?page=2\r\n"
        "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=yes\r\n"
        "Upgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\n"
        "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\nPriority: u=0, i\r\n";
    bool post = strcmp(o->kind, "post") == 0;
    run->fresh = strcmp(o->kind, "new") == 0;
    int length = snprintf(
        run->request, sizeof(run->request), "%s %s HTTP/1.1\r\nHost: shop.example.com\r\n%s%s\r\n",
        post ? "POST" : "GET", o->path, strcmp(o->kind, "browser") == 0 ? browser : "",
        post         ? "Content-Length: 1024\r\n"
        : run->fresh ? "Connection: close\r\n"
                     : "");
    run->request_length = (size_t) length;
    if (post) {
        memset(run->request + run->request_length, 'x', BODY_BYTES);
        run->request_length += BODY_BYTES;
    }
}

static void send_request(struct run *run, struct link *link)
{
    link->sent_us = load_now_us();
    link->got = 0;
    ssize_t sent = send(link->fd, run->request, run->request_length, MSG_NOSIGNAL);
    link->waiting = sent == (ssize_t) run->request_length;
}

static void open_link(struct run *run, struct link *link)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = link};
    link->fd = load_connect(run->options->port);
    link->open = true;
    link->waiting = false;
    link->got = 0;
    if (epoll_ctl(run->epoll, EPOLL_CTL_ADD, link->fd, &event) != 0) {
        load_die("epoll_ctl");
    }
}

static void reopen(struct run *run, struct link *link)
{
    (void) close(link->fd);
    open_link(run, link);
}

/* The whole length of an answer, from its head. */
static size_t learn(const char *bytes, size_t length)
{
    const char *end = memmem(bytes, length, "\r\n\r\n", 4);
    if (end == NULL || memcmp(bytes, "HTTP/1.1 200", 12) != 0) {
        return 0;
    }
    for (const char *p = bytes; p < end; p++) {
        if (strncasecmp(p, "\ncontent-length:", 16) == 0) {
            return (size_t) (end + 4 - bytes) + strtoul(p + 16, NULL, 10);
        }
    }
    return 0;
}

static void answered(struct run *run, struct link *link)
{
    uint64_t us = load_now_us() - link->sent_us;
    if (run->counting) {
        run->answered++;
        run->bytes += link->got;
        if (run->samples_count < SAMPLES_MAX) {
            run->samples[run->samples_count++] = us > UINT32_MAX ? UINT32_MAX : (uint32_t) us;
        }
    }
    if (run->fresh) {
        reopen(run, link);
    } else {
        send_request(run, link);
    }
}

static void receive(struct run *run, struct link *link)
{
    for (;;) {
        ssize_t got = recv(link->fd, input, sizeof(input), 0);
        if (got < 0 && errno == EAGAIN) {
            return;
        }
        if (got <= 0) {
            run->failed++;
            link->expected = 0;
            reopen(run, link);
            return;
        }
        if (link->got == 0) {
            if (memcmp(input, "HTTP/1.1 200", (size_t) got < 12 ? (size_t) got : 12) != 0) {
                run->failed++;
            }
            if (link->expected == 0) {
                link->expected = learn(input, (size_t) got);
            }
        }
        link->got += (size_t) got;
        if (link->got >= link->expected && link->expected > 0) {
            if (link->got > link->expected) {
                run->failed++;
            }
            answered(run, link);
            return; /* an edge brings the rest */
        }
        if ((size_t) got < sizeof(input) && link->expected < sizeof(input)) {
            return;
        }
    }
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;
    return x < y ? -1 : x > y;
}

static void print(struct run *run, double seconds)
{
    qsort(run->samples, run->samples_count, sizeof(*run->samples), compare);
    size_t n = run->samples_count;
    (void) printf("{\"requests\": %llu, \"failed\": %llu, \"seconds\": %.4f, \"bytes\": %llu, "
                  "\"p50_us\": %u, \"p99_us\": %u}\n",
                  (unsigned long long) run->answered, (unsigned long long) run->failed, seconds,
                  (unsigned long long) run->bytes, n > 0 ? run->samples[n / 2] : 0,
                  n > 0 ? run->samples[n * 99 / 100] : 0);
}

static void spin(struct run *run, uint64_t until_us)
{
    struct epoll_event events[256];
    while (load_now_us() < until_us) {
        int count = epoll_wait(run->epoll, events, 256, 50);
        for (int i = 0; i < count; i++) {
            struct link *link = events[i].data.ptr;
            if (!link->waiting && (events[i].events & EPOLLOUT) != 0) {
                send_request(run, link);
            }
            if ((events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
                receive(run, link);
            }
        }
    }
}

/* Warms up, then says "go" and counts; the caller reads CPU times at "go" and at the end. */
int load_client(const struct load_options *options)
{
    struct run run = {.options = options, .epoll = epoll_create1(0)};
    struct link *links = calloc(options->connections, sizeof(*links));
    run.samples = calloc(SAMPLES_MAX, sizeof(*run.samples));
    if (links == NULL || run.samples == NULL) {
        load_die("calloc");
    }
    build_request(&run);
    for (unsigned i = 0; i < options->connections; i++) {
        open_link(&run, &links[i]);
    }
    spin(&run, load_now_us() + 150000);
    run.counting = true;
    run.failed = 0;
    (void) printf("go\n");
    (void) fflush(stdout);
    uint64_t from = load_now_us();
    spin(&run, from + (uint64_t) (options->seconds * 1e6));
    print(&run, (double) (load_now_us() - from) / 1e6);
    return run.failed > 0;
}
