"""What every acceptance scenario is given: a running cluster, a directory of its own, and real clients."""

import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from cluster import REPOSITORY, Cluster, CommandFailed, binaries
from network import Network
from power import Machines

SUPPORT = REPOSITORY / "Tests/Support"
MiB = 1 << 20
GiB = 1 << 30


def cached(name, script, *more_inputs):
    """What `script TARGET` builds, kept between runs outside the repository until the script or its other inputs change."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in (script, *more_inputs))).hexdigest()[:12]
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    target = base / "sheepdog-testbed" / digest / name
    if not target.exists():
        result = subprocess.run([script, target], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900)
        check(result.returncode == 0, f"{script} ended with {result.returncode}:\n{result.stderr[-3000:]}")
    return target


def check(condition, message):
    """What a scenario claims. An assert statement would vanish under `python3 -O`."""
    if not condition:
        raise AssertionError(message)


def checksum(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(4 * MiB):
            digest.update(chunk)
    return digest.hexdigest()


class Bed:
    """One scenario's place in the world. As a context manager it ends every process and removes every file."""

    def __init__(
        self, sheep_count, copies, full, sheep_options=(), sheep_ports=None, own_network=False, store_size=None, failing_disks=False,
        with_key=False, power_cuts=False,
    ):
        """With a network of its own each sheep is on a host of its own, and the cluster has a key; on this host with `with_key`.

        With `power_cuts` each has a machine of its own in `machines`.
        """
        self.full = full
        self.directory = Path(tempfile.mkdtemp(prefix="sheepdog-"))
        self.background = []
        self.mounts = []
        self.network = None
        try:
            key = None
            if own_network:
                self.network = Network(sheep_count)
            if own_network or with_key:
                key = self.directory / "key"
                subprocess.run([binaries() / "dog", "cluster", "key", key], check=True, timeout=30)
            self.cluster = Cluster(
                self.directory / "cluster", sheep_count, sheep_ports, options=sheep_options, network=self.network, key=key)
            self.machines = Machines(self.directory, self.cluster, self.mounts) if power_cuts else None
            for sheep in self.cluster.sheep:
                if store_size:
                    self.mount(sheep.store, store_size)
                if failing_disks:
                    self.make_failing(sheep)
            self.cluster.start(copies)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self.show_logs()
        self.close()

    def close(self):
        for process in self.background:
            if process.poll() is None:
                process.kill()
                process.wait()
        if hasattr(self, "cluster"):
            self.cluster.kill()
        for path in reversed(self.mounts):
            subprocess.run(["umount", "-l", path], check=False)
        if self.network is not None:
            self.network.end()
        shutil.rmtree(self.directory, ignore_errors=True)

    def mount(self, path, size):
        """A file system of its own there, in a file of so many bytes; it ends with the scenario."""
        image = self.directory / f"{path.name}.image"
        with open(image, "wb") as file:
            file.truncate(size)
        self.run("mkfs.ext4", "-q", "-F", "-m", "0", image)
        path.mkdir(parents=True, exist_ok=True)
        self.run("mount", "-o", "loop", image, path)
        self.mounts.append(path)

    def make_failing(self, sheep):
        """What `fault` then does to the sheep's disk; before it is started."""
        library = self.directory / "failing_disk.so"
        if not library.exists():
            self.run("clang", "-shared", "-fPIC", "-O1", "-o", library, SUPPORT / "failing_disk.c", "-ldl")
        sheep.environment = {
            "LD_PRELOAD": str(library), "SHEEP_FAULTS": str(self.fault_file(sheep)), "SHEEP_FAULTS_BELOW": str(sheep.store.resolve())}

    def fault_file(self, sheep):
        return self.directory / f"faults{sheep.number}"

    def fault(self, sheep, *kinds):
        """From now on these calls fail on the sheep's disk, with EIO: read, write, sync; none: it is well."""
        self.fault_file(sheep).write_text(" ".join(kinds))

    def show_logs(self):
        for sheep in self.cluster.sheep:
            print(f"--- log of sheep {sheep.number} ends with\n{sheep.log_tail()}", flush=True)

    # Shorthands

    def information_warnings(self):
        return self.cluster.information()["warnings"]

    def information_scrub(self):
        return self.cluster.information()["scrub"]

    @property
    def sheep(self):
        return self.cluster.sheep

    def dog(self, *arguments, **options):
        return self.cluster.dog(*arguments, **options)

    def create(self, name, size):
        self.dog("vdi", "create", name, str(size))
        return name

    def random_file(self, name, size):
        path = self.directory / name
        with open(path, "wb") as file:
            for _ in range(size // MiB):
                file.write(os.urandom(MiB))
        return path

    # Clients

    def run(self, *command, timeout=300, **options):
        """Runs a client and returns what it printed; raises CommandFailed unless it ended with 0."""
        words = [str(word) for word in command]
        result = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=timeout, cwd=self.directory, **options)
        if result.returncode != 0:
            raise CommandFailed(f"`{' '.join(words)}` ended with {result.returncode}:\n{result.stdout[-4000:]}")
        return result.stdout

    def start(self, *command, output="background.log"):
        """Starts a client that goes on in the background; it ends with the scenario at the latest."""
        with open(self.directory / output, "wb") as log:
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *map(str, command)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory)
        self.background.append(process)
        return process

    def qemu_io(self, uri, *commands):
        arguments = [word for command in commands for word in ("-c", command)]
        output = self.run("qemu-io", "-f", "raw", uri, *arguments)
        check("Pattern verification failed" not in output, f"qemu-io found other data:\n{output}")
        return output

    def guest(self, script, timeout=300):
        """Runs a shell script as root in a small Linux guest and returns what it printed. There the host is 10.0.2.2."""
        image = cached("vm", SUPPORT / "vm/build.sh", SUPPORT / "vm/guest-init")
        path = self.directory / "guest-script"
        path.write_text(f"#!/bin/sh\nset -ex\n{script}\n")
        return self.run(SUPPORT / "vm/run.sh", "--timeout", timeout, image, path, timeout=timeout + 60)


class VerifyingLoad:
    """fio that writes, reads back and compares checksums, for a time; any I/O error or wrong byte ends it with a failure."""

    def __init__(self, bed, uri, seconds, size, depth=16, name="load"):
        self.log = bed.directory / f"{name}.fio"
        self.process = bed.start(
            "fio", f"--name={name}", "--ioengine=nbd", f"--uri={uri}", "--rw=randrw", "--bs=4k", f"--iodepth={depth}",
            f"--size={size}", "--verify=crc32c", "--verify_fatal=1", "--verify_backlog=256",
            "--verify_state_save=0", "--thread",  # a job that is a process of its own would outlive ours
            "--time_based", f"--runtime={seconds}", output=self.log.name)

    def running(self):
        return self.process.poll() is None

    def stop(self):
        """Ends it before its time and checks that it found nothing wrong."""
        check(self.running(), f"the load had ended:\n{self.log.read_text(errors='replace')[-3000:]}")
        self.process.send_signal(signal.SIGINT)
        self.finish(wanted=128)  # what fio ends with after a signal

    def broken(self, timeout=60):
        """Its sheep is gone: it ends by itself, and found nothing wrong before."""
        self.process.wait(timeout)
        output = self.log.read_text(errors="replace")
        check("verify failed" not in output and "verify: bad" not in output, f"fio found other data:\n{output[-3000:]}")

    def finish(self, timeout=120, wanted=0):
        """Waits for its end and checks that it found nothing wrong."""
        code = self.process.wait(timeout)
        output = self.log.read_text(errors="replace")
        check(code == wanted and "verify failed" not in output, f"fio ended with {code}:\n{output[-3000:]}")
        check("err= 0" in output, f"fio saw an error:\n{output[-3000:]}")
