/*
 * bench_http1.c -- nanoseconds for a request head: parsing alone, and building the forwarded one.
 *
 * Rows: a minimal head of 37 bytes and a browser's of some 630 bytes; each scanner that this
 * processor runs.  The figure is the best of several rounds, because everything that disturbs a
 * round makes it slower.  Run it on a quiet machine: taskset -c 1 build/release/bench/bench_http1
 */
#include "proxy/http/fields.h"
#include "proxy/http/http1_scan.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define ROUNDS     15
#define ITERATIONS 200000

static const char minimal[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n";
static const char browser[] =
    "GET /catalogue/items/4711?sort=price&page=2 HTTP/1.1\r\n"
    "Host: www.example.com\r\n"
    "Connection: keep-alive\r\n"
    "Cache-Control: max-age=0\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/120.0.0.0 Safari/537.36\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;"
    "q=0.8\r\n"
    "Sec-Fetch-Site: same-origin\r\n"
    "Sec-Fetch-Mode: navigate\r\n"
    "Referer: https://www.example.com/catalogue/items\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Accept-Language: en-GB,en;q=0.9\r\n"
    "Cookie: session=7f3a9c1e5b2d4f60; theme=dark; consent=all\r\n"
    "\r\n";

static double now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double) time.tv_sec * 1e9 + (double) time.tv_nsec;
}

static size_t parse_once(const struct xf_scanner *scanner, const char *bytes, size_t length,
                         bool build)
{
    static const struct xf_http_limits limits = {.head_bytes_max = 32768, .fields_max = 128};
    static const struct xf_request_options options = {
        .client = {"192.168.100.200", 15},
        .scheme = {"http", 4},
        .port = {"8000", 4},
        .via = {"crossfade", 9},
        .request_id = {"0123456789abcdef0123456789abcdef", 32},
    };
    static struct xf_field fields[128];
    static char out[4096];
    struct xf_http_request request;
    struct xf_http_refusal refusal;
    if (xf_http_request_with(scanner, bytes, length, 0, &limits, fields, &request, &refusal) !=
        XF_HTTP_DONE) {
        return 0;
    }
    return build ? xf_build_request(out, sizeof(out), bytes, &request, fields, &options)
                 : request.head_bytes;
}

static double measure(const struct xf_scanner *scanner, const char *bytes, size_t length,
                      bool build)
{
    double best = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        size_t sum = 0;
        double begin = now_ns();
        for (int i = 0; i < ITERATIONS; i++) {
            sum += parse_once(scanner, bytes, length, build);
            __asm__ volatile("" ::: "memory");
        }
        double each = (now_ns() - begin) / ITERATIONS;
        if (sum == 0) {
            return -1;
        }
        best = each < best ? each : best;
    }
    return best;
}

int main(void)
{
    printf("%-10s %22s %22s\n", "", "minimal", "browser");
    printf("%-10s %6zu B %6s %6s %6zu B %6s %6s\n", "scanner", sizeof(minimal) - 1, "parse",
           "+build", sizeof(browser) - 1, "parse", "+build");
    const struct xf_scanner *scanner;
    for (unsigned i = 0; (scanner = xf_scanner_at(i)) != NULL; i++) {
        printf("%-10s %8s %6.0f %6.0f %8s %6.0f %6.0f\n", scanner->name, "",
               measure(scanner, minimal, sizeof(minimal) - 1, false),
               measure(scanner, minimal, sizeof(minimal) - 1, true), "",
               measure(scanner, browser, sizeof(browser) - 1, false),
               measure(scanner, browser, sizeof(browser) - 1, true));
    }
    return 0;
}
