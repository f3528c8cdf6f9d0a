#!/usr/bin/python3
"""crossfade beside nginx, HAProxy and a bare TCP relay, on this machine.

Every proxy has one worker, pinned to one CPU; the load generator and the backend share another.
The figure to trust is CPU microseconds per request: scheduled time of all of a proxy's processes
(/proc/PID/task/*/schedstat) over the requests answered in the same window.  Windows are half a
second and interleaved (A B C A B C), so that a change of the machine's speed meets everybody.

    bench/run.py [--quick] [--realtime] [--only ROW,…] [--json FILE]
"""
import argparse
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

TREE = pathlib.Path(__file__).resolve().parent.parent
LOAD = TREE / "build/release/bench/bench_load"
CROSSFADE = TREE / "build/release/crossfade"

# name, path, kind, connections
ROWS = [
    ("GET 128 B", "/128", "get", 64),
    ("browser headers", "/400", "browser", 64),
    ("POST 1 KiB", "/128", "post", 64),
    ("64 KiB", "/65536", "get", 64),
    ("10 MiB", "/10485760", "get", 8),
    ("new connection", "/128", "new", 64),
    ("new connection, idle proxy", "/128", "new", 64),
    ("TLS keep-alive", "/128", "tls", 64),
    ("TLS full handshake", "/128", "tls-full", 32),
    ("TLS resumed", "/128", "tls-resumed", 32),
]
# A client that makes connections costs more than a proxy that takes them.  Where client and backend
# share a CPU they are the limit, and the row shows what falling asleep and being woken cost whoever
# has time to sleep.  So the backend stands beside the proxy, and the old arrangement is a row too.
BESIDE_PROXY = ["new connection"]
IDLE, TLS_IDLE = 5000, 2000
PIN = ["taskset", "-c"]  # the CPU follows


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port, name):
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"{name} does not listen on port {port}")


def family(pid):
    """A process and all its descendants."""
    pids = [pid]
    for each in pids:
        try:
            for task in os.listdir(f"/proc/{each}/task"):
                pids += map(int, open(f"/proc/{each}/task/{task}/children").read().split())
        except OSError:
            pass
    return pids


def cpu_us(pid):
    total = 0
    for each in family(pid):
        try:
            for task in os.listdir(f"/proc/{each}/task"):
                total += int(open(f"/proc/{each}/task/{task}/schedstat").read().split()[0])
        except OSError:
            pass
    return total / 1000


def pss_bytes(pid):
    total = 0
    for each in family(pid):
        try:
            for line in open(f"/proc/{each}/smaps_rollup"):
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        except OSError:
            pass
    return total


class Proxy:
    def __init__(self, name, command, port, log=subprocess.DEVNULL, tls_port=None):
        self.name, self.command, self.port, self.process = name, command, port, None
        self.tls_port = tls_port
        self.log = log

    def start(self, cpu):
        self.process = subprocess.Popen([*PIN, str(cpu), *map(str, self.command)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=self.log, start_new_session=True)
        wait_for(self.port, self.name)

    def stop(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def restart(self, cpu):
        """So that no memory that was freed before hides what is taken now."""
        self.stop()
        self.start(cpu)


def fill(template, folder, **values):
    text = (TREE / "bench" / template).read_text()
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    path = folder / f"{values['PORT']}-{template[:-3]}"
    path.write_text(text)
    return path


def make_certificate(folder):
    """ECDSA P-256, as one would have it today; the same for everybody."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=bench",
                    "-keyout", folder / "tls.key", "-out", folder / "tls.crt"],
                   check=True, capture_output=True)
    (folder / "tls.pem").write_text((folder / "tls.crt").read_text() +
                                    (folder / "tls.key").read_text())


def crossfade_config(folder, port, tls_port, backend):
    path = folder / "crossfade.yaml"
    path.write_text(f"""store: sqlite:{folder}/state.db
proxy: {{name: bench, state_dir: {folder}/state}}
admin: {{socket: {folder}/admin.sock}}
workers: 1
listeners:
  - {{bind: "127.0.0.1:{port}", service: web}}
  - bind: "127.0.0.1:{tls_port}"
    service: web
    tls: {{certificate: {folder}/tls.crt, key: {folder}/tls.key}}
services:
  web: {{live: old, clusters: [old, new]}}
clusters:
  old: "127.0.0.1:{backend}"
  new: "127.0.0.2:{backend}"
""")
    (folder / "state").mkdir(mode=0o700)
    return path


def make_proxies(folder, backend):
    proxies = []
    port = free_port()
    proxies.append(Proxy("relay", [LOAD, "relay", port, backend], port))
    make_certificate(folder)
    port, tls = free_port(), free_port()
    proxies.append(Proxy("crossfade", [CROSSFADE, "serve", "-c",
                                       crossfade_config(folder, port, tls, backend)], port,
                         tls_port=tls))
    if shutil.which("nginx"):
        port, tls = free_port(), free_port()
        config = fill("nginx.conf.in", folder, DIR=folder, PORT=port, TLS_PORT=tls,
                      BACKEND=backend)
        proxies.append(Proxy("nginx", ["nginx", "-c", config], port, tls_port=tls))
    if shutil.which("haproxy"):
        for name, size in (("haproxy", 16384), ("haproxy-big", 131072)):
            port, tls = free_port(), free_port()
            config = fill("haproxy.cfg.in", folder, DIR=folder, PORT=port, TLS_PORT=tls,
                          BACKEND=backend, BUFSIZE=size)
            proxies.append(Proxy(name, ["haproxy", "-q", "-db", "-f", config], port,
                                 tls_port=tls))
    return proxies


def window(proxy, row, seconds, cpu):
    _, path, kind, connections = row
    port = proxy.tls_port if kind.startswith("tls") else proxy.port
    load = subprocess.Popen([*PIN, str(cpu), LOAD, "client", str(port), path, kind,
                             str(connections), str(seconds)], stdout=subprocess.PIPE, text=True)
    load.stdout.readline()
    before, from_s = cpu_us(proxy.process.pid), time.monotonic()
    result = json.loads(load.stdout.readline())
    used, lasted = cpu_us(proxy.process.pid) - before, time.monotonic() - from_s
    load.wait()
    return {"cpu_us": used / max(1, result["requests"]), "busy": used / 1e6 / lasted,
            "rps": result["requests"] / result["seconds"], "p99_us": result["p99_us"],
            "failed": result["failed"]}


def idle_bytes(proxy, count, cpu, tls=False):
    before = pss_bytes(proxy.process.pid)
    load = subprocess.Popen([*PIN, str(cpu), LOAD, "tls-idle" if tls else "idle",
                             str(proxy.tls_port if tls else proxy.port), str(count)],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    load.stdout.readline()
    time.sleep(0.5)
    after = pss_bytes(proxy.process.pid)
    load.stdin.close()
    load.wait()
    return (after - before) / count


def median(values):
    return statistics.median(values)


def spread(values):
    return (max(values) - min(values)) / median(values) * 100 if median(values) > 0 else 0


def measure(proxies, backend, rows, repetitions, seconds):
    table = {}
    for row in rows:
        os.sched_setaffinity(backend.process.pid, {0 if row[0] in BESIDE_PROXY else 1})
        able = [p for p in proxies if p.tls_port or not row[2].startswith("tls")]
        runs = {p.name: [] for p in able}
        for _ in range(repetitions):
            for proxy in able:
                runs[proxy.name].append(window(proxy, row, seconds, 1))
        table[row[0]] = {name: {
            "cpu_us": median([r["cpu_us"] for r in seen]),
            "spread": spread([r["cpu_us"] for r in seen]),
            "rps": median([r["rps"] for r in seen]),
            "p99_us": median([r["p99_us"] for r in seen]),
            "busy": median([r["busy"] for r in seen]),
            "failed": sum(r["failed"] for r in seen),
        } for name, seen in runs.items()}
        print_row(row[0], table[row[0]])
    return table


def print_row(name, cells):
    print(f"\n{name}")
    ours = cells["crossfade"]["cpu_us"]
    for peer, cell in cells.items():
        ratio = "" if peer == "crossfade" else f"  ours/{peer} {cell['cpu_us'] / ours:5.2f}"
        note = "saturated" if cell["busy"] > 0.9 else f"busy {cell['busy'] * 100:.0f} %"
        failed = f"  FAILED {cell['failed']}" if cell["failed"] else ""
        print(f"  {peer:12} {cell['cpu_us']:10.1f} us  {cell['rps']:9.0f}/s  "
              f"p99 {cell['p99_us'] / 1000:7.2f} ms  spread {cell['spread']:3.0f} %  "
              f"{note}{ratio}{failed}")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="three repetitions, under 3 minutes")
    parser.add_argument("--only", help="rows, by the beginning of their names, with commas")
    parser.add_argument("--realtime", action="store_true",
                        help="under SCHED_RR, so that nothing else on the machine counts (root)")
    parser.add_argument("--json", help="write the table there as well")
    arguments = parser.parse_args()
    if arguments.realtime:
        PIN[:0] = ["chrt", "-r", "10"]
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(20))  # or it would look too late
    rows = ROWS
    if arguments.only:
        wanted = arguments.only.lower().split(",")
        rows = [r for r in ROWS if any(r[0].lower().startswith(w) for w in wanted)]
    print(f"{os.uname().release}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}; "
          "ratios are requests per CPU-second, ours to theirs")
    with tempfile.TemporaryDirectory(prefix="crossfade-bench-") as name:
        folder, backend_port = pathlib.Path(name), free_port()
        os.chmod(folder, 0o755)
        backend = Proxy("backend", [LOAD, "backend", backend_port], backend_port)
        proxies = make_proxies(folder, backend_port)
        try:
            backend.start(1)
            for proxy in proxies:
                proxy.start(0)
            idle, tls_idle = {}, {}
            if not arguments.only or "tls-idle" in arguments.only:
                print(f"\nidle TLS connections ({TLS_IDLE})")
                for proxy in [p for p in proxies if p.tls_port]:
                    proxy.restart(0)
                    tls_idle[proxy.name] = idle_bytes(proxy, TLS_IDLE, 1, tls=True)
                    print(f"  {proxy.name:12} {tls_idle[proxy.name]:8.0f} bytes each")
            if not arguments.only or "idle" in arguments.only.split(","):
                print(f"\nidle keep-alive connections ({IDLE})")
                for proxy in proxies:
                    proxy.restart(0)
                    idle[proxy.name] = idle_bytes(proxy, IDLE, 1)
                    print(f"  {proxy.name:12} {idle[proxy.name]:8.0f} bytes each")
            table = measure(proxies, backend, rows, 3 if arguments.quick else 7, 0.5)
        finally:
            for proxy in [*proxies, backend]:
                proxy.stop()
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps({"rows": table, "idle": idle, "tls_idle": tls_idle},
                                                           indent=1))


if __name__ == "__main__":
    main()
