# Unit tests of shifter/, one line each.
xf_add_unit_test(shifter/bus_message xf_shifter)
