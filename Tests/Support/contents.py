"""Volumes whose contents are known byte by byte, and where their objects have to be."""

import json
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import nbd
from acceptance import MiB, check
from waiting import TimedOut, wait_until

STEP = 4 * MiB


class Contents:
    """Writes volumes through any door and checks them through any other. Objects are 1 MiB, so that a few megabytes are many.

    An export's name is a volume's, or NAME@TAG for a snapshot.
    """

    def __init__(self, bed, seed=1):
        self.bed = bed
        self.random = random.Random(seed)
        self.exports = {}
        # Others write these: only where their objects are is known.
        self.foreign = {}

    def create(self, name, size, copies):
        self.bed.dog("vdi", "create", "-c", str(copies), "-z", "20", name, str(size))
        self.exports[name] = bytearray(size)

    def create_foreign(self, name, size, copies):
        """With all of its objects, so that no write of its user makes one."""
        self.bed.dog("vdi", "create", "-P", "-c", str(copies), "-z", "20", name, str(size))
        self.foreign[name] = size

    def snapshot(self, name, tag):
        self.bed.dog("vdi", "snapshot", "-s", tag, name)
        self.exports[f"{name}@{tag}"] = bytearray(self.exports[name])

    def clone(self, name, tag, clone):
        self.bed.dog("vdi", "clone", "-s", tag, name, clone)
        self.exports[clone] = bytearray(self.exports[f"{name}@{tag}"])

    def delete(self, name):
        self.bed.dog("vdi", "delete", name)
        del self.exports[name]

    def write(self, sheep, name, offset, length, flush=True):
        """Random bytes, durable when this returns: by a flush of the volume, or each write by itself."""
        handle = connect(sheep, name)
        data = self.random.randbytes(length)
        for start in range(0, length, STEP):
            handle.pwrite(data[start:start + STEP], offset + start, 0 if flush else nbd.CMD_FLAG_FUA)
        if flush:
            handle.flush()
        handle.shutdown()
        self.exports[name][offset:offset + length] = data

    def whole_or_not_at_all(self, sheep, name, offset, data):
        """A write that failed may be done later, on all copies alike: its client knows that it was not acknowledged."""
        found = bytes(connect(sheep, name).pread(len(data), offset))
        before = self.exports[name]
        check(found in (data, bytes(before[offset:offset + len(data)])), "a write that failed is there in parts")
        before[offset:offset + len(data)] = found

    def verify(self, *doors, names=None):
        """Every byte of these exports, or all, through every running sheep or those given."""
        for sheep in doors or [s for s in self.bed.sheep if s.is_running()]:
            for name in names or self.exports:
                self._verify(sheep, name)

    def _verify(self, sheep, name):
        handle = connect(sheep, name)
        wanted = self.exports[name]
        for start in range(0, len(wanted), STEP):
            found = handle.pread(min(STEP, len(wanted) - start), start)
            if found != wanted[start:start + STEP]:
                block = next(b for b in range(0, len(found), 4096) if found[b:b + 4096] != wanted[start + b:start + b + 4096])
                raise AssertionError(f"{name} behind sheep {sheep.number} has other bytes at {start + block}")
        handle.shutdown()

    # Where the objects are

    def locations(self, name):
        """For each object that the export shows: (whose, index), the ports that have it, the ports that should."""
        volume, _, tag = name.partition("@")
        selector = ["-s", tag] if tag else []
        size = self.foreign.get(name) or len(self.exports[name])

        def ask(index):
            return json.loads(self.bed.dog("vdi", "object", "location", "--json", "-i", str(index), *selector, volume))

        with ThreadPoolExecutor(4) as pool:
            locations = list(pool.map(ask, range(size // MiB)))
        for index, location in enumerate(locations):
            if location["vid"] is not None:
                has = {port(node["address"]) for node in location["nodes"] if node["hasObject"]}
                yield (location["vid"], index), has, {port(address) for address in location["placed"]}

    def wait_placed(self, timeout=60):
        """Every object is where placement says and nowhere else, and `dog node info` counts exactly these."""
        try:
            wait_until(lambda: not self.misplaced(), "every object is where placement says", timeout, interval=0.2)
        except TimedOut as error:
            raise TimedOut(f"{error}: {self.misplaced()}") from error

    def misplaced(self):
        """What is not so, if anything."""
        wanted = Counter()
        seen = set()
        for name in [*self.exports, *self.foreign]:
            for identity, has, placed in self.locations(name):
                if has != placed:
                    return f"object {identity} of {name} is on {sorted(has)} and not on {sorted(placed)}"
                if identity not in seen:
                    wanted.update(placed)
                    seen.add(identity)
        used = self.used()
        wrong = {p: (used.get(p, 0), wanted[p] * MiB) for p in used.keys() | wanted.keys() if used.get(p, 0) != wanted[p] * MiB}
        return f"used and wanted bytes by port: {wrong}" if wrong else None

    def used(self):
        """Bytes by port, as `dog node info` has them."""
        ports = {node["number"]: node["port"] for node in self.bed.cluster.nodes()}
        rows = [line.split() for line in self.bed.dog("node", "info", "-r").splitlines()]
        return {ports[int(row[0])]: int(row[2]) for row in rows if row[0] != "Total"}


def connect(sheep, name):
    handle = nbd.NBD()
    handle.connect_uri(sheep.unix(name))
    return handle


def port(address):
    return int(address.rsplit(":", 1)[1])


def refused(request, what):
    """Fails unless the request, by NBD, ends with an error."""
    try:
        request()
    except nbd.Error:
        return
    raise AssertionError(f"{what} was answered")
