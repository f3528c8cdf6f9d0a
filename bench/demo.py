#!/usr/bin/python3
"""demo.py -- the main job, for real, in under two minutes.

Starts two clusters of nginx servers, `crossfade serve` with the embedded store, and a client that
checks every answer.  Act 1 moves all traffic from web-v1 to web-v2, hears the signal, stops the
old servers and finalizes.  Act 2 begins the next cutover, whose new version turns bad half-way:
crossfade takes it out of traffic by itself and says why; then the operator aborts.

Exits 0 only if every promise held.  Needs nginx and a built crossfade; no root; cleans up.
"""

import argparse
import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REQUESTS_PER_SECOND = 800
CONNECTIONS = 16
SERVERS_PER_CLUSTER = 2

CONFIGURATION = """\
store: sqlite:{folder}/state.db
proxy: {{name: demo, state_dir: {folder}/state}}
admin: {{socket: {folder}/admin.sock}}
workers: 2
listeners:
  - bind: 127.0.0.1:{port}
    service: web
services:
  web:
    live: web-v1
    clusters: [web-v1, web-v2, web-v3]
clusters:
{clusters}
timeouts: {{shutdown: 5s}}
drain: {{quiet: 1s}}
"""

# Steps of seconds are too short to prove much: the judge's positive evidence only advises here.
PLAN = """\
name: {name}
service: web
to: {to}
steps:
  - {{weight: 10%, hold: 3s, evidence: advisory}}
  - {{weight: 25%, hold: 3s, evidence: advisory}}
  - {{ramp: 50%, over: 10s, hold: 3s, evidence: advisory}}
  - {{weight: 75%, hold: 2s, evidence: advisory}}
  - {{weight: 90%, hold: 2s, evidence: advisory}}
  - {{weight: 100%, hold: 4s, evidence: advisory}}
"""

NGINX = """\
daemon off;
worker_processes 1;
{user}
pid {folder}/{name}.pid;
error_log {folder}/{name}.error.log warn;
events {{ worker_connections 1024; }}
http {{
    log_format demo '$http_x_demo_id $status';
    access_log {folder}/{name}.access.log demo;
    client_body_temp_path {folder}/{name}.body;
    proxy_temp_path {folder}/{name}.proxy;
    fastcgi_temp_path {folder}/{name}.fastcgi;
    uwsgi_temp_path {folder}/{name}.uwsgi;
    scgi_temp_path {folder}/{name}.scgi;
    keepalive_requests 1000000;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            if (-f {folder}/{cluster}.bad) {{ return 500 "bad release\\n"; }}
            return 200 "{cluster} $http_x_demo_id\\n";
        }}
    }}
}}
"""


class Failure(Exception):
    """A promise that did not hold."""


def free_ports(count):
    """Ports that the kernel says are free; all are held open until all are known."""
    holders = []
    for _ in range(count):
        holder = socket.socket()
        holder.bind(("127.0.0.1", 0))
        holders.append(holder)
    ports = [holder.getsockname()[1] for holder in holders]
    for holder in holders:
        holder.close()
    return ports


def await_port(port, seconds, process):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            raise Failure(f"a server ended at its start with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            time.sleep(0.05)
    raise Failure(f"nothing listens on port {port} after {seconds} s")


# ---- the client: a process of its own, so that the timeline cannot slow it down ----


class Client:
    """Keep-alive connections that send numbered requests at a fixed rate and check each answer."""

    def __init__(self, port):
        self.port = port
        self.sent = 0
        self.answered = 0
        self.by_cluster = {}
        self.failures = []
        self.stop = False

    async def one(self, reader, writer, number):
        """One request; returns whether the connection may be used again."""
        writer.write(f"GET /item/{number} HTTP/1.1\r\nHost: demo\r\nX-Demo-Id: {number}\r\n\r\n".encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        lines = head.decode("latin-1").split("\r\n")
        fields = {}
        for line in lines[1:]:
            if line:
                name, _, value = line.partition(":")
                fields[name.lower()] = value.strip()
        body = await asyncio.wait_for(reader.readexactly(int(fields["content-length"])), 10)
        words = body.decode().split()
        status = lines[0].split(" ")[1]
        if status != "200" or len(words) != 2 or words[1] != str(number):
            raise ValueError(f"request {number}: {lines[0]}: {body[:60]!r}")
        self.answered += 1
        self.by_cluster[words[0]] = self.by_cluster.get(words[0], 0) + 1
        return fields.get("connection", "").lower() != "close"

    async def lane(self, index):
        reader = writer = None
        interval = CONNECTIONS / REQUESTS_PER_SECOND
        due = time.monotonic() + interval * index / CONNECTIONS
        while not self.stop:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due = max(due + interval, time.monotonic() - 1)
            self.sent += 1
            number = self.sent
            try:
                if writer is None:
                    reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                keep = await self.one(reader, writer, number)
            except (OSError, ValueError, KeyError, asyncio.TimeoutError, asyncio.IncompleteReadError) as why:
                if len(self.failures) < 20:
                    self.failures.append(f"request {number}: {why!r}")
                else:
                    self.failures.append("")
                keep = False
            if not keep and writer is not None:
                writer.close()
                writer = None
        if writer is not None:
            writer.close()

    def report(self):
        return {
            "sent": self.sent,
            "answered": self.answered,
            "failed": len(self.failures),
            "by_cluster": self.by_cluster,
            "failures": [text for text in self.failures if text],
        }

    async def run(self):
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, lambda: setattr(self, "stop", True))
        began = time.monotonic()
        await asyncio.gather(*(self.lane(index) for index in range(CONNECTIONS)))
        result = self.report()
        result["seconds"] = time.monotonic() - began
        print(json.dumps(result))


# ---- the stage ----


class Stage:
    def __init__(self, binary, folder):
        self.binary = binary
        self.folder = folder
        self.began = time.monotonic()
        self.servers = {}  # cluster -> [process]
        self.ports = {}  # cluster -> [port]
        self.crossfade = None
        self.client = None

    def say(self, text):
        print(f"{time.monotonic() - self.began:6.1f} s  {text}", flush=True)

    def start_cluster(self, cluster):
        user = "user root;" if os.geteuid() == 0 else ""
        self.servers[cluster] = []
        for index, port in enumerate(self.ports[cluster]):
            name = f"{cluster}-{index}"
            path = self.folder / f"{name}.conf"
            path.write_text(NGINX.format(folder=self.folder, name=name, cluster=cluster, port=port, user=user))
            process = subprocess.Popen(
                ["nginx", "-c", str(path), "-p", str(self.folder), "-e", str(self.folder / f"{name}.error.log")],
                env={**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin"},
            )
            self.servers[cluster].append(process)
            await_port(port, 10, process)

    def stop_cluster(self, cluster):
        for process in self.servers.pop(cluster, []):
            end(process, signal.SIGTERM)

    def start_crossfade(self, port):
        clusters = "".join(
            f"  {name}: [{', '.join(chr(34) + f'127.0.0.1:{p}' + chr(34) for p in ports)}]\n"
            for name, ports in self.ports.items()
        )
        path = self.folder / "crossfade.yaml"
        path.write_text(CONFIGURATION.format(folder=self.folder, port=port, clusters=clusters))
        log = (self.folder / "crossfade.log").open("wb")
        self.crossfade = subprocess.Popen(
            [self.binary, "serve", "-c", str(path)], stdout=log, stderr=subprocess.STDOUT
        )
        await_port(port, 15, self.crossfade)

    def start_client(self, port):
        self.client = subprocess.Popen(
            [sys.executable, __file__, "--client", str(port)], stdout=subprocess.PIPE, text=True
        )

    def stop_client(self):
        process, self.client = self.client, None
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=20)
        return json.loads(output)

    def command(self, *words, expect=0):
        """Runs the CLI as an operator would; returns its standard output."""
        done = subprocess.run(
            [self.binary, *words, "--socket", str(self.folder / "admin.sock")],
            capture_output=True, text=True, timeout=90,
        )
        if done.returncode != expect:
            raise Failure(
                f"`crossfade {' '.join(words)}` ended with {done.returncode}, not {expect}: "
                f"{done.stderr.strip() or done.stdout.strip()}"
            )
        return done.stdout.strip()

    def status(self):
        """The status object, read from the admin socket directly: this is asked ten times a second."""
        connection = http.client.HTTPConnection("localhost", timeout=10)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(10)
        connection.sock.connect(str(self.folder / "admin.sock"))
        connection.request("GET", "/v1/services/web/status")
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def await_up(self, cluster):
        """Until crossfade's health checks see every server of the cluster."""
        limit = time.monotonic() + 20
        while not all(server["up"] for server in self.status()["clusters"][cluster]["servers"]):
            if time.monotonic() > limit:
                raise Failure(f"{cluster} is not seen up after 20 s")
            time.sleep(0.1)

    def follow(self, seconds, until, act=None):
        """Prints the timeline until `until(status)`; `act(status)` may intervene."""
        limit = time.monotonic() + seconds
        last = None
        while time.monotonic() < limit:
            now = self.status()
            holds = ", ".join(hold["reason"] for hold in now["holds"])
            step = now["step"] or {}
            index = step.get("index")
            row = (now["state"], now["weight"]["desired"], now["weight"]["actual"], holds, index)
            if row != last:
                last = row
                actual = now["weight"]["actual"]
                share = actual if actual is not None else now["weight"]["desired"] or 0
                bar = "#" * round(share / 4) + "-" * (25 - round(share / 4))
                place = f"step {index} of {step['count']}" if index else ""
                self.say(
                    f"[{bar}] {share:6.2f} %  {now['state']:<10} {place:<11} {'held: ' + holds if holds else ''}".rstrip()
                )
            if until(now):
                return now
            if act is not None:
                act(now)
            time.sleep(0.1)
        raise Failure(f"not there after {seconds} s; last seen {last}")

    def close(self):
        for process in [self.client, self.crossfade]:
            if process is not None:
                end(process, signal.SIGTERM)
        for cluster in list(self.servers):
            self.stop_cluster(cluster)

    def logged(self, cluster):
        """What the cluster's own access logs hold: {request number: [statuses]}."""
        seen = {}
        for path in sorted(self.folder.glob(f"{cluster}-*.access.log")):
            for line in path.read_text().splitlines():
                number, status = line.split()
                if number != "-":
                    seen.setdefault(number, []).append(status)
        return seen


def end(process, how):
    """Ends a process that this program started, by its id, and waits for it."""
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def demand(condition, text):
    if not condition:
        raise Failure(text)


def act_one(stage):
    stage.say("ACT 1  from web-v1 to web-v2: everything goes well")
    plan = stage.folder / "act1.yaml"
    plan.write_text(PLAN.format(name="release-2", to="web-v2"))
    stage.say(f"$ crossfade start act1.yaml        {stage.command('start', str(plan))}")
    stage.follow(80, lambda now: now["state"] == "safe")
    stage.command("wait", "--for", "safe", "--timeout", "5s")
    now = stage.status()
    demand(now["signal"]["key"] == now["cutover"], f"signal {now['signal']} for {now['cutover']}")
    stage.say(f"SIGNAL {now['signal']['key']}: nothing is in flight to web-v1; it may be decommissioned")
    stage.stop_cluster("web-v1")
    stage.say("the two web-v1 servers are stopped, while the clients go on")
    stage.say(f"$ crossfade finalize               {stage.command('finalize')}")
    demand(stage.status()["live"] == "web-v2", "web-v2 is not the live cluster after finalize")


def act_two(stage):
    stage.say("ACT 2  from web-v2 to web-v3: the new version turns bad half-way")
    stage.start_cluster("web-v3")
    stage.await_up("web-v3")
    plan = stage.folder / "act2.yaml"
    plan.write_text(PLAN.format(name="release-3", to="web-v3"))
    stage.say(f"$ crossfade start act2.yaml        {stage.command('start', str(plan))}")
    turned = []

    def spoil(now):
        if not turned and (now["weight"]["actual"] or 0) >= 50:
            (stage.folder / "web-v3.bad").touch()
            turned.append(time.monotonic())
            stage.say("web-v3 now answers 500 to everything")

    held = stage.follow(
        60, lambda now: any(hold["reason"] == "errors" for hold in now["holds"]) and now["weight"]["actual"] == 0, spoil
    )
    demand(turned, "held before web-v3 turned bad")
    took = time.monotonic() - turned[0]
    sentence = next(hold["sentence"] for hold in held["holds"] if hold["reason"] == "errors")
    stage.say(f"weight 0 in force {took:.2f} s after the first bad answer")
    stage.say(f"why: {sentence}")
    demand(took <= 3, f"the retreat took {took:.2f} s")
    demand(held["state"] == "shifting", f"state {held['state']} after the retreat, not shifting")
    stage.say(f"$ crossfade abort                  {stage.command('abort', '--reason', 'release-3 answers 500')}")
    now = stage.follow(20, lambda now: now["state"] == "aborted")
    demand(now["live"] == "web-v2", "web-v2 is not the live cluster after the abort")


def count(stage, client):
    """Holds the client's counts, crossfade's and the servers' own logs against each other."""
    status = stage.status()
    print()
    print(f"  client: {client['sent']} sent, {client['answered']} answered, {client['failed']} failed, "
          f"{client['answered'] / client['seconds']:.0f} a second")
    print(f"  {'cluster':<8} {'client saw':>11} {'nginx logged':>13} {'of these 500':>13} {'crossfade counted':>18}")
    problems = []
    twice = 0
    for cluster in ("web-v1", "web-v2", "web-v3"):
        logged = stage.logged(cluster)
        lines = sum(len(statuses) for statuses in logged.values())
        bad = sum(statuses.count("500") for statuses in logged.values())
        twice += sum(1 for statuses in logged.values() if len(statuses) > 1)
        saw = client["by_cluster"].get(cluster, 0)
        counted = status["clusters"][cluster]["requests"]
        print(f"  {cluster:<8} {saw:>11} {lines:>13} {bad:>13} {counted:>18}")
        if lines - bad != saw:
            problems.append(f"{cluster}: {lines - bad} good answers in its log, the client saw {saw}")
        if lines != counted:
            problems.append(f"{cluster}: {lines} requests in its log, crossfade counted {counted}")
    rescued = status["clusters"]["web-v3"]["rescued"]
    print(f"  {rescued} requests that failed on web-v3 were answered by web-v2 instead; {twice} sent twice to one cluster")
    for text in client["failures"]:
        problems.append(text)
    demand(client["failed"] == 0, f"{client['failed']} requests failed: {client['failures'][:3]}")
    demand(client["answered"] == client["sent"], "some requests were never answered")
    demand(client["answered"] / client["seconds"] >= 500, "fewer than 500 requests a second")
    demand(not problems, "; ".join(problems))


def run(binary):
    stage = None
    with tempfile.TemporaryDirectory(prefix="crossfade-demo-") as name:
        stage = Stage(binary, Path(name))
        try:
            ports = free_ports(1 + 3 * SERVERS_PER_CLUSTER)
            for index, cluster in enumerate(("web-v1", "web-v2", "web-v3")):
                first = 1 + index * SERVERS_PER_CLUSTER
                stage.ports[cluster] = ports[first : first + SERVERS_PER_CLUSTER]
            stage.start_cluster("web-v1")
            stage.start_cluster("web-v2")
            stage.start_crossfade(ports[0])
            stage.say(f"web-v1 and web-v2 run, two nginx each; crossfade serves on port {ports[0]}")
            stage.start_client(ports[0])
            stage.say(f"a client sends {REQUESTS_PER_SECOND} requests a second and checks every answer")
            time.sleep(2)
            act_one(stage)
            act_two(stage)
            time.sleep(0.5)
            client = stage.stop_client()
            time.sleep(1.5)
            count(stage, client)
        except (Failure, OSError, subprocess.SubprocessError, KeyError) as why:
            print(f"\nDEMO FAILED: {why}", file=sys.stderr)
            log = stage.folder / "crossfade.log"
            if log.exists():
                print("".join(log.read_text(errors="replace").splitlines(True)[-40:]), file=sys.stderr)
            return 1
        finally:
            stage.close()
    print(f"\nDEMO PASSED in {time.monotonic() - stage.began:.0f} s: no request failed; the good release went through, "
          "the bad one was stopped.")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default=str(Path(__file__).parent.parent / "build/release/crossfade"))
    parser.add_argument("--client", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client is not None:
        asyncio.run(Client(options.client).run())
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    return run(options.binary)


if __name__ == "__main__":
    sys.exit(main())
