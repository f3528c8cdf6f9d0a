"""redis.py -- a real redis-server of a test, and what a test does to it."""

import shutil
import signal
import subprocess
from pathlib import Path

from . import net
from .processes import Started


class Redis:
    """One redis-server on a port from the kernel.  Killed, it forgets, but with `--appendonly yes`."""

    def __init__(self, folder, name="redis", arguments=(), port=None, start=True):
        assert shutil.which("redis-server"), "redis-server is needed"
        self.folder = Path(folder) / name
        self.folder.mkdir(exist_ok=True)
        self.port = port or net.free_port()
        self.arguments = [str(each) for each in arguments]
        self.process = None
        if start:
            self.start()

    def start(self):
        self.process = Started(
            ["redis-server", "--port", self.port, "--bind", "127.0.0.1", "--save", "", "--dbfilename", "dump.rdb",
             "--dir", self.folder, "--repl-diskless-sync-delay", "0", *self.arguments], self.folder / "redis.log")
        net.wait_until(lambda: net.accepts(self.port), 15, "redis-server")

    def run(self, *words, timeout=10):
        return subprocess.run(["redis-cli", "-p", str(self.port), *map(str, words)], capture_output=True, text=True,
                              timeout=timeout, check=False)

    def command(self, *words):
        done = self.run(*words)
        assert done.returncode == 0, done
        return done.stdout

    def run_all(self, *lines):
        """Several commands over one connection."""
        return subprocess.run(["redis-cli", "-p", str(self.port)], input="\n".join(lines) + "\n", capture_output=True,
                              text=True, timeout=10, check=True).stdout

    def keys(self):
        return self.command("--scan").split()

    def kill(self):
        self.process.signal(signal.SIGKILL)
        self.process.wait(5)

    def freeze(self):
        self.process.signal(signal.SIGSTOP)

    def thaw(self):
        self.process.signal(signal.SIGCONT)

    def end(self):
        if self.process is not None:
            self.process.end()
