/*
 * test_override.c -- when a document has taken a local override over.
 */
#include "shifter/control/override.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void it_is_taken_over_only_by_what_is_newer_no_higher_and_stays(void **state)
{
    (void) state;
    static const struct {
        enum xf_cutover_state state;
        uint64_t generation;
        unsigned weight;
        bool hold, retreated, taken;
    } rows[] = {
        {XF_CUTOVER_SHIFTING, 8, 300, true, false, true},
        {XF_CUTOVER_SHIFTING, 8, 0, false, true, true},    /* a retreat stays too */
        {XF_CUTOVER_SHIFTING, 8, 0, false, false, false},  /* the next step would raise it */
        {XF_CUTOVER_SHIFTING, 8, 301, true, false, false}, /* higher */
        {XF_CUTOVER_SHIFTING, 7, 0, true, false, false},   /* not newer */
        {XF_CUTOVER_SAFE, 8, 10000, true, false, false},
        {XF_CUTOVER_ABORTING, 8, 1000, false, false, false}, /* falling, not yet there */
        {XF_CUTOVER_ABORTING, 8, 0, false, false, true},
        {XF_CUTOVER_ABORTED, 8, 0, false, false, true},
        {XF_CUTOVER_FINALIZED, 8, 0, false, false, true},
        {XF_CUTOVER_ABORTED, 7, 0, false, false, false},
    };
    struct xf_version base = {1, 7, 3};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct xf_document *document = xf_document_create("web", "v1");
        struct xf_version version = {1, rows[i].generation, 0};
        document->state = rows[i].state;
        document->weight = rows[i].weight;
        document->retreated = rows[i].retreated;
        document->holds[XF_HOLD_OVERRIDE].on = rows[i].hold;
        if (xf_override_taken(document, &version, &base, 300) != rows[i].taken) {
            fail_msg("row %zu", i);
        }
        xf_document_destroy(document);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_taken_over_only_by_what_is_newer_no_higher_and_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
