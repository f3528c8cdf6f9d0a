"""processes.py -- starting processes, looking at them through /proc, and ending them by id."""

import os
import signal
import subprocess
import time
from pathlib import Path


class Started:
    """A process started by a test; it is always ended, by its id alone."""

    def __init__(self, arguments, log_path, **options):
        self.log_path = Path(log_path)
        with open(self.log_path, "ab") as log:
            self.popen = subprocess.Popen([str(a) for a in arguments], stdin=subprocess.DEVNULL,
                                          stdout=log, stderr=log, start_new_session=True,
                                          **options)
        self.pid = self.popen.pid

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    def running(self):
        return self.popen.poll() is None

    def signal(self, number):
        self.popen.send_signal(number)

    def wait(self, timeout):
        """The exit code; fails if the process is still there after `timeout` seconds."""
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"process {self.pid} did not end within {timeout} s") from error

    def end(self):
        pids = [each.pid for each in descendants(self.pid)]
        if self.running():
            self.popen.kill()
            self.popen.wait()
        for pid in pids:  # what would otherwise outlive a supervisor that was just killed
            kill_quietly(pid)


def kill_quietly(pid, number=signal.SIGKILL):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


class Seen:
    """A process as /proc shows it."""

    def __init__(self, pid, name, state, parent):
        self.pid, self.name, self.state, self.parent = pid, name, state, parent

    def __repr__(self):
        return f"{self.name}[{self.pid}]"


def look(pid):
    """The process, or None where there is none (a zombie is none)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    name = text[text.index("(") + 1:text.rindex(")")]
    fields = text[text.rindex(")") + 2:].split()
    return None if fields[0] in "ZX" else Seen(pid, name, fields[0], int(fields[1]))


def everything():
    seen = (look(int(entry)) for entry in os.listdir("/proc") if entry.isdigit())
    return [each for each in seen if each is not None]


def children(pid):
    return sorted((each for each in everything() if each.parent == pid), key=lambda each: each.pid)


def descendants(pid):
    found = []
    for child in children(pid):
        found += [child] + descendants(child.pid)
    return found


def alive(pid):
    return look(pid) is not None


def memory_kib(pid, field="VmRSS"):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise AssertionError(f"process {pid} has no {field}")


def cpu_seconds(pid):
    text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    fields = text[text.rindex(")") + 2:].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_gone(pids, timeout):
    """Waits until none of the processes is there; returns those that still are."""
    end = time.monotonic() + timeout
    left = list(pids)
    while left and time.monotonic() < end:
        left = [pid for pid in left if alive(pid)]
        if left:
            time.sleep(0.02)
    return left
