/*
 * backend.c -- see backend.h.
 */
#include "backend.h"

#include "config/base/check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct session {
    struct backend *backend;
    int fd;
    char bytes[65536];
    size_t length;
};

void backend_listen(struct backend *backend, const char *name)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    memset(backend, 0, sizeof(*backend));
    (void) snprintf(backend->name, sizeof(backend->name), "%s", name);
    backend->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    XF_ASSERT(bind(backend->listen_fd, (struct sockaddr *) &address, size) == 0);
    XF_ASSERT(listen(backend->listen_fd, 1024) == 0);
    XF_ASSERT(getsockname(backend->listen_fd, (struct sockaddr *) &address, &size) == 0);
    backend->port = ntohs(address.sin_port);
}

static bool put(struct session *session, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(session->fd, bytes, length, MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        bytes += sent;
        length -= (size_t) sent;
    }
    return true;
}

static bool say(struct session *session, const char *text)
{
    return put(session, text, strlen(text));
}

static bool more(struct session *session)
{
    ssize_t got = recv(session->fd, session->bytes + session->length,
                       sizeof(session->bytes) - 1 - session->length, 0);
    if (got <= 0) {
        return false;
    }
    session->length += (size_t) got;
    session->bytes[session->length] = '\0';
    return true;
}

static void drop(struct session *session, size_t count)
{
    memmove(session->bytes, session->bytes + count, session->length - count + 1);
    session->length -= count;
}

static bool take_bytes(struct session *session, size_t count, char *body, size_t *body_length)
{
    while (count > 0) {
        if (session->length == 0 && !more(session)) {
            return false;
        }
        size_t piece = session->length < count ? session->length : count;
        if (body != NULL && *body_length + piece < 65536) {
            memcpy(body + *body_length, session->bytes, piece);
            *body_length += piece;
        }
        drop(session, piece);
        count -= piece;
    }
    return true;
}

static bool take_chunks(struct session *session, char *body, size_t *body_length)
{
    for (;;) {
        char *end;
        while ((end = strstr(session->bytes, "\r\n")) == NULL) {
            if (!more(session)) {
                return false;
            }
        }
        size_t size = strtoul(session->bytes, NULL, 16);
        drop(session, (size_t) (end + 2 - session->bytes));
        size_t skipped = 0;
        if (size > 0 && !take_bytes(session, size, body, body_length)) {
            return false;
        }
        if (!take_bytes(session, 2, NULL, &skipped)) {
            return false;
        }
        if (size == 0) {
            return true;
        }
    }
}

static bool answer(struct session *session, unsigned status, const char *fields, const char *body,
                   size_t length)
{
    char head[512];
    int size = snprintf(head, sizeof(head),
                        "HTTP/1.1 %u Said\r\nX-Name: %s\r\nContent-Length: %zu\r\n%s\r\n", status,
                        session->backend->name, length, fields);
    return put(session, head, (size_t) size) && put(session, body, length);
}

static bool answer_many(struct session *session, size_t count, bool chunked, bool close_it)
{
    static const char block[65536] = {0};
    char head[512];
    int size =
        snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nX-Name: %s\r\n", session->backend->name);
    if (chunked) {
        size += snprintf(head + size, sizeof(head) - (size_t) size,
                         "Transfer-Encoding: chunked\r\n\r\n");
    } else if (close_it) {
        size += snprintf(head + size, sizeof(head) - (size_t) size, "Connection: close\r\n\r\n");
    } else {
        size += snprintf(head + size, sizeof(head) - (size_t) size, "Content-Length: %zu\r\n\r\n",
                         count);
    }
    if (!put(session, head, (size_t) size)) {
        return false;
    }
    while (count > 0) {
        size_t piece = count < sizeof(block) ? count : sizeof(block);
        char line[32];
        int line_size = snprintf(line, sizeof(line), "%zx\r\n", piece);
        if ((chunked && !put(session, line, (size_t) line_size)) || !put(session, block, piece) ||
            (chunked && !put(session, "\r\n", 2))) {
            return false;
        }
        count -= piece;
    }
    return (!chunked || put(session, "0\r\n\r\n", 5)) && !close_it;
}

static bool begin_answer(struct session *session, const char *framing)
{
    static const struct {
        const char *framing, *text;
    } rows[] = {
        {"length", "Content-Length: 100000\r\n\r\nbegun"},
        {"chunked", "Transfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n"},
        {"close", "Connection: close\r\n\r\nbegun"},
    };
    bool going = say(session, "HTTP/1.1 200 OK\r\n");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(framing, rows[i].framing) == 0) {
            going = going && say(session, rows[i].text);
        }
    }
    while (going && more(session)) {
        drop(session, session->length);
    }
    return false;
}

static void pause_ms(int ms)
{
    (void) poll(NULL, 0, ms);
}

static void reset(struct session *session)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    (void) setsockopt(session->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

static bool upgrade(struct session *session)
{
    if (!say(session, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                      "Upgrade: websocket\r\n\r\n")) {
        return false;
    }
    while (session->length > 0 || more(session)) {
        if (!put(session, session->bytes, session->length)) {
            return false;
        }
        drop(session, session->length);
    }
    return false;
}

static bool serve(struct session *session, char *head, const char *path, bool head_only)
{
    static const char half[] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
    size_t number = strrchr(path, '/') > path ? strtoul(strrchr(path, '/') + 1, NULL, 10) : 0;
    if (head_only) {
        return say(session, "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n");
    }
    if (atomic_load(&session->backend->bad)) {
        return answer(session, 503, "", "bad", 3);
    }
    if (strncmp(path, "/len/", 5) == 0) {
        return answer_many(session, number, false, false);
    }
    if (strncmp(path, "/chunked/", 9) == 0) {
        return answer_many(session, number, true, false);
    }
    if (strncmp(path, "/close/", 7) == 0) {
        return answer_many(session, number, false, true);
    }
    if (strncmp(path, "/endless/", 9) == 0) {
        return begin_answer(session, path + 9);
    }
    if (strncmp(path, "/status/", 8) == 0) {
        return answer(session, (unsigned) number, "", "", 0);
    }
    if (strncmp(path, "/slow/", 6) == 0) {
        pause_ms((int) number);
    }
    if (strcmp(path, "/drop") == 0) {
        return false;
    }
    if (strcmp(path, "/half") == 0 || strcmp(path, "/reset") == 0) {
        (void) put(session, half, sizeof(half) - 1);
        if (path[1] == 'r') {
            reset(session);
        }
        return false;
    }
    if (strcmp(path, "/garbage") == 0) {
        return say(session, "what is this\r\n\r\n");
    }
    if (strcmp(path, "/hints") == 0 &&
        !say(session, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")) {
        return false;
    }
    if (strcmp(path, "/upgrade") == 0) {
        return upgrade(session);
    }
    if (strcmp(path, "/head") == 0) {
        return answer(session, 200, "", head, strlen(head));
    }
    return answer(session, 200, "", "hello", 5) && strcmp(path, "/once") != 0;
}

static bool one_request(struct session *session)
{
    char *end;
    while ((end = strstr(session->bytes, "\r\n\r\n")) == NULL) {
        if (!more(session)) {
            return false;
        }
    }
    static _Thread_local char head[65536], body[65536];
    char method[16], path[4096];
    size_t head_length = (size_t) (end + 4 - session->bytes);
    memcpy(head, session->bytes, head_length);
    head[head_length] = '\0';
    drop(session, head_length);
    if (sscanf(head, "%15s %4095s", method, path) != 2) {
        return false;
    }
    if (strcmp(path, "/early") == 0) {
        (void) answer(session, 403, "", "no", 2);
        pause_ms(50);
        return false;
    }
    size_t body_length = 0;
    const char *length = strcasestr(head, "\r\ncontent-length:");
    if (length != NULL &&
        !take_bytes(session, strtoul(length + 17, NULL, 10), body, &body_length)) {
        return false;
    }
    if (strcasestr(head, "\r\ntransfer-encoding: chunked") != NULL &&
        !take_chunks(session, body, &body_length)) {
        return false;
    }
    atomic_fetch_add(&session->backend->requests, 1);
    if (strcmp(method, "POST") == 0) {
        atomic_fetch_add(&session->backend->posts, 1);
    }
    if (strcmp(path, "/echo") == 0) {
        return answer(session, 200, "", body, body_length);
    }
    return serve(session, head, path, strcmp(method, "HEAD") == 0) &&
           !atomic_load(&session->backend->silent_close);
}

static void *run_session(void *arg)
{
    struct session *session = arg;
    while (one_request(session)) {
    }
    (void) close(session->fd);
    atomic_fetch_sub(&session->backend->open, 1);
    free(session);
    return NULL;
}

static void *run_listener(void *arg)
{
    struct backend *backend = arg;
    for (;;) {
        int fd = accept4(backend->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            return NULL;
        }
        int on = 1;
        (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        atomic_fetch_add(&backend->connections, 1);
        atomic_fetch_add(&backend->open, 1);
        struct session *session = calloc(1, sizeof(*session));
        XF_ASSERT(session != NULL);
        session->backend = backend;
        session->fd = fd;
        pthread_t thread;
        XF_ASSERT(pthread_create(&thread, NULL, run_session, session) == 0);
        (void) pthread_detach(thread);
    }
}

void backend_start(struct backend *backend)
{
    pthread_t thread;
    XF_ASSERT(pthread_create(&thread, NULL, run_listener, backend) == 0);
    (void) pthread_detach(thread);
}

void backend_refuse(struct backend *backend)
{
    (void) shutdown(backend->listen_fd, SHUT_RDWR);
    (void) close(backend->listen_fd);
}
