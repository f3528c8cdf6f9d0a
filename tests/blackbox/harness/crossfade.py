"""crossfade.py -- the program under test, as a process with a configuration of its own."""

import json
import os
import signal
import subprocess
from pathlib import Path

import yaml

from . import net, processes
from .raw import Raw, request

TREE = Path(__file__).resolve().parents[3]


def binary():
    named = os.environ.get("CROSSFADE_BINARY") or os.environ.get("CROSSFADE_BIN")
    return Path(named) if named else TREE / "build/release/crossfade"


def sanitized():
    """Whether the program under test is slowed down by sanitizers, or by Valgrind."""
    return "/dev/" in str(binary()) or valgrind()


def valgrind():
    """Whether daemons are to run under Valgrind's memcheck, which makes them some 30 times slower."""
    return bool(os.environ.get("CROSSFADE_VALGRIND"))


class Done:
    """What a command of the program printed, and its exit code."""

    def __init__(self, completed):
        self.code, self.out, self.err = completed.returncode, completed.stdout, completed.stderr

    @property
    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"<exit {self.code}\nstdout: {self.out}\nstderr: {self.err}>"


class Crossfade:
    """`crossfade serve` in a folder, or another daemon (`verb`).

    clusters: {name: [address, …]}; live: the first by default.  `extra` is merged over the
    generated configuration, one level deep.
    """

    def __init__(self, folder, clusters, live=None, workers=2, service="gateway", extra=None,
                 arguments=(), environment=None, verb="serve"):
        self.folder = Path(folder)
        self.port = net.free_port()
        self.service = service
        self.verb = verb
        self.socket = self.folder / "admin.sock"
        self.config_path = self.folder / "crossfade.yaml"
        self.arguments = list(arguments)
        self.environment = {**os.environ, **(environment or {})}
        self.process = None
        self.config = {
            "proxy": {"state_dir": str(self.folder / "state")},
            "admin": {"socket": str(self.socket)},
            "workers": workers,
            "listeners": [{"bind": f"127.0.0.1:{self.port}", "service": service}],
            "services": {service: {"live": live or next(iter(clusters)),
                                   "clusters": list(clusters)}},
            "clusters": {name: {"servers": list(servers)} for name, servers in clusters.items()},
        }
        if valgrind():  # where a handshake alone takes seconds
            self.config["timeouts"] = {"header": "2m"}
        for key, value in (extra or {}).items():
            if isinstance(value, dict) and isinstance(self.config.get(key), dict):
                self.config[key].update(value)
            else:
                self.config[key] = value
        self.write_config()

    def write_config(self, text=None):
        self.config_path.write_text(yaml.safe_dump(self.config) if text is None else text)

    # The process.

    def start(self, ready=True, timeout=30):
        seen = len(self.log)
        self.process = processes.Started(
            [*self.checker(), binary(), self.verb, "-c", self.config_path, *self.arguments],
            self.folder / "crossfade.log", env=self.environment)
        if ready:
            self.wait_ready(timeout * 5 if valgrind() else timeout, seen)
        return self

    def checker(self):
        """What the program runs in; each of its processes reports to a file of its own."""
        if not valgrind():
            return []
        return ["valgrind", "-q", "--trace-children=yes", "--vgdb=no", "--leak-check=no",
                f"--log-file={self.folder}/valgrind.%p"]

    def checked(self):
        """What Valgrind complained about, in all processes."""
        return "".join(file.read_text(errors="replace")
                       for file in sorted(self.folder.glob("valgrind.*")))

    def wait_ready(self, timeout=30, seen=0):
        """Until every worker accepts and a request is answered; `seen`: where the log began."""
        def answers():
            assert self.process.running(), "crossfade ended: " + self.log[-2000:]
            if "event=edition.serving" not in self.log[seen:]:
                return False
            try:
                return request(self.port, "/").status == 200
            except Exception:  # not yet, whatever it is
                return False
        net.wait_until(answers, timeout, "an answer through the proxy")

    @property
    def pid(self):
        return self.process.pid

    @property
    def log(self):
        return self.process.log if self.process is not None else ""

    def signal(self, number):
        self.process.signal(number)

    def reload(self):
        self.signal(signal.SIGHUP)

    def terminate(self, timeout=10):
        """SIGTERM, then the exit code."""
        self.signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def end(self):
        if self.process is not None:
            self.process.end()

    # Its children, by the names that they give themselves.

    def children(self, prefix="cf-"):
        found = processes.children(self.pid)
        return [each for each in found if each.name.startswith(prefix)]

    def workers(self):
        return self.children("cf-worker-")

    def child(self, name):
        """`agent`, `shifter` or `logger`."""
        found = self.children(f"cf-{name}")
        assert len(found) == 1, f"{name}: {found}"
        return found[0]

    def wait_child_replaced(self, name, old_pid, timeout=10):
        def replaced():
            found = [each for each in self.children(f"cf-{name}") if each.pid != old_pid]
            return found[0] if found else None
        return net.wait_until(replaced, timeout, f"a new {name}")

    # The command line and the admin socket.

    def cli(self, *arguments, timeout=60, check=None):
        """Runs a verb against this daemon.  `check` is the exit code expected."""
        done = Done(subprocess.run(
            [str(binary()), *map(str, arguments)], capture_output=True, text=True,
            timeout=timeout, stdin=subprocess.DEVNULL,
            env={**self.environment, "CROSSFADE_SOCKET": str(self.socket)}, check=False))
        assert check is None or done.code == check, f"crossfade {arguments}: {done}"
        return done

    def status(self, *arguments):
        return self.cli("status", "-o", "json", *arguments, check=0).json

    def plan(self, text, name="plan.yaml"):
        """Writes a plan (text or a value) and returns its path."""
        path = self.folder / name
        path.write_text(text if isinstance(text, str) else yaml.safe_dump(text, sort_keys=False))
        return path

    def wait_status(self, condition, timeout=20, what="the status", service=None):
        """Waits until condition(status) is true and returns that status."""
        which = ["--service", service] if service else []
        last = {}

        def fulfilled():
            done = self.cli("status", "-o", "json", *which)
            if done.code != 0:
                return None
            last.clear()
            last.update(done.json)
            return last if condition(last) else None
        try:
            return net.wait_until(fulfilled, timeout, what, every=0.05)
        except AssertionError as error:
            raise AssertionError(f"{error}; last: {json.dumps(last)[:3000]}") from error

    def admin(self, path, method="GET", body=None):
        """One request on the admin socket."""
        data = b"" if body is None else json.dumps(body).encode()
        with Raw(0, unix=self.socket) as connection:
            return connection.get(path, method=method, body=data, host="localhost",
                                  headers=[("Content-Type", "application/json")] if data else [])

    def metrics(self):
        """{`name{labels}`: value} of /metrics."""
        answer = self.admin("/metrics")
        assert answer.status == 200
        found = {}
        for line in answer.body.decode().splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                found[name] = float(value)
        return found
