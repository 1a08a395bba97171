"""a volume's lease goes from sheep to sheep under a verifying load and clients of all sheep: no error; then it follows the only one in use"""

import random

from acceptance import MiB, VerifyingLoad, check
from doors import Clients
from waiting import wait_until

SHEEP, COPIES, LIMIT = 3, 3, 300

MOVES, MOVES_FULL = 20, 300
# Between two writes of a client, hand-overs included; it is told, and a hang of the lease's time limit shows.
LONGEST_WAIT = 5.0


def scenario(bed):
    chance = random.Random(11)
    bed.create("volume", 16 * MiB)
    bed.create("other", 64 * MiB)
    by_order(bed, chance)
    refusals(bed)
    follows(bed)
    bed.dog("vdi", "check", "volume")
    bed.dog("vdi", "check", "other")


def owner(bed, volume, through=None):
    """The number in 'node list', or None."""
    words = bed.dog("vdi", "owner", volume, "-r", through=through).split()
    return None if words == ["-"] else int(words[0])


def hand_over(bed, volume, number, through):
    bed.dog("vdi", "owner", volume, str(number), through=through)
    wait_until(lambda: owner(bed, volume) == number, f"node {number} owns {volume}")


def by_order(bed, chance):
    load = VerifyingLoad(bed, bed.sheep[0].tcp("other"), 600, "32M")
    with Clients(bed, "volume", 6, bed.sheep, doors_each=1, patience=30.0) as clients:
        clients.wait_progress()
        for move in range(MOVES_FULL if bed.full else MOVES):
            for volume in ("volume", "other"):
                hand_over(bed, volume, (move + len(volume)) % 3, chance.choice(bed.sheep))
            clients.wait_progress(count=5)
        clients.verify(bed.sheep)
        print(clients.told(), flush=True)
        check(all(client.moves == 0 for client in clients.clients), f"a client lost its door: {clients.told()}")
        longest = max(client.longest_wait for client in clients.clients)
        check(longest < LONGEST_WAIT, f"a client waited for {longest:.1f} s")
    load.stop()


def refusals(bed):
    for arguments, status, says in (
            (("nobody", "1"), 1, "No VDI found"), (("nobody",), 1, "No VDI found"), (("volume", "7"), 1, "Invalid node id 7")):
        result = bed.cluster.run_dog("vdi", "owner", *arguments)
        check(result.returncode == status and says in result.stderr, f"{arguments}: {result.returncode}, {result.stderr}")


def follows(bed):
    """After half a minute, the lease is where the clients are."""
    bed.create("third", 16 * MiB)
    here, there = (bed.cluster.number(bed.sheep[n]) for n in (0, 2))
    check(owner(bed, "third") is None, "somebody owns what nobody has used")
    hand_over(bed, "third", here, bed.sheep[1])
    with Clients(bed, "third", 2, [bed.sheep[2]], doors_each=1, patience=30.0) as clients:
        clients.wait_progress()
        check(owner(bed, "third") == here, "it went over at once")

        def moved():
            clients.check_alive()
            return owner(bed, "third") == there
        wait_until(moved, "the clients' own sheep owns the volume", 60)
        clients.wait_progress()
        clients.verify(bed.sheep)
        check(all(client.moves == 0 for client in clients.clients), f"a client lost its door: {clients.told()}")
