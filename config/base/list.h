/*
 * list.h -- an intrusive doubly linked list.
 *
 * A node lives inside the object it links; the list owns nothing.  An initialised node that is
 * in no list points at itself, so removing it twice is harmless.
 */
#ifndef XF_BASE_LIST_H
#define XF_BASE_LIST_H

#include <stdbool.h>

struct xf_list {
    struct xf_list *next;
    struct xf_list *previous;
};

static inline void xf_list_init(struct xf_list *node)
{
    node->next = node;
    node->previous = node;
}

static inline bool xf_list_empty(const struct xf_list *head)
{
    return head->next == head;
}

static inline void xf_list_insert_after(struct xf_list *place, struct xf_list *node)
{
    node->next = place->next;
    node->previous = place;
    place->next->previous = node;
    place->next = node;
}

static inline void xf_list_append(struct xf_list *head, struct xf_list *node)
{
    xf_list_insert_after(head->previous, node);
}

static inline void xf_list_prepend(struct xf_list *head, struct xf_list *node)
{
    xf_list_insert_after(head, node);
}

static inline void xf_list_remove(struct xf_list *node)
{
    node->previous->next = node->next;
    node->next->previous = node->previous;
    xf_list_init(node);
}

#endif
