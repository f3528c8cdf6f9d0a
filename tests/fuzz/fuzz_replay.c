/*
 * fuzz_replay.c -- any bytes as a recorded run, a trace or an access log: the line that is wrong is
 * named, or times do not run backwards and shares are shares.  What jansson makes of a line of a
 * log, its quick scanner makes of it too.
 */
#include "fuzz.h"

#include "shifter/judge/replay.h"
#include "shifter/judge/replay_log.h"

#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

static void check_trace(struct xf_replay_trace *trace)
{
    struct xf_replay_schedule schedule = {0};
    struct xf_error err = {0};
    for (size_t i = 0; i < trace->count; i++) {
        const struct xf_replay_response *response = &trace->responses[i];
        FUZZ_CHECK(response->sent_us <= response->done_us);
        FUZZ_CHECK(response->sent_us >= 0 || !trace->log);
        FUZZ_CHECK(response->green <= 1 && response->bad <= 1 && response->bad_4xx <= 1);
        FUZZ_CHECK(response->rho <= 1.0);
    }
    if (trace->log && xf_replay_schedule_derive(trace, &schedule, &err) == 0) {
        for (unsigned i = 0; i < schedule.count; i++) {
            FUZZ_CHECK(schedule.steps[i].rho >= 0.0 && schedule.steps[i].rho <= 1.0);
            FUZZ_CHECK(i == 0 || schedule.steps[i].t_us >= schedule.steps[i - 1].t_us);
        }
    }
    xf_replay_forget_weights(trace);
}

static const struct xf_replay_clusters named = {.blue = "web-v1", .green = "web-v2"};

/* The scanner takes no line that begins with a blank, jansson does. */
static void check_line(const char *line, size_t length)
{
    struct xf_replay_response quick = {0}, thorough = {0};
    const char *problem = NULL;
    char *blank = malloc(length + 2);
    FUZZ_CHECK(blank != NULL);
    blank[0] = ' ';
    memcpy(blank + 1, line, length + 1);
    enum xf_replay_line kind = xf_replay_log_line(line, length, &named, &quick, &problem);
    enum xf_replay_line same = xf_replay_log_line(blank, length + 1, &named, &thorough, &problem);
    if (same != XF_LINE_BAD) { /* the scanner does not look into what does not count */
        FUZZ_CHECK(kind == same);
    }
    if (kind == XF_LINE_COUNTS && same == XF_LINE_COUNTS) {
        FUZZ_CHECK(quick.green == thorough.green && quick.bad == thorough.bad &&
                   quick.bad_4xx == thorough.bad_4xx && quick.done_us == thorough.done_us &&
                   llabs(quick.sent_us - thorough.sent_us) <= 1 &&
                   fabs(quick.rho - thorough.rho) < 1e-9);
    }
    free(blank);
}

static void check_lines(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), *rest = NULL;
    FUZZ_CHECK(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    for (char *line = strtok_r(text, "\r\n", &rest); line != NULL;
         line = strtok_r(NULL, "\r\n", &rest)) {
        check_line(line, strlen(line));
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    int fd = memfd_create("trace", MFD_CLOEXEC);
    FUZZ_CHECK(fd >= 0 && write(fd, data, size) == (ssize_t) size);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    for (unsigned i = 0; i < 2; i++) {
        struct xf_replay_trace trace = {0};
        struct xf_error err = {0};
        if (xf_replay_read(path, i == 0 ? NULL : &named, &trace, &err) == 0) {
            check_trace(&trace);
            xf_replay_trace_release(&trace);
        } else {
            FUZZ_CHECK(err.message[0] != '\0' && trace.responses == NULL);
        }
    }
    close(fd);
    check_lines(data, size);
    return 0;
}
