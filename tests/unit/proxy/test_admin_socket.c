/*
 * test_admin_socket.c -- opening the admin socket beside what others left there.
 */
#include "listener_config.h"
#include "proxy/supervisor/admin_socket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

struct scene {
    char folder[64];
    char path[96];
    struct xf_config config;
};

static void open_scene(struct scene *scene, const char *name)
{
    memset(scene, 0, sizeof(*scene));
    strcpy(scene->folder, "/tmp/crossfade-admin-XXXXXX");
    assert_non_null(mkdtemp(scene->folder));
    snprintf(scene->path, sizeof(scene->path), "%s/%s", scene->folder, name);
    scene->config.admin.socket = scene->path;
}

static int leave_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    strcpy(address.sun_path, path);
    assert_int_equal(bind(fd, (struct sockaddr *) &address, sizeof(address)), 0);
    return fd;
}

static void the_socket_is_for_owner_and_group_and_goes_with_its_file(void **state)
{
    (void) state;
    struct scene scene;
    struct xf_admin_sockets sockets;
    struct stat status;
    open_scene(&scene, "made/admin.sock"); /* the directory is made as well */
    assert_int_equal(xf_admin_sockets_open(&scene.config, &sockets, NULL), 0);
    assert_int_equal(stat(scene.path, &status), 0);
    assert_true(S_ISSOCK(status.st_mode));
    assert_int_equal(status.st_mode & 0777, 0660);
    assert_int_equal(sockets.tcp_fd, -1);
    xf_admin_sockets_close(&sockets, &scene.config);
    assert_int_not_equal(stat(scene.path, &status), 0);
    *strrchr(scene.path, '/') = '\0';
    rmdir(scene.path);
    rmdir(scene.folder);
}

static void a_socket_that_nobody_answers_is_replaced(void **state)
{
    (void) state;
    struct scene scene;
    struct xf_admin_sockets sockets;
    open_scene(&scene, "admin.sock");
    close(leave_socket(scene.path));
    assert_int_equal(xf_admin_sockets_open(&scene.config, &sockets, NULL), 0);
    xf_admin_sockets_close(&sockets, &scene.config);
    rmdir(scene.folder);
}

static void a_socket_that_somebody_answers_is_left_alone(void **state)
{
    (void) state;
    struct scene scene;
    struct xf_admin_sockets sockets;
    struct xf_error err;
    struct stat status;
    open_scene(&scene, "admin.sock");
    int other = leave_socket(scene.path);
    assert_int_equal(listen(other, 1), 0);
    assert_int_equal(xf_admin_sockets_open(&scene.config, &sockets, &err), -1);
    assert_int_equal(err.code, XF_E_RUNNING);
    assert_int_equal(stat(scene.path, &status), 0);
    close(other);
    unlink(scene.path);
    rmdir(scene.folder);
}

static void a_path_that_is_too_long_is_told(void **state)
{
    (void) state;
    struct xf_admin_sockets sockets;
    struct xf_error err;
    char path[256];
    struct xf_config config = {.admin.socket = path};
    memset(path, 'x', sizeof(path) - 1);
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(xf_admin_sockets_open(&config, &sockets, &err), -1);
    assert_int_equal(err.code, XF_E_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_socket_is_for_owner_and_group_and_goes_with_its_file),
        cmocka_unit_test(a_socket_that_nobody_answers_is_replaced),
        cmocka_unit_test(a_socket_that_somebody_answers_is_left_alone),
        cmocka_unit_test(a_path_that_is_too_long_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
