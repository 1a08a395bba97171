"""a gateway stores nothing and serves volumes; it is killed, then a storing sheep is"""

import signal

from acceptance import MiB, VerifyingLoad, check
from contents import Contents
from waiting import wait_until

SHEEP, COPIES, LIMIT = 3, 3, 240
SIZE = 24 * MiB
OBJECT = 4 * MiB
# Bytes of a record of a store's logs, and the kind of one that ends an intent, in its ninth byte.
RECORD, RETIRED = 40, 8


def scenario(bed):
    epoch = bed.cluster.epoch()
    gateway, = bed.cluster.add(options=["-g"])
    bed.cluster.wait_nodes(4)
    is_listed_without_share(bed, gateway, epoch)
    contents = Contents(bed)
    contents.create("volume", SIZE, 3)
    contents.write(gateway, "volume", 0, SIZE)
    contents.snapshot("volume", "first")
    contents.write(gateway, "volume", 3 * MiB + 4096, 5 * MiB)
    contents.clone("volume", "first", "clone")
    contents.write(gateway, "clone", 12 * MiB, MiB)
    contents.verify()
    contents.wait_placed()
    check(not objects(gateway), "a gateway stores objects")
    is_mapped(bed, gateway)
    storing_sheep_killed(bed, contents, gateway)
    gateway_killed(bed, contents, gateway)


def objects(sheep):
    return [path for path in sheep.store.glob("objects/*/*") if path.is_file()]


def is_listed_without_share(bed, gateway, epoch):
    row = next(node for node in bed.cluster.nodes() if node["port"] == gateway.port)
    check(row["isGateway"] and row["virtualNodes"] == 0, f"`dog node list` shows a gateway as {row}")
    lines = [line.split() for line in bed.dog("node", "list", "-r").splitlines()]
    check([l[2] for l in lines if l[1].endswith(f":{gateway.port}")] == ["0"], "a gateway has virtual nodes")
    check(len(bed.dog("node", "info", "-r").splitlines()) == 4, "`dog node info` shows the space of a gateway")
    check(bed.cluster.epoch() == epoch, "a gateway made a new epoch")


def is_mapped(bed, gateway):
    """Objects far apart, of the volume and of its snapshot, are found by a sheep that has none of them."""
    far = [0, 1, 65_535, 65_536, 70_000, *(number * 65_536 - 1 for number in range(3, 8)), 500_000]
    bed.dog("vdi", "create", "-c", "2", "far", "2T")
    bed.qemu_io(gateway.tcp("far"), *(f"write -P 1 {index * OBJECT} 4k" for index in far))
    bed.dog("vdi", "snapshot", "-s", "first", "far")
    bed.qemu_io(gateway.tcp("far"), f"write -P 2 {70_000 * OBJECT} 4k", f"write -P 2 {70_001 * OBJECT} 4k")

    def mapped(*arguments):
        maps = {bed.dog("vdi", "object", "map", "-r", *arguments, "far", through=sheep) for sheep in (gateway, bed.sheep[0])}
        check(len(maps) == 1, f"two sheep show different objects: {maps}")
        return [tuple(line.split()) for line in maps.pop().splitlines()]

    present, snapshot = mapped(), mapped("-s", "first")
    check([int(index) for index, _ in snapshot] == far, f"the snapshot shows {snapshot}")
    check(sorted({*far, 70_001}) == [int(index) for index, _ in present], f"the volume shows {present}")
    new = {int(index) for index, vid in present if (index, vid) not in snapshot}
    check(new == {70_000, 70_001}, f"{new} are taken for what was written since the snapshot")
    check(mapped("-i", "70000") == [line for line in present if int(line[0]) == 70_000], "one index alone is shown otherwise")
    check(mapped("-i", "5") == [], "a hole is shown")
    bed.dog("vdi", "delete", "-s", "first", "far")
    bed.dog("vdi", "delete", "far")


def leaves_its_store(sheep):
    """Killed in the middle of writes and started as a gateway, it compares nothing: its next start must still know what was in doubt."""
    intents = sheep.store / "intents"
    before = intents.read_bytes()
    check(before.strip(b"\0"), "a sheep killed in the middle of writes has no intents")
    sheep.extra_options.append("-g")
    sheep.start()
    sheep.wait_listening()
    sheep.signal(signal.SIGTERM)
    sheep.wait_ended()
    sheep.extra_options.remove("-g")
    added = intents.read_bytes().removeprefix(before)
    check(len(added) + len(before) == intents.stat().st_size, "a gateway wrote its store's intents anew")
    kinds = {added[at + 8] for at in range(0, len(added), RECORD)}
    check(RETIRED not in kinds, f"a gateway ended intents of its store's former run: records of the kinds {kinds} were added")


def storing_sheep_killed(bed, contents, gateway):
    """Under a load through the gateway; two copies are enough to go on."""
    contents.create_foreign("busy", SIZE, 3)
    load = VerifyingLoad(bed, gateway.unix("busy"), 3600, SIZE, name="busy")
    bed.sheep[1].kill()
    wait_until(lambda: bed.cluster.node_state(bed.sheep[1]) == "down", "the killed sheep is down")
    contents.verify()
    contents.write(gateway, "volume", 0, 4 * MiB)
    check(load.running(), "the load ended when a storing sheep was killed")
    leaves_its_store(bed.sheep[1])
    bed.sheep[1].start()
    bed.sheep[1].wait_listening()
    bed.cluster.wait_recovered()
    load.stop()
    contents.verify()
    bed.dog("cluster", "check")
    check(bed.cluster.information()["redundancy"]["zones"] == 3, "a gateway counts as a zone")


def gateway_killed(bed, contents, gateway):
    """It owned the volumes; what it acknowledged is behind every other door, nothing has to be recovered."""
    contents.write(gateway, "volume", 8 * MiB, 4 * MiB)
    epoch = bed.cluster.epoch()
    gateway.kill()
    wait_until(lambda: bed.cluster.node_state(gateway) in ("down", None), "the killed gateway is down")
    contents.verify()
    contents.write(bed.sheep[2], "volume", 9 * MiB, 4 * MiB)
    bed.cluster.wait_complete()
    check(bed.cluster.epoch() == epoch, "a killed gateway made a new epoch")
    bed.cluster.wait_running()
    gateway.start()
    gateway.wait_listening()
    bed.cluster.wait_nodes(4)
    contents.verify()
    bed.dog("cluster", "check")
