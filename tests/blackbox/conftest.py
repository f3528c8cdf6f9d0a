"""conftest.py -- fixtures of the black-box tests.

Whatever a test starts is ended by its process id; when it fails, the proxy's log is printed.
"""

import re
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness.crossfade import Crossfade, binary  # noqa: E402
from harness.scripted import Scripted  # noqa: E402
from harness.upstream import Nginx, Upstream  # noqa: E402
from kong_world import Postgres  # noqa: E402

SANITIZER = re.compile(r"ERROR: (Address|Leak|Undefined)\w*Sanitizer|runtime error: |"
                       r"event=assertion\.failed|ERROR: Can't open file")


def pytest_sessionstart():
    if not binary().exists():
        pytest.exit(f"{binary()} is not built", returncode=2)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call":
        item.failed = report.failed


@pytest.fixture
def folder(tmp_path):
    tmp_path.chmod(0o755)  # workers run as another user
    return tmp_path


@pytest.fixture
def started(request):
    """Things with an end() and perhaps a log; all are ended after the test."""
    things = []
    yield things
    for thing in reversed(things):
        thing.end()
    for thing in things:
        log = getattr(thing, "log", None)
        if isinstance(thing, Crossfade) and log:
            if getattr(request.node, "failed", True):
                print(f"---- log of crossfade in {thing.folder} ----\n{log[-20000:]}")
            assert thing.checked() == "", thing.checked()[:4000]
            found = SANITIZER.search(log)
            assert found is None, log[max(0, found.start() - 500):found.start() + 4000]


@pytest.fixture
def upstream(folder, started):
    """upstream("v1") starts a small server that logs every request it executes."""
    def make(name="v1"):
        thing = Upstream(folder, name)
        started.append(thing)
        return thing
    return make


@pytest.fixture
def scripted(started):
    """scripted(serve) starts a server that hands each connection's socket to `serve`."""
    def make(serve):
        thing = Scripted(serve)
        started.append(thing)
        return thing
    return make


@pytest.fixture
def nginx(folder, started):
    """nginx("v1") starts a real nginx."""
    def make(name="v1"):
        thing = Nginx(folder, name)
        started.append(thing)
        return thing
    return make


@pytest.fixture(scope="module")
def postgres():
    """A real PostgreSQL, without databases, for the tests of one file."""
    # A folder of its own: another user runs the server, and pytest's folders are closed to it.
    with tempfile.TemporaryDirectory(prefix="crossfade-postgres-") as folder:
        server = Postgres(folder)
        try:
            yield server.start()
        finally:
            server.stop()


@pytest.fixture
def crossfade(folder, started):
    """crossfade({"web-v1": [address]}) starts `crossfade serve`; start=False only prepares it."""
    def make(clusters, start=True, **options):
        place = folder / f"crossfade-{len(started)}"
        place.mkdir(mode=0o755)
        thing = Crossfade(place, clusters, **options)
        started.append(thing)
        return thing.start() if start else thing
    return make
