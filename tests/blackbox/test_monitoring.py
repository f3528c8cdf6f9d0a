"""test_monitoring.py -- what shifter/monitoring ships, against a running crossfade and a real
Prometheus."""

import json
import re
import subprocess
import urllib.parse
import urllib.request

import pytest
import yaml

from harness import net, processes
from harness.crossfade import TREE
from test_admin_port import Port

pytestmark = pytest.mark.slow

FOLDER = TREE / "shifter/monitoring"
NAME = re.compile(r"\bcrossfade_[a-z0-9_]+")
# By DESIGN and the issue each of these must be there, whatever the dashboard shows.
WANTED = ("requests_total", "request_duration_seconds_bucket", "weight_desired_ratio",
          "weight_actual_ratio", "state", "hold", "generation", "store_up", "store_lag_seconds",
          "in_flight_requests", "tunnels", "rescues_total", "upstream_retries_total",
          "server_ejecting_workers", "log_dropped_total", "config_reload_success",
          "tls_certificate_expiry_timestamp_seconds", "build_info")


def promtool(*arguments):
    done = subprocess.run(["promtool", *map(str, arguments)], cwd=FOLDER, capture_output=True,
                          text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def expressions():
    """Every expression of the dashboard and of the rules."""
    board = json.loads((FOLDER / "dashboard.json").read_text())
    found = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    found += [entry["definition"] for entry in board["templating"]["list"] if "definition" in entry]
    rules = yaml.safe_load((FOLDER / "alerts.yaml").read_text())
    return found + [rule["expr"] for group in rules["groups"] for rule in group["rules"]]


@pytest.fixture
def port(crossfade, nginx, folder):
    certificate, key = folder / "tls.crt", folder / "tls.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=localhost",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)
    certificate.chmod(0o644)
    key.chmod(0o644)
    return Port(crossfade, nginx, listeners=[{
        "bind": f"127.0.0.1:{net.free_port()}", "service": "gateway",
        "tls": {"certificate": str(certificate), "key": str(key)}}])


def test_the_alert_rules_pass_their_tests_and_each_has_one():
    promtool("check", "rules", "alerts.yaml")
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yaml")
    rules = yaml.safe_load((FOLDER / "alerts.yaml").read_text())
    tests = yaml.safe_load((FOLDER / "alerts_test.yaml").read_text())
    names = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    tried = {each["alertname"] for test in tests["tests"] for each in test["alert_rule_test"]
             if each["exp_alerts"]}
    assert names == tried


def test_each_metric_that_is_wanted_or_shown_is_served(port):
    port.proxy.cli("start", "--to", "web-v2", check=0)
    text = port.ask("/metrics").body.decode()
    served = set(NAME.findall(text))
    missing = {"crossfade_" + name for name in WANTED} - served
    assert not missing, missing
    used = {name for each in expressions() for name in NAME.findall(each)}
    assert len(used) > 20 and not used - served, used - served
    for label in re.findall(r'\b(\w+)=~?"(?!\$)', " ".join(expressions())):
        assert f'{label}="' in text or label == "job", label


def test_a_real_prometheus_scrapes_it_and_runs_the_rules(port, folder, started):
    number = net.free_port()
    token = folder / "prometheus.token"
    token.write_text(port.tokens["viewer"])
    config = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
    config["global"] = {"evaluation_interval": "1s"}
    config["rule_files"] = [str(FOLDER / "alerts.yaml")]
    job = config["scrape_configs"][0]
    job.update(scrape_interval="1s", scrape_timeout="1s",
               authorization={"credentials_file": str(token)},
               static_configs=[{"targets": [f"127.0.0.1:{port.number}"]}])
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    made = processes.Started(
        ["prometheus", f"--config.file={folder}/prometheus.yml",
         f"--storage.tsdb.path={folder}/tsdb", f"--web.listen-address=127.0.0.1:{number}"],
        folder / "prometheus.log")
    started.append(made)

    def ask(path):
        with urllib.request.urlopen(f"http://127.0.0.1:{number}{path}", timeout=5) as answer:
            return json.load(answer)["data"]

    def query(expression):
        return ask("/api/v1/query?" + urllib.parse.urlencode({"query": expression}))["result"]

    def ready():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{number}/-/ready", timeout=5):
                return True
        except OSError:  # not yet there, or 503
            return False

    net.wait_until(ready, 30, "prometheus")
    net.wait_until(lambda: query('up{job="crossfade"} == 1') and query("crossfade_state == 1"),
                   20, "a scrape")
    assert query("crossfade_state == 1")[0]["metric"]["state"] == "idle"
    for each in expressions():
        if not each.startswith("label_values"):
            query(each.replace("$service", ".*").replace("$__rate_interval", "1m"))
    groups = ask("/api/v1/rules")["groups"]
    net.wait_until(lambda: all(rule["health"] == "ok" for group in ask("/api/v1/rules")["groups"]
                               for rule in group["rules"]), 20, "the rules' first run")
    assert sum(len(group["rules"]) for group in groups) == 16
