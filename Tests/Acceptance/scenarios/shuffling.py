"""random joins, removals, kills and returns, waited for or not, under a verifying load; nothing is lost and all is where it belongs"""

import os
import random

from acceptance import MiB, VerifyingLoad, check
from contents import Contents
from waiting import wait_until

SHEEP, COPIES, LIMIT, FULL_ONLY = 4, 3, 900, True
SHEEP_OPTIONS = ("--down-out", "5", "--io-timeout", "0")

SIZE = 16 * MiB
STEPS = int(os.environ.get("STEPS", "20"))
LARGEST = 7


def scenario(bed):
    seed = int(os.environ.get("SEED") or random.randrange(1 << 30))
    print(f"SEED={seed}", flush=True)
    Shuffle(bed, seed).run()


class Shuffle:
    """Sheep 0 stays, for the loads are on it. One sheep is down at a time, or two where nothing lacked a copy."""

    def __init__(self, bed, seed):
        self.bed = bed
        self.random = random.Random(seed)
        self.contents = Contents(bed, seed)
        self.down = []
        self.removed = []
        self.snapshots = 0
        # Whoever is down went when nothing lacked a copy, so that three copies are still two.
        self.calm = True

    def run(self):
        for copies in (1, 2, 3):
            self.contents.create(f"v{copies}", SIZE, copies)
            self.contents.write(self.bed.sheep[0], f"v{copies}", 0, SIZE)
            self.contents.create_foreign(f"busy{copies}", SIZE, copies)
        loads = [VerifyingLoad(self.bed, self.bed.sheep[0].unix(n), 3600, SIZE, name=n, depth=4) for n in ("busy2", "busy3")]
        for number in range(STEPS):
            step = self.random.choice(self.possible())
            print(f"step {number}: {step.__name__}", flush=True)
            step()
            check(all(load.running() for load in loads), "a load ended")
        self.everything_back()
        for load in loads:
            load.stop()
        self.contents.wait_placed()
        self.contents.verify()
        self.bed.dog("cluster", "check")

    def possible(self):
        steps = [self.write, self.write]
        members = [s for s in self.bed.sheep if s not in self.down + self.removed]
        if not self.down:
            steps += [self.kill, self.kill, self.settle]
            if len(members) > 4:
                steps += [self.remove, self.kill_two]
        else:
            steps += [self.give_back, self.give_back, self.await_out]
        if self.removed:
            steps.append(self.bring_removed_back)
        if len(self.bed.sheep) < LARGEST:
            steps.append(self.join)
        if self.snapshots < 4:
            steps.append(self.snapshot)
        return steps

    def some_member(self):
        return self.random.choice([s for s in self.bed.sheep[1:] if s not in self.down + self.removed])

    # Steps

    def write(self):
        """Not where a write might have to wait for somebody who is down: nobody would bring him back meanwhile."""
        if len(self.down) > 1 or self.down and not self.calm:
            return
        for name in ("v3",) if self.down else ("v1", "v2", "v3"):
            offset = self.random.randrange(SIZE // 4096 - 1024) * 4096
            self.contents.write(self.some_member(), name, offset, 4 * MiB)

    def snapshot(self):
        """Refused while writes have to wait, so only where they need not."""
        if self.down:
            return
        self.settle()
        self.snapshots += 1
        self.contents.snapshot("v3", f"s{self.snapshots}")

    def settle(self):
        self.bed.cluster.wait_complete()

    def kill(self):
        self.calm = self.random.random() < 0.5
        if self.calm:
            self.settle()
        self.down.append(self.some_member())
        self.down[-1].kill()

    def kill_two(self):
        self.settle()
        for _ in range(2):
            self.down.append(self.some_member())
            self.down[-1].signal(9)
        for sheep in self.down:
            sheep.wait_ended()

    def give_back(self):
        for sheep in self.down:
            sheep.start()
        for sheep in self.down:
            sheep.wait_listening()
        for sheep in self.down:
            wait_until(lambda: self.bed.cluster.node_state(sheep) in ("up", "syncing"), "a sheep is back")
        self.down = []

    def await_out(self):
        """Only where the log lets it out: with fewer zones than copies it stays."""
        members = [s for s in self.bed.sheep if s not in self.down + self.removed]
        if len(members) >= 3:
            self.bed.cluster.wait_placed(members, 60)

    def remove(self):
        sheep = self.some_member()
        self.bed.dog("node", "remove", str(self.bed.cluster.number(sheep)))
        self.removed.append(sheep)

    def bring_removed_back(self):
        sheep = self.removed.pop()
        sheep.signal(self.random.choice([9, 15]))
        sheep.wait_ended()
        sheep.start()
        sheep.wait_listening()
        wait_until(lambda: self.bed.cluster.node_state(sheep) in ("up", "syncing"), "a removed sheep is back")

    def join(self):
        sheep, = self.bed.cluster.add()
        wait_until(lambda: self.bed.cluster.node_state(sheep), "a new sheep is listed")

    def everything_back(self):
        self.give_back()
        while self.removed:
            self.bring_removed_back()
        self.bed.cluster.wait_placed(self.bed.sheep, 120)
        self.bed.cluster.wait_complete()
        self.bed.cluster.wait_running()
