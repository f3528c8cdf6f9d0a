"""conftest.py -- one Chromium and one crossfade for the tests of a file.

The harness is the black-box tests'.  Whatever is started here is ended by its process id.
"""

import importlib.util
import sys
import tempfile
from pathlib import Path

import pytest

BLACKBOX = Path(__file__).resolve().parents[1] / "blackbox"
sys.path[:0] = [str(Path(__file__).parent), str(BLACKBOX)]

from chromium import Chromium, Page  # noqa: E402
from harness import net  # noqa: E402
from harness.crossfade import Crossfade  # noqa: E402
from harness.upstream import Nginx  # noqa: E402

spec = importlib.util.spec_from_file_location("blackbox_conftest", BLACKBOX / "conftest.py")
blackbox = importlib.util.module_from_spec(spec)
spec.loader.exec_module(blackbox)

pytest_sessionstart = blackbox.pytest_sessionstart


class World:
    """crossfade before two nginx, with an admin port and a token of each role."""

    def __init__(self, folder, started):
        self.webs = {}
        for name in ("web-v1", "web-v2"):
            self.webs[name] = Nginx(folder, name)
            started.append(self.webs[name])
        self.number = net.free_port()
        self.url = f"http://127.0.0.1:{self.number}/"
        clusters = {name: [web.address] for name, web in self.webs.items()}
        self.proxy = Crossfade(folder, clusters)
        started.append(self.proxy)
        config = self.proxy.config
        config["services"]["second"] = {"live": "web-v1", "clusters": list(clusters)}
        config["listeners"].append({"bind": f"127.0.0.1:{net.free_port()}", "service": "second"})
        config["admin"].update(listen=f"127.0.0.1:{self.number}",
                               tokens_file=str(folder / "tokens"))
        self.proxy.write_config()
        self.tokens = {role: self.cli("token", "add", "--role", role, "--name", role, "-c",
                                      self.proxy.config_path).out.strip()
                       for role in ("viewer", "operator")}
        self.proxy.start()

    def cli(self, *arguments, check=0):
        return self.proxy.cli(*arguments, check=check)

    def steer(self, verb, *arguments, check=0):
        return self.cli(verb, *arguments, "--service", "gateway", "--actor", "ops@host",
                        check=check)

    def status(self):
        return self.proxy.status("--service", "gateway")

    def history(self):
        return self.cli("history", "--service", "gateway", "-o", "json").json["entries"]

    def start(self, steps):
        """Begins a cutover; the one before is given up."""
        if self.status()["state"] not in ("idle", "aborted", "finalized"):
            self.steer("abort")
        self.steer("start", self.proxy.plan({"name": "release", "service": "gateway",
                                             "to": "web-v2", "steps": steps}))


@pytest.fixture(scope="module")
def things():
    """A folder that workers may enter, and what is ended in the end."""
    with tempfile.TemporaryDirectory(prefix="crossfade-browser-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        started = []
        try:
            yield folder, started
        finally:
            for thing in reversed(started):
                thing.end()
        for thing in started:
            if isinstance(thing, Crossfade):
                found = blackbox.SANITIZER.search(thing.log)
                assert found is None, thing.log[found.start():found.start() + 4000]


@pytest.fixture(scope="module")
def world(things):
    return World(*things)


@pytest.fixture(scope="module")
def tab(things):
    folder, started = things
    browser = Chromium(folder / "chromium")
    started.append(browser)
    return Page(browser)


@pytest.fixture
def page(world, tab):
    """page("operator") is the dashboard, fresh and signed in as that role.

    What the browser complained about (an exception, a breach of the page's policy) fails the test.
    """
    def make(role=None, name="gateway", **options):
        tab.open(world.url, **options)
        if role is not None:
            tab.wait("document.querySelector('#sign-in')?.checkVisibility()")
            tab.type("#token", world.tokens[role])
            tab.press("Enter")
            tab.wait_text("#service-name", name)
        return tab
    yield make
    assert tab.complaints() == []
