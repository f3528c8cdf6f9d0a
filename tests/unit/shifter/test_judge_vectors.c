/*
 * test_judge_vectors.c -- the detectors give the reference's figures, block by block.
 */
#include "shifter/judge/judge_detector.h"
#include "shifter/judge/judge_router.h"

#include "config/base/check.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TOLERANCE 1e-9

struct row {
    char test[16];
    double rho;
    uint64_t green;
    uint64_t blue;
    double mass;
    double after;
};

static char *field(char **at)
{
    char *start = *at;
    char *end = start + strcspn(start, ",\n");
    *at = *end == '\0' ? end : end + 1;
    *end = '\0';
    return start;
}

static FILE *open_vectors(void)
{
    FILE *file = fopen(XF_TEST_DATA "/judge/vectors.csv", "r");
    assert_non_null(file);
    char header[256];
    assert_non_null(fgets(header, sizeof(header), file));
    return file;
}

static bool read_row(FILE *file, struct row *ret)
{
    char line[256];
    if (fgets(line, sizeof(line), file) == NULL) {
        return false;
    }
    char *at = line;
    snprintf(ret->test, sizeof(ret->test), "%.15s", field(&at));
    field(&at);
    ret->rho = strtod(field(&at), NULL);
    ret->green = strtoull(field(&at), NULL, 10);
    ret->blue = strtoull(field(&at), NULL, 10);
    ret->mass = strtod(field(&at), NULL);
    ret->after = strtod(field(&at), NULL);
    return true;
}

static void run_detector(const char *test, bool latency, double worse_than)
{
    struct xf_detector_options options = {.worse_than = worse_than,
                                          .latency = latency,
                                          .alpha = 0.005,
                                          .steps = 7,
                                          .planned_us = 3600000000};
    struct xf_detector detector;
    struct xf_totals totals = {.t_us = 0};
    struct row row;
    unsigned rows = 0;
    FILE *file = open_vectors();
    xf_detector_init(&detector, &options, 0);
    while (read_row(file, &row)) {
        if (strcmp(row.test, test) != 0) {
            continue;
        }
        struct xf_block block = {.opened_us = 0};
        xf_block_add(&block, row.rho, row.green, row.blue);
        xf_detector_block_mass(&detector, &block, &totals, row.mass);
        if (fabs(detector.value - row.after) > TOLERANCE) {
            fail_msg("%s block %u: %.15g, not %.15g", test, rows, detector.value, row.after);
        }
        rows++;
    }
    fclose(file);
    assert_int_equal(rows, 60);
}

static void relative_errors_follow_the_reference(void **state)
{
    (void) state;
    run_detector("rel", false, 1.2);
}

static void latency_follows_the_reference(void **state)
{
    (void) state;
    run_detector("lat", true, 1.5);
}

static void the_router_check_follows_the_reference(void **state)
{
    (void) state;
    struct row row;
    unsigned rows = 0;
    FILE *file = open_vectors();
    while (read_row(file, &row)) {
        if (strcmp(row.test, "srm_log_bf") == 0) {
            double log_bf = xf_router_log_bf(row.rho, row.green, row.blue);
            if (fabs(log_bf - row.after) > TOLERANCE) {
                fail_msg("%g: %.15g, not %.15g", row.rho, log_bf, row.after);
            }
            rows++;
        }
    }
    fclose(file);
    assert_int_equal(rows, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(relative_errors_follow_the_reference),
        cmocka_unit_test(latency_follows_the_reference),
        cmocka_unit_test(the_router_check_follows_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
