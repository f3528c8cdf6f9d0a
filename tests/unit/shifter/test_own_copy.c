/*
 * test_own_copy.c -- what a shifter knew is on its disk, as soon as the disk takes it.
 */
#include "shifter/controller/own_copy.h"
#include "shifter/controller/tenure_parts.h"

#include "config/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fcntl.h>

#include <cmocka.h>

#define HOLDER "00000000-0000-4000-8000-000000000001"

struct desk {
    char directory[64];
    int dir_fd;
    struct xf_tenure tenure;
    struct xf_tenure *tenures[1];
    struct xf_own_copy *copy;
};

static struct desk desk;

static int set_up(void **state)
{
    (void) state;
    desk = (struct desk){.directory = "/tmp/crossfade-copy-XXXXXX"};
    assert_non_null(mkdtemp(desk.directory));
    desk.dir_fd = open(desk.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    desk.tenure.magic = XF_TENURE_MAGIC;
    desk.tenure.document = xf_document_create("gateway", "v1");
    assert_non_null(desk.tenure.document);
    desk.tenure.version = (struct xf_version){1, 7, 0};
    snprintf(desk.tenure.write_id, sizeof(desk.tenure.write_id), "%s", HOLDER);
    desk.tenures[0] = &desk.tenure;
    char why[XF_ERROR_MESSAGE_BYTES];
    desk.copy = xf_own_copy_open(desk.dir_fd, HOLDER, why);
    assert_non_null(desk.copy);
    return 0;
}

static int tear_down(void **state)
{
    (void) state;
    xf_own_copy_close(desk.copy);
    xf_document_destroy(desk.tenure.document);
    (void) unlinkat(desk.dir_fd, "shifter", 0);
    close(desk.dir_fd);
    return rmdir(desk.directory);
}

/* The generation that the file has; 0: it has none. */
static uint64_t on_disk(void)
{
    char why[XF_ERROR_MESSAGE_BYTES];
    struct xf_own_copy *read = xf_own_copy_open(desk.dir_fd, HOLDER, why);
    const struct xf_snapshot_service *service = xf_own_copy_find(read, "gateway");
    uint64_t generation = service != NULL ? service->version.generation : 0;
    xf_own_copy_close(read);
    return generation;
}

static void save(int64_t wall_ms, bool ok)
{
    struct xf_error err = {0};
    xf_own_copy_save(desk.copy, desk.tenures, 1, wall_ms);
    for (unsigned i = 0; i < 5000 && xf_own_copy_ok(desk.copy, &err) != ok; i++) {
        usleep(1000); /* the writer's thread */
    }
    assert_int_equal(xf_own_copy_ok(desk.copy, &err), ok);
}

static void what_is_known_is_on_disk_with_each_version(void **state)
{
    (void) state;
    save(1000, true);
    desk.tenure.version.generation = 8;
    xf_own_copy_save(desk.copy, desk.tenures, 1, 1001);
    xf_own_copy_close(desk.copy); /* waits for the disk */
    desk.copy = NULL;
    assert_int_equal(on_disk(), 8);
}

static void what_the_disk_did_not_take_is_written_once_it_does(void **state)
{
    (void) state;
    assert_int_equal(mkdirat(desk.dir_fd, "shifter.new", 0700), 0); /* in the way */
    save(1000, false);
    assert_int_equal(on_disk(), 0);
    assert_int_equal(unlinkat(desk.dir_fd, "shifter.new", AT_REMOVEDIR), 0);
    xf_own_copy_save(desk.copy, desk.tenures, 1, 1999); /* not with every tick */
    assert_false(xf_own_copy_ok(desk.copy, NULL));
    save(2000, true); /* the version is the same */
    assert_int_equal(on_disk(), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_known_is_on_disk_with_each_version, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_the_disk_did_not_take_is_written_once_it_does, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
