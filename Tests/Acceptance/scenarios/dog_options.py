"""dog's less common options, by what they do"""

from acceptance import MiB, check
from cluster import binaries
from contents import Contents
from waiting import wait_until

SHEEP, COPIES = 2, 2


def scenario(bed):
    contents = Contents(bed)
    contents.create("volume", 8 * MiB, 2)
    contents.write(bed.sheep[0], "volume", MiB, 2 * MiB)
    contents.snapshot("volume", "first")
    by_socket(bed)
    clones(bed, contents)
    snapshots_of_nothing_new(bed, contents)
    epochs(bed)
    counting(bed)
    watching(bed)
    disk_mode(bed)
    killing_whom_one_asks(bed)


def by_socket(bed):
    """The unix socket in a store is for dog as well as for Sheepdog's own clients."""
    listed = bed.run(binaries() / "dog", "node", "list", "-r", "-a", bed.sheep[1].store / "sock")
    check(listed == bed.dog("node", "list", "-r", through=bed.sheep[1]), f"by the unix socket it lists\n{listed}")


def clones(bed, contents):
    contents.clone("volume", "first", "shared")
    bed.dog("vdi", "clone", "-n", "-s", "first", "volume", "apart")
    contents.exports["apart"] = contents.exports["volume@first"]
    contents.verify()
    found = {v.name: (v.used, v.shared) for v in bed.cluster.volumes() if v.name in ("shared", "apart")}
    check(found == {"shared": (0, 2 * MiB), "apart": (2 * MiB, 0)}, f"used and shared bytes of the clones are {found}")
    line = bed.dog("vdi", "object", "location", "-i", "1", "volume").splitlines()[0]
    identity = line.split("object ")[1].split()[0]
    users = [(l.split()[0], l.split()[1]) for l in bed.dog("vdi", "list", "-r", "-o", identity).splitlines()]
    wanted = [("c", "shared"), ("s", "volume"), ("=", "volume")]
    check(sorted(users) == sorted(wanted), f"`dog vdi list -o {identity}` lists {users}")


def snapshots_of_nothing_new(bed, contents):
    def count():
        return len([v for v in bed.cluster.volumes() if v.name == "volume"])
    bed.dog("vdi", "snapshot", "-R", "-s", "second", "volume")
    check(count() == 2, "a snapshot was made of nothing new")
    contents.write(bed.sheep[1], "volume", 0, 4096)
    bed.dog("vdi", "snapshot", "-R", "-s", "second", "volume")
    check(count() == 3, "no snapshot was made of what is new")
    bed.dog("vdi", "check", "-e", "volume")


def epochs(bed):
    third, = bed.cluster.add()
    bed.cluster.wait_placed(bed.sheep)
    bed.dog("node", "recovery", "-P")
    lines = bed.dog("cluster", "info", "-r", "-d").splitlines()
    newest = next(l for l in lines if "[" in l)
    check(newest.split("[")[1].startswith(f"+127.0.0.1:{third.port}:") and "," not in newest, f"the latest epoch differs by {newest!r}")


def counting(bed):
    def counted():
        head, *rows = (line.split("\t") for line in bed.dog("node", "stat", through=bed.sheep[0]).splitlines())
        row = dict(zip(head, next(row for row in rows if row[0] == "Client")))
        return [int(row[name]) for name in ("Write", "Read", "Remove", "Flush")]
    before = counted()
    bed.qemu_io(bed.sheep[0].tcp("volume"), "write 0 4k", "read 0 4k", "read 4k 4k", "discard 64k 64k", "flush")
    more = [now - then for now, then in zip(counted(), before)]
    check(more[0] == 1 and more[1] >= 2 and more[2] == 1 and more[3] >= 1, f"writes, reads, removals and flushes: {more} were counted")


def watching(bed):
    process = bed.start(*bed.cluster.dog_command("node", "stat", "-w", "-r"), output="watch")
    wait_until(lambda: len((bed.directory / "watch").read_text().splitlines()) >= 4, "two seconds are told")
    process.terminate()
    process.wait()


def disk_mode(bed):
    bed.dog("cluster", "format", "-f", "-m", "-c", "2")
    bed.cluster.wait_running()
    check("Cluster vnode mode: disk" in bed.dog("cluster", "info", "-v"), "the cluster is not in disk mode")


def killing_whom_one_asks(bed):
    bed.dog("node", "kill", "-l", through=bed.sheep[1])
    bed.sheep[1].wait_ended()
    check(bed.sheep[0].is_running(), "another sheep ended")
