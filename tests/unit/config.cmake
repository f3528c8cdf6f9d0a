xf_add_unit_test(config/text xf_base)
