"""test_processes.py -- what happens when a process is killed, stopped, reloaded or asked to end."""

import os
import re
import signal
import socket
import time

import pytest

from harness import net, processes
from harness.crossfade import Crossfade, sanitized
from harness.load import Load
from harness.raw import Closed, Raw, request
from harness.redis import Redis

pytestmark = pytest.mark.slow

RATE = 300 if sanitized() else 1000


@pytest.fixture
def web(nginx):
    return nginx("web-v1")


@pytest.fixture
def proxy(crossfade, web):
    return crossfade({"web-v1": [web.address]})


def serving(proxy):
    return request(proxy.port, "/").status == 200


def count_in_log(proxy, event):
    return proxy.log.count(f"event={event} ")


# ---- a killed worker ----

def test_a_killed_worker_takes_only_its_own_connections_with_it(proxy):
    with Load(proxy.port, rate=RATE, connections=16) as load, \
            Load(proxy.port, rate=100, connections=4, fresh=True, prefix="f") as fresh:
        time.sleep(1.0)
        victim = proxy.workers()[0]
        owned = ports_of(victim.pid)
        killed = time.monotonic()
        os.kill(victim.pid, signal.SIGKILL)
        time.sleep(2.5)
    for result in load.failed() + fresh.failed():
        lived = result.began <= killed + 0.2 and result.ended >= killed
        assert lived, f"{result} failed, and no worker was dying then"
    lost = {result.local_port for result in load.failed()}
    assert lost <= owned | ports_opened_near(load, killed), f"{lost - owned} were not its own"
    for result in fresh.results:
        if killed + 0.2 < result.began < killed + 1.2:
            assert result.good and result.ended - result.began < 1.0, result
    assert len(proxy.workers()) == 2
    assert victim.pid not in [each.pid for each in proxy.workers()]


def ports_of(pid):
    """The client ports of the connections that a process holds."""
    inodes = set()
    for entry in os.listdir(f"/proc/{pid}/fd"):
        try:
            found = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(f"/proc/{pid}/fd/{entry}"))
        except OSError:
            continue
        if found:
            inodes.add(found.group(1))
    ports = set()
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in list(table)[1:]:
            fields = line.split()
            if fields[9] in inodes:
                ports.add(int(fields[2].split(":")[1], 16))
    return ports


def ports_opened_near(load, moment):
    return {each.local_port for each in load.results
            if not each.reused and moment - 0.3 < each.began <= moment + 0.2}


def test_connections_opened_while_a_worker_is_away_are_answered_within_a_second(proxy):
    for _ in range(3):
        os.kill(proxy.workers()[0].pid, signal.SIGKILL)
        began = time.monotonic()
        while time.monotonic() < began + 1.0:
            asked = time.monotonic()
            try:
                answer = request(proxy.port, "/")
            except (Closed, OSError):
                # It had reached the dying worker before the kernel was done with it.
                assert asked < began + 0.2
                continue
            assert answer.status == 200 and time.monotonic() - asked < 1.0


def test_a_worker_that_keeps_dying_is_restarted_later_and_later(proxy):
    for deaths in (1, 2, 3):
        victim = net.wait_until(lambda: proxy.children("cf-worker-0"), 2, "its successor")[0]
        os.kill(victim.pid, signal.SIGKILL)
        net.wait_until(lambda: count_in_log(proxy, "worker.ended") == deaths, what="its end")
    delays = [int(found) for found in re.findall(r"worker\.ended .*restart_ms=(\d+)", proxy.log)]
    assert delays[:2] == [0, 0] and delays[2] > 0
    assert serving(proxy)
    net.wait_until(lambda: len(proxy.workers()) == 2, 5, "its successor, after a while")


def total_requests(proxy):
    return sum(value for name, value in proxy.metrics().items()
               if name.startswith("crossfade_requests_total{") and 'cluster="web-v1"' in name)


def test_totals_do_not_fall_when_workers_die_or_are_replaced(proxy):
    for _ in range(50):
        assert serving(proxy)
    net.wait_until(lambda: total_requests(proxy) >= 50, what="the count")
    before = total_requests(proxy)
    os.kill(proxy.workers()[0].pid, signal.SIGKILL)
    proxy.reload()
    end = time.monotonic() + 2
    while time.monotonic() < end:
        now = total_requests(proxy)
        assert now >= before
        before = now
    assert count_in_log(proxy, "reload.done") == 1
    old = proxy.child("agent").pid
    os.kill(old, signal.SIGKILL)
    proxy.wait_child_replaced("agent", old)
    assert total_requests(proxy) >= before, "a new agent begins with the same totals"


# ---- a stopped worker ----

def test_a_worker_stopped_by_a_signal_costs_new_connections_at_most_a_second(proxy):
    victim = proxy.workers()[0].pid
    os.kill(victim, signal.SIGSTOP)
    try:
        time.sleep(1.5)  # a sibling has taken its socket by then
        for _ in range(20):
            began = time.monotonic()
            assert serving(proxy)
            assert time.monotonic() - began < 1.0
    finally:
        os.kill(victim, signal.SIGCONT)
    net.wait_until(lambda: count_in_log(proxy, "worker.continued") == 1, what="its return")
    assert [each.pid for each in proxy.workers()].count(victim) == 1
    assert all(serving(proxy) for _ in range(20))


# ---- agent, shifter, logger ----

@pytest.mark.parametrize("name", ["agent", "shifter", "logger"])
def test_killing_a_helper_process_fails_no_request(proxy, name):
    with Load(proxy.port, rate=RATE, connections=8) as load:
        time.sleep(0.5)
        old = proxy.child(name).pid
        os.kill(old, signal.SIGKILL)
        proxy.wait_child_replaced(name, old)
        time.sleep(0.7)
    assert load.results and load.failed() == []
    assert serving(proxy)


# ---- the supervisor ----

def test_children_end_soon_after_a_killed_supervisor_and_a_restart_serves(proxy):
    left = [each.pid for each in processes.descendants(proxy.pid)]
    assert len(left) == 5
    proxy.process.popen.kill()
    proxy.process.wait(5)
    assert processes.wait_gone(left, 5.5) == []
    assert not net.accepts(proxy.port)
    proxy.start()
    assert serving(proxy)


def test_no_orphan_keeps_a_listening_socket(proxy):
    with Raw(proxy.port) as busy:
        assert busy.get("/").status == 200
        children = [each.pid for each in processes.descendants(proxy.pid)]
        proxy.process.popen.kill()
        net.wait_until(lambda: not net.accepts(proxy.port), 2, "closed listeners")
        assert processes.wait_gone(children, 5.5) == []


def test_a_restart_right_after_a_kill_waits_for_what_the_old_one_held(proxy):
    proxy.process.popen.kill()
    proxy.process.wait(5)
    proxy.start(timeout=15)
    assert serving(proxy)


# ---- one instance ----

def test_a_second_instance_on_the_same_state_is_refused_with_the_pid_of_the_first(proxy):
    second = Crossfade(proxy.folder, {"web-v1": ["127.0.0.1:1"]})
    second.config["admin"]["socket"] += "2"
    second.config_path = proxy.folder / "second.yaml"
    second.write_config()
    began = time.monotonic()
    done = proxy.cli("serve", "-c", second.config_path, timeout=20)
    assert done.code == 1
    assert f"already running, pid {proxy.pid}" in done.err
    assert 5.0 < time.monotonic() - began < 9.0
    assert serving(proxy)


def test_a_second_instance_on_the_same_address_is_refused(proxy, folder):
    place = folder / "second"
    place.mkdir()
    second = Crossfade(place, {"web-v1": ["127.0.0.1:1"]})
    second.config["listeners"][0]["bind"] = f"127.0.0.1:{proxy.port}"
    second.write_config()
    done = proxy.cli("serve", "-c", second.config_path, timeout=20)
    assert done.code == 1
    assert str(proxy.port) in done.err
    assert serving(proxy)


def test_an_address_that_another_program_holds_is_told(crossfade, web):
    prepared = crossfade({"web-v1": [web.address]}, start=False)
    with socket.create_server(("127.0.0.1", prepared.port)):
        prepared.start(ready=False)
        assert prepared.process.wait(15) == 1
    assert f"127.0.0.1:{prepared.port}" in prepared.log


# ---- reload ----

def test_five_reloads_under_load_fail_no_request(proxy):
    with Load(proxy.port, rate=RATE * 3 // 4, connections=16) as load, \
            Load(proxy.port, rate=RATE // 4, connections=8, fresh=True, prefix="f") as fresh:
        time.sleep(0.5)
        for number in range(1, 6):
            proxy.reload()
            net.wait_until(lambda: count_in_log(proxy, "reload.done") == number, 15,
                           f"reload {number}")
            time.sleep(0.3)
    assert load.failed() == [] and fresh.failed() == []
    assert len(load.results) > RATE
    net.wait_until(lambda: count_in_log(proxy, "edition.over") == 5, 15, "the end of old editions")
    assert len(proxy.workers()) == 2


def test_twenty_reloads_in_a_second_become_a_few(proxy):
    with Load(proxy.port, rate=RATE // 2, connections=8) as load:
        for _ in range(20):
            proxy.reload()
            time.sleep(0.05)
        net.wait_until(lambda: count_in_log(proxy, "reload.done") >= 2, 15, "the last reload")
        time.sleep(1.5)
    assert load.failed() == []
    assert 2 <= count_in_log(proxy, "reload.done") <= 3


def test_an_old_worker_never_closes_an_idle_client_first(proxy):
    with Raw(proxy.port) as connection:
        assert connection.get("/").status == 200
        proxy.reload()
        net.wait_until(lambda: count_in_log(proxy, "reload.done") == 1, 10, "the reload")
        assert not connection.at_end(timeout=1.0)
        connection.socket.settimeout(10)
        answer = connection.get("/")
        assert answer.status == 200 and answer.closes
        assert connection.at_end(timeout=2.0)


def test_a_download_begun_before_a_reload_ends_whole(crossfade, upstream):
    server = upstream("v1")
    proxy = crossfade({"v1": [server.address]})
    with Raw(proxy.port) as connection:
        connection.send(b"GET /bytes/8000000 HTTP/1.1\r\nHost: t\r\n\r\n")
        status, headers, _ = connection.read_head()
        assert status == 200
        proxy.reload()
        net.wait_until(lambda: count_in_log(proxy, "reload.done") == 1, 10, "the reload")
        length = int(dict((n.lower(), v) for n, v in headers)["content-length"])
        assert length == 8000000 and connection.exactly(length) == b"x" * length


@pytest.mark.parametrize("text", ["listeners: [", "nonsense: 1\n", "", None])
def test_a_broken_reload_is_refused_and_the_old_configuration_goes_on(proxy, text):
    if text is None:
        proxy.config_path.unlink()
    else:
        proxy.write_config(text)
    proxy.reload()
    net.wait_until(lambda: count_in_log(proxy, "reload.refused") == 1, 10, "the refusal")
    assert serving(proxy)
    assert count_in_log(proxy, "reload.done") == 0
    proxy.write_config()
    proxy.reload()
    net.wait_until(lambda: count_in_log(proxy, "reload.done") == 1, 10, "the good reload")
    assert serving(proxy)


def test_a_reload_that_drops_a_cluster_in_use_is_refused(crossfade, web, nginx):
    other = nginx("web-v2")
    proxy = crossfade({"web-v1": [web.address], "web-v2": [other.address]})
    del proxy.config["clusters"]["web-v1"]
    proxy.config["services"]["gateway"] = {"live": "web-v2", "clusters": ["web-v2"]}
    proxy.write_config()
    proxy.reload()
    net.wait_until(lambda: count_in_log(proxy, "reload.refused") == 1, 15, "the refusal")
    assert "web-v1" in proxy.log[proxy.log.index("event=reload.refused"):]
    assert request(proxy.port, "/").header("X-Server") == "web-v1"


def test_a_reload_cannot_change_what_is_opened_once(crossfade, web, folder, started):
    redis = Redis(folder)
    started.append(redis)
    url = f"redis://127.0.0.1:{redis.port}/0"
    proxy = crossfade({"web-v1": [web.address]}, extra={"store": url})
    password, tokens, good = folder / "password", folder / "tokens", dict(proxy.config)
    password.write_text("secret\n")
    tokens.touch()
    changes = [("store", {"store": {"url": url, "password_file": str(password)}}),
               ("store", {"store": f"redis://127.0.0.1:{redis.port}/1"}),
               ("admin.listen", {"admin": {
                   **good["admin"], "listen": f"127.0.0.1:{net.free_port()}", "tokens_file": str(tokens)}})]
    for count, (key, change) in enumerate(changes, start=1):
        proxy.config = {**good, **change}
        proxy.write_config()
        proxy.reload()
        net.wait_until(lambda: count_in_log(proxy, "reload.refused") == count, 10, "the refusal")
        assert f'why="{key} cannot change' in proxy.log[proxy.log.rindex("event=reload.refused"):]
        assert serving(proxy)


def test_a_reload_adds_and_drops_addresses(proxy):
    added = net.free_port()
    proxy.config["listeners"].append({"bind": f"127.0.0.1:{added}", "service": "gateway"})
    proxy.write_config()
    proxy.reload()
    net.wait_until(lambda: count_in_log(proxy, "reload.done") == 1, 10, "the reload")
    assert request(added, "/").status == 200
    proxy.config["listeners"].pop()
    proxy.write_config()
    proxy.reload()
    net.wait_until(lambda: count_in_log(proxy, "reload.done") == 2, 10, "the second reload")
    net.wait_until(lambda: not net.accepts(added), 5, "the end of the address")
    assert serving(proxy)


@pytest.mark.parametrize("workers", [1, 4])
def test_a_reload_may_change_the_number_of_workers(proxy, workers):
    proxy.config["workers"] = workers
    proxy.write_config()
    with Load(proxy.port, rate=RATE // 2, connections=8, fresh=True) as load:
        proxy.reload()
        net.wait_until(lambda: count_in_log(proxy, "reload.done") == 1, 10, "the reload")
        time.sleep(1.0)
    assert load.failed() == []
    net.wait_until(lambda: len(proxy.workers()) == workers, 10, "the old workers' end")
    assert all(serving(proxy) for _ in range(20))


# ---- the end ----

def test_sigterm_finishes_what_is_in_flight_and_ends_soon_after(crossfade, upstream):
    server = upstream("v1")
    proxy = crossfade({"v1": [server.address]})
    with Raw(proxy.port) as slow, Raw(proxy.port) as idle:
        assert idle.get("/").status == 200
        slow.send(b"GET /slow/1500 HTTP/1.1\r\nHost: t\r\n\r\n")
        time.sleep(0.2)
        proxy.signal(signal.SIGTERM)
        assert idle.at_end(timeout=1.0), "an idle client is closed"
        net.wait_until(lambda: not net.accepts(proxy.port), 1, "closed listeners")
        assert slow.read().status == 200
        answered = time.monotonic()
        assert proxy.process.wait(3) == 0
        assert time.monotonic() - answered < (3.0 if sanitized() else 1.0)
    assert not proxy.socket.exists()
    assert processes.children(proxy.pid) == []


def test_sigterm_ends_at_the_latest_a_second_after_the_time_for_it(crossfade, upstream):
    server = upstream("v1")
    proxy = crossfade({"v1": [server.address]}, extra={"timeouts": {"shutdown": "1s"}})
    with Raw(proxy.port) as slow:
        slow.send(b"GET /slow/60000 HTTP/1.1\r\nHost: t\r\n\r\n")
        time.sleep(0.2)
        began = time.monotonic()
        assert proxy.terminate(5) == 0
        assert 0.9 < time.monotonic() - began < (4.0 if sanitized() else 2.2)


def test_a_second_sigterm_ends_at_once(crossfade, upstream):
    server = upstream("v1")
    proxy = crossfade({"v1": [server.address]})
    with Raw(proxy.port) as slow:
        slow.send(b"GET /slow/60000 HTTP/1.1\r\nHost: t\r\n\r\n")
        time.sleep(0.2)
        children = [each.pid for each in processes.descendants(proxy.pid)]
        proxy.signal(signal.SIGTERM)
        time.sleep(0.4)
        assert proxy.process.running()
        began = time.monotonic()
        proxy.terminate(2)
        assert time.monotonic() - began < 1.0
    assert processes.wait_gone(children, 1) == []


def test_an_idle_proxy_ends_within_a_second_and_leaves_nothing(proxy):
    children = [each.pid for each in processes.descendants(proxy.pid)]
    began = time.monotonic()
    assert proxy.terminate() == 0
    assert time.monotonic() - began < (4.0 if sanitized() else 1.2)
    assert processes.wait_gone(children, 0.5) == []
    assert not net.accepts(proxy.port)


# ---- what a child may do ----

def test_workers_hold_no_privileges_and_cannot_be_looked_into(proxy):
    for worker in proxy.workers():
        with open(f"/proc/{worker.pid}/status", encoding="ascii") as file:
            status = dict(line.split(":\t", 1) for line in file if ":\t" in line)
        assert status["NoNewPrivs"].strip() == "1"
        assert int(status["CapEff"], 16) == 0 and int(status["CapPrm"], 16) == 0
        if os.geteuid() == 0:
            assert "0" not in status["Uid"].split()
            assert os.stat(f"/proc/{worker.pid}/fd").st_uid == 0  # not dumpable


def test_no_process_works_when_there_is_no_work(proxy):
    time.sleep(1.0)
    pids = [proxy.pid] + [each.pid for each in processes.descendants(proxy.pid)]
    before = {pid: processes.cpu_seconds(pid) for pid in pids}
    time.sleep(2.0)
    for pid in pids:
        assert processes.cpu_seconds(pid) - before[pid] < 0.4, processes.look(pid)


def test_sigterm_leaves_who_has_just_connected_a_second_for_the_first_byte(proxy):
    """The kernel keeps such a connection to itself for that long, and resets it with the listening socket."""
    waiting = [socket.create_connection(("127.0.0.1", proxy.port)) for _ in range(5)]
    begun = time.monotonic()
    proxy.signal(signal.SIGTERM)
    for connection in waiting:
        connection.settimeout(10)
        assert connection.recv(1) == b""  # closed, not reset
        assert time.monotonic() - begun >= 0.9
        connection.close()
    assert proxy.process.wait(5) == 0


def test_sigterm_answers_every_request_that_had_arrived(proxy):
    """Requests on idle connections and on connections that nobody accepted yet."""
    victim = proxy.workers()
    for worker in victim:
        os.kill(worker.pid, signal.SIGSTOP)
    waiting = []
    for _ in range(20):
        connection = Raw(proxy.port)
        connection.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        waiting.append(connection)
    proxy.signal(signal.SIGTERM)
    time.sleep(0.1)
    for worker in victim:
        os.kill(worker.pid, signal.SIGCONT)
    for connection in waiting:
        assert connection.read().status == 200
        connection.close()
    assert proxy.process.wait(5) == 0
