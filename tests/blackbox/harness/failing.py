"""failing.py -- memory that cannot be had: failing_malloc.c, compiled, preloaded and told what to do."""

import mmap
import struct
import subprocess
from pathlib import Path

EVER = 0xFFFFFFFF
SIZE = 48


class Failing:
    """Starts with no failure.  `environment` is for the processes; the workers are concerned at first."""

    def __init__(self, folder):
        self.path = folder / "failing"
        self.path.write_bytes(bytes(SIZE))
        self.path.chmod(0o666)
        library = folder / "failing_malloc.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library,
                        Path(__file__).with_name("failing_malloc.c")], check=True)
        self.environment = {"LD_PRELOAD": str(library), "CROSSFADE_FAIL_MALLOC": str(self.path)}
        with open(self.path, "r+b") as file:
            self.told = mmap.mmap(file.fileno(), SIZE)
        self.whom("cf-worker")

    def put(self, at, number):
        self.told[at:at + 4] = struct.pack("=I", number)

    def got(self, at):
        return struct.unpack("=I", self.told[at:at + 4])[0]

    def whom(self, who):
        """A process id, or how the names of the processes begin."""
        self.calm()
        self.put(20, who if isinstance(who, int) else 0)
        self.told[32:48] = (who if isinstance(who, str) else "").encode().ljust(16, b"\0")

    def let(self, one_in):
        """One call in so many fails, until the next order; 0: none."""
        self.put(0, one_in)

    def arm(self, first, last=None):
        """The calls from `first` on fail, counted from now: one, or up to `last`."""
        self.put(8, 0)
        self.put(12, first if last is None else last)
        self.put(16, 0)
        self.put(8, first)

    def calm(self):
        """Nothing fails any more; returns how many calls were counted since arm()."""
        self.put(8, 0)
        self.put(0, 0)
        return self.got(16)

    @property
    def failed(self):
        """How many calls failed so far."""
        return self.got(4)

    @property
    def live(self):
        """Allocations that the process named by its id has; only the difference means anything."""
        return struct.unpack("=q", self.told[24:32])[0]
