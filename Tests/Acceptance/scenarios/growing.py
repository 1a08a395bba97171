"""sheep join, are removed, die and are taken out, and return, in one epoch after the other, under a verifying load"""

from acceptance import MiB, VerifyingLoad, check
from contents import Contents
from waiting import wait_until

SHEEP, COPIES, LIMIT = 3, 3, 420
DOWN_OUT = 6
SHEEP_OPTIONS = ("--down-out", str(DOWN_OUT), "--io-timeout", "20")

SIZE = 24 * MiB


def scenario(bed):
    contents = volumes(bed)
    # One through a sheep that stays, one through another, so that changes are ordered on both.
    loads = [VerifyingLoad(bed, bed.sheep[n].unix(name), 3600, SIZE, name=name) for n, name in enumerate(("busy2", "busy3"))]
    joins(bed, contents)
    several_epochs_in_a_row(bed, contents)
    removal(bed, contents)
    taken_out_and_back(bed, contents)
    for load in loads:
        load.stop()
    agree(bed, contents)


def volumes(bed):
    """1, 2 and 3 copies, a snapshot, a clone, attributes."""
    contents = Contents(bed)
    for copies in (1, 2, 3):
        contents.create(f"v{copies}", SIZE, copies)
        contents.write(bed.sheep[copies - 1], f"v{copies}", 0, SIZE)
        bed.dog("vdi", "setattr", f"v{copies}", "colour", f"red{copies}")
    contents.snapshot("v3", "first")
    contents.write(bed.sheep[0], "v3", 5 * MiB + 4096, 6 * MiB)
    contents.clone("v3", "first", "clone")
    contents.write(bed.sheep[1], "clone", 10 * MiB, 3 * MiB)
    contents.snapshot("v2", "first")
    contents.write(bed.sheep[0], "v2", 0, 3 * MiB)
    for copies in (2, 3):
        contents.create_foreign(f"busy{copies}", SIZE, copies)
    contents.verify()
    return contents


def placed_at(bed, sheep, timeout=60):
    """An epoch with these members, everything on them, nothing lacking."""
    bed.cluster.wait_placed(sheep, timeout)
    bed.cluster.wait_complete()


def agree(bed, contents, names=None):
    """The bytes behind every door, the attributes, the checks."""
    contents.verify(names=names)
    for sheep in (s for s in bed.sheep if s.is_running()):
        for copies in (1, 2, 3):
            value = bed.dog("vdi", "getattr", f"v{copies}", "colour", through=sheep)
            check(value == f"red{copies}", f"sheep {sheep.number} says {value!r} for an attribute of v{copies}")
    for name in names or contents.exports:
        volume, _, tag = name.partition("@")
        bed.dog("vdi", "check", *(["-s", tag] if tag else []), volume)
    bed.dog("cluster", "check")


def joins(bed, contents):
    epoch = bed.cluster.epoch()
    bed.cluster.add(2)
    bed.cluster.wait_nodes(5)
    placed_at(bed, bed.sheep)
    check(bed.cluster.epoch() > epoch, "sheep joined without a new epoch")
    contents.wait_placed()
    check(all(used > 0 for used in contents.used().values()), f"some sheep has nothing: {contents.used()}")
    agree(bed, contents)


def several_epochs_in_a_row(bed, contents):
    """Nobody waits for recovery between them."""
    epoch = bed.cluster.epoch()
    sixth, = bed.cluster.add()
    bed.cluster.wait_placed(bed.sheep)
    bed.dog("node", "remove", str(bed.cluster.number(bed.sheep[3])))
    bed.cluster.wait_placed([s for s in bed.sheep if s.number != 3])
    bed.dog("node", "remove", str(bed.cluster.number(bed.sheep[4])))
    bed.cluster.wait_placed([*bed.sheep[:3], sixth])
    # A removed sheep that starts again is a member again.
    for sheep in bed.sheep[3:5]:
        sheep.kill()
    for sheep in bed.sheep[3:5]:
        sheep.start()
        sheep.wait_listening()
    placed_at(bed, bed.sheep)
    check(bed.cluster.epoch() >= epoch + 4, f"epoch {bed.cluster.epoch()} after {epoch} and four changes")
    contents.wait_placed()
    agree(bed, contents)


def removal(bed, contents):
    """A removed sheep's data moves first; then it has none, and nobody misses it."""
    leaver = bed.sheep[3]
    bed.dog("node", "remove", str(bed.cluster.number(leaver)))
    wait_until(lambda: bed.cluster.node_state(leaver) == "removed", "a removed sheep has nothing that others lack", 60, interval=0.2)
    rest = [s for s in bed.sheep if s is not leaver]
    placed_at(bed, rest)
    contents.wait_placed()
    check(leaver.port not in contents.used(), "a removed sheep's space still counts")
    wait_until(lambda: not list_objects(leaver), "a removed sheep's store is empty", 60)
    leaver.signal(15)
    leaver.wait_ended()
    agree(bed, contents)
    check(bed.cluster.node_state(leaver) is None, "a sheep that was removed and stopped is still listed")


def list_objects(sheep):
    return [path for path in (sheep.store / "objects").glob("*/*") if path.is_file()]


def taken_out_and_back(bed, contents):
    """Down for longer than --down-out its share is rebuilt; what changed meanwhile is seen by it when it returns."""
    victim = bed.sheep[2]
    alive = [s for s in bed.sheep if s.is_running() and s is not victim]
    victim.kill()
    wait_until(lambda: bed.cluster.node_state(victim) == "down", "the killed sheep is down", 30)
    bed.cluster.wait_placed(alive, DOWN_OUT + 30)
    # Of the volume with one copy some objects are on the killed sheep only, and come back with it.
    several = [name for name in contents.exports if name != "v1"]
    wait_until(lambda: not bed.dog("node", "recovery", "-r").strip(), "the share of the killed sheep is rebuilt", 120, interval=0.2)
    contents.verify(names=several)
    contents.write(bed.sheep[0], "v3", 0, 8 * MiB)
    contents.write(bed.sheep[1], "clone", 0, 2 * MiB)
    contents.snapshot("v3", "second")
    contents.write(bed.sheep[1], "v3", 4 * MiB, 2 * MiB)
    contents.verify(names=[*several, "v3@second"])
    victim.start()
    victim.wait_listening()
    placed_at(bed, [*alive, victim])
    # And the one that was removed before.
    bed.sheep[3].start()
    bed.sheep[3].wait_listening()
    placed_at(bed, bed.sheep)
    contents.wait_placed()
    agree(bed, contents)
