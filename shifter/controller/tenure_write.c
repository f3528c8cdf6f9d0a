/*
 * tenure_write.c -- one change on its way to the store, until it is known to stand or not to.
 */
#include "shifter/journal/journal.h"
#include "shifter/controller/tenure_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void write_done(void *context, enum xf_store_result result, const char *message);

static void clear(struct xf_pending_write *write)
{
    if (write->for_command) {
        xf_message_command_release(&write->command);
    }
    xf_decision_release(&write->decision);
    free(write->document);
    free(write->entry);
    *write = (struct xf_pending_write){0};
}

void xf_tenure_write_drop(struct xf_tenure *tenure, int exit_code, const char *why)
{
    struct xf_pending_write *write = &tenure->write;
    if (!write->on) {
        return;
    }
    if (write->for_command) {
        xf_tenure_answer(tenure, write->command.request, exit_code, why);
    }
    bool asked = write->asked;
    clear(write);
    write->asked = asked; /* its answer will come and must find nothing */
}

static void ask(struct xf_tenure *tenure)
{
    struct xf_pending_write *write = &tenure->write;
    struct xf_store *store = tenure->options.store;
    struct xf_store_write request = {.service = tenure->service->name,
                                     .holder = tenure->holder,
                                     .expected = write->expected,
                                     .next = write->next,
                                     .write_id = write->write_id,
                                     .document = write->document,
                                     .entry = write->entry,
                                     .restored = write->restored,
                                     .durable = write->final};
    if (write->final && store->calls->read_roster != NULL) {
        request.roster = tenure->members[0] != '\0' ? tenure->members : "?";
    }
    write->asked = true;
    store->calls->write(store, &request, write_done, tenure);
}

static struct xf_version next_version(const struct xf_tenure *tenure,
                                      const struct xf_decision *decision, bool restored)
{
    struct xf_version next = tenure->version;
    next.epoch = xf_lease_epoch(tenure->lease);
    if (restored) { /* beyond everything that was seen */
        next.generation =
            tenure->generation_met > next.generation ? tenure->generation_met : next.generation;
    }
    if (decision->revision) {
        next.revision++;
    } else {
        next.generation++;
        next.revision = 0;
    }
    return next;
}

void xf_tenure_write(struct xf_tenure *tenure, struct xf_decision *decision,
                     const struct xf_message_command *command, bool restored)
{
    struct xf_pending_write *write = &tenure->write;
    XF_ASSERT(!write->on);
    if (write->asked) { /* a write that was given up is still to be answered */
        xf_decision_release(decision);
        if (command != NULL) {
            xf_tenure_answer(tenure, command->request, 7, "the store is busy; try again");
        }
        return;
    }
    *write = (struct xf_pending_write){.on = true,
                                       .decision = *decision,
                                       .expected = restored ? tenure->found : tenure->version,
                                       .next = next_version(tenure, decision, restored),
                                       .restored = restored};
    enum xf_cutover_state state = decision->document->state;
    write->final = (state == XF_CUTOVER_SAFE || state == XF_CUTOVER_FINALIZING) &&
                   state != tenure->document->state;
    bool named = xf_tenure_members_keep(tenure, write->decision.document);
    write->document = named ? xf_document_write(write->decision.document) : NULL;
    xf_tenure_journal_explain(tenure, write->decision.document, &write->next,
                              write->decision.entry);
    if (command != NULL && command == tenure->gated) {
        xf_tenure_gates_explain(tenure, write->decision.entry);
    }
    write->entry = json_dumps(write->decision.entry, JSON_COMPACT);
    xf_tenure_uuid(tenure, write->write_id);
    if (command != NULL) {
        write->for_command = true;
        write->command = *command;
        write->command.arguments = json_incref(command->arguments);
    }
    if (write->document == NULL || write->entry == NULL) {
        xf_tenure_write_drop(tenure, 1, "the new state is too large, or memory is short");
        return;
    }
    ask(tenure);
}

/* The change stands: it is what the service's state is from now on. */
static void adopt(struct xf_tenure *tenure)
{
    struct xf_pending_write *write = &tenure->write;
    xf_document_destroy(tenure->document);
    free(tenure->document_text);
    tenure->document = write->decision.document;
    tenure->document_text = write->document;
    tenure->version = write->next;
    memcpy(tenure->write_id, write->write_id, sizeof(tenure->write_id));
    tenure->requeued = tenure->requeued && !write->for_command;
    if (write->restored) {
        tenure->restored_ms = xf_tenure_now(tenure);
    }
    tenure->holds_newer = false;
    tenure->doubted = false;
    tenure->unreadable = false;
    tenure->refused = false;
    if (tenure->options.journal != NULL) {
        xf_journal_changed(tenure->options.journal, tenure->service->name);
    }
    json_t *entry = write->decision.entry;
    bool run_action = write->decision.run_action;
    write->decision = (struct xf_decision){.exit_code = write->decision.exit_code};
    write->document = NULL;
    if (write->for_command) {
        const char *message = json_string_value(json_object_get(entry, "sentence"));
        if (strcmp(write->command.verb, "forget") == 0) {
            xf_tenure_members_forget(
                tenure, json_string_value(json_object_get(write->command.arguments, "proxy")));
        }
        xf_tenure_wait_for(tenure, &write->command, write->decision.exit_code, message);
    }
    tenure->calls.note(tenure->calls.context, tenure->service->name, "cutover.change", "", entry);
    json_decref(entry);
    clear(write);
    xf_tenure_judge_follow(tenure);
    xf_tenure_publish(tenure);
    if (run_action) {
        xf_tenure_action_run(tenure);
    }
}

static void write_done(void *context, enum xf_store_result result, const char *message)
{
    struct xf_tenure *tenure = context;
    XF_ASSERT(tenure->magic == XF_TENURE_MAGIC);
    struct xf_pending_write *write = &tenure->write;
    write->asked = false;
    if (!write->on) { /* given up meanwhile */
        return;
    }
    char why[XF_SENTENCE_BYTES];
    (void) snprintf(why, sizeof(why), "%s: %.400s", xf_store_result_name(result),
                    message != NULL ? message : "");
    switch (result) {
    case XF_STORE_OK:
    case XF_STORE_ALREADY:
        adopt(tenure);
        return;
    case XF_STORE_LOST:
        write->lost = true;
        (void) snprintf(write->why, sizeof(write->why), "%.400s", message != NULL ? message : "");
        tenure->retry_ms = xf_tenure_now(tenure) + XF_RETRY_MS;
        return;
    case XF_STORE_REFUSED:
        xf_tenure_note(tenure, "store.refused", why);
        tenure->refused = true;
        tenure->refused_ms = xf_tenure_now(tenure);
        xf_tenure_write_drop(tenure, 7, why);
        return;
    case XF_STORE_FENCED:
    case XF_STORE_EPOCH_BEHIND:
        xf_tenure_note(tenure, "leader.fenced", why);
        xf_tenure_write_drop(tenure, 7,
                             "unknown: another leader took over, the change may yet stand");
        xf_tenure_load_again(tenure);
        /* where nobody did: in an epoch beyond the stored one */
        xf_lease_renew(tenure->lease, "a larger epoch was met");
        return;
    case XF_STORE_LOG_AHEAD:
    case XF_STORE_LOG_BEHIND:
    case XF_STORE_UNREADABLE:
        tenure->log_differs = true;
        __attribute__((fallthrough));
    case XF_STORE_STALE:
    case XF_STORE_ROSTER:
    case XF_STORE_ABSENT:
        xf_tenure_note(tenure, "store.stale", why);
        if (write->for_command && !tenure->requeued) {
            tenure->requeued = true; /* decided anew on what is loaded; once */
            xf_tenure_command(tenure, &write->command);
            xf_message_command_release(&write->command);
            write->for_command = false;
        }
        xf_tenure_write_drop(tenure, 7, "the store's state had changed; try again");
        xf_tenure_load_again(tenure);
        return;
    }
}

void xf_tenure_write_tick(struct xf_tenure *tenure)
{
    struct xf_pending_write *write = &tenure->write;
    int64_t now = xf_tenure_now(tenure);
    if (write->on && write->lost && !write->asked && now >= tenure->retry_ms) {
        ask(tenure);
    }
    if (tenure->refused && now - tenure->refused_ms >= XF_CHECKPOINT_MS) {
        tenure->refused = false; /* the next change tries again */
    }
}
