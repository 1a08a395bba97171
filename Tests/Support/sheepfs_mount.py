"""A mounted sheepfs, and loop devices on its files: started, used, ended."""

import os
import signal
import subprocess

import process
from cluster import binaries
from waiting import wait_until


def mounts(path):
    """Lines of the mount table that name the path."""
    with open("/proc/self/mounts") as table:
        return [line for line in table if line.split()[1] == str(path)]


class Sheepfs:
    """As a context manager it is unmounted, by force if need be, and its folder removed."""

    def __init__(self, directory, sheep, *options, name="mount", by_socket=False):
        """Reaches the sheep by TCP, or by the unix socket in its store."""
        self.address = ["-a", sheep.store / "sock"] if by_socket else ["-p", str(sheep.port)]
        self.path = directory / name
        self.path.mkdir()
        self.log = directory / f"{name}.log"
        self.sheep = sheep
        self.options = options
        self.child = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.end()

    def start(self):
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", "--", binaries() / "sheepfs", "-f", *self.address, *self.options, self.path],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(lambda: self.child.poll() is not None or mounts(self.path), "sheepfs is mounted")
        if self.child.poll() is not None:
            raise RuntimeError(f"sheepfs ended with {self.child.returncode}:\n{self.log.read_text()}")

    def end(self):
        if self.child is not None and self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(20)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        if mounts(self.path):
            subprocess.run(["umount", "-l", self.path], check=False)
        if self.path.exists():
            self.path.rmdir()

    def volume(self, name):
        return self.path / "volume" / name

    def echo(self, text, name):
        """`echo TEXT > NAME`."""
        descriptor = os.open(self.path / name, os.O_WRONLY)
        try:
            os.write(descriptor, (text + "\n").encode())
        finally:
            os.close(descriptor)

    def read(self, name):
        return (self.path / name).read_text()

    def is_running(self):
        return self.child.poll() is None and process.is_running(self.child.pid)


class Loop:
    """A loop device on a file, with a file system on it that is mounted at `directory`."""

    def __init__(self, bed, file, directory):
        self.bed, self.file, self.directory = bed, file, directory
        self.device = None

    def __enter__(self):
        self.device = self.bed.run("losetup", "--find", "--show", self.file).strip()
        return self

    def __exit__(self, *_):
        self.unmount(check=False)
        self.detach(check=False)

    def mount(self):
        self.directory.mkdir(exist_ok=True)
        self.bed.run("mount", self.device, self.directory)

    def unmount(self, check=True):
        if mounts(self.directory):
            subprocess.run(["umount", self.directory], check=check, capture_output=True, timeout=120)

    def detach(self, check=True):
        if self.device:
            subprocess.run(["losetup", "--detach", self.device], check=check, capture_output=True, timeout=60)
            self.device = None
