"""What is measured: servers with a unix socket, their processes and their memory."""

import os
import subprocess
from pathlib import Path

import process
from cluster import Cluster, binaries
from tgt import Tgt, unix_store
from waiting import wait_until

MiB = 1 << 20
GiB = 1 << 30
SIZE = GiB
SPARSE_SIZE = 64 * GiB


class Subject:
    """A server, or several that act as one. `note` says in the report what it is."""

    def __init__(self, name, note):
        self.name = name
        self.note = note
        self.children = []
        self.idle_bytes = 0

    def pids(self):
        return [child.pid for child in self.children]

    def cpu_seconds(self):
        return sum(process.cpu_seconds(pid) for pid in self.pids())

    def resident_bytes(self):
        return sum(process.resident_bytes(pid) for pid in self.pids())

    def export(self, volume):
        """The NBD export name, or None for what does not speak NBD."""
        return volume

    def start_child(self, *command):
        child = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *map(str, command)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.children.append(child)
        return child

    def close(self):
        for child in reversed(self.children):
            child.kill()
            child.wait()


class FileServer(Subject):
    """A server of one file. The command's words {file}, {name} and {socket} are filled in."""

    def __init__(self, name, note, directory, command):
        super().__init__(name, note)
        self.directory = Path(directory)
        self.directory.mkdir()
        self.command = command
        self.sockets = {}
        self.serve("bench", SIZE)
        self.idle_bytes = self.resident_bytes()

    def serve(self, volume, size):
        file, self.sockets[volume] = self.directory / volume, self.directory / f"{volume}.sock"
        with open(file, "wb") as handle:
            handle.truncate(size)
        self.start_child(*(word.format(file=file, name=volume, socket=self.sockets[volume]) for word in self.command))
        wait_until(self.sockets[volume].exists, f"{self.name} listens")

    def create_sparse(self):
        self.serve("sparse", SPARSE_SIZE)

    def socket(self, volume):
        return self.sockets[volume]

    def uri(self, volume):
        return f"nbd+unix:///{volume}?socket={self.sockets[volume]}"


def qemu_nbd(directory):
    return FileServer(
        "qemu-nbd", "a raw file, cache=writeback, its default I/O threads", directory / "qemu-nbd",
        ["qemu-nbd", "--format=raw", "--cache=writeback", "--discard=unmap", "--persistent", "--shared=16", "--export-name={name}",
         "--socket={socket}", "{file}"])


def nbdkit_file(directory):
    return FileServer(
        "nbdkit file", "a file on the same file system", directory / "nbdkit",
        ["nbdkit", "--foreground", "--unix={socket}", "file", "{file}"])


class SheepServer(Subject):
    """A cluster of as many sheep as copies; clients use the unix socket of the first."""

    def __init__(self, name, note, directory, copies):
        super().__init__(name, note)
        self.cluster = Cluster(directory / f"sheep-{copies}", copies)
        self.cluster.start(copies)
        self.cluster.dog("vdi", "create", "bench", str(SIZE))
        self.idle_bytes = self.resident_bytes()

    def pids(self):
        return [sheep.pid for sheep in self.cluster.sheep]

    def create_sparse(self):
        self.cluster.dog("vdi", "create", "sparse", str(SPARSE_SIZE))

    def socket(self, volume):
        return self.cluster.sheep[0].nbd_socket

    def uri(self, volume):
        return self.cluster.sheep[0].unix(volume)

    def close(self):
        self.cluster.kill()


class Mount(Subject):
    """A FUSE file system whose file is measured; the processes behind it count as its own."""

    def __init__(self, name, note, directory, file, command, behind=()):
        super().__init__(name, note)
        self.directory = directory
        self.directory.mkdir()
        self.file = self.directory / file
        self.behind = behind
        self.start_child(*command, self.directory)
        wait_until(self.file.exists, f"{self.name} is mounted")
        self.idle_bytes = self.resident_bytes()

    def pids(self):
        return super().pids() + list(self.behind)

    def close(self):
        subprocess.run(["umount", "-l", self.directory], check=False)
        super().close()


def bare_passthrough(directory, caches):
    """Its data file is beside its mount point."""
    name = "passthrough, cached" if caches else "passthrough"
    note = "our program of Benchmarks/BarePassthrough, a FUSE file on a file" + (", pages cached by the kernel, writes too" if caches else "")
    folder = directory / f"passthrough{'-k' if caches else ''}"
    data = folder.with_suffix(".data")
    fill(data, SIZE)
    return Mount(name, note, folder, "bench", [binaries() / "bare-passthrough", *(["-k"] if caches else []), data])


def sheepfs(directory, server, caches):
    """On the volume of a running sheep."""
    name = "sheepfs -k" if caches else "sheepfs"
    note = "sheepfs" + (" -k" if caches else "") + " on the volume of the sheep with one copy"
    folder = directory / f"sheepfs{'-k' if caches else ''}"
    command = [binaries() / "sheepfs", "-f", "--auto-mount", "-a", server.cluster.sheep[0].store / "sock", *(["-k"] if caches else [])]
    return Mount(name, note, folder, "volume/bench", command, behind=server.pids())


class Target(Subject):
    """A tgtd with one logical unit; the processes behind it count as its own."""

    def __init__(self, name, note, store, kind, behind=(), options=()):
        super().__init__(name, note)
        self.behind = behind
        self.address = Tgt(self, *options).export("bench", store, kind)
        self.idle_bytes = self.resident_bytes()

    def start(self, *command, output):
        return self.start_child(*command)

    def run(self, *command):
        return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True)

    def pids(self):
        return super().pids() + list(self.behind)


def tgt_file(directory, threads=None):
    data = directory / "tgt.data"
    if threads is None: fill(data, SIZE)
    return target("tgt, file", "tgtd with its own file store (rdwr)", data, "rdwr", threads)


def tgt_volume(server, threads=None):
    """On the volume of a running sheep."""
    note = "tgtd with the volume of the sheep with one copy (sheepdog)"
    return target("tgt, volume", note, unix_store(server.cluster.sheep[0], "bench"), "sheepdog", threads, behind=server.pids())


def target(name, note, store, kind, threads, behind=()):
    """With tgt's own number of threads, 16, or another."""
    if threads is None: return Target(name, note, store, kind, behind=behind)
    note = f"the same with --nr_iothreads {threads}, as docs/iscsi.md says"
    return Target(f"{name}, {threads} threads", note, store, kind, behind=behind, options=("--nr_iothreads", threads))


def tgt_bare_store(directory, server):
    """On the file of `tgt_file`."""
    socket = directory / "bare-store.sock"
    bare = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "--", binaries() / "bare-store", socket, server.cluster.sheep[0].store / "sock", directory / "tgt.data"])
    wait_until(socket.exists, "the bare store listens")
    target = Target(
        "tgt, bare store", "tgtd with our program of Benchmarks/BareStore, a server that answers each read with one of a file (sheepdog)",
        f"unix:{socket}:bench", "sheepdog")
    target.children.insert(0, bare)
    target.idle_bytes = target.resident_bytes()
    return target


class BareRelay(Subject):
    """A front and three backends, see BareRelay/: the least that three copies can cost."""

    def __init__(self, name, note, directory, sync):
        super().__init__(name, note)
        self.directory = directory / f"relay-{'sync' if sync else 'cached'}"
        self.directory.mkdir()
        program = binaries() / "bare-relay"
        backends = [self.directory / f"backend{number}.sock" for number in range(3)]
        for backend in backends:
            file = backend.with_suffix(".data")
            fill(file, SIZE)
            self.start_child(
                program, "backend", "--listen", backend, "--file", file, "--size", SIZE, *(["--sync"] if sync else []))
            wait_until(backend.exists, f"{backend} is there")
        self.front = self.directory / "front.sock"
        self.start_child(program, "front", "--listen", self.front, *(w for b in backends for w in ("--backend", b)))
        wait_until(self.front.exists, "the relay listens")
        self.idle_bytes = self.resident_bytes()

    def socket(self, volume):
        return self.front

    def export(self, volume):
        return None


def fill(file, size):
    """Random bytes, the same ones every MiB: nothing here compresses or deduplicates."""
    block = os.urandom(MiB)
    with open(file, "wb") as handle:
        for _ in range(size // MiB):
            handle.write(block)
        os.fsync(handle.fileno())
