/*
 * cmd_show.c -- `status`, `why` and `history`: what is, why it is so, and what was.
 */
#include "shifter/cli/cli.h"
#include "shifter/cli/cmd_verbs.h"
#include "shifter/judge/judge_explain.h"
#include "shifter/cli/show.h"

#include "config/base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PAGE_BYTES_MAX (1024u * 1024u)
#define VERIFY_COUNT   5000 /* as many as the leader gives */

int xf_cmd_status(int argc, char **argv)
{
    struct xf_cli cli;
    json_t *status = NULL;
    int result = xf_cli_parse(argc, argv, XF_CLI_REACH, 0, 0, &cli);
    if (result == 0) {
        result = xf_cli_service(&cli);
    }
    if (result == 0) {
        result = xf_cli_get(&cli, "status", &status);
    }
    if (result != 0) {
        return result;
    }
    if (cli.json) {
        xf_cli_print(status);
    } else {
        struct xf_text page;
        struct xf_show_options options = {
            .colour = xf_show_may_colour(STDOUT_FILENO), .columns = 80, .servers = true};
        xf_text_init(&page, PAGE_BYTES_MAX);
        xf_show_status(status, &options, &page);
        fputs(page.data, stdout);
        xf_text_release(&page);
    }
    json_decref(status);
    return 0;
}

int xf_cmd_why(int argc, char **argv)
{
    struct xf_cli cli;
    json_t *why = NULL;
    int result = xf_cli_parse(argc, argv, XF_CLI_REACH, 0, 0, &cli);
    if (result == 0) {
        result = xf_cli_service(&cli);
    }
    if (result == 0) {
        result = xf_cli_get(&cli, "why", &why);
    }
    if (result != 0) {
        return result;
    }
    if (cli.json) {
        xf_cli_print(why);
    } else {
        const char *text = xf_cli_text(why, "text", "");
        fputs(text, stdout);
        if (text[0] != '\0' && text[strlen(text) - 1] != '\n') {
            putchar('\n');
        }
    }
    json_decref(why);
    return 0;
}

static void print_entry(const json_t *entry)
{
    const json_t *before = json_object_get(entry, "before");
    const json_t *after = json_object_get(entry, "after");
    char from[16];
    char to[16];
    snprintf(from, sizeof(from), "%.4g%%", xf_cli_number(before, "weight", 0));
    snprintf(to, sizeof(to), "%.4g%%", xf_cli_number(after, "weight", 0));
    printf("%s  %-10s %s %s -> %s %s  by %s", xf_cli_text(entry, "at", "?"),
           xf_cli_text(entry, "verb", "?"), xf_cli_text(before, "state", "-"), from,
           xf_cli_text(after, "state", "?"), to, xf_cli_text(entry, "actor", "?"));
    const char *reason = xf_cli_text(entry, "reason", "");
    const char *sentence = xf_cli_text(entry, "sentence", "");
    if (reason[0] != '\0') {
        printf("  (%s)", reason);
    }
    if (sentence[0] != '\0') {
        printf("\n    %s", sentence);
    }
    putchar('\n');
}

/* Recomputes every verdict from what its entry holds: adds `verified` (and `problem`) to the
 * entries that have one, and `verified` to the whole.  Whether all came out as written. */
static bool verify_history(json_t *history, unsigned *ret_verdicts)
{
    size_t i;
    json_t *entry;
    bool all = true;
    unsigned verdicts = 0;
    json_array_foreach(json_object_get(history, "entries"), i, entry)
    {
        const json_t *verdict = json_object_get(entry, "verdict");
        if (!json_is_object(verdict)) {
            continue;
        }
        struct xf_error err = {0};
        const json_t *proof = json_object_get(verdict, "proof");
        bool verified = xf_judge_verify_json(proof, &err) == 0;
        const char *rule = xf_cli_text(verdict, "rule", "?");
        if (verified && strcmp(rule, xf_cli_text(proof, "rule", "")) != 0) {
            verified = false;
            (void) XF_FAIL(&err, XF_E_FAILED, "the proof is of another rule than %s", rule);
        }
        if (verified &&
            strcmp(xf_cli_text(verdict, "sentence", ""), xf_cli_text(proof, "sentence", "")) != 0) {
            verified = false;
            (void) XF_FAIL(&err, XF_E_FAILED, "the proof is of another sentence");
        }
        (void) json_object_set_new(entry, "verified", json_boolean(verified));
        if (!verified) {
            (void) json_object_set_new(entry, "problem", json_string(err.message));
        }
        all = all && verified;
        verdicts++;
    }
    (void) json_object_set_new(history, "verified", json_boolean(all));
    *ret_verdicts = verdicts;
    return all;
}

static void print_entry_verified(const json_t *entry)
{
    if (json_object_get(entry, "verified") != NULL) {
        bool verified = xf_cli_true(entry, "verified");
        printf("    %s%s\n", verified ? "verified: recomputed from the log" : "NOT verified: ",
               verified ? "" : xf_cli_text(entry, "problem", ""));
    }
}

int xf_cmd_history(int argc, char **argv)
{
    struct xf_cli cli;
    json_t *history = NULL;
    int result = xf_cli_parse(argc, argv, XF_CLI_REACH | XF_CLI_HISTORY, 0, 0, &cli);
    if (result == 0) {
        result = xf_cli_service(&cli);
    }
    if (result != 0) {
        return result;
    }
    char what[160];
    int64_t since_ms = cli.since_ms >= 0 ? xf_clock_wall_ms(xf_clock_system()) - cli.since_ms : 0;
    snprintf(what, sizeof(what), "history?count=%" PRId64 "&since_ms=%" PRId64,
             cli.count >= 0 ? cli.count
             : cli.verify   ? VERIFY_COUNT
                            : 100,
             since_ms);
    result = xf_cli_get(&cli, what, &history);
    if (result != 0) {
        return result;
    }
    const json_t *entries = json_object_get(history, "entries");
    unsigned verdicts = 0;
    bool verified = !cli.verify || verify_history(history, &verdicts);
    if (cli.json) {
        xf_cli_print(history);
    } else {
        size_t i;
        json_t *entry;
        json_array_foreach(entries, i, entry)
        {
            print_entry(entry);
            print_entry_verified(entry);
        }
    }
    if (cli.verify) {
        xf_cli_note("crossfade history: %u verdict%s, %s", verdicts, verdicts == 1 ? "" : "s",
                    verified ? "each recomputed from the log" : "not all recomputed from the log");
        result = verified ? 0 : 1;
    }
    json_decref(history);
    return result;
}
