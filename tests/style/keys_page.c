/*
 * keys_page.c -- prints config/KEYS.md; `./dev fmt` keeps the page with it.
 */
#include "config/explain.h"

#include <stdio.h>

int main(void)
{
    xf_config_explain_page(stdout);
    return fflush(stdout) == 0 ? 0 : 1;
}
