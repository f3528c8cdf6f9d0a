"""`gates.during` on the built program, with a real Prometheus: what holds, and what lets go."""

import http.server
import json
import socket
import threading
import urllib.error
import urllib.request

import pytest

from harness import net, processes

pytestmark = pytest.mark.slow

QUICK = {"evidence": "advisory"}
STEPS = [{"weight": "10%", "hold": "1h", **QUICK}, {"weight": "100%", "hold": "1h", **QUICK}]


class Exporter:
    """One gauge that a Prometheus can scrape."""

    def __init__(self):
        self.value = "0"
        exporter = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = f"shop_errors {exporter.value}\n".encode()
                self.send_response(200 if exporter.value != "503" else 503)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def end(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def exporter(started):
    made = Exporter()
    started.append(made)
    return made


@pytest.fixture
def prometheus(folder, started, exporter):
    port = net.free_port()
    config = folder / "prometheus.yml"
    config.write_text("global: {scrape_interval: 200ms, scrape_timeout: 150ms}\n"
                      "scrape_configs: [{job_name: shop, static_configs: "
                      f"[{{targets: ['127.0.0.1:{exporter.port}']}}]}}]\n")
    made = processes.Started(["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/tsdb",
                              f"--web.listen-address=127.0.0.1:{port}"], folder / "prometheus.log")
    made.url = f"http://127.0.0.1:{port}"
    started.append(made)
    net.wait_until(lambda: net.accepts(port), 30, "prometheus")
    net.wait_until(lambda: has_a_sample(made.url), 30, "the first sample")
    return made


def has_a_sample(url):
    try:
        with urllib.request.urlopen(f"{url}/api/v1/query?query=shop_errors") as answer:
            return json.load(answer)["data"]["result"]
    except urllib.error.HTTPError:  # 503: it is still starting
        return None


def gate_hold(status):
    return next((each["sentence"] for each in status["holds"] if each["reason"] == "gate"), None)


def begin(crossfade, nginx, during, **options):
    v1, v2 = nginx("v1"), nginx("v2")
    made = crossfade({"v1": [v1.address], "v2": [v2.address]}, **options)
    plan = {"name": "release", "service": "gateway", "to": "v2", "steps": STEPS, "gates": {"during": during}}
    made.cli("start", made.plan(plan), check=0)
    made.v2 = v2
    return made


def test_a_prometheus_query_holds_while_it_fails_or_knows_nothing(crossfade, nginx, prometheus, exporter):
    made = begin(crossfade, nginx, [{"prometheus": {"url": prometheus.url, "query": "shop_errors",
                                                    "success": "< 0.01", "every": "1s", "failures": 2}}])
    made.wait_status(lambda s: s["weight"]["actual"] == 10 and not s["holds"], 15, "10 % without a hold")
    exporter.value = "0.5"
    status = made.wait_status(gate_hold, 15, "the hold gate")
    assert "0.5 is not < 0.01" in gate_hold(status) and "2 times" in gate_hold(status), gate_hold(status)
    assert made.cli("step").code == 3
    assert made.status()["weight"]["actual"] == 10
    exporter.value = "0"
    made.wait_status(lambda s: not gate_hold(s), 15, "the gate to pass again")
    exporter.value = "NaN"
    status = made.wait_status(gate_hold, 15, "no evidence")
    assert "no evidence" in gate_hold(status), gate_hold(status)
    exporter.value = "0"
    made.wait_status(lambda s: not gate_hold(s), 15, "the gate to pass again")
    prometheus.end()
    status = made.wait_status(gate_hold, 15, "nobody to ask")
    assert "no evidence" in gate_hold(status), gate_hold(status)
    assert made.status()["weight"]["actual"] == 10
    assert gate_hold(status) in made.cli("why", check=0).out


def test_an_empty_answer_never_advances_a_step(crossfade, nginx, prometheus):
    v1, v2 = nginx("v1"), nginx("v2")
    made = crossfade({"v1": [v1.address], "v2": [v2.address]})
    steps = [{"weight": "10%", "hold": "300ms", **QUICK}, {"weight": "100%", "hold": "1h", **QUICK}]
    gate = {"prometheus": {"url": prometheus.url, "query": "nothing_of_that_name", "success": "< 1"}}
    made.cli("start", made.plan({"name": "release", "service": "gateway", "to": "v2", "steps": steps,
                                 "gates": {"during": [gate]}}), check=0)
    status = made.wait_status(gate_hold, 15, "the hold gate")
    assert "no sample" in gate_hold(status)
    assert made.status()["weight"]["desired"] == 10
    assert made.cli("wait", "--for", "weight=100%", "--timeout", "2s").code == 124


def test_hooks_and_http_checks_hold_and_have_a_time_limit(crossfade, nginx, folder):
    broken = folder / "broken"
    made = begin(crossfade, nginx, [{"hook": "check", "every": "1s"},
                                    {"http": {"url": f"http://127.0.0.1:{net.free_port()}/"},
                                     "every": "1s", "failures": 3}],
                 extra={"hooks": {"check": {"command": ["/usr/bin/test", "!", "-e", str(broken)],
                                            "timeout": "1s"}}})
    status = made.wait_status(gate_hold, 20, "the http gate")
    assert "gate http" in gate_hold(status) and "times in a row" in gate_hold(status)
    broken.touch()
    made.wait_status(lambda s: gate_hold(s), 10, "a hold")
    assert made.status()["weight"]["actual"] == 10
    made.cli("abort", check=0)
    made.wait_status(lambda s: s["state"] == "aborted", 10, "the end")


@pytest.fixture
def mute(started):
    """The port of a server that takes connections and says nothing."""
    class Mute:
        def __init__(self):
            self.listener = socket.create_server(("127.0.0.1", 0))
            self.port = self.listener.getsockname()[1]

        def end(self):
            self.listener.close()
    made = Mute()
    started.append(made)
    return made.port


@pytest.mark.long
@pytest.mark.parametrize("kind", ["prometheus", "http", "hook"])
def test_a_gate_that_hangs_is_no_evidence_and_never_advances(crossfade, nginx, mute, kind):
    gate = {"prometheus": {"prometheus": {"url": f"http://127.0.0.1:{mute}", "query": "up", "success": "< 1"}},
            "http": {"http": {"url": f"http://127.0.0.1:{mute}/"}},
            "hook": {"hook": "sleeper"}}[kind]
    v1, v2 = nginx("v1"), nginx("v2")
    made = crossfade({"v1": [v1.address], "v2": [v2.address]},
                     extra={"hooks": {"sleeper": {"command": ["/usr/bin/sleep", "600"], "timeout": "2s"}}})
    steps = [{"weight": "10%", "hold": "100ms", **QUICK}, {"weight": "100%", "hold": "1h", **QUICK}]
    made.cli("start", made.plan({"name": "release", "service": "gateway", "to": "v2", "steps": steps,
                                 "gates": {"during": [{**gate, "every": "1s"}]}}), check=0)
    status = made.wait_status(gate_hold, 20, "the hold gate")
    assert "has not answered yet" in gate_hold(status), gate_hold(status)
    status = made.wait_status(lambda s: f"gate {kind}" in (gate_hold(s) or ""), 25, "its time limit")
    assert status["weight"] == {"desired": 10, "actual": 10}
