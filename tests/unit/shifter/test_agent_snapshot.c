/*
 * test_agent_snapshot.c -- a snapshot reads back whole or not at all.
 */
#include "agent_fixture.h"

#include "shifter/agent/agent_file.h"
#include "shifter/agent/agent_identity.h"
#include "shifter/agent/agent_snapshot.h"
#include "shifter/agent/agent_snapshot_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define PROXY  "4b1c52a0-6f0e-4d5c-9a55-0d2b5a5a0001"
#define WRITE  "4b1c52a0-6f0e-4d5c-9a55-0d2b5a5a0002"
#define DAY_MS (24 * 3600 * 1000)

static char directory[64];
static int directory_fd;

static int enter(void **state)
{
    (void) state;
    (void) snprintf(directory, sizeof(directory), "/tmp/xf-snapshot-XXXXXX");
    assert_non_null(mkdtemp(directory));
    directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return directory_fd >= 0 ? 0 : -1;
}

static int leave(void **state)
{
    (void) state;
    static const char *const names[] = {"snapshot", "snapshot.new", "id", "id.new"};
    for (unsigned i = 0; i < XF_COUNT(names); i++) {
        (void) unlinkat(directory_fd, names[i], 0);
    }
    close(directory_fd);
    return rmdir(directory);
}

static char *make_text(bool left, size_t *ret_length)
{
    struct xf_snapshot_service service = {.version = {.epoch = 3, .generation = 41, .revision = 2},
                                          .write_id = WRITE,
                                          .document = fixture_document(XF_CUTOVER_SHIFTING, 2500)};
    struct xf_snapshot snapshot = {.proxy = PROXY,
                                   .saved_ms = 1790000000000,
                                   .left = left,
                                   .services = &service,
                                   .services_count = 1};
    char *text = xf_snapshot_format(&snapshot, ret_length);
    assert_non_null(text);
    xf_document_destroy(service.document);
    return text;
}

static void what_was_written_reads_back(void **state)
{
    (void) state;
    size_t length;
    char *text = make_text(true, &length);
    struct xf_snapshot snapshot;
    struct xf_error err = {0};
    assert_int_equal(xf_snapshot_parse(text, length, &snapshot, &err), 0);
    assert_string_equal(snapshot.proxy, PROXY);
    assert_true(snapshot.left);
    assert_int_equal(snapshot.saved_ms, 1790000000000);
    assert_int_equal(snapshot.services_count, 1);
    assert_int_equal(snapshot.services[0].version.generation, 41);
    assert_string_equal(snapshot.services[0].write_id, WRITE);
    assert_string_equal(snapshot.services[0].document->to, "new");
    assert_int_equal(snapshot.services[0].document->weight, 2500);
    xf_snapshot_release(&snapshot);
    free(text);
}

static bool reads(const char *text, size_t length)
{
    struct xf_snapshot snapshot;
    struct xf_error err = {0};
    if (xf_snapshot_parse(text, length, &snapshot, &err) != 0) {
        assert_true(err.message[0] != '\0');
        return false;
    }
    xf_snapshot_release(&snapshot);
    return true;
}

static void every_cut_is_refused(void **state)
{
    (void) state;
    size_t length;
    char *text = make_text(false, &length);
    for (size_t cut = 0; cut < length; cut++) {
        assert_false(reads(text, cut));
    }
    assert_true(reads(text, length));
    free(text);
}

static void every_flipped_bit_is_refused(void **state)
{
    (void) state;
    size_t length;
    char *text = make_text(false, &length);
    for (size_t at = 0; at < length; at++) {
        text[at] = (char) (text[at] ^ (1 << (at % 8)));
        assert_false(reads(text, length));
        text[at] = (char) (text[at] ^ (1 << (at % 8)));
    }
    free(text);
}

static void bytes_behind_the_end_are_refused(void **state)
{
    (void) state;
    size_t length;
    char *text = make_text(false, &length);
    char *longer = calloc(1, length + 2);
    memcpy(longer, text, length);
    longer[length] = '\n';
    assert_false(reads(longer, length + 1));
    free(longer);
    free(text);
}

static void an_old_or_left_snapshot_may_not_serve(void **state)
{
    (void) state;
    struct xf_snapshot snapshot = {.saved_ms = 1790000000000};
    struct xf_error err = {0};
    assert_true(xf_snapshot_usable(&snapshot, snapshot.saved_ms + DAY_MS, DAY_MS, &err));
    assert_false(xf_snapshot_usable(&snapshot, snapshot.saved_ms + DAY_MS + 1, DAY_MS, &err));
    assert_non_null(strstr(err.message, "snapshot_max_age"));
    assert_true(xf_snapshot_usable(&snapshot, snapshot.saved_ms - DAY_MS, DAY_MS, &err));
    snapshot.left = true;
    assert_false(xf_snapshot_usable(&snapshot, snapshot.saved_ms, DAY_MS, &err));
    assert_non_null(strstr(err.message, "left"));
    snapshot.left = false;
    snapshot.forgotten = true;
    assert_false(xf_snapshot_usable(&snapshot, snapshot.saved_ms, DAY_MS, &err));
    assert_non_null(strstr(err.message, "forgotten"));
}

static void the_writer_puts_the_newest_text_on_disk(void **state)
{
    (void) state;
    struct xf_snapshot_writer *writer = xf_snapshot_writer_create(directory_fd, XF_SNAPSHOT_FILE);
    struct xf_error err = {0};
    for (unsigned i = 0; i < 20; i++) {
        char text[32];
        int length = snprintf(text, sizeof(text), "text %u", i);
        xf_snapshot_writer_put(writer, strdup(text), (size_t) length);
    }
    assert_true(xf_snapshot_writer_flush(writer, 5000));
    assert_true(xf_snapshot_writer_ok(writer, &err));
    char *read = NULL;
    size_t length;
    assert_int_equal(xf_agent_file_read(directory_fd, XF_SNAPSHOT_FILE, 1000, &read, &length, &err),
                     0);
    assert_string_equal(read, "text 19");
    free(read);
    xf_snapshot_writer_destroy(writer);
}

static void a_directory_that_is_gone_is_told_and_does_not_hang(void **state)
{
    (void) state;
    int nowhere = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct xf_snapshot_writer *writer = xf_snapshot_writer_create(nowhere, XF_SNAPSHOT_FILE);
    struct xf_error err = {0};
    xf_snapshot_writer_put(writer, strdup("x"), 1);
    assert_false(xf_snapshot_writer_flush(writer, 5000));
    assert_false(xf_snapshot_writer_ok(writer, &err));
    assert_non_null(strstr(err.message, "cannot write"));
    xf_snapshot_writer_destroy(writer);
    close(nowhere);
}

static void an_identity_is_made_once_and_kept(void **state)
{
    (void) state;
    char first[XF_UUID_TEXT_BYTES], second[XF_UUID_TEXT_BYTES];
    struct xf_error err = {0};
    assert_int_equal(xf_agent_identity_load(directory_fd, first, &err), 0);
    assert_true(xf_uuid_valid(first));
    assert_int_equal(xf_agent_identity_load(directory_fd, second, &err), 0);
    assert_string_equal(first, second);
}

static void a_damaged_identity_is_not_replaced(void **state)
{
    (void) state;
    char id[XF_UUID_TEXT_BYTES] = "kept";
    struct xf_error err = {0};
    assert_int_equal(xf_agent_file_replace(directory_fd, "id", "torn", 4, &err), 0);
    assert_int_equal(xf_agent_identity_load(directory_fd, id, &err), -1);
    assert_string_equal(id, "kept");
    assert_non_null(strstr(err.message, "holds no UUID"));
}

static void a_file_that_is_too_large_is_no_file_of_ours(void **state)
{
    (void) state;
    char *text = NULL;
    size_t length;
    struct xf_error err = {0};
    assert_int_equal(xf_agent_file_replace(directory_fd, "id", "0123456789", 10, &err), 0);
    assert_int_equal(xf_agent_file_read(directory_fd, "id", 9, &text, &length, &err), -1);
    assert_int_equal(xf_agent_file_read(directory_fd, "none", 9, &text, &length, &err), -1);
    assert_int_equal(errno, ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_reads_back),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(every_flipped_bit_is_refused),
        cmocka_unit_test(bytes_behind_the_end_are_refused),
        cmocka_unit_test(an_old_or_left_snapshot_may_not_serve),
        cmocka_unit_test_setup_teardown(the_writer_puts_the_newest_text_on_disk, enter, leave),
        cmocka_unit_test(a_directory_that_is_gone_is_told_and_does_not_hang),
        cmocka_unit_test_setup_teardown(an_identity_is_made_once_and_kept, enter, leave),
        cmocka_unit_test_setup_teardown(a_damaged_identity_is_not_replaced, enter, leave),
        cmocka_unit_test_setup_teardown(a_file_that_is_too_large_is_no_file_of_ours, enter, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
