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

/* From that version to each of some, and back. */
static void check_paths(const struct xf_kong_version *version)
{
    static const struct xf_kong_version others[] = {
        {{1, 5, -1, -1}}, {{2, 8, 1, -1}}, {{2, 8, 2, 4}}, {{3, 0, 0, -1}},
        {{3, 1, 1, 2}},   {{3, 1, 1, 3}},  {{3, 9, 0, 0}}, {{4, 0, 0, -1}}};
    static const enum xf_kong_topology topologies[] = {XF_KONG_TRADITIONAL, XF_KONG_HYBRID,
                                                       XF_KONG_DBLESS};
    for (size_t i = 0; i < 2 * XF_COUNT(others) * XF_COUNT(topologies); i++) {
        struct xf_kong_path path = {0};
        const struct xf_kong_version *other = &others[i / 2 % XF_COUNT(others)];
        enum xf_kong_topology topology = topologies[i / 2 / XF_COUNT(others)];
        bool there = i % 2 == 0;
        xf_kong_path_find(there ? version : other, there ? other : version, topology, &path);
        FUZZ_CHECK(path.hops_count <= XF_KONG_PATH_MAX && path.notes_count <= XF_KONG_NOTES_MAX);
        FUZZ_CHECK(path.possible == (path.hops_count > 0));
        FUZZ_CHECK(path.possible || path.notes_count > 0);
    }
}

static void check_version(const char *text)
{
    struct xf_kong_version version;
    enum xf_kong_topology topology;
    if (xf_kong_version_parse(text, &version)) {
        for (size_t i = 0; i < XF_COUNT(version.part); i++) {
            FUZZ_CHECK(version.part[i] >= -1 && version.part[i] <= 9999);
            FUZZ_CHECK(i == 0 || version.part[i] < 0 || version.part[i - 1] >= 0);
        }
        FUZZ_CHECK(xf_kong_version_compare(&version, &version) == 0);
        FUZZ_CHECK(xf_kong_version_same_minor(&version, &version));
        FUZZ_CHECK(xf_kong_core_count(&version) <= 100);
        for (size_t i = 0; i < xf_kong_plugin_subsystems_count; i++) {
            FUZZ_CHECK(xf_kong_subsystem_count(&xf_kong_plugin_subsystems[i], &version) <=
                       XF_KONG_SUBSYSTEM_MIGRATIONS_MAX);
        }
        check_paths(&version);
    }
    if (xf_kong_topology_parse(text, &topology)) {
        FUZZ_CHECK(strcmp(xf_kong_topology_name(topology), text) == 0);
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

/* Any text as a JSON string, under a ceiling; and the word that it may have meant. */
static void check_text(const char *text, size_t size)
{
    static const char *const words[] = {"weight", "hold", "approve"};
    struct xf_text json;
    char uuid[XF_UUID_TEXT_BYTES];
    xf_text_init(&json, 4096);
    xf_text_json(&json, text, size);
    FUZZ_CHECK(json.length <= 4096 && strlen(json.data) <= json.length);
    FUZZ_CHECK(json.failed || (json.data[0] == '"' && json.data[json.length - 1] == '"'));
    for (size_t i = 0; i < json.length; i++) {
        FUZZ_CHECK((unsigned char) json.data[i] >= 0x20);
    }
    xf_text_clear(&json);
    char *taken = xf_text_take(&json);
    FUZZ_CHECK(taken == NULL || taken[0] == '\0');
    free(taken);
    xf_text_release(&json);
    const char *near = xf_text_nearest(text, words, XF_COUNT(words));
    FUZZ_CHECK(near == NULL || near[0] != '\0');
    xf_uuid_make(uuid);
    FUZZ_CHECK(xf_uuid_valid(uuid));
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
    check_text(text, size);
    free(text);
    return 0;
}
