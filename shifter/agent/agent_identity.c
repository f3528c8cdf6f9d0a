/*
 * agent_identity.c -- the file `id` in the state directory: one UUID and a newline.
 */
#include "shifter/agent/agent_identity.h"

#include "shifter/agent/agent_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ID_FILE "id"

static int make_identity(int state_dir_fd, char ret[XF_UUID_TEXT_BYTES], struct xf_error *err)
{
    char line[XF_UUID_TEXT_BYTES + 1];
    char id[XF_UUID_TEXT_BYTES];
    xf_uuid_make(id);
    int length = snprintf(line, sizeof(line), "%s\n", id);
    if (xf_agent_file_replace(state_dir_fd, ID_FILE, line, (size_t) length, err) != 0) {
        return -1;
    }
    memcpy(ret, id, sizeof(id));
    return 0;
}

int xf_agent_identity_load(int state_dir_fd, char ret[XF_UUID_TEXT_BYTES], struct xf_error *err)
{
    char *text = NULL;
    size_t length = 0;
    if (xf_agent_file_read(state_dir_fd, ID_FILE, 4096, &text, &length, err) != 0) {
        return errno == ENOENT ? make_identity(state_dir_fd, ret, err) : -1;
    }
    char id[XF_UUID_TEXT_BYTES] = "";
    if (length >= sizeof(id) - 1) {
        memcpy(id, text, sizeof(id) - 1);
    }
    bool alone = length == sizeof(id) - 1 || (length == sizeof(id) && text[length - 1] == '\n');
    free(text);
    if (!alone || !xf_uuid_valid(id)) {
        return XF_FAIL(err, XF_E_FAILED,
                       "the file \"%s\" in the state directory holds no UUID; remove it to let "
                       "this proxy join under a new identity",
                       ID_FILE);
    }
    memcpy(ret, id, sizeof(id));
    return 0;
}
