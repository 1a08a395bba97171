"""a disk that fails under a verifying load: its sheep goes on as a gateway and its share is rebuilt elsewhere; one that cannot read is repaired"""

from acceptance import MiB, VerifyingLoad, check
from contents import Contents
from waiting import wait_until

SHEEP, COPIES, LIMIT = 4, 3, 300
FULL_ONLY = True
FAILING_DISKS = True


def scenario(bed):
    contents = Contents(bed)
    contents.create("still", 12 * MiB, 3)
    contents.write(bed.sheep[0], "still", 0, 12 * MiB)
    unreadable(bed, contents)
    failed(bed, contents, bed.sheep[1], "write")
    again(bed, contents, bed.sheep[1])
    failed(bed, contents, bed.sheep[2], "sync")
    again(bed, contents, bed.sheep[2])


def unreadable(bed, contents):
    """Nothing of a disk can be read for a while: others give the data."""
    bed.fault(bed.sheep[1], "read")
    contents.verify(bed.sheep[1], bed.sheep[0])
    bed.fault(bed.sheep[1])
    said = bed.dog("vdi", "check", "still")
    check(", 0 lost" in said, f"after reads failed a check says {said!r}")


def failed(bed, contents, victim, what):
    name, other = f"busy{victim.number}", f"through{victim.number}"
    bed.create(name, 32 * MiB)
    bed.create(other, 32 * MiB)
    load = VerifyingLoad(bed, bed.sheep[0].unix(name), 12, 32 * MiB, name=name)
    through = VerifyingLoad(bed, victim.unix(other), 12, 32 * MiB, name=other)
    wait_until(lambda: bed.cluster.volume(name).used > 0, "the load writes")
    bed.fault(victim, what)
    others = [s for s in bed.sheep if s is not victim]
    bed.cluster.wait_placed(others)
    wait_until(lambda: any("failed" in line for line in bed.information_warnings()), "`dog cluster info` says that a disk failed")
    load.finish()
    through.finish()
    bed.cluster.wait_complete()
    contents.verify()
    bed.dog("vdi", "check", "still")
    bed.dog("vdi", "check", name)


def again(bed, contents, victim):
    """The disk is well again, or another one: its sheep, started anew, takes its share back."""
    bed.fault(victim)
    victim.kill()
    victim.start()
    victim.wait_listening()
    bed.cluster.wait_placed(bed.sheep)
    bed.cluster.wait_complete()
    contents.verify()
    bed.dog("vdi", "check", "still")
