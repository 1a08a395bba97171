"""five sheep, two copies, two gone for good: without their sheep groups stay closed; removed and forced, what was only there reads as zeros"""

import json

from acceptance import MiB, check
from contents import Contents, connect, refused
from doors import wait_down
from sheep import kill_all, start_all

SHEEP, COPIES, LIMIT = 5, 2, 300
TIMEOUT = 4
SHEEP_OPTIONS = ("--io-timeout", str(TIMEOUT))
FORCE = ("cluster", "recover", "force")

# Of ten objects one has both copies on the two that go.
SIZE = 64 * MiB


def scenario(bed):
    contents = Contents(bed)
    contents.create("volume", SIZE, 2)
    contents.write(bed.sheep[0], "volume", 0, SIZE)
    placed = {index: ports for (_, index), _, ports in contents.locations("volume")}
    gone = next(ports for ports in placed.values() if bed.sheep[0].port not in ports)
    lost = sorted(index for index, ports in placed.items() if ports == gone)
    victims = [s for s in bed.sheep if s.port in gone]
    alive = [s for s in bed.sheep if s not in victims]
    kill_all(*victims)
    for sheep in victims:
        wait_down(bed, sheep)
    print(f"{len(lost)} of {len(placed)} objects are lost")

    result = bed.cluster.run_dog(*FORCE, "-f")
    check(result.returncode == 1 and "node remove" in result.stderr, f"{FORCE} -f ended with {result.returncode}: {result.stderr}")
    check("stay closed" in result.stdout, f"groups without a sheep are not told:\n{result.stdout}")
    told(bed, victims, "closed", len(lost))

    for sheep in victims:
        bed.dog("node", "remove", str(bed.cluster.number(sheep)))
    bed.cluster.wait_placed(alive)
    refused(lambda: connect(alive[0], "volume").pread(4096, lost[0] * MiB), "a read of an object without a copy")
    told(bed, victims, "lost", len(lost))

    check("are lost" in bed.dog(*FORCE, "-f"), "what is lost is not told")
    for index in lost:
        contents.exports["volume"][index * MiB:(index + 1) * MiB] = bytes(MiB)
    contents.verify()
    contents.write(alive[1], "volume", lost[0] * MiB, MiB // 2)
    check("Nothing waits" in bed.dog(*FORCE, "-f"), "something waits still")
    whole(bed, contents)

    start_all(*victims)
    bed.cluster.wait_placed(bed.sheep)
    whole(bed, contents)


def whole(bed, contents):
    bed.cluster.wait_running()
    bed.cluster.wait_complete()
    contents.verify()
    bed.dog("cluster", "check")
    contents.wait_placed()


def told(bed, victims, kind, count):
    """For programs: who is away, and how many of the volume's objects come to what."""
    risk = json.loads(bed.cluster.run_dog(*FORCE, "--json").stdout)
    check(sorted(node["port"] for node in risk["absent"]) == sorted(s.port for s in victims), f"absent: {risk['absent']}")
    volume, = risk["volumes"]
    found = {other: volume[other] for other in ("older", "lost", "closed") if volume[other]}
    check(found == {kind: count} and volume["objects"] == SIZE // MiB, f"of {count} {kind} objects it is told {volume}")
