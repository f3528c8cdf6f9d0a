"""net.py -- ports from the kernel, and waiting for a condition without guessing how long."""

import socket
import time


def free_ports(count):
    """Ports nobody listens on; the kernel chose them, all at once so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def free_port():
    return free_ports(1)[0]


def accepts(port, host="127.0.0.1"):
    """Whether a connection to the port is accepted now."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def wait_until(condition, timeout=5.0, what="the condition", every=0.02):
    """Returns the first true value of condition(); fails with `what` after `timeout` seconds."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise AssertionError(f"{what} did not come true within {timeout} s")
        time.sleep(every)
