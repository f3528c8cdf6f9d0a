# The command line.
target_sources(xf_shifter PRIVATE
    cli.c
    client.c
    cmd_db.c
    cmd_init.c
    cmd_kong.c
    cmd_plan.c
    cmd_preflight.c
    cmd_reexec.c
    cmd_replay.c
    cmd_server.c
    cmd_show.c
    cmd_verbs.c
    cmd_wait.c
    cmd_watch.c
    leak.c
    preset.c
    preset_kong.c
    show.c
    timeline.c)
