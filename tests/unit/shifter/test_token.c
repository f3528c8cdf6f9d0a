/*
 * test_token.c -- the file of tokens: what it keeps, what it refuses, who is found.
 */
#include "shifter/admin/token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define HEX  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define LINE "ops operator sha256:" HEX " 2026-11-22T10:00:00.000Z\n"

static struct xf_tokens tokens, read_back;

static void a_token_is_found_by_its_secret_and_by_nothing_else(void **state)
{
    (void) state;
    char first[XF_TOKEN_BYTES], second[XF_TOKEN_BYTES];
    struct xf_error err = {0};
    tokens.count = 0;
    assert_int_equal(xf_tokens_add(&tokens, "a", XF_ADMIN_VIEWER, 1000, first, &err), 0);
    assert_int_equal(xf_tokens_add(&tokens, "b", XF_ADMIN_ADMIN, 2000, second, &err), 0);
    assert_string_not_equal(first, second);
    assert_int_equal(strlen(first), XF_TOKEN_BYTES - 1);
    assert_ptr_equal(xf_tokens_find(&tokens, first), &tokens.list[0]);
    assert_ptr_equal(xf_tokens_find(&tokens, second), &tokens.list[1]);
    assert_null(xf_tokens_find(&tokens, ""));
    assert_null(xf_tokens_find(&tokens, first + 3));
    second[10] = second[10] == '0' ? '1' : '0';
    assert_null(xf_tokens_find(&tokens, second));
    assert_true(xf_tokens_remove(&tokens, "a"));
    assert_false(xf_tokens_remove(&tokens, "a"));
    assert_null(xf_tokens_find(&tokens, first));
    assert_int_equal(tokens.count, 1);
}

static void names_are_taken_once_and_the_table_has_an_end(void **state)
{
    (void) state;
    char secret[XF_TOKEN_BYTES], name[16];
    struct xf_error err = {0};
    tokens.count = 0;
    for (unsigned i = 0; i < XF_TOKENS_MAX; i++) {
        (void) snprintf(name, sizeof(name), "t%u", i);
        assert_int_equal(xf_tokens_add(&tokens, name, XF_ADMIN_VIEWER, 0, secret, &err), 0);
    }
    assert_int_equal(xf_tokens_add(&tokens, "t7", XF_ADMIN_VIEWER, 0, secret, &err), -1);
    assert_int_equal(err.code, XF_E_USAGE);
    assert_int_equal(xf_tokens_add(&tokens, "more", XF_ADMIN_VIEWER, 0, secret, &err), -1);
}

static void a_file_reads_back_as_it_was_and_only_its_owner_may_read_it(void **state)
{
    (void) state;
    char folder[] = "/tmp/test_token.XXXXXX", path[64], secret[XF_TOKEN_BYTES];
    struct xf_error err = {0};
    struct stat seen;
    assert_non_null(mkdtemp(folder));
    (void) snprintf(path, sizeof(path), "%s/tokens", folder);
    tokens.count = 0;
    assert_int_equal(
        xf_tokens_add(&tokens, "ci@main", XF_ADMIN_OPERATOR, 1790000000123, secret, &err), 0);
    assert_int_equal(xf_tokens_load(path, &read_back, &err), -1);
    int lock = xf_tokens_lock(path, &err);
    assert_true(lock >= 0);
    assert_int_equal(xf_tokens_save(path, &tokens, &err), 0);
    assert_int_equal(xf_tokens_save(path, &tokens, &err), 0);
    close(lock);
    assert_int_equal(stat(path, &seen), 0);
    assert_int_equal(seen.st_mode & 0777, 0600);
    assert_int_equal(xf_tokens_load(path, &read_back, &err), 0);
    assert_int_equal(read_back.count, 1);
    assert_string_equal(read_back.list[0].name, "ci@main");
    assert_int_equal(read_back.list[0].created_ms, 1790000000123);
    assert_int_equal(read_back.list[0].role, XF_ADMIN_OPERATOR);
    assert_non_null(xf_tokens_find(&read_back, secret));
    unlink(path);
    rmdir(folder);
}

static void what_is_no_file_of_tokens_is_refused_whole(void **state)
{
    (void) state;
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"ops\n", "line 1"},
        {"# fine\n\nops king sha256:" HEX " 2026-11-22T10:00:00Z\n", "line 3"},
        {"ops admin " HEX " 2026-11-22T10:00:00Z\n", "line 1"},
        {"ops admin sha256:0123 2026-11-22T10:00:00Z\n", "line 1"},
        {"ops admin sha256:" HEX " yesterday\n", "line 1"},
        {"ops admin sha256:" HEX " 2026-11-22T10:00:00Z more\n", "line 1"},
        {"-x admin sha256:" HEX " 2026-11-22T10:00:00Z\n", "line 1"},
        {LINE LINE, "line 2: ops stands there twice"},
    };
    struct xf_error err = {0};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(xf_tokens_parse(rows[i].text, strlen(rows[i].text), &tokens, &err), -1);
        if (strstr(err.message, rows[i].says) == NULL) {
            fail_msg("row %zu: %s", i, err.message);
        }
    }
    assert_int_equal(xf_tokens_parse("a\0b", 3, &tokens, &err), -1);
    assert_int_equal(xf_tokens_parse(LINE, strlen(LINE), &tokens, &err), 0);
    assert_int_equal(tokens.count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_is_found_by_its_secret_and_by_nothing_else),
        cmocka_unit_test(names_are_taken_once_and_the_table_has_an_end),
        cmocka_unit_test(a_file_reads_back_as_it_was_and_only_its_owner_may_read_it),
        cmocka_unit_test(what_is_no_file_of_tokens_is_refused_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
