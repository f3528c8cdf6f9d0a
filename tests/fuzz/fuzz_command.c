/*
 * fuzz_command.c -- the body of a POST to the admin API: refused with a reason, or a command whose
 * texts are whole; as a message to the leader it is read as the same command.
 */
#include "fuzz.h"

#include "shifter/agent/admin_verbs.h"
#include "shifter/bus/bus_message.h"

static void check_text(const char *text, size_t room)
{
    FUZZ_CHECK(memchr(text, '\0', room) != NULL);
}

static void check_passed_on(const struct xf_message_command *command)
{
    struct xf_message_command again = {0};
    struct xf_error err;
    json_t *message = xf_message_command_make(command);
    FUZZ_CHECK(message != NULL);
    if (xf_message_command_read(message, &again, &err) == 0) { /* else it has no request's id */
        FUZZ_CHECK(strcmp(again.actor, command->actor) == 0 &&
                   strcmp(again.reason, command->reason) == 0 &&
                   again.if_generation_set == command->if_generation_set &&
                   again.if_generation == command->if_generation &&
                   again.if_step_set == command->if_step_set && again.if_step == command->if_step &&
                   json_equal(again.arguments, command->arguments));
        xf_message_command_release(&again);
    }
    json_decref(message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xf_message_command command = {0};
    struct xf_error err = {0};
    char *body = fuzz_exact(data, size);
    if (xf_admin_read_command(body, size, "web", "pause", &command, &err) == 0) {
        check_text(command.request, sizeof(command.request));
        check_text(command.actor, sizeof(command.actor));
        check_text(command.reason, sizeof(command.reason));
        FUZZ_CHECK(strcmp(command.service, "web") == 0 && strcmp(command.verb, "pause") == 0);
        FUZZ_CHECK(json_is_object(command.arguments));
        check_passed_on(&command);
        json_decref(command.arguments);
    } else {
        FUZZ_CHECK(err.message[0] != '\0' && err.code == XF_E_USAGE && command.arguments == NULL);
    }
    free(body);
    return 0;
}
