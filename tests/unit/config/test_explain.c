/*
 * test_explain.c -- the table of keys: whole, consistent, documented, and in the full sample.
 */
#include "config/explain.h"

#include "config/keys.h"
#include "config/values.h"
#include "config/yaml.h"

#include "config_text.h"

#include <sys/stat.h>
#include <unistd.h>

static char *explained(const char *key, const char **ret_near)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    bool found = xf_config_explain(key, stream, ret_near);
    fclose(stream);
    if (!found) {
        free(text);
        return NULL;
    }
    return text;
}

static void every_key_is_once_in_the_table_and_its_default_fits(void **state)
{
    (void) state;
    for (size_t i = 0; i < xf_key_count(); i++) {
        const struct xf_key *key = xf_key_at(i);
        char why[XF_VALUE_WHY_BYTES];
        assert_ptr_equal(xf_key_find(key->path), key);
        assert_true(strlen(key->meaning) > 5);
        assert_int_equal(key->meaning[strlen(key->meaning) - 1], '.');
        bool single = key->type != XF_KEY_SECTION && key->type != XF_KEY_LIST;
        if (single && key->fallback != NULL && !xf_value_fits(key, key->fallback, false, why) &&
            strcmp(key->path, "proxy.name") != 0) {
            fail_msg("%s: default %s", key->path, why);
        }
    }
}

/* `clusters.*.check` stands in the tree when some cluster has a check. */
static bool stands_in(const struct xf_yaml_node *node, const char *path)
{
    if (*path == '\0') {
        return true;
    }
    path += *path == '.' ? 1 : 0;
    bool all = *path == '*' || strncmp(path, "[]", 2) == 0;
    size_t length = all ? (*path == '*' ? 1 : 2) : strcspn(path, ".[");
    for (const struct xf_yaml_node *n = node->children; n != NULL; n = n->next) {
        bool named =
            n->key != NULL && strlen(n->key) == length && strncmp(n->key, path, length) == 0;
        if ((all || named) && stands_in(n, path + length)) {
            return true;
        }
    }
    return false;
}

/* Whether a key and all that it stands in are built. */
static bool usable(const char *path)
{
    for (size_t i = 0; i < xf_key_count(); i++) {
        const struct xf_key *key = xf_key_at(i);
        size_t length = strlen(key->path);
        bool above = strncmp(key->path, path, length) == 0 &&
                     (path[length] == '\0' || path[length] == '.' || path[length] == '[');
        if (above && key->support == XF_KEY_LATER) {
            return false;
        }
    }
    return true;
}

static void check_sample(const char *text, bool later_too)
{
    struct xf_yaml *yaml = NULL;
    struct xf_problems problems;
    int result = xf_yaml_parse("full.yaml", text, strlen(text), &yaml, &problems);
    char *said = problems_text(&problems);
    xf_problems_release(&problems);
    if (result != 0) {
        fail_msg("%s", said);
    }
    free(said);
    for (size_t i = 0; i < xf_key_count(); i++) {
        const char *path = xf_key_at(i)->path;
        bool expected = later_too || usable(path);
        if (stands_in(xf_yaml_root(yaml), path) != expected) {
            fail_msg("%s %s in config/samples/full.yaml%s", path,
                     expected ? "is missing" : "must stand behind #later#",
                     later_too ? " (with #later# taken away)" : "");
        }
    }
    xf_yaml_destroy(yaml);
}

static void the_full_sample_has_every_key(void **state)
{
    (void) state;
    char *text = file_text(XF_TEST_TREE "/config/samples/full.yaml");
    check_sample(text, false);
    char *all = replaced(text, "#later# ", "");
    check_sample(all, true);
    free(all);
    free(text);
}

static void the_full_sample_is_a_good_file(void **state)
{
    (void) state;
    char folder[] = "/tmp/crossfade-test-XXXXXX";
    assert_non_null(mkdtemp(folder));
    static const char *const files[] = {
        "redis.password", "kong-old.password", "ops.secret",       "tokens",
        "tls.crt",        "tls.key",           "clients-ca.crt",   "ticket.keys",
        "admin.crt",      "admin.key",         "operators-ca.crt", "redis-ca.crt",
        "redis.crt",      "redis.key",         "journal.password", "override.secret",
        "kong-ca.crt",    "kong-client.crt",   "kong-client.key"};
    char path[256];
    for (size_t i = 0; i < XF_COUNT(files); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
        FILE *stream = fopen(path, "we");
        assert_non_null(stream);
        fputs("x\n", stream);
        fclose(stream);
    }
    char *text = file_text(XF_TEST_TREE "/config/samples/full.yaml");
    snprintf(path, sizeof(path), "%s/", folder);
    char *local = replaced(text, "/etc/crossfade/", path);
    struct xf_config *config = good_config(local);
    assert_int_equal(config->services_count, 2);
    assert_string_equal(config->store.namespace_name, "prod");
    xf_config_destroy(config);
    free(local);
    free(text);
    for (size_t i = 0; i < XF_COUNT(files); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(folder), 0);
}

static void the_page_of_keys_is_up_to_date(void **state)
{
    (void) state;
    char *page = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&page, &length);
    xf_config_explain_page(stream);
    fclose(stream);
    char *kept = file_text(XF_TEST_TREE "/config/KEYS.md");
    if (strcmp(page, kept) != 0) {
        fail_msg("config/KEYS.md is not what keys.def says: run ./dev fmt");
    }
    free(kept);
    free(page);
}

static void a_key_is_explained_under_its_name(void **state)
{
    (void) state;
    static const struct {
        const char *key, *begins, *has, *lacks;
    } rows[] = {
        {"timeouts.connect", "timeouts.connect\n", "default: 3s\n", "timeouts.idle\n"},
        {"clusters.web.check", "clusters.*.check\n", "clusters.*.check.every\n",
         "clusters.*.tls\n"},
        {"clusters.web.servers[3].weight", "clusters.*.servers[].weight\n", "1 to 1000", "backup"},
        {"listeners", "listeners\n", "listeners[].bind\n", "services\n"},
        {"store", "store\n", "store.url\n", "timeouts\n"},
        {"listeners[].bind", "listeners[].bind\n", "required\n", "health"},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        const char *near = NULL;
        char *text = explained(rows[i].key, &near);
        assert_non_null(text);
        assert_true(strncmp(text, rows[i].begins, strlen(rows[i].begins)) == 0);
        assert_non_null(strstr(text, rows[i].has));
        assert_null(strstr(text, rows[i].lacks));
        free(text);
    }
    const char *near = NULL;
    char *all = explained(NULL, &near);
    for (size_t i = 0; i < xf_key_count(); i++) {
        assert_non_null(strstr(all, xf_key_at(i)->path));
    }
    free(all);
}

static void an_unknown_key_is_answered_with_the_nearest(void **state)
{
    (void) state;
    static const struct {
        const char *key, *near;
    } rows[] = {{"timeouts.conect", "timeouts.connect"},
                {"snapshot_max_age", "proxy.snapshot_max_age"},
                {"wrokers", "workers"},
                {"xyzzyplughxyzzy", NULL},
                {"timeouts.conn", "timeouts.connect"},
                {"", NULL}};
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        const char *near = "unset";
        assert_null(explained(rows[i].key, &near));
        if (rows[i].near == NULL) {
            assert_null(near);
        } else {
            assert_string_equal(near, rows[i].near);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_is_once_in_the_table_and_its_default_fits),
        cmocka_unit_test(the_full_sample_has_every_key),
        cmocka_unit_test(the_full_sample_is_a_good_file),
        cmocka_unit_test(the_page_of_keys_is_up_to_date),
        cmocka_unit_test(a_key_is_explained_under_its_name),
        cmocka_unit_test(an_unknown_key_is_answered_with_the_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
