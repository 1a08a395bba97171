"""machines lose their power under load, all at once or one, also while a sheep still catches up: what was flushed is there"""

import os
import random
import threading
import time

from acceptance import MiB, VerifyingLoad, check
from contents import connect
from doors import wait_back, wait_down
from journal import FlushedJournal

SHEEP, COPIES, LIMIT = 3, 3, 300
POWER_CUTS = True

CUTS = int(os.environ.get("CUTS") or 0)
CUTS_QUICK, CUTS_FULL = 4, 40
SIZE = 16 * MiB
LOAD_SIZE = 64 * MiB


def scenario(bed):
    seed = int(os.environ.get("SEED") or random.randrange(1 << 30))
    print(f"SEED={seed}", flush=True)
    PowerCuts(bed, seed).run(CUTS or (CUTS_FULL if bed.full else CUTS_QUICK))


class Writer(threading.Thread):
    """Fills a volume through one sheep, and keeps a journal of it, until the sheep is gone or it is stopped."""

    def __init__(self, volume, journal, sheep):
        super().__init__(daemon=True)
        self.journal, self.handle = journal, connect(sheep, volume)
        self.stopping = threading.Event()
        self.error = None

    def run(self):
        self.error = self.journal.write(self.handle, self.stopping.is_set)

    def stop(self):
        """Of one whose sheep lived on."""
        self.stopping.set()
        self.join(60)
        check(not self.is_alive() and self.error is None, f"a client whose sheep lived on saw {self.error}")


class PowerCuts:
    """A volume for each sheep, written through it, and one that fio writes and verifies."""

    def __init__(self, bed, seed):
        self.bed = bed
        self.random = random.Random(seed)
        self.journals = {bed.create(f"volume{s.number}", SIZE): FlushedJournal(SIZE, seed + s.number) for s in bed.sheep}
        bed.create("verified", LOAD_SIZE)
        self.counts = {"all": 0, "all while one caught up": 0, "one": 0}

    def run(self, cuts):
        for number in range(cuts):
            # Each kind is in the first three.
            kind = list(self.counts)[number] if number < len(self.counts) else self.random.choice(list(self.counts))
            self.counts[kind] += 1
            writers = self.write()
            if kind == "one":
                self.cut_one(writers)
            else:
                self.cut_all(writers, is_catching_up=kind != "all")
        self.bed.dog("cluster", "check")
        acknowledged, flushes, reverted = (
            sum(getattr(journal, what) for journal in self.journals.values()) for what in ("acknowledged", "flushed", "reverted"))
        print(f"{self.counts}: {acknowledged} writes and {flushes} flushes acknowledged; {reverted} blocks showed what was there before", flush=True)
        check(reverted > 0, "no cut took anything: the page cache was not lost")

    def write(self):
        """Load through every sheep; the volumes wander, so that a sheep writes what another one owned."""
        sheep = self.random.sample(self.bed.sheep, len(self.bed.sheep))
        writers = {s.number: Writer(volume, journal, s) for s, (volume, journal) in zip(sheep, self.journals.items())}
        for writer in writers.values():
            writer.start()
        self.load_sheep = self.random.choice(self.bed.sheep)
        self.load = VerifyingLoad(self.bed, self.load_sheep.unix("verified"), 600, LOAD_SIZE)
        time.sleep(0.5 + 2 * self.random.random())
        for writer in writers.values():
            check(writer.is_alive(), f"a writer ended: {writer.error}")
        return writers

    def cut_all(self, writers, is_catching_up):
        if is_catching_up:
            victim = self.random.choice(self.bed.sheep)
            victim.kill()
            wait_down(self.bed, victim)
            time.sleep(self.random.random())
            victim.start()
            time.sleep(self.random.random())
        self.bed.machines.cut(*self.bed.sheep)
        for writer in writers.values():
            writer.join(60)
            check(not writer.is_alive() and writer.error is not None, "a client of a machine without power saw no end")
        self.load.broken()
        for sheep in self.random.sample(self.bed.sheep, len(self.bed.sheep)):
            sheep.start()
        for sheep in self.bed.sheep:
            sheep.wait_listening()
        self.verify(power_was_lost=True)

    def cut_one(self, writers):
        """The others go on; the one comes back and catches up, from its own stand before the cut at most."""
        victim = self.random.choice(self.bed.sheep)
        self.bed.machines.cut(victim)
        wait_down(self.bed, victim)
        writers.pop(victim.number).join(60)
        time.sleep(self.random.random())
        victim.start()
        victim.wait_listening()
        wait_back(self.bed, victim)
        for writer in writers.values():
            writer.stop()
        if self.load_sheep is victim:
            self.load.broken()
        else:
            self.load.stop()
        self.verify(power_was_lost=False)

    def verify(self, power_was_lost):
        """Through a random sheep, at once; when all have caught up, through each."""
        for volume, journal in self.journals.items():
            journal.verify(connect(self.random.choice(self.bed.sheep), volume), power_was_lost)
        self.bed.cluster.wait_recovered()
        for volume, journal in self.journals.items():
            for sheep in self.bed.sheep:
                journal.verify(connect(sheep, volume), power_was_lost=False)
            self.bed.dog("vdi", "check", volume)
