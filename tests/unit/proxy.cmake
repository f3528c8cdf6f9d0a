# Unit tests of proxy/, one line each.
xf_add_unit_test(proxy/http1 xf_proxy)
xf_add_unit_test(proxy/board xf_proxy)
xf_add_unit_test(proxy/board_fold xf_proxy)
xf_add_unit_test(proxy/channel xf_proxy)
xf_add_unit_test(proxy/inforce xf_proxy)
xf_add_unit_test(proxy/logring xf_proxy)
xf_add_unit_test(proxy/http1_response xf_proxy)
xf_add_unit_test(proxy/chunked xf_proxy)
