/*
 * token.h -- the file of hashed tokens that admin.listen asks for: who may come, and in which role.
 *
 * A token is 256 random bits, so a plain SHA-256 of it is enough: there is nothing to guess.  The
 * file is text, one `NAME ROLE sha256:HEX TIME` a line, mode 0600, and replaced whole.
 */
#ifndef XF_SHIFTER_TOKEN_H
#define XF_SHIFTER_TOKEN_H

#include "config/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XF_TOKENS_MAX         256u
#define XF_TOKENS_BYTES_MAX   (64u * 1024u)
#define XF_TOKEN_NAME_BYTES   64u
#define XF_TOKEN_DIGEST_BYTES 32u
#define XF_TOKEN_BYTES        68u /* `cf_`, 64 hexadecimal digits, NUL */

/* In this order: each may what those before it may. */
enum xf_admin_role { XF_ADMIN_NOBODY, XF_ADMIN_VIEWER, XF_ADMIN_OPERATOR, XF_ADMIN_ADMIN };

const char *xf_admin_role_name(enum xf_admin_role role);
/* False: it is none of viewer, operator, admin. */
bool xf_admin_role_parse(const char *text, enum xf_admin_role *ret);

struct xf_token {
    char name[XF_TOKEN_NAME_BYTES];
    enum xf_admin_role role;
    unsigned char digest[XF_TOKEN_DIGEST_BYTES];
    int64_t created_ms; /* wall clock */
};

struct xf_tokens {
    struct xf_token list[XF_TOKENS_MAX];
    unsigned count;
};

bool xf_token_name_valid(const char *name); /* letters, digits, `.`, `_`, `-`, `@`; 63 at most */

/* Reads the text of a file; XF_E_CONFIG names the line. */
XF_NODISCARD int xf_tokens_parse(const char *text, size_t length, struct xf_tokens *ret,
                                 struct xf_error *err);
/* Reads the file.  Where there is none: XF_E_CONFIG, and errno is ENOENT. */
XF_NODISCARD int xf_tokens_load(const char *path, struct xf_tokens *ret, struct xf_error *err);
/* Replaces the file, mode 0600; its owner stays.  A new one of root's becomes that of the user
 * `crossfade`, if there is one: the daemon must read it. */
XF_NODISCARD int xf_tokens_save(const char *path, const struct xf_tokens *tokens,
                                struct xf_error *err);
/* Keeps others from changing the file until the descriptor is closed; -1 with `err`. */
XF_NODISCARD int xf_tokens_lock(const char *path, struct xf_error *err);

/* Makes a token; `out` is the only place where it ever stands.  XF_E_USAGE: the name is taken, or
 * the table is full. */
XF_NODISCARD int xf_tokens_add(struct xf_tokens *tokens, const char *name, enum xf_admin_role role,
                               int64_t now_ms, char out[XF_TOKEN_BYTES], struct xf_error *err);
bool xf_tokens_remove(struct xf_tokens *tokens, const char *name); /* false: there is none */
/* The token that `secret` is; NULL: none.  Takes as long whatever it finds. */
const struct xf_token *xf_tokens_find(const struct xf_tokens *tokens, const char *secret);

#endif
