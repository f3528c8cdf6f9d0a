"""redis_cluster.py -- a real Redis Cluster of a test: servers on loopback, slots that move, a replica."""

from . import net
from .redis import Redis

TIMEOUT_MS = 2000  # after so long the servers call one of them dead


class Cluster:
    """Primaries that share all slots.  redis-cli would assume each bus at port + 10000, so all is done by hand."""

    def __init__(self, folder, started, primaries=3, arguments=(), tls=False):
        self.folder, self.started, self.arguments, self.tls = folder, started, arguments, tls
        self.nodes, self.buses = [], []
        for _ in range(primaries):
            self.add()
        first = 0
        for number, node in enumerate(self.nodes, 1):
            last = 16384 * number // primaries - 1
            node.command("CLUSTER", "ADDSLOTSRANGE", first, last)
            first = last + 1
        self.wait()

    def add(self):
        """One more server, which meets the first."""
        port, bus, tls_port = net.free_ports(3)
        node = Redis(self.folder, f"node-{len(self.nodes)}", port=port, arguments=[
            "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-port", bus,
            "--cluster-node-timeout", TIMEOUT_MS, *(["--tls-port", tls_port, "--tls-cluster", "yes"] if self.tls else []), *self.arguments])
        node.tls_port = tls_port
        self.started.append(node)
        if self.nodes:
            node.command("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port, self.buses[0])
        self.nodes.append(node)
        self.buses.append(bus)
        return node

    def wait(self):
        """Until each knows all, and all slots are served."""
        for node in self.nodes:
            net.wait_until(lambda n=node: {"cluster_state:ok", f"cluster_known_nodes:{len(self.nodes)}"} <=
                           set(n.command("CLUSTER", "INFO").split()), 30, "a cluster")

    def add_replica(self, primary):
        replica = self.add()
        self.wait()
        replica.command("CLUSTER", "REPLICATE", self.identity(primary))
        net.wait_until(lambda: "state=online" in primary.command("INFO", "replication"), 30, "a replica")
        return replica

    @staticmethod
    def identity(node):
        return node.command("CLUSTER", "MYID").strip()

    def slot(self, service, namespace="default"):
        return int(self.nodes[0].command("CLUSTER", "KEYSLOT", "cf:{%s:%s}:state" % (namespace, service)))

    def owner(self, service, asked=None):
        """The server that has the service's keys, as `asked` knows it."""
        slot, asked = self.slot(service), asked or self.alive()[0]
        for line in asked.command("CLUSTER", "NODES").splitlines():
            words = line.split()
            for slots in words[8:]:
                first, _, last = slots.partition("-")
                if slots[0] != "[" and int(first) <= slot <= int(last or first):
                    port = int(words[1].partition("@")[0].rpartition(":")[2])
                    return next(node for node in self.nodes if node.port == port)
        return None

    def alive(self):
        return [node for node in self.nodes if node.process.running()]

    def move(self, service, target, each=lambda moved: None):
        """The service's slot goes to another server, key by key; `each` is called before every key and at the end."""
        slot, source = self.slot(service), self.owner(service)
        assert target is not source
        target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", self.identity(source))
        source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", self.identity(target))
        moved = []
        while True:
            each(moved)
            keys = source.command("CLUSTER", "GETKEYSINSLOT", slot, 1).split()
            if not keys:
                break
            done = source.command("MIGRATE", "127.0.0.1", target.port, keys[0], 0, 5000)
            assert done.strip() in ("OK", "NOKEY"), done
            moved += keys
        for node in (target, source):
            node.command("CLUSTER", "SETSLOT", slot, "NODE", self.identity(target))
        net.wait_until(lambda: all(self.owner(service, node) is target for node in self.alive()), 30, "a moved slot")
        return moved
