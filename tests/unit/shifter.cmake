# Unit tests of shifter/, one line each.
xf_add_unit_test(shifter/bus_message xf_shifter)
xf_add_unit_test(shifter/store xf_shifter)
target_sources(test_shifter_store PRIVATE unit/shifter/store_bench.c)
xf_add_unit_test(shifter/kong_version xf_shifter)
xf_add_unit_test(shifter/bus xf_shifter)
xf_add_unit_test(shifter/backoff xf_shifter)
xf_add_unit_test(shifter/judge_vectors xf_shifter)
xf_add_unit_test(shifter/replay xf_shifter)
