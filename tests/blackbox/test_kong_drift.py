"""Writes into Kong's databases during a cutover: found by fingerprint, and kept out by the fence."""

import json

import pytest

from harness import net
from harness.raw import Raw
from harness.redis import Redis
from kong_world import Node, fresh

pytestmark = pytest.mark.slow

GATE = {"kong": {"topology": "traditional", "database": "clone", "from_version": "3.0",
                 "to_version": "3.1", "old": {"database": "old"}, "new": {"database": "new"}}}
STEPS = [{"weight": "10%", "hold": "300ms", "evidence": "advisory", "approve": True},
         {"weight": "100%", "hold": "300ms", "evidence": "advisory"}]


def plan(**more):
    return {"name": "kong-3.1", "service": "gateway", "to": "v2", "steps": STEPS,
            "gates": {"before_start": [GATE]}, **more}


@pytest.fixture
def proxy(crossfade, nginx, postgres):
    postgres.make("k30", fresh("3.0"))
    postgres.make("k31", fresh("3.1"))
    v1, v2, a1, a2 = nginx("v1"), nginx("v2"), nginx("a1"), nginx("a2")
    admin_port = net.free_port()
    made = crossfade(
        {"v1": [v1.address], "v2": [v2.address]}, start=False,
        extra={"drain": {"quiet": "100ms"},
               "databases": {"old": postgres.url("k30"), "new": postgres.url("k31")}})
    made.config["services"]["kong-admin"] = {"follows": "gateway", "clusters": ["a1", "a2"]}
    made.config["clusters"].update({"a1": {"servers": [a1.address]}, "a2": {"servers": [a2.address]}})
    made.config["listeners"].append({"bind": f"127.0.0.1:{admin_port}", "service": "kong-admin"})
    made.write_config()
    made.admin_port = admin_port
    return made.start()


def drift(status):
    return [hold for hold in status["holds"] if hold["reason"] == "drift"]


def test_a_row_changed_after_the_baseline_holds_the_next_step_and_names_its_table(proxy, postgres):
    path = proxy.plan(plan())
    shown = proxy.cli("kong", "drift", path, "-o", "json", check=0).json
    assert not shown["baseline"] and len(shown["databases"]) == 2
    proxy.cli("start", path, check=0)
    proxy.wait_status(lambda s: any(h["reason"] == "approval" for h in s["holds"]))
    shown = proxy.cli("kong", "drift", path, "-o", "json", check=0).json
    assert shown["baseline"] and not shown["drifted"]
    begun = next(e for e in proxy.cli("history", "-o", "json", check=0).json["entries"] if e["verb"] == "start")
    gates = {row["check"]: row for row in begun["gates"]}
    assert gates["clone.current"]["passed"] and gates["old.reachable"]["message"].startswith("not checked")
    assert "secret-of-a-consumer" not in json.dumps(shown)
    postgres.sql("k30", "UPDATE services SET host = 'elsewhere'")
    proxy.cli("approve", check=0)
    status = proxy.wait_status(drift)
    sentence = drift(status)[0]["sentence"]
    assert "services" in sentence and "`old`" in sentence and "`new`" not in sentence
    assert status["weight"]["desired"] == 10
    assert proxy.cli("step").code == 3
    shown = proxy.cli("kong", "drift", path)
    assert shown.code == 1 and "changed since the start: services" in shown.out
    proxy.cli("resume", "drift", check=0)  # accepted: from now on that is the baseline
    proxy.cli("wait", "--for", "safe", "--timeout", "30s", check=0)
    postgres.sql("k31", "INSERT INTO upstreams VALUES (7, 'late')")
    refused = proxy.cli("finalize")
    assert refused.code == 1 and "upstreams" in refused.err
    assert proxy.status()["state"] == "safe"


def test_a_step_by_hand_is_held_by_drift_too(proxy, postgres):
    proxy.cli("start", proxy.plan(plan()), check=0)
    proxy.wait_status(lambda s: any(h["reason"] == "approval" for h in s["holds"]))
    postgres.sql("k31", "DELETE FROM plugins")
    refused = proxy.cli("step")
    assert refused.code == 3 and "plugins" in refused.err
    assert drift(proxy.wait_status(drift)) and proxy.status()["weight"]["desired"] == 10


def test_databases_that_do_not_answer_hold_no_step_up_but_finalize(proxy, postgres):
    path = proxy.plan(plan())
    proxy.cli("start", path, check=0)
    proxy.wait_status(lambda s: any(h["reason"] == "approval" for h in s["holds"]))
    for name in ("k30", "k31"):
        postgres.sql("postgres", f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    proxy.cli("approve", check=0)
    proxy.cli("wait", "--for", "safe", "--timeout", "30s", check=0)
    assert "drift.unseen" in proxy.log
    assert "step 2 of 2: 100%; drift not checked: database `old`" in proxy.cli("history", check=0).out
    assert "was changed since the start: not checked: database `old`" in proxy.cli("why", check=0).out
    assert "not looked at" in proxy.cli("kong", "drift", path, check=1).out
    refused = proxy.cli("finalize", check=1)
    assert "drift: the database that the new cluster lives on cannot be compared" in refused.err
    assert proxy.status()["state"] == "safe"
    postgres.sql("postgres", "ALTER DATABASE k31 ALLOW_CONNECTIONS true")
    proxy.cli("finalize", check=0)  # the old one may be gone by now
    proxy.wait_status(lambda s: s["state"] == "finalized")


def test_preflight_asks_the_daemon_and_changes_nothing(proxy, postgres):
    path = proxy.plan(plan())
    before = proxy.status()["generation"]
    answer = proxy.cli("preflight", path, "-o", "json", check=0).json
    assert set(answer) == {"passed", "checks"} and answer["passed"]
    assert {"gate", "check", "passed", "severity", "message"} == set(answer["checks"][0])
    postgres.sql("k30", "UPDATE services SET host = 'elsewhere'")
    failed = proxy.cli("preflight", path, "-o", "json", check=1).json
    assert [row["check"] for row in failed["checks"]
            if not row["passed"] and row["severity"] == "error"] == ["clone.current"]
    some = proxy.cli("preflight", path, "--only", "path,lock", "-o", "json", check=0).json
    assert [row["check"] for row in some["checks"]] == ["path", "lock"]
    refused = proxy.cli("start", path)
    assert refused.code == 1 and "clone.current" in refused.err
    assert proxy.status()["generation"] == before
    proxy.terminate()
    assert proxy.cli("preflight", path).code == 7


def test_every_proxy_of_a_fleet_must_be_among_the_trusted_addresses(crossfade, nginx, started, folder):
    redis = Redis(folder)
    started.append(redis)
    v1 = nginx("v1")
    one, two = (crossfade({"v1": [v1.address], "v2": [server]}, workers=1, start=False, extra={
        "proxy": {"name": name}, "store": f"redis://127.0.0.1:{redis.port}/0"})
        for name, server in (("one", "127.0.0.1:9"), ("two", "[::1]:9")))  # each server sees another address
    node = Node("3.1.0", trusted_ips=["127.0.0.0/8"])
    try:
        for host in (one, two):
            host.start()
        one.wait_status(lambda s: len(s["proxies"]) == 2 and s["leader"] is not None)
        gate = {"topology": "dbless", "from_version": "3.0", "to_version": "3.1", "new": {"admin": [node.url]}}
        path = one.plan({**plan(), "gates": {"before_start": [{"kong": gate}]}})

        def fronting():
            answer = one.cli("preflight", path, "--only", "fronting", "-o", "json")
            return answer.code, answer.json["checks"][0]["message"]
        code, message = fronting()
        assert code == 1 and "address ::1 of proxy two" in message
        node.pages["/"]["configuration"]["trusted_ips"] = ["127.0.0.0/8", "::/0"]
        node.pages["/routes"] = {"data": [], "next": None}
        code, message = fronting()
        assert code == 0 and "what every proxy says" in message
    finally:
        node.close()


def ask(port, method, path, expect):
    with Raw(port) as one:
        answer = one.get(path, method=method, body=b"{}" if method != "GET" else b"")
    assert answer.status == expect, answer.head
    return answer


def fenced(proxy):
    return sum(value for name, value in proxy.metrics().items()
               if name.startswith("crossfade_fenced_total") and "kong-admin" in name)


def test_the_fence_goes_up_before_the_clone_and_down_with_the_end(proxy):
    fence = {"services": ["kong-admin"], "methods": ["POST", "PUT", "PATCH", "DELETE"],
             "allow_paths": ["/schemas/*/validate"]}
    ask(proxy.admin_port, "POST", "/services", 200)
    proxy.cli("fence", "up", "--service", "gateway", check=0)
    assert proxy.status("--service", "gateway")["fence"] == "up"
    answer = ask(proxy.admin_port, "POST", "/services", 503)
    assert int(answer.header("Retry-After")) > 0
    assert answer.header("Content-Type") == "application/json"
    assert json.loads(answer.body)["error"] == "fenced"
    ask(proxy.admin_port, "GET", "/services", 200)
    path = proxy.plan(plan(fence=fence))
    proxy.cli("start", path, check=0)
    body = json.loads(ask(proxy.admin_port, "DELETE", "/services/1", 503).body)
    assert body["cutover"] == "kong-3.1/1"
    ask(proxy.admin_port, "POST", "/schemas/routes/validate", 200)
    proxy.cli("abort", "--service", "gateway", check=0)
    proxy.wait_status(lambda s: s["state"] == "aborted" and s["fence"] is None)
    ask(proxy.admin_port, "POST", "/services", 200)
    proxy.wait_status(lambda s: s["fenced"] == 2)
    assert fenced(proxy) == 2
    proxy.cli("fence", "up", "--service", "kong-admin", check=0)  # a follower's is its leader's
    ask(proxy.admin_port, "POST", "/services", 503)
    proxy.cli("start", proxy.plan(plan(fence=fence, steps=STEPS[1:])), check=0)
    proxy.cli("wait", "--for", "safe", "--timeout", "30s", check=0)
    ask(proxy.admin_port, "POST", "/services", 503)
    proxy.cli("finalize", check=0)
    proxy.wait_status(lambda s: s["state"] == "finalized" and s["fence"] is None)
    ask(proxy.admin_port, "POST", "/services", 200)


def test_kongs_own_404_is_counted_apart_in_status_why_and_metrics(crossfade, upstream):
    node = Node("3.1.0")
    try:
        node.texts["/"] = (200, "text/plain", "v2")
        other = upstream("v1")
        made = crossfade({"v1": [other.address], "v2": [f"127.0.0.1:{node.port}"]})
        made.cli("start", "--to", "v2", check=0)
        made.cli("weight", "100%", check=0)
        for number in range(3):
            ask(made.port, "GET", f"/missing/{number}", 404)
        status = made.wait_status(lambda s: s["clusters"]["v2"]["no_route"] == 3)
        assert status["clusters"]["v1"]["no_route"] == 0 and status["clusters"]["v2"]["errors"] == 0
        assert "no Route matched" in made.cli("why", check=0).out
        assert sum(value for name, value in made.metrics().items()
                   if name.startswith("crossfade_no_route_total")) == 3
    finally:
        node.close()
