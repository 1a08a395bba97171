"""tgt, the user-space iSCSI target, with volumes or files behind it."""

import subprocess

from ports import free_ports
from waiting import wait_until

TARGET = "iqn.2026-01.org.sheepdog"


class Tgt:
    """A tgtd of its own. It ends with the scenario, by SIGKILL: with a target defined it ignores anything else."""

    control_ports = iter(range(1, 30))

    def __init__(self, bed, *options):
        self.bed = bed
        self.control = 100 + next(self.control_ports)
        self.port, = free_ports(1)
        self.process = bed.start(
            "tgtd", "-f", "-C", self.control, "--iscsi", f"portal=127.0.0.1:{self.port}", *options, output=f"tgtd{self.control}.log")
        wait_until(self._answers, f"tgtd answers on control port {self.control}")
        self.targets = 0

    def _answers(self):
        return subprocess.run(
            ["tgtadm", "-C", str(self.control), "--lld", "iscsi", "--op", "show", "--mode", "target"],
            capture_output=True).returncode == 0

    def adm(self, mode, op, **options):
        words = [word for key, value in options.items() for word in (f"--{key.replace('_', '-')}", value)]
        return self.bed.run("tgtadm", "-C", self.control, "--lld", "iscsi", "--mode", mode, "--op", op, *words)

    def export(self, name, store, kind="sheepdog"):
        """A target with one logical unit, number 1; returns its URI for libiscsi. With `kind` rdwr a file."""
        self.targets += 1
        self.adm("target", "new", tid=self.targets, targetname=self.name(name))
        self.adm("logicalunit", "new", tid=self.targets, lun=1, bstype=kind, backing_store=store)
        self.adm("target", "bind", tid=self.targets, initiator_address="ALL")
        return self.uri(name)

    @staticmethod
    def name(name):
        return f"{TARGET}:{name}"

    def uri(self, name):
        return f"iscsi://127.0.0.1:{self.port}/{TARGET}:{name}/1"

    def kill(self):
        self.process.kill()
        self.process.wait()


def unix_store(sheep, volume):
    return f"unix:{sheep.store / 'sock'}:{volume}"


def tcp_store(sheep, volume):
    return f"tcp:127.0.0.1:{sheep.port}:{volume}"
