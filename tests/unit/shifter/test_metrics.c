/*
 * test_metrics.c -- the text that Prometheus scrapes, as promtool sees it.
 */
#include "agent_fixture.h"

#include "shifter/agent/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static char *write_all(size_t *ret_length)
{
    struct xf_config *config = fixture_config_of(FIXTURE_CONFIG);
    struct xf_document *document = fixture_document(XF_CUTOVER_SHIFTING, 1234);
    struct xf_totals totals;
    assert_true(xf_totals_init(&totals, config));
    int pair = xf_config_pair(config, 0, 1);
    totals.pairs[pair].class[2] = 90;
    totals.pairs[pair].errors[XF_ERROR_TIMEOUT] = 4;
    totals.pairs[pair].latency[xf_histogram_bucket(900)] = 50;
    totals.pairs[pair].latency[xf_histogram_bucket(30000)] = 30;
    totals.pairs[pair].latency[xf_histogram_bucket(60000000)] = 20;
    totals.pairs[pair].latency_sum_us = 2500000;
    totals.clusters[0].tunnels = 3;
    totals.clusters[0].drained[XF_DRAINED_ANSWER] = 9;
    document->holds[XF_HOLD_ERRORS].on = true;
    struct xf_metrics_service service = {.name = "gateway",
                                         .document = document,
                                         .version = {1, 42, 0},
                                         .routed = true,
                                         .weight = 1200,
                                         .in_force = true,
                                         .lag_s = NAN};
    bool up[8] = {true, false};
    struct xf_metrics_view view = {.config = config,
                                   .totals = &totals,
                                   .services = &service,
                                   .services_count = 1,
                                   .server_up = up,
                                   .editions = 2,
                                   .reload_ok = true};
    char *text = xf_metrics_write(&view, ret_length);
    assert_non_null(text);
    xf_totals_release(&totals);
    xf_document_destroy(document);
    xf_config_destroy(config);
    return text;
}

static void numbers_stand_under_their_labels(void **state)
{
    (void) state;
    size_t length;
    char *text = write_all(&length);
    static const char *const lines[] = {
        "\ncrossfade_requests_total{service=\"gateway\",cluster=\"new\",code=\"2xx\"} 90\n",
        "\ncrossfade_upstream_errors_total{service=\"gateway\",cluster=\"new\",reason=\"timeout\"} "
        "4\n",
        "{service=\"gateway\",cluster=\"new\",le=\"0.001\"} 50\n",
        "{service=\"gateway\",cluster=\"new\",le=\"0.05\"} 80\n",
        "{service=\"gateway\",cluster=\"new\",le=\"10\"} 80\n",
        "{service=\"gateway\",cluster=\"new\",le=\"+Inf\"} 100\n",
        "\ncrossfade_request_duration_seconds_sum{service=\"gateway\",cluster=\"new\"} 2.5\n",
        "\ncrossfade_request_duration_seconds_count{service=\"gateway\",cluster=\"new\"} 100\n",
        "\ncrossfade_weight_desired_ratio{service=\"gateway\"} 0.1234\n",
        "\ncrossfade_weight_actual_ratio{service=\"gateway\"} 0.12\n",
        "\ncrossfade_state{service=\"gateway\",state=\"shifting\"} 1\n",
        "\ncrossfade_state{service=\"gateway\",state=\"safe\"} 0\n",
        "\ncrossfade_hold{service=\"gateway\",reason=\"errors\"} 1\n",
        "\ncrossfade_generation{service=\"gateway\"} 42\n",
        "\ncrossfade_tunnels{cluster=\"old\"} 3\n",
        "\ncrossfade_drained_total{cluster=\"old\",kind=\"answer\"} 9\n",
        "\ncrossfade_server_up{cluster=\"old\",server=\"127.0.0.1:18010\"} 1\n",
        "\ncrossfade_server_up{cluster=\"old\",server=\"127.0.0.1:18011\"} 0\n",
        "\ncrossfade_editions 2\n",
    };
    for (unsigned i = 0; i < XF_COUNT(lines); i++) {
        if (strstr(text, lines[i]) == NULL) {
            fail_msg("missing: %s", lines[i]);
        }
    }
    assert_int_equal(strlen(text), length);
    free(text);
}

static void each_family_is_described_once_and_whole(void **state)
{
    (void) state;
    size_t length;
    char *text = write_all(&length);
    for (const char *at = strstr(text, "# TYPE "); at != NULL; at = strstr(at + 1, "# TYPE ")) {
        char needle[128];
        (void) snprintf(needle, sizeof(needle), "%.*s ", (int) strcspn(at + 7, " ") + 7, at);
        assert_null(strstr(at + 1, needle));
    }
    free(text);
}

static void promtool_finds_nothing_to_complain_of(void **state)
{
    (void) state;
    size_t length;
    char *text = write_all(&length);
    FILE *promtool = popen("promtool check metrics", "w");
    assert_non_null(promtool);
    assert_int_equal(fwrite(text, 1, length, promtool), length);
    int status = pclose(promtool);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_stand_under_their_labels),
        cmocka_unit_test(each_family_is_described_once_and_whole),
        cmocka_unit_test(promtool_finds_nothing_to_complain_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
