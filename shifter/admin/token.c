/*
 * token.c -- see token.h.
 */
#include "shifter/admin/token.h"

#include "config/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX       "cf_"
#define SECRET_BYTES 32u
#define DIGEST_WORD  "sha256:"
#define WORDS        4u

static const char *const roles[] = {"nobody", "viewer", "operator", "admin"};

const char *xf_admin_role_name(enum xf_admin_role role)
{
    return roles[role];
}

bool xf_admin_role_parse(const char *text, enum xf_admin_role *ret)
{
    for (unsigned i = XF_ADMIN_VIEWER; i < XF_COUNT(roles); i++) {
        if (strcmp(roles[i], text) == 0) {
            *ret = (enum xf_admin_role) i;
            return true;
        }
    }
    return false;
}

bool xf_token_name_valid(const char *name)
{
    static const char known[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-@";
    size_t length = strlen(name);
    return length > 0 && length < XF_TOKEN_NAME_BYTES && strspn(name, known) == length &&
           name[0] != '-';
}

static void to_hex(const unsigned char *bytes, size_t count, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * count] = '\0';
}

static int hex_of(char c)
{
    const char *digits = "0123456789abcdef";
    const char *place = c != '\0' ? strchr(digits, c) : NULL;
    return place != NULL ? (int) (place - digits) : -1;
}

static bool from_hex(const char *text, unsigned char *out, size_t count)
{
    if (strlen(text) != 2 * count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        int high = hex_of(text[2 * i]), low = hex_of(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        out[i] = (unsigned char) (high * 16 + low);
    }
    return true;
}

static bool digest_of(const char *secret, unsigned char out[XF_TOKEN_DIGEST_BYTES])
{
    return EVP_Digest(secret, strlen(secret), out, NULL, EVP_sha256(), NULL) == 1;
}

/* ---- the file ---- */

static const struct xf_token *find_name(const struct xf_tokens *tokens, const char *name)
{
    for (unsigned i = 0; i < tokens->count; i++) {
        if (strcmp(tokens->list[i].name, name) == 0) {
            return &tokens->list[i];
        }
    }
    return NULL;
}

static bool read_line(char *line, struct xf_token *ret)
{
    char *word[WORDS], *rest = NULL;
    for (unsigned i = 0; i < WORDS; i++) {
        word[i] = strtok_r(i == 0 ? line : NULL, " \t", &rest);
        if (word[i] == NULL) {
            return false;
        }
    }
    size_t prefix = strlen(DIGEST_WORD);
    if (strtok_r(NULL, " \t", &rest) != NULL || !xf_token_name_valid(word[0]) ||
        !xf_admin_role_parse(word[1], &ret->role) || strncmp(word[2], DIGEST_WORD, prefix) != 0 ||
        !from_hex(word[2] + prefix, ret->digest, XF_TOKEN_DIGEST_BYTES) ||
        !xf_parse_time(word[3], &ret->created_ms)) {
        return false;
    }
    (void) snprintf(ret->name, sizeof(ret->name), "%s", word[0]);
    return true;
}

static int parse_lines(char *text, struct xf_tokens *ret, struct xf_error *err)
{
    ret->count = 0;
    unsigned number = 1;
    for (char *line = text, *end; line != NULL; line = end, number++) {
        end = strchr(line, '\n');
        if (end != NULL) {
            *end++ = '\0';
        }
        line += strspn(line, " \t");
        if (line[0] == '\0' || line[0] == '#') {
            continue;
        }
        struct xf_token token = {0};
        if (ret->count == XF_TOKENS_MAX) {
            return XF_FAIL(err, XF_E_CONFIG, "line %u: more than %u tokens", number, XF_TOKENS_MAX);
        }
        if (!read_line(line, &token)) {
            return XF_FAIL(err, XF_E_CONFIG,
                           "line %u: not `NAME ROLE sha256:HEX TIME`, as `crossfade token add` "
                           "writes it",
                           number);
        }
        if (find_name(ret, token.name) != NULL) {
            return XF_FAIL(err, XF_E_CONFIG, "line %u: %s stands there twice", number, token.name);
        }
        ret->list[ret->count++] = token;
    }
    return 0;
}

int xf_tokens_parse(const char *text, size_t length, struct xf_tokens *ret, struct xf_error *err)
{
    if (length > XF_TOKENS_BYTES_MAX || memchr(text, '\0', length) != NULL) {
        return XF_FAIL(err, XF_E_CONFIG, "this is no file of tokens");
    }
    char *copy = strndup(text, length);
    int result = copy != NULL ? parse_lines(copy, ret, err)
                              : XF_FAIL(err, XF_E_NO_MEMORY, "no memory for the tokens");
    free(copy);
    return result;
}

int xf_tokens_load(const char *path, struct xf_tokens *ret, struct xf_error *err)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        int why = errno;
        (void) XF_FAIL(err, XF_E_CONFIG, "%s: %s", path, strerrordesc_np(why));
        errno = why;
        return -1;
    }
    char *text = malloc(XF_TOKENS_BYTES_MAX + 1);
    size_t length = text != NULL ? fread(text, 1, XF_TOKENS_BYTES_MAX + 1, file) : 0;
    bool failed = text == NULL || ferror(file) != 0;
    fclose(file);
    struct xf_error why = {0};
    int result = failed ? XF_FAIL(err, XF_E_SYSTEM, "%s: cannot be read", path)
                        : xf_tokens_parse(text, length, ret, &why);
    if (!failed && result != 0) {
        (void) XF_FAIL(err, why.code, "%s: %.300s", path, why.message);
    }
    free(text);
    errno = 0;
    return result;
}

static int folder_of(const char *path, char out[PATH_MAX], struct xf_error *err)
{
    if (strlen(path) >= PATH_MAX) {
        return XF_FAIL(err, XF_E_USAGE, "the path of the tokens' file is too long");
    }
    char copy[PATH_MAX];
    (void) snprintf(copy, sizeof(copy), "%s", path);
    (void) snprintf(out, PATH_MAX, "%s", dirname(copy));
    return 0;
}

int xf_tokens_lock(const char *path, struct xf_error *err)
{
    char folder[PATH_MAX];
    if (folder_of(path, folder, err) != 0) {
        return -1;
    }
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX) != 0) {
        (void) XF_FAIL(err, XF_E_SYSTEM, "%s: %s", folder, strerrordesc_np(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

/* The new file belongs to who owned the old one; only root can and must care. */
static int give_owner(int fd, const char *path)
{
    struct stat old;
    const struct passwd *user;
    if (geteuid() != 0) {
        return 0;
    }
    if (stat(path, &old) == 0) {
        return fchown(fd, old.st_uid, old.st_gid);
    }
    user = getpwnam("crossfade");
    return user != NULL ? fchown(fd, user->pw_uid, user->pw_gid) : 0;
}

static int write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t put = write(fd, bytes, length);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return -1;
        }
        bytes += put;
        length -= (size_t) put;
    }
    return fsync(fd);
}

static void write_lines(struct xf_text *text, const struct xf_tokens *tokens)
{
    xf_text_puts(text, "# Tokens of crossfade's admin port, hashed; change it with `crossfade "
                       "token`.\n");
    for (unsigned i = 0; i < tokens->count; i++) {
        const struct xf_token *token = &tokens->list[i];
        char hex[2 * XF_TOKEN_DIGEST_BYTES + 1], time[XF_TIME_TEXT_BYTES];
        to_hex(token->digest, XF_TOKEN_DIGEST_BYTES, hex);
        xf_text_printf(text, "%s %s " DIGEST_WORD "%s %s\n", token->name,
                       xf_admin_role_name(token->role), hex,
                       xf_format_time(token->created_ms, time));
    }
}

int xf_tokens_save(const char *path, const struct xf_tokens *tokens, struct xf_error *err)
{
    char fresh[PATH_MAX];
    if (snprintf(fresh, sizeof(fresh), "%s.new", path) >= (int) sizeof(fresh)) {
        return XF_FAIL(err, XF_E_USAGE, "the path of the tokens' file is too long");
    }
    struct xf_text text;
    xf_text_init(&text, XF_TOKENS_BYTES_MAX);
    write_lines(&text, tokens);
    (void) unlink(fresh); /* of one that was killed in between */
    int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool good = fd >= 0 && !text.failed && give_owner(fd, path) == 0 &&
                write_all(fd, text.data, text.length) == 0 && rename(fresh, path) == 0;
    int why = errno;
    if (fd >= 0) {
        close(fd);
    }
    xf_text_release(&text);
    if (!good) {
        (void) unlink(fresh);
        return XF_FAIL(err, XF_E_SYSTEM, "cannot write %s: %s", path, strerrordesc_np(why));
    }
    return 0;
}

/* ---- tokens ---- */

int xf_tokens_add(struct xf_tokens *tokens, const char *name, enum xf_admin_role role,
                  int64_t now_ms, char out[XF_TOKEN_BYTES], struct xf_error *err)
{
    unsigned char secret[SECRET_BYTES];
    struct xf_token token = {.role = role, .created_ms = now_ms};
    if (find_name(tokens, name) != NULL) {
        return XF_FAIL(err, XF_E_USAGE, "there is a token named %s already", name);
    }
    if (tokens->count == XF_TOKENS_MAX) {
        return XF_FAIL(err, XF_E_USAGE, "there are %u tokens already: remove some", XF_TOKENS_MAX);
    }
    if (getrandom(secret, sizeof(secret), 0) != (ssize_t) sizeof(secret)) {
        return XF_FAIL(err, XF_E_SYSTEM, "getrandom: %s", strerrordesc_np(errno));
    }
    memcpy(out, PREFIX, strlen(PREFIX));
    to_hex(secret, sizeof(secret), out + strlen(PREFIX));
    OPENSSL_cleanse(secret, sizeof(secret));
    if (!digest_of(out, token.digest)) {
        return XF_FAIL(err, XF_E_SYSTEM, "SHA-256 is not to be had");
    }
    (void) snprintf(token.name, sizeof(token.name), "%s", name);
    tokens->list[tokens->count++] = token;
    return 0;
}

bool xf_tokens_remove(struct xf_tokens *tokens, const char *name)
{
    for (unsigned i = 0; i < tokens->count; i++) {
        if (strcmp(tokens->list[i].name, name) == 0) {
            tokens->count--;
            memmove(&tokens->list[i], &tokens->list[i + 1],
                    (tokens->count - i) * sizeof(tokens->list[0]));
            return true;
        }
    }
    return false;
}

const struct xf_token *xf_tokens_find(const struct xf_tokens *tokens, const char *secret)
{
    unsigned char digest[XF_TOKEN_DIGEST_BYTES];
    const struct xf_token *found = NULL;
    if (!digest_of(secret, digest)) {
        return NULL;
    }
    for (unsigned i = 0; i < tokens->count; i++) {
        if (CRYPTO_memcmp(tokens->list[i].digest, digest, sizeof(digest)) == 0) {
            found = &tokens->list[i];
        }
    }
    return found;
}
