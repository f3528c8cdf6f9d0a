"""tls_upstream.py -- servers that speak TLS: a real nginx, and a small one that misbehaves."""

import socket
import ssl
import subprocess
import threading
from pathlib import Path

from . import net
from .processes import Started


def make_authority(folder, name):
    """A self-signed authority: (certificate, key)."""
    certificate, key = Path(folder) / f"{name}.crt", Path(folder) / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


def make_leaf(folder, authority, name, alternatives="IP:127.0.0.1", days=2):
    """A certificate that `authority` vouches for: (certificate, key)."""
    certificate, key = Path(folder) / f"{name}.crt", Path(folder) / f"{name}.key"
    request, extensions = Path(folder) / f"{name}.csr", Path(folder) / f"{name}.ext"
    subprocess.run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request],
                   check=True, capture_output=True)
    extensions.write_text(f"subjectAltName={alternatives}\n")
    subprocess.run(["openssl", "x509", "-req", "-in", request, "-CA", authority[0], "-CAkey",
                    authority[1], "-CAcreateserial", "-days", str(days), "-extfile", extensions,
                    "-out", certificate], check=True, capture_output=True)
    return certificate, key


NGINX_CONF = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    log_format tls '$connection $ssl_server_name $ssl_session_reused $ssl_protocol $ssl_curves '
                   '"$ssl_client_s_dn" $uri $status';
    access_log {folder}/access.log tls;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_timeout 300s;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_protocols {protocols};
        ssl_session_cache shared:SSL:1m;
        {rules}
        location /file/ {{ alias {folder}/files/; }}
        location / {{ return 200 "{name}\\n"; }}
    }}
}}
"""


class TlsNginx:
    """nginx behind TLS; `log_entries()` tells of each request how it came."""

    def __init__(self, folder, name, leaf, rules="", protocols="TLSv1.2 TLSv1.3"):
        self.port = net.free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.folder = Path(folder) / f"nginx-tls-{name}-{self.port}"
        (self.folder / "files").mkdir(parents=True)
        conf = self.folder / "nginx.conf"
        root = Path("/proc/self").stat().st_uid == 0
        conf.write_text(NGINX_CONF.format(user="user root;" if root else "", folder=self.folder,
                                          port=self.port, certificate=leaf[0], key=leaf[1],
                                          name=name, rules=rules, protocols=protocols))
        self.process = Started(["nginx", "-c", conf, "-p", self.folder, "-e",
                                self.folder / "error.log"], self.folder / "out.log")
        net.wait_until(lambda: net.accepts(self.port), what=f"nginx {name} listening", timeout=10)

    def logged(self, count):
        """log_entries() once there are `count`: nginx writes a line after its answer has left."""
        return net.wait_until(lambda: len(self.log_entries()) >= count and self.log_entries(), 5,
                              f"{count} lines in nginx's log")

    def log_entries(self, path="/"):
        """[(connection, name asked for, resumed, protocol, client's name)] of requests to path."""
        log = self.folder / "access.log"
        found = []
        for line in log.read_text().splitlines() if log.exists() else []:
            before, client, after = line.split('"')
            connection, name, resumed, protocol, _ = before.split()
            if after.split()[0] == path:
                found.append((connection, name, resumed == "r", protocol, client))
        return found

    def end(self):
        self.process.end()


class RudeTls:
    """Answers each connection's request with `answer` and ends without close_notify."""

    def __init__(self, leaf, answer, polite=False):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.rules = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.rules.load_cert_chain(*leaf)
        self.answer, self.polite = answer, polite
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            try:
                self.serve(raw)
            except OSError:
                raw.close()

    def serve(self, raw):
        raw.settimeout(10)
        wrapped = self.rules.wrap_socket(raw, server_side=True)
        if wrapped.recv(65536):
            wrapped.sendall(self.answer)
            if self.polite:
                wrapped.unwrap()
            wrapped.shutdown(socket.SHUT_WR)
        wrapped.close()

    def end(self):
        self.listener.close()
