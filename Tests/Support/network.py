"""Namespaces of this machine's network as hosts of a cluster's own network, and the faults that its links can have.

A host is a network namespace that lives as long as a process that we hold; with it (with us, however we end) the namespace, its
links and their rules are gone. All hosts are on one bridge in a namespace of its own, so that every run has the same addresses
and no two runs meet. Faults are rules on that bridge: a host's own view of its link does not change unless the link is set down.
"""

import os
import subprocess

from waiting import wait_until

PREFIX = "10.83.0."


class Host:
    """A network namespace with one address."""

    def __init__(self, number=None):
        self.number = number
        self.address = f"{PREFIX}{number}" if number else None
        self.holder = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", "unshare", "--net", "sleep", "infinity"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        here = os.readlink("/proc/self/ns/net")
        wait_until(lambda: self._namespace() not in (None, here), "a network namespace is there", interval=0.005)

    def _namespace(self):
        try:
            # Not before the holder has become `sleep`: until then the file may still be of another namespace.
            command = open(f"/proc/{self.holder.pid}/comm").read().strip()
            return os.readlink(f"/proc/{self.holder.pid}/ns/net") if command == "sleep" else None
        except OSError:
            return None

    @property
    def entry(self):
        """The words before a command that is to run on this host."""
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net", "--"]

    def run(self, *command, given=None):
        result = subprocess.run(
            [*self.entry, *map(str, command)], input=given, capture_output=True, text=True, timeout=30)
        if result.returncode != 0:
            raise RuntimeError(f"`{' '.join(map(str, command))}` ended with {result.returncode}: {result.stderr.strip()}")
        return result.stdout

    def end(self):
        self.holder.kill()
        self.holder.wait()


class Network:
    """Some hosts, numbered from 1, and what is between them."""

    def __init__(self, count):
        self.bridge = Host()
        self.hosts = {}
        self.rules = {}
        try:
            self.bridge.run("ip", "link", "add", "bridge", "type", "bridge")
            self.bridge.run("ip", "link", "set", "bridge", "up")
            for number in range(1, count + 1):
                self.add(number)
        except BaseException:
            self.end()
            raise

    def add(self, number):
        host = self.hosts[number] = Host(number)
        self.bridge.run("ip", "link", "add", f"port{number}", "type", "veth", "peer", "name", "eth0", "netns", host.holder.pid)
        self.bridge.run("ip", "link", "set", f"port{number}", "master", "bridge", "up")
        host.run("ip", "address", "add", f"{host.address}/24", "dev", "eth0")
        host.run("ip", "link", "set", "lo", "up")
        host.run("ip", "link", "set", "eth0", "up")
        return host

    def end(self):
        for host in [*self.hosts.values(), self.bridge]:
            host.end()

    # Faults

    def cut(self, a, b):
        """Nothing passes between two hosts."""
        self._drop(a, b)
        self._drop(b, a)

    def cut_one_way(self, sender, receiver):
        """Nothing that the first sends reaches the second; the other direction is as it was."""
        self._drop(sender, receiver)

    def lose(self, sender, receiver, percent):
        """So many of a hundred packets from the first to the second are lost, at random."""
        self._drop(sender, receiver, percent)

    def isolate(self, number):
        """Nothing passes between this host and any other."""
        for other in self.hosts:
            if other != number:
                self.cut(number, other)

    def slow_down(self, number, kilobits):
        """What this host receives comes at this rate, and so late when there is much of it (the kernel need not have netem)."""
        self.bridge.run(
            "tc", "qdisc", "replace", "dev", f"port{number}", "root", "tbf", "rate", f"{kilobits}kbit", "burst", "64kb", "limit", "4mb")

    def speed_up(self, number):
        self.bridge.run("tc", "qdisc", "del", "dev", f"port{number}", "root")

    def unplug(self, number):
        """The host's own link is down: it knows at once, the others do not."""
        self.hosts[number].run("ip", "link", "set", "eth0", "down")

    def plug(self, number):
        self.hosts[number].run("ip", "link", "set", "eth0", "up")

    def heal(self):
        """No rule is left."""
        self.rules = {}
        self._apply()

    def _drop(self, sender, receiver, percent=100):
        self.rules[sender, receiver] = percent
        self._apply()

    def _apply(self):
        """All rules at once: nft takes a file as one change."""
        lines = ["add table bridge faults", "delete table bridge faults", "table bridge faults {", "chain forward {",
                 "type filter hook forward priority 0; policy accept;"]
        for (sender, receiver), percent in sorted(self.rules.items()):
            chance = "" if percent >= 100 else f"numgen random mod 100 < {percent} "
            lines.append(f'iifname "port{sender}" oifname "port{receiver}" {chance}drop')
        self.bridge.run("nft", "-f", "-", given="\n".join([*lines, "}", "}", ""]))
