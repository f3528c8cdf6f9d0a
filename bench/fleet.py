#!/usr/bin/python3
"""fleet.py -- the scale that one leader and one Redis carry: bench/README.md has the table.

    bench/fleet.py [--proxies 1000] [--changes 40] [--realtime] [--log-days 30]

Starts redis-server and `crossfade shifter` of the release build, and bench_fleet as their proxies;
prints what a core each of them takes, the leader's memory, and how fast a weight is everywhere.
With --log-days the log holds a change every five seconds (a ramp's pace, nothing is faster) of so
many days before the fleet comes, some of them older than is kept, and the history is read.
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
CHANGE_EVERY_S = 5
TICKS = os.sysconf("SC_CLK_TCK")
CONFIG = """store: redis://127.0.0.1:{port}/0
proxy: {{name: bench, state_dir: {folder}/{who}}}
admin: {{socket: {folder}/{who}.sock}}
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


def memory_mib(pids, file, field):
    """Of the largest of them."""
    largest = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
            if line.startswith(field + ":"):
                largest = max(largest, int(line.split()[1]) / 1024)
    return round(largest, 1)


# ---- the log of many days ----

def redis_command(*words):
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part)
                                              for part in parts)


def redis_cli(port, *words):
    return subprocess.run(["redis-cli", "-p", str(port), *words], check=True,
                          stdout=subprocess.PIPE, text=True).stdout.strip()


def fill_log(port, days):
    """Puts days of changes before the one that made the service; returns how many."""
    state, log = "cf:{default:web}:state", "cf:{default:web}:log"
    while redis_cli(port, "HGET", state, "generation") != "1":
        time.sleep(0.2)
    while redis_cli(port, "GET", "cf:{default:web}:progress") == "":
        time.sleep(0.2)  # the leader leads
    write_id = redis_cli(port, "HGET", state, "write_id")
    count, now = days * 86400 // CHANGE_EVERY_S, int(time.time() * 1000)
    entry = {"at": "2026-11-22T12:00:00.000Z", "actor": "crossfade", "verb": "ramp", "reason": "",
             "cutover": "bench/1", "before": {"state": "shifting", "weight": 10.0, "step": 1},
             "after": {"state": "shifting", "weight": 10.1, "step": 1}, "sentence": "ramp: 10.1%",
             "verdict": None, "epoch": 1, "held": []}
    text = json.dumps(entry, separators=(",", ":"))
    with subprocess.Popen(["redis-cli", "-p", str(port), "--pipe"], stdin=subprocess.PIPE,
                          stdout=subprocess.DEVNULL) as pipe:
        pipe.stdin.write(redis_command("DEL", log))
        for number in range(1, count + 1):
            at = now - (count - number) * CHANGE_EVERY_S * 1000 - 600_000
            own = write_id if number == count else f"00000000-0000-4000-8000-{number:012x}"
            pipe.stdin.write(redis_command("XADD", log, f"{number}-0", "write_id", own, "at", at,
                                           "entry", text))
        pipe.stdin.write(redis_command("HSET", state, "generation", count))
        pipe.stdin.close()
    return int(redis_cli(port, "XLEN", log))


def start(what, config, folder):
    with open(Path(folder) / f"{what}.log", "ab") as log:
        return subprocess.Popen([BUILD / "crossfade", what, "-c", config], stdout=log, stderr=log)


def read_history(config, folder, port, result, running):
    """Through a real proxy: all that one answer may hold, and what the leader kept of the log."""
    running.append(start("proxy", config, folder))
    history = [BUILD / "crossfade", "--socket", Path(folder) / "proxy.sock", "history", "--count",
               "1000", "--verify", "-o", "json"]
    for _ in range(100):
        answer = subprocess.run(history, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                check=False)
        if answer.returncode == 0:
            break
        time.sleep(0.2)
    result["history_entries"] = len(json.loads(answer.stdout)["entries"])
    result["log_entries_kept"] = int(redis_cli(port, "XLEN", "cf:{default:web}:log"))


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
    parser.add_argument("--log-days", type=int, default=0, help="days of changes in the log")
    options = parser.parse_args()
    if options.realtime:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(10))  # and all that it starts
    running = []
    with tempfile.TemporaryDirectory(prefix="xf-fleet-") as folder:
        port = free_port()
        config = Path(folder) / "crossfade.yaml"
        config.write_text(CONFIG.format(port=port, folder=folder, who="shifter",
                                        listen=free_port()))
        proxy = Path(folder) / "proxy.yaml"
        proxy.write_text(CONFIG.format(port=port, folder=folder, who="proxy", listen=free_port()))
        try:
            redis = subprocess.Popen(["redis-server", "--port", str(port), "--save", "", "--dir",
                                      folder, "--loglevel", "warning", "--appendonly", "no"])
            running.append(redis)
            time.sleep(0.5)
            shifter = start("shifter", config, folder)
            running.append(shifter)
            result = {}
            if options.log_days > 0:
                result["log_entries"] = fill_log(port, options.log_days)
                shifter.terminate()
                shifter.wait()
                running[-1] = shifter = start("shifter", config, folder)
            fleet = subprocess.Popen([BUILD / "bench/bench_fleet", config, str(options.proxies),
                                      str(options.changes)], stdout=subprocess.PIPE, text=True)
            running.append(fleet)
            expect(fleet, "steady")
            pids = family(shifter.pid)
            began, leader, store = time.monotonic(), cpu_seconds(pids), cpu_seconds([redis.pid])
            own = cpu_seconds([fleet.pid])
            expect(fleet, "rested")
            took = time.monotonic() - began
            result |= {"leader_cores": round((cpu_seconds(pids) - leader) / took, 3),
                       "redis_cores": round((cpu_seconds([redis.pid]) - store) / took, 3),
                       "bench_cores": round((cpu_seconds([fleet.pid]) - own) / took, 3)}
            result.update(json.loads(fleet.stdout.readline()))
            if options.log_days > 0:
                read_history(proxy, folder, port, result, running)
            result |= {"leader_pss_mib": memory_mib(pids, "smaps_rollup", "Pss"),
                       "leader_rss_peak_mib": memory_mib(pids, "status", "VmHWM"),
                       "load": round(os.getloadavg()[0], 1)}
            print(json.dumps(result, indent=1))
        finally:
            for process in reversed(running):
                process.terminate()
                process.wait()


if __name__ == "__main__":
    main()
