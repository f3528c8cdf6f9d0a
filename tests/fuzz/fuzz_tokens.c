/*
 * fuzz_tokens.c -- any bytes as the file of tokens: the line that is wrong is named, or every token
 * has a valid name of its own, and what is no token finds none.
 */
#include "fuzz.h"

#include "shifter/admin/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct xf_tokens tokens;
    struct xf_error err = {0};
    char *text = fuzz_exact(data, size);
    memset(&tokens, 0, sizeof(tokens));
    if (xf_tokens_parse(text, size, &tokens, &err) == 0) {
        FUZZ_CHECK(tokens.count <= XF_TOKENS_MAX);
        for (unsigned i = 0; i < tokens.count; i++) {
            const struct xf_token *token = &tokens.list[i];
            FUZZ_CHECK(xf_token_name_valid(token->name));
            FUZZ_CHECK(token->role >= XF_ADMIN_VIEWER && token->role <= XF_ADMIN_ADMIN);
            for (unsigned k = 0; k < i; k++) {
                FUZZ_CHECK(strcmp(token->name, tokens.list[k].name) != 0);
            }
        }
        FUZZ_CHECK(xf_tokens_find(&tokens, "cf_no-such-token") == NULL);
    } else {
        FUZZ_CHECK(err.code == XF_E_CONFIG && err.message[0] != '\0');
    }
    free(text);
    return 0;
}
