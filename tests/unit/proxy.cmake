# Unit tests of proxy/, one line each.
xf_add_unit_test(proxy/http1 xf_proxy)
