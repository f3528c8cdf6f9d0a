"""test_servers.py -- what a cluster does with servers that fail, are full, or come back."""

import threading
import time

from harness import net
from harness.raw import Raw, request


def cluster(servers, **more):
    return {"clusters": {"web-v1": {"servers": servers, **more}}}


def ejections(proxy):
    return sum(value for name, value in proxy.metrics().items()
               if name.startswith("crossfade_server_ejections_total"))


def ask(proxy, count):
    """The answers to `count` requests, each on a connection of its own."""
    return [request(proxy.port, "/") for _ in range(count)]


def seen(proxy, address):
    servers = proxy.status()["clusters"]["web-v1"]["servers"]
    return next(each for each in servers if each["address"] == address)


def at_once(proxy, count, path):
    """The answers to `count` requests that are sent together."""
    answers = []

    def one():
        answers.append(request(proxy.port, path))
    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(answers) == count
    return answers


def test_a_server_whose_answers_fail_is_ejected_and_status_says_so(crossfade, upstream):
    good, bad = upstream("good"), upstream("bad")
    proxy = crossfade({"web-v1": []}, extra=cluster([good.address, bad.address],
                                                   eject={"after": 3}))
    bad.mode("503")
    before = ask(proxy, 60)
    # Each of the two workers may be disappointed three times.
    assert 3 <= len([each for each in before if each.status == 503]) <= 6
    net.wait_until(lambda: ejections(proxy) == 2, 5, "an ejection by both workers")
    assert {each.header("X-Server") for each in ask(proxy, 40)} == {"good"}

    def told():
        server = seen(proxy, bad.address)
        return not server["up"] and "ejected" in (server["reason"] or "")
    net.wait_until(told, 5, "the reason in the status")
    assert seen(proxy, good.address)["reason"] is None
    assert "event=server.ejected" in proxy.log


def test_no_more_than_the_cap_of_a_cluster_is_ejected(crossfade, upstream):
    servers = [upstream(f"v{i}") for i in range(4)]
    proxy = crossfade({"web-v1": []}, workers=1,
                      extra=cluster([each.address for each in servers],
                                    eject={"after": 1, "at_most": "50%"}))
    for each in servers:
        each.mode("503")
    answers = ask(proxy, 60)
    assert ejections(proxy) == 2
    assert len({each.header("X-Server") for each in answers[10:]}) == 2


def test_where_every_server_is_ejected_they_are_used_all_the_same(crossfade, upstream):
    servers = [upstream(f"v{i}") for i in range(2)]
    proxy = crossfade({"web-v1": []}, workers=1,
                      extra=cluster([each.address for each in servers],
                                    eject={"after": 1, "at_most": "100%"}))
    for each in servers:
        each.mode("503")
    ask(proxy, 10)
    assert ejections(proxy) == 2
    for each in servers:
        each.mode("200")
    assert {each.status for each in ask(proxy, 20)} == {200}


def test_a_server_that_comes_back_begins_slowly(crossfade, upstream):
    steady, other = upstream("steady"), upstream("other")
    proxy = crossfade({"web-v1": []}, extra=cluster(
        [steady.address, other.address], slow_start="4s",
        check={"every": "100ms", "rise": 1, "fall": 1}))
    other.end()
    net.wait_until(lambda: not seen(proxy, other.address)["up"], 10, "it is down")
    other.start()
    weights = []

    def whole():
        servers = proxy.cli("server", "list", "-o", "json", check=0).json["servers"]
        server = next(each for each in servers if each["address"] == other.address)
        if server["up"]:
            weights.append(server["weight"])
        return weights and weights[-1] == 100
    net.wait_until(whole, 15, "its whole weight", every=0.1)
    assert weights[0] < 60 and weights == sorted(weights) and len(set(weights)) > 4


def test_requests_beyond_the_clusters_cap_wait_their_turn(crossfade, upstream):
    server = upstream()
    proxy = crossfade({"web-v1": []}, workers=1, extra=cluster([server.address], max_in_flight=2))
    waiting = []

    def look():
        time.sleep(0.1)
        waiting.append(proxy.metrics())
    watcher = threading.Thread(target=look)
    watcher.start()
    answers = at_once(proxy, 10, "/slow/150")
    watcher.join()
    assert {each.status for each in answers} == {200} and server.most() == 2
    gauges = {name.partition("{")[0]: value for name, value in waiting[0].items()
              if 'cluster="web-v1"' in name and "server=" not in name}
    assert gauges["crossfade_in_flight_requests"] > 2, gauges
    assert gauges["crossfade_queued_requests"] > 0, gauges


def test_a_server_gets_no_more_than_its_cap_and_the_other_takes_the_rest(crossfade, upstream):
    small, large = upstream("small"), upstream("large")
    proxy = crossfade({"web-v1": []}, workers=1, extra=cluster(
        [{"address": small.address, "max_in_flight": 1}, large.address]))
    assert {each.status for each in at_once(proxy, 12, "/slow/100")} == {200}
    assert small.most() == 1 and large.most() > 3
    proxy.config["clusters"]["web-v1"]["servers"] = [{"address": small.address, "max_in_flight": 1}]
    proxy.write_config()
    proxy.reload()
    # While an older edition still serves, it has its own share.
    net.wait_until(lambda: "event=edition.over" in proxy.log, 15, "the reload")
    assert {each.status for each in at_once(proxy, 6, "/slow/50")} == {200}
    assert small.most() == 1


def test_who_waited_long_enough_is_told_503(crossfade, upstream):
    server = upstream()
    proxy = crossfade({"web-v1": []}, workers=1, extra={
        **cluster([server.address], max_in_flight=1), "timeouts": {"queue": "300ms"}})
    with Raw(proxy.port) as first, Raw(proxy.port) as second:
        first.send("GET /slow/1500 HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.1)
        began = time.monotonic()
        answer = second.get("/")
        assert answer.status == 503 and b"room in time" in answer.body
        assert 0.25 < time.monotonic() - began < 1.0
        # One who hangs up while waiting, by a reset or not, leaves no trace.
        with Raw(proxy.port) as third:
            third.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert first.read().status == 200
        assert second.get("/").status == 200
    proxy.config["timeouts"]["queue"] = "0s"
    proxy.write_config()
    proxy.reload()
    net.wait_until(lambda: "event=edition.over" in proxy.log, 15, "the reload")
    with Raw(proxy.port) as first, Raw(proxy.port) as second:
        first.send("GET /slow/500 HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.1)
        answer = second.get("/")
        assert answer.status == 503 and b"queue is full" in answer.body
        assert first.read().status == 200

    def quiet():
        values = proxy.metrics()
        return not any(value for name, value in values.items()
                       if "in_flight" in name or "queued" in name)
    net.wait_until(quiet, 5, "gauges at 0")


def test_an_upload_below_the_least_rate_is_told_408(crossfade, upstream):
    server = upstream()
    proxy = crossfade({"web-v1": [server.address]}, extra={"limits": {"body_rate": "1KiB"}})
    began = time.monotonic()
    with Raw(proxy.port) as slow:
        slow.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
        slow.socket.settimeout(0.1)
        while time.monotonic() < began + 10:
            slow.send("x" * 20)
            try:
                slow.fill()
                break
            except TimeoutError:
                continue
        assert slow.read().status == 408
    assert 2.5 < time.monotonic() - began < 6
    with Raw(proxy.port) as quick:  # as slow for a moment, but fast enough over the whole
        quick.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n" + "x" * 20000)
        for _ in range(8):
            time.sleep(0.5)
            quick.send("x" * 2500)
        assert len(quick.read().body) == 40000
