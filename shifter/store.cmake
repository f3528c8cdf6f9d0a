# Store, bus and what goes out: the control plane's ends.
target_sources(xf_shifter PRIVATE
    backoff.c
    bus.c
    bus_local.c
    bus_local_leader.c
    bus_message.c
    bus_message_heartbeat.c
    bus_message_samples.c
    hook.c
    http_call.c
    lease.c
    link.c
    lookup.c
    signal.c
    socket.c
    store.c
    store_answer.c
    store_sqlite.c
    store_sqlite_file.c
    stream.c
    stream_tls.c
    url.c
    webhook.c)
