# The agent: routes and counters, admin server, status and metrics.
target_sources(xf_shifter PRIVATE
    admin.c
    admin_answer.c
    admin_connection.c
    admin_routes.c
    admin_verbs.c
    agent.c
    agent_blame.c
    agent_bus.c
    agent_channel.c
    agent_checks.c
    agent_drain.c
    agent_editions.c
    agent_file.c
    agent_forward.c
    agent_heartbeat.c
    agent_identity.c
    agent_judge.c
    lone_judge.c
    agent_local.c
    agent_offer.c
    agent_probe.c
    agent_quiet.c
    agent_rates.c
    agent_route.c
    agent_routes.c
    agent_samples.c
    agent_snapshot.c
    agent_snapshot_writer.c
    agent_start.c
    agent_stats.c
    agent_view.c
    drain_wish.c
    metrics.c
    status.c
    why.c)
target_link_libraries(xf_shifter PUBLIC PkgConfig::XXHASH Threads::Threads)
