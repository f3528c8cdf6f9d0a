# Gates: what is checked before a cutover starts or ends; Kong's facts.
target_sources(xf_shifter PRIVATE
    database.c
    fetch.c
    gate.c
    gate_hook.c
    gate_kinds.c
    gate_runner.c
    kong_admin.c
    kong_database.c
    kong_drift.c
    kong_gate.c
    kong_gate_database.c
    kong_gate_fronting.c
    kong_gate_nodes.c
    kong_version.c)
