/*
 * http_bench.c -- see http_bench.h.  Blocks as it likes: it is a child.
 */
#include "tests/unit/shifter/http_bench.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* A self-signed certificate for `names` in the folder; its key for the server. */
static SSL_CTX *make_certificate(struct http_bench *bench, const char *names)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *) "test", -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    X509_set_pubkey(certificate, key);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    X509_sign(certificate, key, EVP_sha256());
    FILE *file = fopen(bench->ca, "w");
    PEM_write_X509(file, certificate);
    fclose(file);
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(context, certificate);
    SSL_CTX_use_PrivateKey(context, key);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return context;
}

static ssize_t take(SSL *ssl, int fd, char *bytes, size_t room)
{
    return ssl != NULL ? SSL_read(ssl, bytes, (int) room) : recv(fd, bytes, room, 0);
}

static void put(SSL *ssl, int fd, const char *text)
{
    if (ssl != NULL) {
        (void) !SSL_write(ssl, text, (int) strlen(text));
    } else {
        (void) !send(fd, text, strlen(text), MSG_NOSIGNAL);
    }
}

/* Reads one request whole; false when the other side went away before. */
static bool read_request(SSL *ssl, int fd, char *text, size_t room)
{
    size_t got = 0;
    for (;;) {
        ssize_t n = take(ssl, fd, text + got, room - got - 1);
        if (n <= 0) {
            return false;
        }
        got += (size_t) n;
        text[got] = '\0';
        char *end = strstr(text, "\r\n\r\n");
        char *length = strstr(text, "Content-Length: ");
        size_t body = length != NULL ? strtoul(length + 16, NULL, 10) : 0;
        if (end != NULL && got >= (size_t) (end + 4 - text) + body) {
            return true;
        }
    }
}

static void serve(struct http_bench *bench, int listening, SSL_CTX *context,
                  const char *const *answers)
{
    static char text[65536];
    int log = open(bench->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0;;) {
        int fd = accept(listening, NULL, NULL);
        SSL *ssl = NULL;
        bool ready = true;
        if (context != NULL) {
            ssl = SSL_new(context);
            SSL_set_fd(ssl, fd);
            ready = SSL_accept(ssl) == 1;
        }
        if (ready && read_request(ssl, fd, text, sizeof(text))) {
            (void) !write(log, text, strlen(text));
            (void) !write(log, "\n----\n", 6);
            put(ssl, fd, answers[i]);
            i += answers[i + 1] != NULL;
        }
        if (ssl != NULL) {
            SSL_shutdown(ssl);
            SSL_free(ssl);
        }
        close(fd);
    }
}

void http_bench_start(struct http_bench *bench, const char *const *answers, const char *names)
{
    snprintf(bench->folder, sizeof(bench->folder), "/tmp/xf-http-XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
    snprintf(bench->ca, sizeof(bench->ca), "%s/ca.pem", bench->folder);
    snprintf(bench->log, sizeof(bench->log), "%s/requests", bench->folder);
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(address);
    assert_int_equal(bind(listening, (struct sockaddr *) &address, length), 0);
    assert_int_equal(listen(listening, 16), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *) &address, &length), 0);
    bench->port = ntohs(address.sin_port);
    SSL_CTX *context = names != NULL ? make_certificate(bench, names) : NULL;
    bench->pid = fork();
    if (bench->pid == 0) {
        serve(bench, listening, context, answers);
    }
    SSL_CTX_free(context);
    close(listening);
}

void http_bench_stop(struct http_bench *bench)
{
    if (bench->pid > 0) {
        kill(bench->pid, SIGKILL);
        waitpid(bench->pid, NULL, 0);
        bench->pid = 0;
    }
    unlink(bench->ca);
    unlink(bench->log);
    rmdir(bench->folder);
}

char *http_bench_requests(const struct http_bench *bench)
{
    static const size_t room = 1u << 20;
    char *text = calloc(1, room);
    int fd = open(bench->log, O_RDONLY);
    if (fd >= 0) {
        (void) !read(fd, text, room - 1);
        close(fd);
    }
    return text;
}

unsigned http_bench_count(const struct http_bench *bench)
{
    char *text = http_bench_requests(bench);
    unsigned count = 0;
    for (const char *at = text; (at = strstr(at, "\n----\n")) != NULL; at++) {
        count++;
    }
    free(text);
    return count;
}
