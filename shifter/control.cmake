# What decides: values and pure functions, and the controller that joins them with the world.
target_sources(xf_shifter PRIVATE
    cutover.c
    document.c
    document_json.c
    plan.c
    plan_check.c
    plan_gates.c
    plan_guard.c
    plan_json.c
    plan_scalar.c
    plan_window.c
    zone.c)
