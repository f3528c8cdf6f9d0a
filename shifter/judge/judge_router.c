/*
 * judge_router.c -- was traffic split as ordered?  The sample ratio check.
 *
 * A split of 0 or 100 % has no strays by construction and is not checked.  The segments of a
 * step share its part of alpha: the first has it whole, the n-th after it 1/(n(n+1)) of as much.
 */
#include "shifter/judge/judge_router.h"

#include <math.h>

#define CONCENTRATION 100.0  /* k: how near the split the alternative is expected */
#define CLEARED       (-1.0) /* ln of the factor at which a new segment speaks for the split */

void xf_router_init(struct xf_router *router, unsigned steps, int64_t t_us)
{
    *router = (struct xf_router){.steps = steps, .looked_us = t_us};
}

void xf_router_step(struct xf_router *router, int64_t t_us, double rho)
{
    unsigned steps = router->steps;
    *router = (struct xf_router){.steps = steps, .now.rho = rho, .looked_us = t_us};
}

static void next_segment(struct xf_router *router, double rho)
{
    router->now = (struct xf_router_segment){.rho = rho};
    router->number++;
}

void xf_router_set_rho(struct xf_router *router, double rho)
{
    if (router->now.rho != rho) {
        next_segment(router, rho);
    }
}

void xf_router_sent(struct xf_router *router, uint64_t blue, uint64_t green)
{
    router->now.blue += blue;
    router->now.green += green;
}

/* ln of the beta function; lgamma_r because lgamma writes a global. */
static double log_beta(double a, double b)
{
    int sign;
    return lgamma_r(a, &sign) + lgamma_r(b, &sign) - lgamma_r(a + b, &sign);
}

double xf_router_log_bf(double rho, uint64_t green, uint64_t blue)
{
    double g = (double) green;
    double b = (double) blue;
    double prior_green = CONCENTRATION * rho;
    double prior_blue = CONCENTRATION * (1 - rho);
    return log_beta(prior_green + g, prior_blue + b) - log_beta(prior_green, prior_blue) -
           g * log(rho) - b * log1p(-rho);
}

double xf_router_threshold(unsigned steps, unsigned number)
{
    double n = number;
    return log((double) steps / XF_ROUTER_ALPHA) + (number == 0 ? 0 : log(n * (n + 1)));
}

bool xf_router_look(struct xf_router *router, int64_t t_us)
{
    if (t_us - router->looked_us < XF_ROUTER_LOOK_US) {
        return false;
    }
    router->looked_us = t_us - (t_us - router->looked_us) % XF_ROUTER_LOOK_US;
    struct xf_router_segment *now = &router->now;
    if (now->rho <= 0 || now->rho >= 1) {
        return false;
    }
    now->log_bf = xf_router_log_bf(now->rho, now->green, now->blue);
    if (now->log_bf >= xf_router_threshold(router->steps, router->number)) {
        bool raised = !router->flagged;
        router->found = *now;
        router->flagged = true;
        next_segment(router, now->rho);
        return raised;
    }
    if (router->flagged && now->log_bf <= CLEARED) {
        router->flagged = false;
    }
    return false;
}
