# What decides: values and pure functions, and the controller that joins them with the world.
target_sources(xf_shifter PRIVATE
    control.c
    control_command.c
    control_ends.c
    control_holds.c
    control_tick.c
    cutover.c
    document.c
    document_json.c
    grid.c
    plan.c
    plan_check.c
    plan_gates.c
    plan_guard.c
    plan_json.c
    plan_scalar.c
    plan_window.c
    roster.c
    roster_traffic.c
    schedule.c
    zone.c)
