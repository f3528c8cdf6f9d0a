/*
 * test_instance.c -- one supervisor per state directory and address.
 */
#include "listener_config.h"
#include "proxy/supervisor/instance.h"
#include "proxy/supervisor/listener.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

struct scene {
    char folder[64];
    char state_dir[80];
    struct addresses addresses;
};

static void open_scene(struct scene *scene)
{
    memset(scene, 0, sizeof(*scene));
    strcpy(scene->folder, "/tmp/crossfade-instance-XXXXXX");
    assert_non_null(mkdtemp(scene->folder));
    snprintf(scene->state_dir, sizeof(scene->state_dir), "%s/state", scene->folder);
    scene->addresses.config.state_dir = scene->state_dir;
    addresses_add(&scene->addresses, free_port());
}

static void close_scene(struct scene *scene)
{
    rmdir(scene->state_dir);
    rmdir(scene->folder);
}

static int take(const struct scene *scene, struct xf_instance *ret, struct xf_error *err)
{
    return xf_instance_take(&scene->addresses.config, 0, NULL, NULL, ret, err);
}

static void the_state_directory_is_made_and_given_back(void **state)
{
    (void) state;
    struct scene scene;
    struct xf_instance instance;
    struct stat status;
    open_scene(&scene);
    assert_int_equal(take(&scene, &instance, NULL), 0);
    assert_int_equal(stat(scene.state_dir, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    xf_instance_release(&instance);
    assert_int_equal(take(&scene, &instance, NULL), 0);
    xf_instance_release(&instance);
    close_scene(&scene);
}

static void a_second_one_is_told_the_pid_of_the_first(void **state)
{
    (void) state;
    struct scene scene;
    struct xf_instance first, second;
    struct xf_error err;
    char expected[64];
    open_scene(&scene);
    assert_int_equal(take(&scene, &first, NULL), 0);
    assert_int_equal(take(&scene, &second, &err), -1);
    assert_int_equal(err.code, XF_E_RUNNING);
    snprintf(expected, sizeof(expected), "already running, pid %d", (int) getpid());
    assert_non_null(strstr(err.message, expected));
    xf_instance_release(&first);
    close_scene(&scene);
}

/* Bound but not yet listening is enough: a start that waits for its first route is a start. */
static void an_address_that_another_one_has_bound_is_refused(void **state)
{
    (void) state;
    struct scene scene;
    struct xf_instance instance;
    struct xf_listeners listeners;
    struct xf_error err;
    open_scene(&scene);
    assert_int_equal(xf_listeners_init(&listeners, NULL), 0);
    assert_int_equal(xf_listeners_open(&listeners, &scene.addresses.config, 2, NULL), 0);
    assert_int_equal(take(&scene, &instance, &err), -1);
    assert_int_equal(err.code, XF_E_RUNNING);
    assert_non_null(strstr(err.message, scene.addresses.texts[0]));
    assert_int_equal(xf_listeners_listen(&listeners, NULL), 0);
    assert_int_equal(take(&scene, &instance, &err), -1);
    xf_listeners_release(&listeners);
    assert_int_equal(take(&scene, &instance, NULL), 0);
    xf_instance_release(&instance);
    close_scene(&scene);
}

static bool all_ours(void *context, const struct xf_endpoint *endpoint)
{
    (void) endpoint;
    return *(bool *) context;
}

static void an_address_that_is_ours_already_is_not_probed(void **state)
{
    (void) state;
    struct scene scene;
    struct xf_instance instance;
    struct xf_listeners listeners;
    bool ours = true;
    open_scene(&scene);
    assert_int_equal(xf_listeners_init(&listeners, NULL), 0);
    assert_int_equal(xf_listeners_open(&listeners, &scene.addresses.config, 1, NULL), 0);
    assert_int_equal(xf_instance_take(&scene.addresses.config, 0, all_ours, &ours, &instance, NULL),
                     0);
    xf_instance_release(&instance);
    xf_listeners_release(&listeners);
    close_scene(&scene);
}

static void a_state_directory_whose_parent_is_missing_is_no_reason_to_wait(void **state)
{
    (void) state;
    struct scene scene;
    struct xf_instance instance;
    struct xf_error err;
    char missing[] = "/nonexistent/crossfade/state";
    open_scene(&scene);
    scene.addresses.config.state_dir = missing;
    assert_int_equal(xf_instance_take(&scene.addresses.config, 60000, NULL, NULL, &instance, &err),
                     -1);
    assert_int_equal(err.code, XF_E_SYSTEM);
    close_scene(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_state_directory_is_made_and_given_back),
        cmocka_unit_test(a_second_one_is_told_the_pid_of_the_first),
        cmocka_unit_test(an_address_that_another_one_has_bound_is_refused),
        cmocka_unit_test(an_address_that_is_ours_already_is_not_probed),
        cmocka_unit_test(a_state_directory_whose_parent_is_missing_is_no_reason_to_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
