/*
 * plan_window.c -- the words of a window: `Mon-Thu 22:00-06:00 Europe/Paris`.
 */
#include "shifter/plan/plan_parts.h"

#include "config/base/text.h"
#include "shifter/plan/zone.h"

#include <stdio.h>
#include <string.h>

static const char *const day_names[7] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};

static int day_number(const char *text)
{
    for (int i = 0; i < 7; i++) {
        if (strncasecmp(text, day_names[i], 3) == 0) {
            return i;
        }
    }
    return -1;
}

/* `Mon`, `Mon-Thu`, `Sat-Mon`, `Mon,Wed-Fri`, `daily`. */
static bool parse_days(const char *text, unsigned *ret)
{
    unsigned days = 0;
    if (strcmp(text, "daily") == 0) {
        *ret = 0x7f;
        return true;
    }
    for (;;) {
        int first = day_number(text);
        int last = first;
        text += first >= 0 ? 3 : 0;
        if (first >= 0 && *text == '-') {
            last = day_number(text + 1);
            text += 4;
        }
        if (first < 0 || last < 0) {
            return false;
        }
        for (int day = first;; day = (day + 1) % 7) {
            days |= 1u << day;
            if (day == last) {
                break;
            }
        }
        if (*text == '\0') {
            *ret = days;
            return true;
        }
        if (*text++ != ',') {
            return false;
        }
    }
}

/* `22:00`; 24:00 is the day's end. */
static bool parse_minute(const char *text, unsigned *ret)
{
    char hour[3] = {text[0], text[1], '\0'};
    uint64_t hours;
    uint64_t minutes;
    if (strlen(text) != 5 || text[2] != ':' || !xf_parse_uint(hour, 24, &hours) ||
        !xf_parse_uint(text + 3, 59, &minutes) || (hours == 24 && minutes != 0)) {
        return false;
    }
    *ret = (unsigned) (hours * 60 + minutes);
    return true;
}

bool xf_plan_window_parse(const char *text, struct xf_plan_window *ret)
{
    char days[48];
    char times[16];
    char zone[64] = "";
    char rest[2];
    int count = sscanf(text, "%47s %15s %63s %1s", days, times, zone, rest);
    if (count < 2 || count > 3 || strlen(times) != 11 || times[5] != '-') {
        return false;
    }
    times[5] = '\0';
    struct xf_plan_window window = {0};
    if (!parse_days(days, &window.days) || !parse_minute(times, &window.from_minute) ||
        !parse_minute(times + 6, &window.to_minute) || window.from_minute >= 24 * 60 ||
        window.from_minute == window.to_minute) {
        return false;
    }
    if (zone[0] != '\0' && !xf_zone_known(zone)) {
        return false;
    }
    memcpy(window.zone, zone, sizeof(zone));
    *ret = window;
    return true;
}

void xf_plan_window_format(const struct xf_plan_window *window, char out[128])
{
    size_t length = 0;
    for (unsigned day = 0; day < 7; day++) {
        if ((window->days & (1u << day)) != 0) {
            length += (size_t) snprintf(out + length, 128 - length, "%s%s", length > 0 ? "," : "",
                                        day_names[day]);
        }
    }
    (void) snprintf(out + length, 128 - length, " %02u:%02u-%02u:%02u%s%s",
                    window->from_minute / 60, window->from_minute % 60, window->to_minute / 60,
                    window->to_minute % 60, window->zone[0] != '\0' ? " " : "", window->zone);
}
