"""the machine's control log is removed, then damaged: no sheep goes on without it, and a store's copy brings it back with everything"""

import struct

from acceptance import MiB, check
from contents import Contents
from sheep import kill_all, start_all
from waiting import wait_until

SHEEP, COPIES, LIMIT = 3, 3, 240

HEADER, RECORD = 48, 24


def scenario(bed):
    contents = Contents(bed)
    contents.create("volume", 16 * MiB, 3)
    contents.write(bed.sheep[0], "volume", 0, 16 * MiB)
    removed(bed, contents)
    damaged(bed, contents)
    too_old_a_copy(bed, contents)


def folder(bed):
    return bed.sheep[0].directory / "sheepdog.local"


def segment(bed):
    return max(folder(bed).glob("log.*"))


def refused(sheep, *texts):
    """It ends by itself, and says why."""
    before = len(sheep.log.read_text(errors="replace"))
    sheep.start()
    sheep.wait_ended()
    said = sheep.log.read_text(errors="replace")[before:]
    check(sheep.child.returncode == 1 and all(text in said for text in texts), f"sheep {sheep.number} ended with {sheep.child.returncode}: {said}")


def restored(bed, contents, sheep, without=()):
    """By one sheep, which goes on at once; the others join it, and everything is there, also for writes to come."""
    options = sheep.extra_options
    sheep.extra_options = [*options, "--restore-log"]
    sheep.start()
    sheep.wait_listening()
    sheep.extra_options = options
    check("was made anew from the copy" in sheep.log.read_text(errors="replace"), "the log was not restored")
    start_all(*(s for s in bed.sheep if s is not sheep and s not in without))
    if without:
        bed.cluster.wait_running()
    else:
        bed.cluster.wait_recovered()
    contents.verify(*(s for s in bed.sheep if s not in without))
    contents.write(bed.sheep[1], "volume", 3 * MiB, 5 * MiB)
    bed.dog("cluster", "check")


def removed(bed, contents):
    """An empty log would be an empty cluster, which whoever formats it would lose everything by."""
    (first, restorer, third) = bed.sheep
    # The last one to stop has the newest copy.
    kill_all(first, third, restorer)
    folder(bed).rename(folder(bed).with_name("lost"))
    for sheep in bed.sheep:
        refused(sheep, "the control log ends at entry 0, but this store's copy of it at entry", "--restore-log")
    restored(bed, contents, restorer)


def damaged(bed, contents):
    """In the middle of what was acted upon. A sheep that was away meanwhile has too old a copy."""
    (restorer, other, away) = bed.sheep
    away.kill()
    wait_until(lambda: bed.cluster.node_state(away) == "down", "the sheep is down", 30)
    for name in ("a", "b", "c"):
        contents.create(name, MiB, 2)
    contents.write(restorer, "a", 0, MiB)
    kill_all(other, restorer)
    rot(segment(bed))
    for sheep in bed.sheep:
        refused(sheep, "is damaged", "cannot be read", "--restore-log")
    away.extra_options.append("--restore-log")
    refused(away, "restore it by the sheep of this machine that ran last")
    away.extra_options.remove("--restore-log")
    restored(bed, contents, restorer)


def too_old_a_copy(bed, contents):
    """The log is lost, and a sheep that was away restores it: those that have more are not taken in as if they had less."""
    (restorer, other, away) = bed.sheep
    away.kill()
    wait_until(lambda: bed.cluster.node_state(away) == "down", "the sheep is down", 30)
    contents.write(restorer, "volume", 0, MiB)
    kill_all(other, restorer)
    folder(bed).rename(folder(bed).with_name("lost again"))
    away.extra_options.append("--restore-log")
    away.start()
    away.wait_listening()
    away.extra_options.remove("--restore-log")
    for sheep in (restorer, other):
        refused(sheep, "was made anew from a copy that ended at entry", "move the log away")
    away.kill()
    folder(bed).rename(folder(bed).with_name("too old"))
    restored(bed, contents, restorer, without=[away])
    # It acted on nothing that the others do not know.
    refused(away, "--restore-log")


def rot(path):
    """One bit of the last record but one."""
    data = bytearray(path.read_bytes())
    (snapshot,) = struct.unpack_from("<Q", data, 32)
    tag, places = data[16:24], []
    position = HEADER + snapshot
    while position + RECORD <= len(data) and data[position:position + 8] == tag:
        places.append(position)
        position += RECORD + struct.unpack_from("<I", data, position + 16)[0]
    check(len(places) > 4, f"{path} has {len(places)} records only")
    data[places[-2] + RECORD] ^= 1
    path.write_bytes(data)
