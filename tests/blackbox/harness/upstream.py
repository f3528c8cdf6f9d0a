"""upstream.py -- servers behind the proxy: a small Python one, and real nginx."""

import os
import signal
import sys
from collections import Counter
from pathlib import Path

from . import net, processes
from .processes import Started
from .raw import request


class Upstream:
    """One Python server; `log_entries()` is what it has executed."""

    def __init__(self, folder, name):
        self.name = name
        self.port = net.free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.folder = Path(folder)
        self.requests_path = self.folder / f"{name}-{self.port}.requests"
        self.process = None
        self.start()

    def start(self):
        main = Path(__file__).with_name("upstream_main.py")
        self.process = Started([sys.executable, main, self.name, self.port, self.requests_path],
                               self.folder / f"{self.name}-{self.port}.log")
        net.wait_until(lambda: net.accepts(self.port), what=f"{self.name} listening", timeout=10)

    def mode(self, mode):
        """A status for every answer (200 is normal), `hang`, `reset` or `silent`."""
        assert request(self.port, f"/_mode/{mode}", method="POST").status == 200

    def most(self):
        """How many requests it had at once, at most."""
        return int(request(self.port, "/_most").body)

    def log_entries(self):
        """[(id, method, path, status)] of every request that was executed."""
        if not self.requests_path.exists():
            return []
        lines = self.requests_path.read_text().splitlines()
        return [(i, m, p, int(s)) for i, m, p, s in (line.split(" ") for line in lines)]

    def executions(self):
        """How often each request id was executed."""
        return Counter(entry[0] for entry in self.log_entries())

    def end(self):
        self.process.end()


NGINX_CONF = """
daemon off;
worker_processes 1;
worker_rlimit_nofile 8192;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
    log_format ids '$http_x_test_id $request_method $uri $status';
    access_log {folder}/access.log ids;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000;
    keepalive_timeout 300s;
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location / {{
            if (-f {folder}/bad/all) {{
                return 500;
            }}
            if (-f {folder}/bad$uri) {{
                return 500;
            }}
            add_header X-Server {name};
            return 200 "{name}\\n";
        }}
        location /files/ {{
            alias {folder}/files/;
        }}
    }}
}}
"""


class Nginx:
    """A real nginx; its access log has `ID METHOD PATH STATUS` a line."""

    def __init__(self, folder, name):
        self.name = name
        self.port = net.free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.folder = Path(folder) / f"nginx-{name}-{self.port}"
        self.folder.mkdir()
        (self.folder / "bad").mkdir()
        conf = self.folder / "nginx.conf"
        conf.write_text("user root;\n" * (Path("/proc/self").stat().st_uid == 0) +
                        NGINX_CONF.format(folder=self.folder, port=self.port, name=name))
        self.process = Started(["nginx", "-c", conf, "-p", self.folder, "-e",
                                self.folder / "error.log"], self.folder / "out.log")
        net.wait_until(lambda: net.accepts(self.port), what=f"nginx {name} listening", timeout=10)

    @property
    def pid(self):
        """Of the worker."""
        return processes.children(self.process.pid)[0].pid

    def file(self, size):
        """The path of a file of so many zero bytes."""
        place = self.folder / "files" / str(size)
        place.parent.mkdir(exist_ok=True)
        with open(place, "wb") as file:
            file.truncate(size)
        return f"/files/{size}"

    def log_entries(self):
        path = self.folder / "access.log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(i, m, p, int(s)) for i, m, p, s in (line.split(" ") for line in lines)]

    def executions(self):
        return Counter(entry[0] for entry in self.log_entries())

    def break_path(self, path="all"):
        """From now on 500 for this path (of one segment), or for all."""
        (self.folder / "bad" / path.strip("/")).touch()

    def mend(self):
        for each in (self.folder / "bad").iterdir():
            each.unlink()

    def freeze(self, number=signal.SIGSTOP):
        """Connections are accepted, nothing is answered."""
        for child in processes.children(self.process.pid):
            os.kill(child.pid, number)

    def end(self):
        if self.process.running():
            self.freeze(signal.SIGCONT)
        self.process.end()
