"""an operator removes sheep until there are fewer zones than copies, and gives up what only a dead sheep had"""

import nbd
from acceptance import MiB, VerifyingLoad, check
from contents import Contents, connect
from waiting import wait_until

SHEEP, COPIES, LIMIT = 3, 3, 240
TIMEOUT = 4
SHEEP_OPTIONS = ("--io-timeout", str(TIMEOUT), "--down-out", "2")
SIZE = 16 * MiB


def scenario(bed):
    contents = Contents(bed)
    contents.create("three", SIZE, 3)
    contents.write(bed.sheep[1], "three", 0, SIZE)
    contents.create_foreign("busy", SIZE, 3)
    load = VerifyingLoad(bed, bed.sheep[0].unix("busy"), 3600, SIZE, name="busy")
    two_zones(bed, contents)
    one_of_two(bed, contents)
    load.stop()
    three_again(bed, contents)
    given_up(bed, contents)


def two_zones(bed, contents):
    """Only an operator lowers the number of copies."""
    leaver = bed.sheep[2]
    bed.dog("node", "remove", str(bed.cluster.number(leaver)))
    wait_until(lambda: bed.cluster.node_state(leaver) == "removed", "the sheep is removed", 30, interval=0.2)
    bed.cluster.wait_complete()
    check("3 copies are asked for, but nodes are in 2 zones only" in bed.dog("cluster", "info"), "too few zones are not said aloud")
    contents.wait_placed()
    contents.verify()
    leaver.kill()
    wait_until(lambda: bed.cluster.node_state(leaver) is None, "a sheep that was removed and stopped is not listed", 30)


def one_of_two(bed, contents):
    """Two copies are placed, so one is enough: the load goes on. Nobody is taken out by itself, for there is nowhere to rebuild."""
    epoch = bed.cluster.epoch()
    dead = bed.sheep[1]
    dead.kill()
    wait_until(lambda: bed.cluster.node_state(dead) == "down", "the sheep is down", 30)
    contents.write(bed.sheep[0], "three", 2 * MiB, 4 * MiB)
    contents.verify()
    checked = bed.dog("vdi", "check", "three")
    check("every object" not in checked and "of them lack copies" in checked, f"a check does not say that copies are missing: {checked}")
    looked = bed.cluster.run_dog("vdi", "check", "-e", "three")
    check(looked.returncode == 1 and "lack copies" in looked.stderr, f"'check -e' found every copy: {looked.stdout}{looked.stderr}")
    check(bed.cluster.epoch() == epoch, "a sheep was taken out where nothing could be rebuilt")
    bed.dog("node", "remove", str(bed.cluster.number(dead)))
    bed.cluster.wait_placed([bed.sheep[0]])
    refused = bed.cluster.run_dog("node", "remove", "0")
    check(refused.returncode == 1 and "is the last with storage" in refused.stderr, f"the last sheep could be removed: {refused.stderr}")
    contents.write(bed.sheep[0], "three", 4 * MiB, 4 * MiB)
    contents.verify()


def three_again(bed, contents):
    for sheep in bed.sheep[1:]:
        sheep.start()
        sheep.wait_listening()
    bed.cluster.wait_placed(bed.sheep)
    bed.cluster.wait_complete()
    contents.wait_placed()
    contents.verify()
    bed.dog("cluster", "check")


def given_up(bed, contents):
    """A volume of one copy: what only the dead sheep had fails in time, and after it was given up reads as zeros, for ever."""
    contents.create("one", SIZE, 1)
    contents.write(bed.sheep[0], "one", 0, SIZE)
    dead = bed.sheep[2]
    only_there = {index for (_, index), has, _ in contents.locations("one") if has == {dead.port}}
    check(only_there and len(only_there) < SIZE // MiB, f"objects {only_there} are on the sheep that dies")
    dead.kill()
    wait_until(lambda: bed.cluster.node_state(dead) == "down", "the sheep is down", 30)
    bed.dog("node", "remove", str(bed.cluster.number(dead)))
    bed.cluster.wait_placed(bed.sheep[:2])
    check(bed.cluster.node_state(dead) == "down", "a dead sheep that still has something is not listed")
    index = min(only_there)
    handle = connect(bed.sheep[1], "one")
    try:
        handle.pread(4096, index * MiB)
        raise AssertionError(f"object {index} was read though nobody has it")
    except nbd.Error as error:
        check(error.errno == "EIO", f"it failed with {error}")
    checked = bed.cluster.run_dog("vdi", "check", "one")
    check(checked.returncode == 1 and "were not checked" in checked.stderr, f"a check said: {checked.stdout}{checked.stderr}")
    asked = bed.cluster.run_dog("node", "remove", str(bed.cluster.number(dead)))
    check(asked.returncode == 1 and "groups are lost" in asked.stdout and "one" in asked.stdout, f"nothing was asked: {asked.stdout}{asked.stderr}")
    check(bed.cluster.node_state(dead) == "down", "without an answer something was given up")
    bed.dog("node", "remove", "-f", str(bed.cluster.number(dead)))
    wait_until(lambda: bed.cluster.node_state(dead) is None, "the dead sheep is given up", 30)
    bed.cluster.wait_running()
    for index in only_there:
        contents.exports["one"][index * MiB:(index + 1) * MiB] = bytes(MiB)
    contents.verify()
    contents.write(bed.sheep[1], "one", min(only_there) * MiB, 4096)
    dead.start()
    dead.wait_listening()
    bed.cluster.wait_placed(bed.sheep)
    bed.cluster.wait_complete()
    contents.verify()
    contents.wait_placed()
    bed.dog("cluster", "check")
