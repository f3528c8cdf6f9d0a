/*
 * test_journal_conninfo.c -- the journal's URL as libpq's parameters, its names still open.
 */
#include "shifter/journal/journal_conninfo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char *value_of(const struct xf_conninfo *conninfo, const char *name)
{
    for (unsigned i = 0; i < conninfo->count; i++) {
        if (strcmp(conninfo->names[i], name) == 0) {
            return conninfo->values[i];
        }
    }
    return NULL;
}

static void read_url(const char *url, const char *user, struct xf_conninfo *ret)
{
    struct xf_config_journal journal = {.url = (char *) url};
    struct xf_error err;
    if (xf_conninfo_read(&journal, user, ret, &err) != 0) {
        fail_msg("%s", err.message);
    }
}

static void only_names_are_looked_up(void **state)
{
    (void) state;
    struct xf_conninfo conninfo;
    read_url("postgresql://u@db1,10.0.0.1:6000,db2:7000/j?target_session_attrs=read-write", NULL,
             &conninfo);
    assert_int_equal(conninfo.hosts_count, 3);
    assert_string_equal(conninfo.hosts[0].name, "db1");
    assert_true(conninfo.hosts[0].lookup);
    assert_false(conninfo.hosts[1].lookup);
    assert_string_equal(conninfo.hosts[1].port, "6000");
    assert_string_equal(conninfo.hosts[2].port, "7000");
    assert_true(conninfo.hosts[2].lookup);
    assert_null(value_of(&conninfo, "host"));
    assert_string_equal(value_of(&conninfo, "target_session_attrs"), "read-write");
    assert_string_equal(value_of(&conninfo, "client_encoding"), "UTF8");
    xf_conninfo_release(&conninfo);
    read_url("postgresql:///j?host=/var/run/postgresql", NULL, &conninfo);
    assert_int_equal(conninfo.hosts_count, 1);
    assert_false(conninfo.hosts[0].lookup);
    xf_conninfo_release(&conninfo);
    read_url("postgresql://u@db1/j?hostaddr=10.0.0.9", NULL, &conninfo);
    assert_int_equal(conninfo.hosts_count, 0);
    assert_string_equal(value_of(&conninfo, "hostaddr"), "10.0.0.9");
    xf_conninfo_release(&conninfo);
}

static void a_service_file_gives_hosts_and_the_url_goes_before_it(void **state)
{
    (void) state;
    char path[] = "/tmp/crossfade-service-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "w");
    assert_non_null(file);
    fprintf(file, "[journal]\nhost=from-service\nport=6543\nuser=from-service\n");
    fclose(file);
    setenv("PGSERVICEFILE", path, 1);
    struct xf_conninfo conninfo;
    read_url("postgresql://written@/j?service=journal", NULL, &conninfo);
    assert_int_equal(conninfo.hosts_count, 1);
    assert_string_equal(conninfo.hosts[0].name, "from-service");
    assert_string_equal(conninfo.hosts[0].port, "6543");
    assert_string_equal(value_of(&conninfo, "user"), "written");
    assert_null(getenv("PGSERVICE"));
    xf_conninfo_release(&conninfo);
    unsetenv("PGSERVICEFILE");
    unlink(path);
}

static void another_user_may_be_named_and_own_options_are_added(void **state)
{
    (void) state;
    struct xf_conninfo conninfo;
    read_url("postgresql://u@db/j?options=-c%20search_path%3Dx&application_name=mine", "owner",
             &conninfo);
    assert_string_equal(value_of(&conninfo, "user"), "owner");
    assert_string_equal(value_of(&conninfo, "application_name"), "mine");
    assert_non_null(strstr(value_of(&conninfo, "options"), "lock_timeout"));
    assert_non_null(strstr(value_of(&conninfo, "options"), "search_path=x"));
    xf_conninfo_release(&conninfo);
}

static void what_is_wrong_is_told_without_the_url(void **state)
{
    (void) state;
    struct xf_conninfo conninfo;
    struct xf_error err;
    struct xf_config_journal odd = {.url = (char *) "postgresql://u@h/j?secret=tell"};
    assert_int_equal(xf_conninfo_read(&odd, NULL, &conninfo, &err), -1);
    assert_int_equal(err.code, XF_E_CONFIG);
    assert_null(strstr(err.message, "tell"));
    struct xf_config_journal unreadable = {.url = (char *) "postgresql://u@h/j",
                                           .password_file = (char *) "/nowhere/password"};
    assert_int_equal(xf_conninfo_read(&unreadable, NULL, &conninfo, &err), -1);
    assert_non_null(strstr(err.message, "/nowhere/password"));
}

static void a_password_file_that_nobody_writes_stops_nothing(void **state)
{
    (void) state;
    char folder[] = "/tmp/crossfade-conninfo-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    (void) snprintf(path, sizeof(path), "%s/password", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    struct xf_config_journal journal = {.url = (char *) "postgresql://u@h/j",
                                        .password_file = path};
    struct xf_conninfo conninfo;
    struct xf_error err;
    alarm(5);
    assert_int_equal(xf_conninfo_read(&journal, NULL, &conninfo, &err), -1);
    alarm(0);
    assert_non_null(strstr(err.message, "empty"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_names_are_looked_up),
        cmocka_unit_test(a_service_file_gives_hosts_and_the_url_goes_before_it),
        cmocka_unit_test(another_user_may_be_named_and_own_options_are_added),
        cmocka_unit_test(what_is_wrong_is_told_without_the_url),
        cmocka_unit_test(a_password_file_that_nobody_writes_stops_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
