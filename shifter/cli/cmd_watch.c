/*
 * cmd_watch.c -- `crossfade watch`: the live view.
 *
 * On a terminal the page is redrawn in place (cursor home, no full-screen mode, so that what was
 * last seen stays in the scrollback); piped, one line is printed per change.
 */
#include "shifter/cli/cli.h"
#include "shifter/cli/cmd_verbs.h"
#include "shifter/cli/show.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define PAGE_BYTES_MAX (1024u * 1024u)
#define REDRAW_MS      500
#define LOOK_MS        200

static volatile sig_atomic_t interrupted;

static void note_interrupt(int number)
{
    (void) number;
    interrupted = 1;
}

/* Ends each line with "clear to the end of the line", so that nothing of the last page stays. */
static void draw(const struct xf_text *page)
{
    struct xf_text screen;
    xf_text_init(&screen, 2 * PAGE_BYTES_MAX);
    xf_text_puts(&screen, "\033[H");
    for (const char *p = page->data; *p != '\0'; p++) {
        if (*p == '\n') {
            xf_text_puts(&screen, "\033[K");
        }
        xf_text_append(&screen, p, 1);
    }
    xf_text_puts(&screen, "\033[J");
    fputs(screen.data, stdout);
    fflush(stdout);
    xf_text_release(&screen);
}

static unsigned terminal_columns(void)
{
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

static void print_when_changed(const struct xf_text *line, char **last)
{
    if (*last != NULL && strcmp(*last, line->data) == 0) {
        return;
    }
    char stamp[32];
    time_t now = time(NULL);
    struct tm local;
    localtime_r(&now, &local);
    strftime(stamp, sizeof(stamp), "%H:%M:%S", &local);
    printf("%s %s\n", stamp, line->data);
    fflush(stdout);
    free(*last);
    *last = strdup(line->data);
}

static void print_json(const json_t *status)
{
    if (status != NULL) {
        json_dumpf(status, stdout, JSON_COMPACT);
        putchar('\n');
        fflush(stdout);
    }
}

/* One look.  `terminal`: redraws; else prints a line if something changed.  A daemon that is away
 * is ridden out; -1: what was asked for is not there, or not for whom asks. */
static int look(const struct xf_cli *cli, bool terminal, char **last, struct xf_error *err)
{
    struct xf_text page;
    json_t *status = NULL;
    bool away = xf_cli_try_get(cli, "status", &status, err) != 0;
    if (away && (err->code == XF_E_USAGE || err->code == XF_E_DENIED)) {
        return -1;
    }
    if (cli->json) {
        print_json(status);
        json_decref(status);
        return 0;
    }
    xf_text_init(&page, PAGE_BYTES_MAX);
    if (away) {
        xf_text_printf(&page, terminal ? "waiting for the daemon: %s\n" : "daemon away: %s",
                       err->message);
    } else if (terminal) {
        struct xf_show_options options = {.colour = xf_show_may_colour(STDOUT_FILENO),
                                          .columns = terminal_columns()};
        xf_show_status(status, &options, &page);
    } else {
        xf_show_line(status, &page);
    }
    if (terminal) {
        draw(&page);
    } else {
        print_when_changed(&page, last);
    }
    json_decref(status);
    xf_text_release(&page);
    return 0;
}

int xf_cmd_watch(int argc, char **argv)
{
    struct xf_cli cli;
    int result = xf_cli_parse(argc, argv, XF_CLI_REACH | XF_CLI_WATCH, 0, 0, &cli);
    if (result == 0) {
        result = xf_cli_service(&cli);
    }
    if (result != 0) {
        return result;
    }
    bool terminal = isatty(STDOUT_FILENO);
    int64_t every_ms = cli.every_ms > 0 ? cli.every_ms : terminal ? REDRAW_MS : LOOK_MS;
    char *last = NULL;
    struct sigaction action = {.sa_handler = note_interrupt};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (terminal) {
        fputs("\033[2J", stdout);
    }
    while (result == 0 && !interrupted && !ferror(stdout)) {
        struct xf_error err;
        if (look(&cli, terminal, &last, &err) != 0) {
            result = xf_cli_fail(&err);
        } else {
            usleep((useconds_t) every_ms * 1000);
        }
    }
    free(last);
    return result;
}
