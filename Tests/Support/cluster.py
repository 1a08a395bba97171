"""A cluster of sheep on this machine: started, asked, shut down."""

import json
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ports import free_ports
from sheep import Sheep
from waiting import wait_until

REPOSITORY = Path(__file__).resolve().parents[2]
RUNNING = "Cluster status: running"
UNFORMATTED = "Cluster status: Waiting for cluster to be formatted"


def binaries():
    """Where the built programs are; BIN_DIR names another place."""
    return Path(os.environ.get("BIN_DIR", REPOSITORY / ".build/release")).resolve()


class CommandFailed(Exception):
    """A command ended with another status than the one wanted."""


@dataclass
class VolumeListing:
    """A line of `dog vdi list -r`; sizes in bytes."""

    flag: str
    name: str
    size: int
    used: int
    shared: int


class Cluster:
    """Sheep that share a directory. As a context manager it ends them all and leaves the directory to its owner."""

    def __init__(self, directory, count, sheep_ports=None, nbd_ports=None, options=(), network=None, key=None):
        """With a network sheep N lives on its host N + 1."""
        self.directory = Path(directory)
        self.network = network
        self.key = key
        self.directory.mkdir(parents=True, exist_ok=True)
        self.options = list(options)
        chosen = free_ports(2 * count)
        sheep_ports = sheep_ports or chosen[:count]
        nbd_ports = nbd_ports or chosen[count:]
        self.sheep = [
            self._sheep(number, sheep_ports[number], nbd_ports[number], list(options)) for number in range(count)
        ]

    def _sheep(self, number, port, nbd_port, options):
        sheep = Sheep(binaries() / "sheep", self.directory, number, port, nbd_port, options, key=self.key)
        if self.network is not None:
            host = self.network.hosts.get(number + 1) or self.network.add(number + 1)
            (sheep.host, sheep.entry) = (host.address, host.entry)
        return sheep

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    # Life

    def start(self, copies=None):
        """Starts every sheep; with a number of copies it formats. Returns when the cluster runs, or waits to be formatted."""
        for sheep in self.sheep:
            sheep.start()
        for sheep in self.sheep:
            sheep.wait_listening()
        self.wait_nodes(len(self.sheep))
        if copies is not None:
            self.format(copies)

    def format(self, copies):
        self.dog("cluster", "format", "-c", str(copies))
        self.wait_running()

    def add(self, count=1, options=None):
        """Starts so many more sheep and returns them; they join by themselves. With `options` instead of the others' own."""
        chosen = free_ports(2 * count)
        added = [
            self._sheep(
                len(self.sheep) + number, chosen[number], chosen[count + number],
                self.options if options is None else list(options))
            for number in range(count)
        ]
        self.sheep += added
        for sheep in added:
            sheep.start()
        for sheep in added:
            sheep.wait_listening()
        return added

    def shutdown(self):
        """The orderly end of the whole cluster."""
        self.dog("cluster", "shutdown")
        for sheep in self.sheep:
            sheep.wait_ended(60)

    def restart(self):
        """Starts all sheep again on their stores."""
        self.start()
        self.wait_running()

    def kill(self):
        for sheep in self.sheep:
            sheep.signal(signal.SIGKILL)
        for sheep in self.sheep:
            sheep.wait_ended()

    # dog

    def dog_command(self, *arguments, through=None):
        """Options stand behind the subcommand: NOUN VERB -a ADDRESS -p PORT REST."""
        sheep = through or next(s for s in self.sheep if s.is_running())
        words = 3 if arguments[:2] in (("vdi", "object"), ("vdi", "lock"), ("cluster", "recover")) else 2
        noun_and_verb, rest = arguments[:words], arguments[words:]
        key = ["--key", str(self.key)] if self.key else []
        return [*sheep.entry, str(binaries() / "dog"), *noun_and_verb, "-a", sheep.host, "-p", str(sheep.port), *key, *rest]

    def run_dog(self, *arguments, through=None, timeout=120, **options):
        """Runs dog, whatever its exit status."""
        return subprocess.run(
            self.dog_command(*arguments, through=through), capture_output=True, text=True, timeout=timeout,
            stdin=subprocess.DEVNULL, **options)

    def dog(self, *arguments, through=None, timeout=120):
        """Runs dog and returns what it printed; raises CommandFailed unless it ended with 0."""
        result = self.run_dog(*arguments, through=through, timeout=timeout)
        if result.returncode != 0:
            said = (result.stdout + result.stderr).strip()
            raise CommandFailed(f"`{' '.join(result.args)}` ended with {result.returncode}: {said}")
        return result.stdout

    def status(self, through=None):
        """The first line of `dog cluster info`."""
        output = self.run_dog("cluster", "info", through=through).stdout
        return output.splitlines()[0] if output else ""

    def node_count(self, through=None):
        result = self.run_dog("node", "list", "-r", through=through)
        return len(result.stdout.splitlines()) if result.returncode == 0 else 0

    def nodes(self, through=None):
        """The rows of `dog node list`, down ones included; a row's place is the number that other commands take."""
        return json.loads(self.dog("node", "list", "--json", through=through))

    def number(self, sheep):
        """What `dog node` calls this sheep."""
        return next(node["number"] for node in self.nodes() if node["port"] == sheep.port)

    def node_state(self, sheep, through=None):
        """up, syncing, down, leaving, removed, or None when the list does not have it."""
        return next((node["state"] for node in self.nodes(through) if node["port"] == sheep.port), None)

    def information(self, through=None):
        return json.loads(self.dog("cluster", "info", "--json", through=through))

    def epoch(self):
        return self.information()["epochs"][0]["epoch"]

    def volumes(self):
        """Every volume and snapshot."""
        return [_listing(line) for line in self.dog("vdi", "list", "-r").splitlines()]

    def volume(self, name):
        """The working volume of that name."""
        return next(v for v in self.volumes() if v.name == name and v.flag != "s")

    # Conditions

    def wait_nodes(self, count, timeout=30.0):
        def agree():
            return all(self.node_count(s) == count for s in self.sheep if s.is_running())
        wait_until(agree, f"all sheep see {count} nodes", timeout)

    def wait_running(self, timeout=60.0):
        def runs():
            return all(self.status(s).startswith(RUNNING) for s in self.sheep if s.is_running())
        wait_until(runs, f"`dog cluster info` says \"{RUNNING}\"", timeout)

    def wait_placed(self, sheep, timeout=60.0):
        """The latest epoch, as every running sheep tells it, has these sheep and no others."""
        wanted = sorted(s.port for s in sheep)
        def placed():
            return all(
                sorted(member["port"] for member in self.information(s)["epochs"][0]["members"]) == wanted
                for s in self.sheep if s.is_running())
        wait_until(placed, f"the latest epoch has the sheep on ports {wanted}", timeout, interval=0.2)

    def wait_complete(self, timeout=120.0):
        """No placement group lacks a copy, and nobody recovers."""
        def complete():
            if self.information()["redundancy"]["degradedGroups"] > 0:
                return False
            return not self.dog("node", "recovery", "-r").strip()
        wait_until(complete, "no placement group lacks a copy", timeout, interval=0.2)

    def wait_recovered(self, timeout=120.0):
        """All sheep are there and none has anything left to fetch."""
        def complete():
            if self.node_count() != len(self.sheep):
                return False
            result = self.run_dog("node", "recovery", "-r")
            return result.returncode == 0 and not result.stdout.strip()
        wait_until(complete, "`dog node recovery` shows nothing", timeout, interval=0.2)
        self.wait_running(timeout)


def _listing(line):
    """Cells are parted by single blanks; a blank in a name is escaped, and the names used here have none."""
    cells = line.split(" ")
    return VolumeListing(flag=cells[0], name=cells[1], size=int(cells[3]), used=int(cells[4]), shared=int(cells[5]))
