#!/usr/bin/python3
"""fleet.py -- the scale that one leader and one Redis carry: bench/README.md has the table.

    bench/fleet.py [--proxies 1000] [--changes 40] [--realtime]

Starts redis-server and `crossfade shifter` of the release build, and bench_fleet as their proxies;
prints what a core each of them takes, the leader's memory, and how fast a weight is everywhere.
"""

import argparse
import json
import os
import socket
import subprocess
import tempfile
import time
from pathlib import Path

BUILD = Path(__file__).resolve().parent.parent / "build/release"
TICKS = os.sysconf("SC_CLK_TCK")
CONFIG = """store: redis://127.0.0.1:{port}/0
proxy: {{name: bench, state_dir: {folder}}}
admin: {{socket: {folder}/admin.sock}}
listeners: [{{bind: "127.0.0.1:{listen}", service: web}}]
services: {{web: {{live: v1, clusters: [v1, v2]}}}}
clusters: {{v1: "10.0.0.1:80", v2: "10.0.0.2:80"}}
"""


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def family(pid):
    """The process and its children."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += family(int(child))
    return found


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def memory_mib(pids):
    largest = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                largest = max(largest, int(line.split()[1]) / 1024)
    return largest


def expect(process, word):
    for line in process.stdout:
        if line.strip() == word:
            return
    raise SystemExit(f"bench_fleet ended before it said {word}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--proxies", type=int, default=1000)
    parser.add_argument("--changes", type=int, default=40)
    parser.add_argument("--realtime", action="store_true",
                        help="under SCHED_RR, so that nothing else on the machine counts (root)")
    options = parser.parse_args()
    if options.realtime:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(10))  # and all that it starts
    running = []
    with tempfile.TemporaryDirectory(prefix="xf-fleet-") as folder:
        port = free_port()
        config = Path(folder) / "crossfade.yaml"
        config.write_text(CONFIG.format(port=port, folder=folder, listen=free_port()))
        try:
            redis = subprocess.Popen(["redis-server", "--port", str(port), "--save", "", "--dir",
                                      folder, "--loglevel", "warning", "--appendonly", "no"])
            running.append(redis)
            time.sleep(0.5)
            with open(Path(folder) / "shifter.log", "wb") as log:
                shifter = subprocess.Popen([BUILD / "crossfade", "shifter", "-c", config],
                                           stdout=log, stderr=log)
            running.append(shifter)
            fleet = subprocess.Popen([BUILD / "bench/bench_fleet", config, str(options.proxies),
                                      str(options.changes)], stdout=subprocess.PIPE, text=True)
            running.append(fleet)
            expect(fleet, "steady")
            pids = family(shifter.pid)
            began, leader, store = time.monotonic(), cpu_seconds(pids), cpu_seconds([redis.pid])
            own = cpu_seconds([fleet.pid])
            expect(fleet, "rested")
            took = time.monotonic() - began
            result = {"leader_cores": round((cpu_seconds(pids) - leader) / took, 3),
                      "redis_cores": round((cpu_seconds([redis.pid]) - store) / took, 3),
                      "bench_cores": round((cpu_seconds([fleet.pid]) - own) / took, 3),
                      "leader_pss_mib": round(memory_mib(pids), 1),
                      "load": os.getloadavg()[0]}
            result.update(json.loads(fleet.stdout.readline()))
            print(json.dumps(result, indent=1))
        finally:
            for process in reversed(running):
                process.terminate()
                process.wait()


if __name__ == "__main__":
    main()
