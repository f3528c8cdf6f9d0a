/*
 * gate_kinds.c -- the small gates: postgres, http and prometheus.
 *
 * What cannot be asked is a failure with its reason; no answer is never a pass.
 */
#include "shifter/gates/gate_kinds.h"

#include "config/base/text.h"
#include "shifter/gates/database.h"
#include "shifter/net/fetch.h"
#include "shifter/net/url.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ERROR XF_SEVERITY_ERROR

static const char *text_of(const json_t *options, const char *key)
{
    return json_string_value(json_object_get(options, key));
}

/* ---- postgres: {database, query, equals | at_least | rows} ---- */

static void judge_rows(const json_t *options, const char *name, PGresult *rows,
                       struct xf_checks *checks)
{
    int count = PQntuples(rows);
    bool empty = count == 0 || PQnfields(rows) == 0 || PQgetisnull(rows, 0, 0);
    const char *value = empty ? "" : PQgetvalue(rows, 0, 0);
    const json_t *equals = json_object_get(options, "equals");
    const json_t *at_least = json_object_get(options, "at_least");
    const json_t *wanted_rows = json_object_get(options, "rows");
    if (wanted_rows != NULL) {
        long long wanted = (long long) json_integer_value(wanted_rows);
        xf_checks_add(checks, "postgres", name, count == wanted, ERROR, "%d rows, %lld wanted",
                      count, wanted);
    } else if (at_least != NULL) {
        char *end = NULL;
        double number = strtod(value, &end);
        bool is_number = !empty && end != value && *end == '\0' && isfinite(number);
        double least = json_is_string(at_least) ? strtod(json_string_value(at_least), NULL)
                                                : json_number_value(at_least);
        xf_checks_add(checks, "postgres", name, is_number && number >= least, ERROR,
                      is_number ? "%.100s, at least %g wanted"
                                : "`%.100s` is no number (%g wanted)",
                      value, least);
    } else if (equals != NULL) {
        char *dumped = json_is_string(equals) ? strdup(json_string_value(equals))
                                              : json_dumps(equals, JSON_ENCODE_ANY);
        bool same = !empty && dumped != NULL && strcmp(dumped, value) == 0;
        xf_checks_add(checks, "postgres", name, same, ERROR, "`%.200s`, `%.200s` wanted",
                      empty ? "nothing" : value, dumped != NULL ? dumped : "?");
        free(dumped);
    } else {
        xf_checks_add(checks, "postgres", name, false, ERROR,
                      "an expectation is needed: equals, at_least or rows");
    }
}

void xf_gate_postgres(const json_t *options, const struct xf_gate_context *context,
                      struct xf_checks *checks)
{
    const char *database = text_of(options, "database");
    const char *query = text_of(options, "query");
    const char *name = text_of(options, "name") != NULL ? text_of(options, "name") : "query";
    PGconn *connection = NULL;
    PGresult *rows = NULL;
    struct xf_error err;
    if (database == NULL || query == NULL) {
        xf_checks_add(checks, "postgres", name, false, ERROR, "database and query are needed");
        return;
    }
    if (xf_database_open(context->config, database, &connection, &err) != 0) {
        xf_checks_add(checks, "postgres", name, false, ERROR, "%s", err.message);
        return;
    }
    /* The extended protocol takes one statement, and the session is read-only. */
    if (xf_database_query(connection, query, 0, NULL, &rows, &err) != 0) {
        xf_checks_add(checks, "postgres", name, false, ERROR, "database `%s`: %s", database,
                      err.message);
    } else {
        judge_rows(options, name, rows, checks);
        PQclear(rows);
    }
    PQfinish(connection);
}

/* ---- http: {url, status, body, pointer, equals} ---- */

static bool status_expected(const json_t *wanted, int status)
{
    unsigned low;
    unsigned high;
    if (json_is_integer(wanted)) {
        return json_integer_value(wanted) == status;
    }
    const char *text = json_string_value(wanted);
    if (text == NULL) {
        return status >= 200 && status < 300;
    }
    int fields = sscanf(text, "%3u-%3u", &low, &high);
    return fields == 2 ? status >= (int) low && status <= (int) high
                       : fields == 1 && status == (int) low;
}

/* The value at a JSON pointer (RFC 6901), borrowed; NULL where there is none. */
static const json_t *json_pointer(const json_t *value, const char *pointer)
{
    while (value != NULL && *pointer == '/') {
        char token[256];
        size_t used = 0;
        pointer++;
        while (*pointer != '\0' && *pointer != '/' && used + 1 < sizeof(token)) {
            bool escaped = *pointer == '~' && (pointer[1] == '0' || pointer[1] == '1');
            token[used++] = escaped ? (pointer[1] == '0' ? '~' : '/') : *pointer;
            pointer += escaped ? 2 : 1;
        }
        token[used] = '\0';
        if (json_is_array(value)) {
            uint64_t index;
            value = xf_parse_uint(token, json_array_size(value), &index)
                        ? json_array_get(value, (size_t) index)
                        : NULL;
        } else {
            value = json_object_get(value, token);
        }
    }
    return *pointer == '\0' ? value : NULL;
}

void xf_gate_http(const json_t *options, const struct xf_gate_context *context,
                  struct xf_checks *checks)
{
    (void) context;
    const char *url = text_of(options, "url");
    const char *name = text_of(options, "name") != NULL ? text_of(options, "name") : "answer";
    const char *body = text_of(options, "body");
    const char *pointer = text_of(options, "pointer");
    struct xf_client_answer answer;
    struct xf_error err;
    if (url == NULL) {
        xf_checks_add(checks, "http", name, false, ERROR, "a url is needed");
        return;
    }
    if (xf_fetch(url, XF_FETCH_MS, &answer, &err) != 0) {
        xf_checks_add(checks, "http", name, false, ERROR, "%.300s: %s", url, err.message);
        return;
    }
    const json_t *found = pointer != NULL ? json_pointer(answer.body, pointer) : NULL;
    const json_t *equals = json_object_get(options, "equals");
    if (!status_expected(json_object_get(options, "status"), answer.status)) {
        xf_checks_add(checks, "http", name, false, ERROR, "%.300s answered %d", url, answer.status);
    } else if (body != NULL && (answer.text == NULL || strstr(answer.text, body) == NULL)) {
        xf_checks_add(checks, "http", name, false, ERROR, "%.300s: its body has no `%.100s`", url,
                      body);
    } else if (pointer != NULL &&
               (found == NULL || (equals != NULL && !json_equal(found, equals)))) {
        char *dumped = found != NULL ? json_dumps(found, JSON_ENCODE_ANY) : NULL;
        xf_checks_add(checks, "http", name, false, ERROR, "%.300s: %.100s is %.200s", url, pointer,
                      dumped != NULL ? dumped : "not there");
        free(dumped);
    } else {
        xf_checks_add(checks, "http", name, true, ERROR, "%.300s answered %d", url, answer.status);
    }
    xf_client_answer_release(&answer);
}

/* ---- prometheus: {url, query, success: "< 0.01"} ---- */

/* `< 0.01`, `<= 5`, `> 1`, `>= 1`, `== 0`, `!= 0`. */
static bool parse_condition(const char *text, char operation[3], double *ret)
{
    size_t length = strspn(text, "<>=!");
    static const char *const known[] = {"<", "<=", ">", ">=", "==", "!="};
    char *end;
    if (length == 0 || length > 2) {
        return false;
    }
    snprintf(operation, 3, "%.*s", (int) length, text);
    bool found = false;
    for (size_t i = 0; i < XF_COUNT(known); i++) {
        found = found || strcmp(known[i], operation) == 0;
    }
    double number = strtod(text + length, &end);
    if (!found || end == text + length || *end != '\0' || !isfinite(number)) {
        return false;
    }
    *ret = number;
    return true;
}

static bool condition_holds(double value, const char *operation, double limit)
{
    bool less = value < limit;
    bool more = value > limit;
    switch (operation[0]) {
    case '<':
        return less || (operation[1] == '=' && !more);
    case '>':
        return more || (operation[1] == '=' && !less);
    case '=':
        return !less && !more;
    default:
        return less || more;
    }
}

/* Every sample of a vector, or the scalar, must be a number for which the condition holds. */
static void judge_samples(const json_t *answer, const char *operation, double limit,
                          struct xf_checks *checks)
{
    const json_t *data = json_object_get(answer, "data");
    const json_t *result = json_object_get(data, "result");
    const char *type = text_of(data, "resultType");
    bool scalar = type != NULL && strcmp(type, "scalar") == 0;
    size_t count = scalar ? 1 : json_array_size(result);
    if (count == 0 || (!scalar && (type == NULL || strcmp(type, "vector") != 0))) {
        xf_checks_add(checks, "prometheus", "query", false, ERROR,
                      "no evidence: the query has no sample");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *pair = scalar ? result : json_object_get(json_array_get(result, i), "value");
        const char *text = json_string_value(json_array_get(pair, 1));
        char *end = NULL;
        double value = text != NULL ? strtod(text, &end) : NAN;
        if (text == NULL || *end != '\0' || !isfinite(value)) {
            xf_checks_add(checks, "prometheus", "query", false, ERROR,
                          "no evidence: the value is %.40s", text != NULL ? text : "missing");
            return;
        }
        if (!condition_holds(value, operation, limit)) {
            xf_checks_add(checks, "prometheus", "query", false, ERROR, "%g is not %s %g", value,
                          operation, limit);
            return;
        }
    }
    xf_checks_add(checks, "prometheus", "query", true, ERROR, "%zu samples are %s %g", count,
                  operation, limit);
}

void xf_gate_prometheus(const json_t *options, const struct xf_gate_context *context,
                        struct xf_checks *checks)
{
    (void) context;
    const char *base = text_of(options, "url");
    const char *query = text_of(options, "query");
    const char *success = text_of(options, "success");
    char operation[3];
    double limit;
    char escaped[3072];
    char url[4096];
    struct xf_client_answer answer;
    struct xf_error err;
    if (base == NULL || query == NULL || success == NULL ||
        !parse_condition(success, operation, &limit)) {
        xf_checks_add(checks, "prometheus", "query", false, ERROR,
                      "url, query and success (such as \"< 0.01\") are needed");
        return;
    }
    if (xf_url_escape(query, escaped, sizeof(escaped)) == NULL) {
        xf_checks_add(checks, "prometheus", "query", false, ERROR, "the query is too long");
        return;
    }
    size_t length = strlen(base);
    while (length > 0 && base[length - 1] == '/') {
        length--;
    }
    snprintf(url, sizeof(url), "%.*s/api/v1/query?query=%s", (int) (length < 900 ? length : 900),
             base, escaped);
    if (xf_fetch(url, XF_FETCH_MS, &answer, &err) != 0) {
        xf_checks_add(checks, "prometheus", "query", false, ERROR, "no evidence: %s", err.message);
        return;
    }
    if (answer.status != 200 || answer.body == NULL) {
        xf_checks_add(checks, "prometheus", "query", false, ERROR,
                      "no evidence: %.200s answered %d %.200s", base, answer.status,
                      text_of(answer.body, "error") != NULL ? text_of(answer.body, "error") : "");
    } else {
        judge_samples(answer.body, operation, limit, checks);
    }
    xf_client_answer_release(&answer);
}
