"""The runbook (shifter/KONG.md): its command blocks run in order, for each kind of deployment.

Kong's nodes and its `kong migrations` are emulated; PostgreSQL, pg_dump and crossfade are real.
What a person does by hand between the blocks (addresses, starting and stopping nodes) is in `World`.
"""

import os
import re
import socket
import stat
import subprocess
import time
from pathlib import Path

import pytest

from harness import net, processes
from harness.crossfade import binary
from kong_world import ADDED_BY_3_1, Node, fresh

pytestmark = pytest.mark.long

PAGE = Path(__file__).resolve().parents[2] / "shifter" / "KONG.md"
BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def lines_of(chapter):
    """The lines of a chapter's command blocks, in order."""
    text = PAGE.read_text()
    found = re.search(rf"^## {chapter}\. .*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"chapter {chapter} is gone"
    return [line.strip() for block in BLOCK.findall(found[0]) for line in block.splitlines() if line.strip()]


class World:
    def __init__(self, folder, postgres):
        self.folder = Path(folder)
        self.postgres = postgres
        self.port, self.admin_port = net.free_port(), net.free_port()
        self.blue = [self.node("3.0.0"), self.node("3.0.0")]
        self.green = [self.node("3.1.0"), self.node("3.1.0")]
        self.blue_admin, self.green_admin = self.node("3.0.0"), self.node("3.1.0")
        plane = {"id": "1", "hostname": "dp", "last_seen": int(time.time()) + 60, "sync_status": "normal",
                 "config_hash": "a" * 32}
        self.green_admin.pages["/clustering/data-planes"] = {"data": [plane], "next": None}
        self.green_admin.pages["/routes"] = {"data": [], "next": None}
        self.closed = set()
        self.serving = None
        postgres.sql("postgres", "DROP DATABASE IF EXISTS kong_31")
        postgres.make("kong", fresh("3.0"))
        self.make_kong()
        self.environment = {
            **os.environ, "PATH": f"{self.folder}/bin:{os.environ['PATH']}", "PGHOST": "127.0.0.1",
            "PGPORT": str(postgres.port), "PGUSER": "kong", "CROSSFADE_SOCKET": str(self.folder / "admin.sock"),
        }

    def node(self, version):
        made = Node(version)
        made.pages["/orders"] = {"version": version}
        return made

    def make_kong(self):
        """`kong migrations up|finish`: what 3.1 does to a database of 3.0; finish has nothing to do."""
        folder = self.folder / "bin"
        folder.mkdir()
        (folder / "crossfade").symlink_to(binary())
        (folder / "up.sql").write_text(
            ADDED_BY_3_1 + "UPDATE schema_meta SET executed = executed || '{017_300_to_310}'::text[], "
            "last_executed = '017_300_to_310' WHERE subsystem = 'core';")
        script = folder / "kong"
        script.write_text(
            f'#!/bin/sh\necho "$*" "${{KONG_PG_DATABASE:-kong}}" >> {self.folder}/kong.ran\n'
            f'[ "$2" = up ] || exit 0\n'
            f'exec psql -X -q -v ON_ERROR_STOP=1 -h 127.0.0.1 -p {self.postgres.port} -U kong '
            f'-f {folder}/up.sql "${{KONG_PG_DATABASE:-kong}}"\n')
        script.chmod(script.stat().st_mode | stat.S_IXUSR)

    def put_addresses(self):
        """What the page asks for after `init`: addresses; and holds that a test can wait for."""
        here = {
            "0.0.0.0:8000": self.port, "127.0.0.1:8001": self.admin_port,
            "10.0.0.11:8000": self.blue[0].port, "10.0.0.12:8000": self.blue[1].port,
            "10.0.1.11:8000": self.green[0].port, "10.0.1.12:8000": self.green[1].port,
            "10.0.0.11:8001": self.blue_admin.port, "10.0.1.11:8001": self.green_admin.port,
        }
        config, plan = self.folder / "crossfade.yaml", self.folder / "kong.yaml"
        for path in (config, plan):
            text = path.read_text()
            for address, port in here.items():
                text = text.replace(address, f"127.0.0.1:{port}")
            path.write_text(text)
        text = config.read_text()
        text = text.replace("postgresql://crossfade@10.0.0.21/kong", self.postgres.url("kong"))
        text = text.replace("postgresql://crossfade@10.0.1.21/kong", self.postgres.url("kong_31"))
        text = text.replace("[kong, migrations,", f"[{self.folder}/bin/kong, migrations,")
        config.write_text(text + (
            f"proxy: {{state_dir: {self.folder}/state}}\nadmin: {{socket: {self.folder}/admin.sock}}\n"
            "drain: {quiet: 100ms}\n"))
        text = re.sub(r"hold: \d+m", "hold: 100ms, evidence: advisory", plan.read_text())
        plan.write_text(text.replace("over: 1h", "over: 1s, evidence: advisory"))

    def run(self, line):
        done = subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=self.folder, env=self.environment,
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"$ {line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def serve(self):
        self.serving = processes.Started([binary(), "serve", "-c", self.folder / "crossfade.yaml"],
                                         self.folder / "crossfade.log", env=self.environment)
        until = time.monotonic() + 20
        while "event=edition.serving" not in self.serving.log:
            assert time.monotonic() < until and self.serving.running(), self.serving.log
            time.sleep(0.05)

    def follow(self, lines):
        """Runs the page's lines; what a shell starts in the background is started here."""
        for line in lines:
            if line.startswith("crossfade serve"):
                self.serve()
                continue
            if line.startswith("crossfade approve"):
                self.until("approval")
            said = self.run(line)
            if "init kong" in line:
                self.put_addresses()
            yield line, said

    def until(self, words):
        until = time.monotonic() + 30
        while words not in self.run("crossfade status --service gateway"):
            assert time.monotonic() < until, self.run("crossfade status --service gateway")
            time.sleep(0.1)

    def ask(self, port, method="GET"):
        with socket.create_connection(("127.0.0.1", port), 5) as client:
            client.sendall(f"{method} /orders HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"
                           "Connection: close\r\n\r\n".encode())
            answer = b""
            while part := client.recv(65536):
                answer += part
        return int(answer.split()[1]), answer.decode()

    def stop_node(self, node):
        if node not in self.closed:
            self.closed.add(node)
            node.close()

    def end(self):
        if self.serving is not None:
            self.serving.end()
        for node in (*self.blue, *self.green, self.blue_admin, self.green_admin):
            self.stop_node(node)


@pytest.fixture
def world(folder, postgres):
    made = World(folder, postgres)
    yield made
    made.end()


def test_chapter_0_puts_crossfade_in_front_and_takes_it_out_again(world):
    said = dict(world.follow(lines_of(0)))
    assert "IDLE" in said["crossfade status --service gateway"]
    assert all("3.0.0" in world.ask(world.port)[1] for _ in range(20))
    assert world.ask(world.admin_port)[0] == 200
    world.serving.signal(15)
    assert world.serving.wait(20) == 0
    assert all("3.0.0" in world.ask(node.port)[1] for node in world.blue)  # Kong knows nothing of it


def test_a_clone_by_the_page(world):
    for _ in world.follow(lines_of(0)):
        pass
    seen = []
    for line, said in world.follow(lines_of(2)):
        seen.append(line.split(" --")[0])
        if "fence up" in line:
            assert world.ask(world.admin_port, "POST")[0] == 503 and world.ask(world.admin_port)[0] == 200
        if "preflight" in line:
            assert "preflight passed" in said and "FAIL" not in said
        if "finalize" in line:
            assert "finalized" in world.run("crossfade status --service gateway").lower()
    assert seen.index("crossfade start kong.yaml") > seen.index("KONG_PG_DATABASE=kong_31 kong migrations finish")
    assert all("3.1.0" in world.ask(world.port)[1] for _ in range(20))
    assert world.ask(world.admin_port, "POST")[0] != 503
    assert "3.1.0" in world.ask(world.admin_port)[1]


def test_a_shared_database_by_the_page(world):
    init, *rest = lines_of(3)
    for _ in world.follow([init] + [line for line in lines_of(0) if "init kong" not in line]):
        pass
    for line, _ in world.follow(rest):
        if "--for safe" in line:  # the page: stop every blue node, then finalize
            refused = subprocess.run(["crossfade", "finalize", "--service", "gateway"], cwd=world.folder,
                                     env=world.environment, capture_output=True, text=True)
            assert refused.returncode == 1 and "old.stopped" in refused.stderr
            for node in (*world.blue, world.blue_admin):
                world.stop_node(node)
    assert (world.folder / "kong.ran").read_text().split("\n")[:2] == ["migrations up kong", "migrations finish kong"]
    assert "finalized" in world.run("crossfade status --service gateway").lower()
    assert "3.1.0" in world.ask(world.port)[1]


@pytest.mark.parametrize("chapter", [4, 5])
def test_hybrid_and_dbless_by_the_page(world, chapter):
    init, *rest = lines_of(chapter)
    for _ in world.follow([init] + [line for line in lines_of(0) if "init kong" not in line]):
        pass
    if chapter == 4:
        world.stop_node(world.blue_admin)  # the old control plane
    for _ in world.follow(rest):
        pass
    assert "finalized" in world.run("crossfade status --service gateway").lower()
    assert all("3.1.0" in world.ask(world.port)[1] for _ in range(20))


def test_paths_by_the_page(world):
    said = dict(world.follow(lines_of(8)))
    assert len(said) == 4
    assert "2.8.2.x -> 3.0.x -> 3.1.x" in said["crossfade kong path 2.7 3.1"]
    assert "direct: 3.0.x" in said["crossfade kong path 2.8.2 3.0"]
    assert "never syncs again" in said["crossfade kong path 3.0 3.1 --topology hybrid"]
    assert "3.1.1.3" in said["crossfade kong path 3.1.0 3.2 --topology hybrid"]
