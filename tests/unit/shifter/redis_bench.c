/*
 * redis_bench.c -- see redis_bench.h.
 */
#include "tests/unit/shifter/redis_bench.h"

#include "config/base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <hiredis/hiredis.h>

static int listen_somewhere(uint16_t *ret_port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(address);
    assert_int_equal(bind(fd, (struct sockaddr *) &address, length), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *) &address, &length), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static void nap(void)
{
    struct timespec pause = {0, 10000000};
    nanosleep(&pause, NULL);
}

/* Whether a real server answers at the port. */
static bool answers(const struct redis_bench *bench)
{
    redisContext *redis = redisConnect("127.0.0.1", bench->port);
    redisReply *reply = redis != NULL && redis->err == 0 ? redisCommand(redis, "PING") : NULL;
    bool alive = reply != NULL && reply->type == REDIS_REPLY_STATUS;
    freeReplyObject(reply);
    redisFree(redis);
    return alive;
}

void redis_bench_restart(struct redis_bench *bench)
{
    char port[8];
    snprintf(port, sizeof(port), "%u", bench->port);
    bench->pid = fork();
    if (bench->pid == 0) {
        int null = open("/dev/null", O_RDWR);
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test must leave nothing behind */
        dup2(null, 1);
        execlp("redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--dir",
               bench->folder, "--appendonly", "yes", "--appendfsync", "always", "--save", "",
               "--maxmemory-policy", "noeviction", (char *) NULL);
        _exit(127);
    }
    int64_t end = xf_clock_monotonic_ms(xf_clock_system()) + 10000;
    while (!answers(bench)) {
        assert_true(xf_clock_monotonic_ms(xf_clock_system()) < end);
        nap();
    }
}

static void make_folder(struct redis_bench *bench)
{
    snprintf(bench->folder, sizeof(bench->folder), "/tmp/xf-redis-XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
}

void redis_bench_start(struct redis_bench *bench)
{
    make_folder(bench);
    close(listen_somewhere(&bench->port));
    redis_bench_restart(bench);
}

void redis_bench_kill(struct redis_bench *bench)
{
    if (bench->pid > 0) {
        kill(bench->pid, SIGKILL);
        waitpid(bench->pid, NULL, 0);
        bench->pid = 0;
    }
}

void redis_bench_stop(struct redis_bench *bench)
{
    char command[96];
    redis_bench_kill(bench);
    snprintf(command, sizeof(command), "rm -rf '%s'", bench->folder);
    assert_int_equal(system(command), 0);
}

void redis_bench_pretend(struct redis_bench *bench, const char *bytes, size_t length)
{
    make_folder(bench);
    int listening = listen_somewhere(&bench->port);
    bench->pid = fork();
    if (bench->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGPIPE, SIG_IGN);
        for (;;) {
            char request[4096];
            int fd = accept(listening, NULL, NULL);
            (void) !recv(fd, request, sizeof(request), 0);
            (void) !send(fd, bytes, length, MSG_NOSIGNAL);
        }
    }
    close(listening);
}

void redis_bench_config(struct redis_bench *bench, struct xf_config *config)
{
    snprintf(bench->host, sizeof(bench->host), "127.0.0.1");
    bench->endpoint = (struct xf_endpoint){.host = bench->host, .port = bench->port};
    config->store.kind = XF_STORE_REDIS;
    config->store.url = (char *) "redis://127.0.0.1";
    config->store.endpoints = &bench->endpoint;
    config->store.endpoints_count = 1;
    config->store.namespace_name = (char *) "test";
}

const char *redis_by_hand(struct redis_bench *bench, const char *format, ...)
{
    static char answer[1024];
    char command[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof(command), format, arguments);
    va_end(arguments);
    const char *words[32];
    int count = 0;
    for (char *rest = command, *word; (word = strsep(&rest, " ")) != NULL && count < 32;) {
        words[count++] = word;
    }
    redisContext *redis = redisConnect("127.0.0.1", bench->port);
    redisReply *reply = redisCommandArgv(redis, count, words, NULL);
    assert_non_null(reply);
    if (reply->type == REDIS_REPLY_INTEGER) {
        snprintf(answer, sizeof(answer), "%lld", reply->integer);
    } else {
        snprintf(answer, sizeof(answer), "%s", reply->str != NULL ? reply->str : "");
    }
    freeReplyObject(reply);
    redisFree(redis);
    return answer;
}

void redis_set_by_hand(struct redis_bench *bench, const char *service, const char *document)
{
    redisContext *redis = redisConnect("127.0.0.1", bench->port);
    redisReply *reply = redisCommand(redis, "HSET cf:{test:%s}:state doc %s", service, document);
    assert_non_null(reply);
    freeReplyObject(reply);
    redisFree(redis);
}
