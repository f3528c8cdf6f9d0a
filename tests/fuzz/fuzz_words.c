/*
 * fuzz_words.c -- any text as a single value: a URL, one of Kong's versions, a schedule, and the
 * units of files and commands.  What is accepted is within its range, and what is written of it is
 * read as the same.
 */
#include "fuzz.h"

#include "config/base/limits.h"
#include "config/base/text.h"
#include "shifter/gates/kong_version.h"
#include "shifter/judge/replay.h"
#include "shifter/net/url.h"

static void check_url(const char *text)
{
    static char written[4096], escaped[3 * 8192 + 4];
    struct xf_url url, again;
    struct xf_error err = {0};
    FUZZ_CHECK(xf_url_escape(text, escaped, sizeof(escaped)) == NULL ||
               strpbrk(escaped, " /?#&\r\n") == NULL);
    if (xf_url_parse(text, &url, &err) != 0) {
        FUZZ_CHECK(err.message[0] != '\0');
        return;
    }
    FUZZ_CHECK(url.host[0] != '\0' && url.port > 0 && url.target[0] == '/');
    FUZZ_CHECK(strpbrk(url.authority, "/?#@ \r\n") == NULL);
    FUZZ_CHECK(strpbrk(url.target, "# \r\n") == NULL);
    snprintf(written, sizeof(written), "%s://%s%s", url.tls ? "https" : "http", url.authority,
             url.target);
    FUZZ_CHECK(xf_url_parse(written, &again, &err) == 0);
    FUZZ_CHECK(again.tls == url.tls && again.port == url.port &&
               strcmp(again.host, url.host) == 0 && strcmp(again.target, url.target) == 0);
}

static void check_version(const char *text)
{
    struct xf_kong_version version;
    if (xf_kong_version_parse(text, &version)) {
        for (size_t i = 0; i < XF_COUNT(version.part); i++) {
            FUZZ_CHECK(version.part[i] >= -1 && version.part[i] <= 9999);
            FUZZ_CHECK(i == 0 || version.part[i] < 0 || version.part[i - 1] >= 0);
        }
        FUZZ_CHECK(xf_kong_version_compare(&version, &version) == 0);
        FUZZ_CHECK(xf_kong_version_same_minor(&version, &version));
    }
}

static void check_schedule(const char *text)
{
    static struct xf_replay_schedule schedule;
    struct xf_error err = {0};
    if (xf_replay_schedule_parse(text, &schedule, &err) != 0) {
        FUZZ_CHECK(err.message[0] != '\0');
        return;
    }
    FUZZ_CHECK(schedule.count >= 1 && schedule.count <= XF_REPLAY_STEPS_MAX);
    for (unsigned i = 0; i < schedule.count; i++) {
        FUZZ_CHECK(schedule.steps[i].rho >= 0.0 && schedule.steps[i].rho <= 1.0);
        FUZZ_CHECK(i == 0 || schedule.steps[i].t_us > schedule.steps[i - 1].t_us);
    }
}

static void check_units(const char *text)
{
    char duration[XF_DURATION_TEXT_BYTES], weight_text[XF_WEIGHT_TEXT_BYTES];
    char time[XF_TIME_TEXT_BYTES];
    int64_t ms, again;
    uint64_t size, number;
    unsigned weight, weight_again;
    double decimal;
    if (xf_parse_duration_ms(text, &ms)) {
        FUZZ_CHECK(xf_parse_duration_ms(xf_format_duration(ms, duration), &again) && ms == again);
    }
    if (xf_parse_weight(text, &weight)) {
        FUZZ_CHECK(weight <= XF_WEIGHT_FULL);
        FUZZ_CHECK(xf_parse_weight(xf_format_weight(weight, weight_text), &weight_again) &&
                   weight == weight_again);
    }
    if (xf_parse_time(text, &ms)) {
        FUZZ_CHECK(xf_parse_time(xf_format_time(ms, time), &again) && ms == again);
    }
    FUZZ_CHECK(!xf_parse_uint(text, 1000, &number) || number <= 1000);
    FUZZ_CHECK(!xf_parse_number(text, &decimal) || decimal >= 0.0);
    (void) xf_parse_size(text, &size);
    FUZZ_CHECK(!xf_uuid_valid(text) || strlen(text) == XF_UUID_TEXT_BYTES - 1);
    FUZZ_CHECK(!xf_name_valid(text) || (strlen(text) < XF_NAME_BYTES && xf_plan_name_valid(text)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    FUZZ_CHECK(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    check_url(text);
    check_version(text);
    check_schedule(text);
    check_units(text);
    free(text);
    return 0;
}
