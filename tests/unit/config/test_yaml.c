/*
 * test_yaml.c -- files as trees with places, and everything that is refused on the way.
 */
#include "config/yaml.h"

#include "config_text.h"

static struct xf_yaml *parsed(const char *text)
{
    struct xf_yaml *yaml = NULL;
    struct xf_problems problems;
    int result = xf_yaml_parse("f.yaml", text, strlen(text), &yaml, &problems);
    xf_problems_release(&problems);
    assert_int_equal(result, 0);
    return yaml;
}

static void a_tree_remembers_where_everything_stood(void **state)
{
    (void) state;
    struct xf_yaml *yaml = parsed("a: 1\nb:\n  - x\n  - {c: \"y\"}\n");
    const struct xf_yaml_node *root = xf_yaml_root(yaml);
    assert_int_equal(root->kind, XF_YAML_MAPPING);
    const struct xf_yaml_node *a = xf_yaml_get(root, "a");
    assert_string_equal(a->scalar, "1");
    assert_int_equal(a->key_line, 1);
    assert_int_equal(a->key_column, 1);
    assert_int_equal(a->column, 4);
    assert_false(a->quoted);
    const struct xf_yaml_node *b = xf_yaml_get(root, "b");
    assert_int_equal(b->kind, XF_YAML_SEQUENCE);
    assert_string_equal(b->children->scalar, "x");
    assert_int_equal(b->children->line, 3);
    const struct xf_yaml_node *c = xf_yaml_get(b->children->next, "c");
    assert_true(c->quoted);
    assert_int_equal(c->line, 4);
    assert_int_equal(c->column, 9);
    assert_null(b->children->next->next);
    assert_null(xf_yaml_get(root, "absent"));
    assert_null(xf_yaml_get(a, "a"));
    assert_null(xf_yaml_get(NULL, "a"));
    xf_yaml_destroy(yaml);
}

static void json_is_read_too(void **state)
{
    (void) state;
    struct xf_yaml *yaml =
        parsed("{\"name\": \"kong-3.1\", \"steps\": [{\"weight\": \"1%\"}], \"n\": 5}");
    const struct xf_yaml_node *steps = xf_yaml_get(xf_yaml_root(yaml), "steps");
    assert_string_equal(xf_yaml_get(steps->children, "weight")->scalar, "1%");
    assert_false(xf_yaml_get(xf_yaml_root(yaml), "n")->quoted);
    xf_yaml_destroy(yaml);
}

static void what_has_no_place_in_a_file_is_refused_where_it_stands(void **state)
{
    (void) state;
    static const struct {
        const char *text, *said;
    } rows[] = {
        {"a: 1\na: 2\n", "f.yaml:2:1: duplicate key \"a\" (first on line 1)"},
        {"a: {b: 1, b: 2}\n", "f.yaml:1:11: duplicate key \"b\" (first on line 1)"},
        {"a: &x 1\n", "f.yaml:1:4: anchors are not used here"},
        {"a: &x [1]\n", "f.yaml:1:4: anchors are not used here"},
        {"a: &x {b: 1}\n", "f.yaml:1:4: anchors are not used here"},
        {"a: *x\n", "f.yaml:1:4: aliases are not used here"},
        {"a: !!str 1\n", "f.yaml:1:4: tags are not used here"},
        {"a: !x [1]\n", "f.yaml:1:4: tags are not used here"},
        {"? [a]\n: 1\n", "f.yaml:1:3: a key must be a plain word"},
        {"a: 1\n---\nb: 2\n", "f.yaml:2:1: one document is enough"},
        {"", "f.yaml:1:1: the file is empty"},
        {"# only a comment\n", "f.yaml:1:1: the file is empty"},
        {"a: \"x\\0y\"\n", "f.yaml:1:4: a NUL character has no place here"},
        {"\"x\\0y\": 1\n", "f.yaml:1:1: a NUL character has no place here"},
        {"a: [1\n", "f.yaml:2:1: did not find expected"},
        {"a: 1\n\tb: 2\n", "f.yaml:2:1: "},
        {"a: b: c\n", "f.yaml:1:5: mapping values are not allowed in this context"},
        {"a: \xff\n", "f.yaml:1:4: invalid leading UTF-8 octet"},
        {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
         "f.yaml:1:33: nested too deeply"},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        struct xf_yaml *yaml = NULL;
        struct xf_problems problems;
        int result = xf_yaml_parse("f.yaml", rows[i].text, strlen(rows[i].text), &yaml, &problems);
        char *said = problems_text(&problems);
        xf_problems_release(&problems);
        assert_int_equal(result, -1);
        assert_null(yaml);
        if (strncmp(said, rows[i].said, strlen(rows[i].said)) != 0) {
            fail_msg("row %zu: said %s, expected %s", i, said, rows[i].said);
        }
        free(said);
    }
}

static void a_file_cannot_make_a_tree_without_bound(void **state)
{
    (void) state;
    struct {
        const char *open, *entry, *said;
        size_t entries;
    } rows[] = {
        {"[", "1,", "too many entries in one place", 5000},
        {"{", "k%zu: 1,", "too many entries in one place", 5000},
        {"[", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],",
         "the file has too many entries", 4000},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        char *text = NULL;
        size_t length = 0;
        FILE *stream = open_memstream(&text, &length);
        fputs(rows[i].open, stream);
        for (size_t j = 0; j < rows[i].entries; j++) {
            char *entry = replaced(rows[i].entry, "%zu", "");
            fprintf(stream, "%.1s", entry);
            if (entry[0] == 'k') {
                fprintf(stream, "%zu", j);
            }
            fputs(entry + 1, stream);
            free(entry);
        }
        fclose(stream);
        struct xf_yaml *yaml = NULL;
        struct xf_problems problems;
        assert_int_equal(xf_yaml_parse("f.yaml", text, length, &yaml, &problems), -1);
        assert_int_equal(problems.count, 1);
        assert_string_equal(problems.items[0].message, rows[i].said);
        xf_problems_release(&problems);
        free(text);
    }
}

static void a_reader_that_wants_more_gets_the_tree_despite_duplicates(void **state)
{
    (void) state;
    static const char text[] = "a: 1\na: 2\nb: 3\n";
    struct xf_problems problems;
    struct xf_yaml *yaml = xf_yaml_parse_all("f.yaml", text, strlen(text), &problems);
    assert_non_null(yaml);
    assert_int_equal(problems.errors, 1);
    assert_string_equal(xf_yaml_get(xf_yaml_root(yaml), "a")->scalar, "1");
    assert_string_equal(xf_yaml_get(xf_yaml_root(yaml), "b")->scalar, "3");
    xf_problems_release(&problems);
    xf_yaml_destroy(yaml);
}

static void problems_are_told_in_the_order_of_the_file(void **state)
{
    (void) state;
    struct xf_problems problems = {.file = "f"};
    xf_problems_add(&problems, 3, 1, false, "third");
    xf_problems_add(&problems, 1, 7, true, "second");
    xf_problems_add(&problems, 1, 2, false, "fir\x1bst");
    char *text = problems_text(&problems);
    assert_string_equal(text, "f:1:2: fir?st\nf:1:7: warning: second\nf:3:1: third\n");
    assert_int_equal(problems.errors, 2);
    free(text);
    xf_problems_release(&problems);
    assert_null(problems.items);
}

static void warnings_never_crowd_out_an_error(void **state)
{
    (void) state;
    struct xf_problems problems = {.file = "f"};
    for (unsigned i = 0; i < 300; i++) {
        xf_problems_add(&problems, i + 1, 1, true, "warning %u", i);
    }
    assert_int_equal(problems.errors, 0);
    for (unsigned i = 0; i < 300; i++) {
        xf_problems_add(&problems, 1000 + i, 1, false, "error %u", i);
    }
    assert_int_equal(problems.errors, 300);
    assert_int_equal(problems.count, 100);
    for (unsigned i = 0; i < problems.count; i++) {
        assert_false(problems.items[i].warning);
        assert_int_equal(problems.items[i].line, 1000 + i);
    }
    xf_problems_release(&problems);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tree_remembers_where_everything_stood),
        cmocka_unit_test(json_is_read_too),
        cmocka_unit_test(what_has_no_place_in_a_file_is_refused_where_it_stands),
        cmocka_unit_test(a_file_cannot_make_a_tree_without_bound),
        cmocka_unit_test(a_reader_that_wants_more_gets_the_tree_despite_duplicates),
        cmocka_unit_test(problems_are_told_in_the_order_of_the_file),
        cmocka_unit_test(warnings_never_crowd_out_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
