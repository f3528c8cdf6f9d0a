/*
 * zone.c -- local time of a named zone; see zone.h.
 */
#include "shifter/plan/zone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ZONE_FOLDER "/usr/share/zoneinfo"

bool xf_zone_known(const char *zone)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/";
    char path[128];
    char magic[4] = "";
    if (strspn(zone, allowed) != strlen(zone) || zone[0] == '/' || zone[0] == '\0' ||
        (size_t) snprintf(path, sizeof(path), "%s/%s", ZONE_FOLDER, zone) >= sizeof(path)) {
        return false;
    }
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    bool known = fread(magic, 1, sizeof(magic), file) == sizeof(magic) &&
                 memcmp(magic, "TZif", sizeof(magic)) == 0;
    fclose(file);
    return known;
}

struct xf_zone_time xf_zone_local(const char *zone, int64_t wall_ms)
{
    time_t seconds = (time_t) (wall_ms / 1000);
    struct tm local;
    if (zone[0] == '\0') {
        gmtime_r(&seconds, &local);
    } else {
        char name[80];
        const char *before = getenv("TZ");
        char *kept = before != NULL ? strdup(before) : NULL;
        (void) snprintf(name, sizeof(name), ":%s", zone);
        setenv("TZ", name, 1);
        tzset();
        localtime_r(&seconds, &local);
        if (kept != NULL) {
            setenv("TZ", kept, 1);
        } else {
            unsetenv("TZ");
        }
        tzset();
        free(kept);
    }
    return (struct xf_zone_time){
        .weekday = (unsigned) (local.tm_wday + 6) % 7,
        .minute = (unsigned) (local.tm_hour * 60 + local.tm_min),
    };
}
