"""The main job through the command line: verbs, exit codes, weights on the wire, drain and signal."""

import hashlib
import hmac
import http.server
import json
import os
import signal
import socket
import struct
import threading
import time
from pathlib import Path

import pytest

from harness import net
from harness.load import Load
from harness.raw import Raw

pytestmark = pytest.mark.slow

QUICK = {"evidence": "advisory"}
STATUS_KEYS = {
    "schema", "service", "cutover", "state", "since", "live", "from", "to", "last", "generation", "version",
    "weight", "holds", "step", "approval", "verdict", "clusters", "fence", "proxies", "leader", "store",
    "journal", "config", "signal",
}


def plan(steps=None, **more):
    steps = steps or [{"weight": "10%", "hold": "1h"}, {"weight": "100%", "hold": "1s"}]
    return {"name": "release", "service": "gateway", "to": "v2", "steps": steps, **more}


@pytest.fixture
def pair(crossfade, nginx):
    """crossfade before two nginx clusters, v1 live."""
    v1, v2 = nginx("v1"), nginx("v2")
    made = crossfade({"v1": [v1.address], "v2": [v2.address]}, extra={"drain": {"quiet": "300ms"}})
    made.v1, made.v2 = v1, v2
    return made


def send(port, count, headers=()):
    """`count` requests on a few keep-alive connections; the answering clusters, in order."""
    seen = []
    with Raw(port) as one:
        for number in range(count):
            answer = one.get(f"/{number}", headers=headers)
            assert answer.status == 200, answer.head
            seen.append(answer.body.decode().split()[0])
    return seen


def test_status_has_every_key_always(pair):
    status = pair.status()
    assert set(status) >= STATUS_KEYS
    assert status["state"] == "idle" and status["live"] == "v1" and status["cutover"] is None
    assert set(status["weight"]) == {"desired", "actual"}
    assert set(status["last"]) == {"cutover", "outcome", "at"}
    assert set(status["signal"]) >= {"key", "sequence", "accepted_at", "blockers"}
    assert set(status["store"]) == {"kind", "scope", "ok", "since", "stale_s"}
    for cluster in status["clusters"].values():
        assert set(cluster) >= {"role", "servers", "in_flight", "tunnels", "rps", "error_ratio", "p50_ms",
                                "p99_ms", "requests", "errors", "rescued"}
    assert len(status["proxies"]) == 1 and status["proxies"][0]["in_force"]
    assert status["version"].count(".") == 2


def test_a_whole_cutover_ends_with_the_signal_and_the_next_may_begin(pair):
    steps = [{"weight": "25%", "hold": "200ms", **QUICK}, {"ramp": "60%", "over": "2s", **QUICK},
             {"weight": "100%", "hold": "500ms", **QUICK}]
    with Load(pair.port, rate=300) as load:
        started = pair.cli("start", pair.plan(plan(steps)), check=0)
        assert "release/1" in started.out
        pair.cli("wait", "--for", "weight=60%", "--timeout", "30s", check=0)
        pair.cli("wait", "--for", "safe", "--timeout", "30s", check=0)
        status = pair.status()
        assert status["signal"]["key"] == "release/1" and status["signal"]["sequence"] == 1
        assert status["clusters"]["v1"]["in_flight"] == 0
        pair.v1.end()  # the old cluster goes, the clients stay
        time.sleep(0.5)
        assert pair.cli("abort").code == 6
        assert pair.cli("weight", "50%").code == 6
        pair.cli("finalize", check=0)
        pair.cli("wait", "--for", "finalized", "--timeout", "5s", check=0)
    assert load.failed() == []
    status = pair.status()
    assert status["state"] == "finalized" and status["live"] == "v2"
    assert status["last"] == {"cutover": "release/1", "outcome": "finalized", "at": status["last"]["at"]}
    refused = pair.cli("abort")
    assert refused.code == 6 and "crossfade start --service gateway --to v1" in refused.err
    back = plan(steps, name="again")
    back["to"] = "v1"
    assert "again/2" in pair.cli("start", pair.plan(back)).out
    verbs = [entry["verb"] for entry in pair.cli("history", "-o", "json", check=0).json["entries"]]
    assert verbs[0] == "created" and "start" in verbs and "finalize" in verbs


def test_counts_equal_the_servers_own_logs(pair):
    pair.cli("start", pair.plan(plan()), check=0)
    pair.cli("weight", "30%", check=0)
    with Load(pair.port, rate=None, connections=4) as load:
        time.sleep(2)
    assert load.failed() == []
    time.sleep(1.5)  # the counts travel with the heartbeat
    clusters = pair.status()["clusters"]
    for name, server in (("v1", pair.v1), ("v2", pair.v2)):
        assert clusters[name]["requests"] == len(server.log_entries()), name
        assert clusters[name]["errors"] == 0


def test_the_weight_is_exact_and_its_ends_have_no_strays(crossfade, nginx):
    v1, v2 = nginx("v1"), nginx("v2")
    made = crossfade({"v1": [v1.address], "v2": [v2.address]}, workers=4)
    made.cli("start", "--to", "v2", check=0)
    made.cli("weight", "12.5%", check=0)

    def green_of(count):
        before = len(v2.log_entries())
        with Load(made.port, rate=None, connections=16) as load:
            while load.sent < count:
                time.sleep(0.005)
        net.wait_until(lambda: len(v1.log_entries()) + len(v2.log_entries()) > 0)
        time.sleep(0.3)
        return len(v2.log_entries()) - before, len(load.results)

    green, total = green_of(10000)
    assert abs(green - total / 8) <= 40 + total / 8 - 1250, (green, total)
    made.cli("weight", "0%", check=0)
    assert green_of(2000)[0] == 0
    made.cli("weight", "100%", check=0)
    green, total = green_of(2000)
    assert green == total


def test_a_sticky_client_moves_at_most_once_as_the_weight_rises(crossfade, nginx):
    v1, v2 = nginx("v1"), nginx("v2")
    made = crossfade({"v1": [v1.address], "v2": [v2.address]},
                     extra={"services": {"gateway": {"live": "v1", "clusters": ["v1", "v2"],
                                                     "sticky": {"by": "header", "name": "apikey"}}}})
    made.cli("start", "--to", "v2", check=0)
    seen = {f"client-{i}": [] for i in range(40)}
    for weight in (0, 10, 30, 50, 80, 100):
        made.cli("weight", f"{weight}%", check=0)
        for key, answers in seen.items():
            answers += send(made.port, 2, headers=[("apikey", key)])
    for key, answers in seen.items():
        assert answers[0] == "v1" and answers[-1] == "v2", key
        assert sum(a != b for a, b in zip(answers, answers[1:])) == 1, (key, answers)


def test_pause_approve_extend_back_and_resume(pair):
    steps = [{"weight": "10%", "hold": "100ms", "approve": True, **QUICK},
             {"weight": "20%", "hold": "1h", **QUICK}, {"weight": "100%", "hold": "1s"}]
    pair.cli("start", pair.plan(plan(steps)), check=0)
    status = pair.wait_status(lambda s: any(h["reason"] == "approval" for h in s["holds"]))
    assert status["weight"]["desired"] == 10
    assert pair.cli("wait", "--for", "safe", "--timeout", "5s").code == 3
    pair.cli("wait", "--for", "held", "--timeout", "5s", check=0)
    pair.cli("approve", "--reason", "looks good", check=0)
    pair.wait_status(lambda s: s["weight"]["actual"] == 20)
    pair.cli("pause", "--actor", "ann", check=0)
    assert [h["by"] for h in pair.status()["holds"] if h["reason"] == "operator"] == ["ann"]
    assert pair.cli("resume", "--actor", "bob").code != 0
    assert any(h["reason"] == "operator" for h in pair.status()["holds"])
    pair.cli("resume", "--actor", "bob", "--of", "ann", check=0)
    assert not any(h["reason"] == "operator" for h in pair.status()["holds"])
    left = pair.status()["step"]["remaining_s"]
    pair.cli("extend", "30m", check=0)
    assert pair.status()["step"]["remaining_s"] > left + 1700
    pair.cli("back", check=0)
    status = pair.status()
    assert status["weight"]["desired"] == 10 and status["holds"]
    pair.cli("abort", check=0)
    assert pair.wait_status(lambda s: s["state"] == "aborted")["live"] == "v1"
    assert pair.cli("wait", "--for", "safe", "--cutover", "release/1").code == 5


def test_exit_codes_of_conflicts_and_bad_words(pair):
    path = pair.plan(plan())
    assert pair.cli("weight", "25").code == 2
    assert pair.cli("weight", "101%").code == 2
    assert pair.cli("pause", "--bogus").code == 2
    assert pair.cli("--service", "nope", "status").code == 2
    assert pair.cli("--service", "nope", "watch").code == 2
    pair.cli("start", path, check=0)
    again = pair.cli("start", path)
    assert again.code == 4 and "release/1" in again.err
    generation = pair.status()["generation"]
    assert pair.cli("pause", "--if-generation", generation - 1).code == 4
    pair.cli("pause", "--if-generation", generation, check=0)
    assert pair.cli("step", "--if-step", 7).code == 4
    assert pair.cli("finalize").code == 6
    first = pair.cli("weight", "33%", "--request", "11111111-1111-4111-8111-111111111111", "-o", "json", check=0)
    pair.cli("weight", "5%", check=0)
    second = pair.cli("weight", "33%", "--request", "11111111-1111-4111-8111-111111111111", "-o", "json", check=0)
    assert second.json["message"].split(";")[0] == first.json["message"].split(";")[0]
    assert pair.status()["weight"]["desired"] == 5


@pytest.mark.parametrize(
    "change, words",
    [
        ({"steps": []}, "steps"),
        ({"steps": [{"weight": "50%"}, {"weight": "10%"}, {"weight": "100%"}]}, "falls"),
        ({"steps": [{"weight": "100%", "hold": "-1s"}]}, "hold"),
        ({"steps": [{"weight": 10}]}, "weight"),
        ({"to": "nowhere"}, "nowhere"),
        ({"to": "v1"}, "v1"),
        ({"colour": "green"}, "colour"),
        ({"guard": {"errors": {"worse_than": "0.5x"}}}, "worse_than"),
    ],
)
def test_a_bad_plan_is_refused_whole_with_its_place(pair, change, words):
    done = pair.cli("start", pair.plan({**plan(), **change}))
    assert done.code in (2, 6) and words in done.err, done
    assert pair.status()["state"] == "idle"


def test_a_green_that_fails_is_taken_out_and_says_why(crossfade, upstream):
    v1, v2 = upstream("v1"), upstream("v2")
    made = crossfade({"v1": [v1.address], "v2": [v2.address]})
    made.cli("start", made.plan(plan([{"weight": "25%", "hold": "1h"}, {"weight": "100%", "hold": "1s"}])), check=0)
    with Load(made.port, rate=400) as load:
        made.wait_status(lambda s: s["weight"]["actual"] == 25)
        time.sleep(1)
        v2.mode(500)
        began = time.monotonic()
        status = made.wait_status(lambda s: s["weight"]["actual"] == 0, timeout=10)
        assert time.monotonic() - began < 3
        hold = next(h for h in status["holds"] if h["reason"] == "errors")
        assert "green fails" in hold["sentence"]
        time.sleep(0.5)
    assert load.failed() == []  # GETs are rescued by blue
    status = made.status()
    assert status["state"] == "shifting" and status["to"] == "v2"
    assert status["clusters"]["v2"]["errors"] > 0 and status["clusters"]["v2"]["rescued"] > 0
    why = made.cli("why", check=0)
    assert "green fails" in why.out
    assert made.cli("weight", "10%").code == 3
    made.cli("weight", "10%", "--force", check=0)
    assert made.cli("wait", "--for", "safe", "--timeout", "5s").code == 3
    made.cli("abort", check=0)


class Receiver:
    """A webhook that refuses the first `failures` calls."""

    def __init__(self, failures):
        receiver = self
        self.calls, self.failures = [], failures

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.calls.append((dict(self.headers), body))
                self.send_response(503 if len(receiver.calls) <= receiver.failures else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def end(self):
        self.server.shutdown()
        self.server.server_close()


def test_the_signal_is_delivered_until_taken_with_one_key_and_a_signature(crossfade, nginx, started, folder):
    receiver = Receiver(failures=2)
    started.append(receiver)
    secret = folder / "secret"
    secret.write_text("swordfish\n")
    said = folder / "hook.said"
    v1, v2 = nginx("v1"), nginx("v2")
    made = crossfade({"v1": [v1.address], "v2": [v2.address]}, extra={
        "drain": {"quiet": "200ms"},
        "webhooks": {"ops": {"url": f"http://127.0.0.1:{receiver.server.server_address[1]}/hook",
                             "secret_file": str(secret)}},
        "hooks": {"gone": {"command": ["sh", "-c", f"env >> {said}"], "timeout": "5s"}},
    })
    steps = [{"weight": "100%", "hold": "100ms", **QUICK}]
    made.cli("start", made.plan(plan(steps, signal={"webhook": "ops", "hook": "gone"})), check=0)
    made.cli("wait", "--for", "safe", "--timeout", "20s", check=0)
    net.wait_until(lambda: len(receiver.calls) >= 3, 20, "three attempts")
    status = made.wait_status(lambda s: s["signal"]["accepted_at"] is not None)
    assert status["signal"]["key"] == "release/1"
    for headers, body in receiver.calls:
        record = json.loads(body)
        assert record["key"] == "release/1" and record["sequence"] == 1 and record["event"] == "decommission"
        assert record["from"] == "v1" and record["to"] == "v2"
        stamp, code = (part.split("=", 1)[1] for part in headers["X-Crossfade-Signature"].split(","))
        expected = hmac.new(b"swordfish", f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        assert code == expected
    lines = said.read_text().splitlines()
    assert "CROSSFADE_KEY=release/1" in lines and "CROSSFADE_EVENT=decommission" in lines
    answer = made.admin("/v1/services/gateway/signal/release%2F1")
    assert answer.status == 200 and json.loads(answer.body)["sequence"] == 1
    assert len({json.loads(body)["key"] for _, body in receiver.calls}) == 1
    # The next cutover's signal is another one, though the same leader sends it and it too is sequence 1.
    made.cli("finalize", check=0)
    made.cli("start", made.plan(plan(steps, to="v1", signal={"webhook": "ops", "hook": "gone"})), check=0)
    made.wait_status(lambda s: s["signal"]["key"] == "release/2" and s["signal"]["accepted_at"] is not None)
    assert json.loads(receiver.calls[-1][1])["key"] == "release/2"
    assert "CROSSFADE_KEY=release/2" in said.read_text().splitlines()
    # Once it is taken back its receivers, and who asks, still hear of the same two clusters.
    made.cli("abort", "--force", check=0)
    made.wait_status(lambda s: s["state"] == "aborted")
    record = json.loads(receiver.calls[-1][1])
    assert record == json.loads(made.admin("/v1/services/gateway/signal/release%2F2").body)
    assert (record["event"], record["sequence"], record["from"], record["to"]) == ("revoked", 2, "v2", "v1")
    made.cli("wait", "--for", "finalized", "--cutover", "release/1", "--timeout", "5s", check=0)  # before the last
    assert made.cli("wait", "--for", "safe", "--cutover", "release/2", "--timeout", "5s").code == 5
    assert made.cli("wait", "--for", "safe", "--cutover", "release/9", "--timeout", "5s").code == 6


def test_a_request_in_flight_on_blue_blocks_the_signal_and_is_named(crossfade, upstream):
    v1, v2 = upstream("v1"), upstream("v2")
    made = crossfade({"v1": [v1.address], "v2": [v2.address]}, extra={"drain": {"quiet": "300ms"}})
    v1.mode("hang")
    with Raw(made.port) as client:
        client.send(b"GET /slow HTTP/1.1\r\nHost: test\r\n\r\n")
        time.sleep(0.3)
        made.cli("start", made.plan(plan([{"weight": "100%", "hold": "100ms", **QUICK}],
                                         guard={"latency": "off"})), check=0)
        status = made.wait_status(lambda s: s["state"] == "draining")
        time.sleep(2.5)
        status = made.status()
        assert status["state"] == "draining" and status["signal"]["key"] is None
        assert any("v1" in text for text in status["signal"]["blockers"]), status["signal"]
        linger = struct.pack("ii", 1, 0)  # the client dies: a reset, which is no half-close
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    made.cli("wait", "--for", "safe", "--timeout", "10s", check=0)


RECVFROM, SENDTO, GATHER = "45", "44", "426"  # x86-64 numbers; a worker makes these calls only within a turn


def stop_in_mid_turn(pid):
    """Stops the worker until it is found inside a turn of its loop, so that it may hold a choice."""
    for _ in range(200):
        os.kill(pid, signal.SIGSTOP)
        net.wait_until(lambda: Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T")
        if Path(f"/proc/{pid}/syscall").read_text().split()[0] in (RECVFROM, SENDTO, GATHER):
            return
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.01)
    raise AssertionError("the worker was never found in mid-turn")


def test_a_worker_stopped_in_mid_turn_never_lets_the_signal_pass(crossfade, upstream):
    v1, v2 = upstream("v1"), upstream("v2")
    made = crossfade({"v1": [v1.address], "v2": [v2.address]}, extra={"drain": {"quiet": "300ms"}})
    path = made.plan(plan([{"weight": "100%", "hold": "100ms", **QUICK}]))
    with Load(made.port, rate=None, connections=8):
        time.sleep(0.3)
        worker = made.workers()[0].pid
        stop_in_mid_turn(worker)
        try:
            made.cli("start", path, "--timeout", "20s")
            time.sleep(4)
            status = made.status()
            assert status["state"] not in ("safe", "finalized") and status["signal"]["key"] is None
        finally:
            os.kill(worker, signal.SIGCONT)
        made.cli("wait", "--for", "safe", "--timeout", "30s", check=0)


def test_gates_refuse_a_start_and_leave_everything_as_it_was(crossfade, nginx):
    v1, v2 = nginx("v1"), nginx("v2")
    made = crossfade({"v1": [v1.address], "v2": [v2.address]}, extra={
        "hooks": {"good": {"command": ["true"], "timeout": "5s"}, "bad": {"command": ["false"], "timeout": "5s"}}})
    generation = made.status()["generation"]
    refused = made.cli("start", made.plan(plan(gates={"before_start": [{"hook": "good"}, {"hook": "bad"}]})))
    assert refused.code == 1 and "bad" in refused.err
    status = made.status()
    assert status["state"] == "idle" and status["generation"] == generation
    gates = {"before_start": [{"hook": "good"}, {"http": {"url": f"http://{v2.address}/x", "body": "v2"}}],
             "before_finalize": [{"hook": "bad"}]}
    made.cli("start", made.plan(plan([{"weight": "100%", "hold": "100ms", **QUICK}], gates=gates)), check=0)
    made.cli("wait", "--for", "safe", "--timeout", "20s", check=0)
    assert made.cli("finalize").code == 1
    assert made.status()["state"] == "safe"


def test_a_store_that_cannot_be_written_refuses_to_start(crossfade, nginx, folder):
    v1 = nginx("v1")
    made = crossfade({"v1": [v1.address]}, start=False, extra={"store": "sqlite:/proc/nowhere/state.db"})
    made.start(ready=False)
    assert made.process.wait(15) != 0
    assert "/proc/nowhere" in made.log


def test_no_server_reachable_is_502_or_503_with_a_short_body(crossfade):
    dead = f"127.0.0.1:{net.free_port()}"
    made = crossfade({"v1": [dead]}, start=False)
    made.start(ready=False)
    net.wait_until(lambda: net.accepts(made.port), 20)
    with Raw(made.port) as client:
        answer = client.get("/")
        assert answer.status in (502, 503) and 0 < len(answer.body) < 200


def test_the_health_path_fails_before_the_listeners_close(crossfade, nginx):
    v1 = nginx("v1")
    made = crossfade({"v1": [v1.address]}, start=False, extra={"timeouts": {"lameduck": "2s", "shutdown": "5s"}})
    made.config["listeners"][0]["health"] = "/lb"
    made.write_config()
    made.start()
    with Raw(made.port) as client:
        assert client.get("/lb").status == 200
        assert client.get("/other").status == 200
    assert not any("/lb" in entry for entry in map(str, v1.log_entries()))  # answered by the proxy itself
    made.signal(signal.SIGTERM)
    began = time.monotonic()

    def failing():
        with Raw(made.port) as client:
            return client.get("/lb").status == 503
    net.wait_until(failing, 1.5)
    with Raw(made.port) as client:
        assert client.get("/other").status == 200  # all else goes on
    net.wait_until(lambda: not net.accepts(made.port), 5)
    assert time.monotonic() - began >= 1.8
    assert made.process.wait(10) == 0
