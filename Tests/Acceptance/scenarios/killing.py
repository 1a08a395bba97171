"""random sheep, owners among them, are killed, stopped and restarted under clients with two doors: no error, nothing lost or stale"""

import os
import random
import time

from acceptance import MiB, check
from doors import Clients, wait_back, wait_down

SHEEP, COPIES, LIMIT = 3, 3, 600
SHEEP_OPTIONS = ("--io-timeout", "0")

KILLS = int(os.environ.get("KILLS") or 0)
KILLS_QUICK, KILLS_FULL = 6, 200
VOLUMES = 2


def scenario(bed):
    seed = int(os.environ.get("SEED") or random.randrange(1 << 30))
    print(f"SEED={seed}", flush=True)
    Killing(bed, seed, KILLS or (KILLS_FULL if bed.full else KILLS_QUICK)).run()


class Killing:
    """One sheep at a time is away, but the next may go before the last has caught up."""

    def __init__(self, bed, seed, kills):
        self.bed, self.kills = bed, kills
        self.random = random.Random(seed)
        self.counts = {"killed": 0, "stopped": 0, "stopped until called down": 0, "ended in order": 0}
        self.loads = [
            Clients(bed, f"volume{n}", 3, bed.sheep[n:] + bed.sheep[:n], seed=seed + n) for n in range(VOLUMES)]

    def run(self):
        for load in self.loads:
            self.bed.create(load.volume, 16 * MiB)
        started = time.monotonic()
        for load in self.loads:
            load.__enter__()
        try:
            steps = 0
            while self.counts["killed"] < self.kills:
                self.step()
                steps += 1
                if steps % 10 == 0:
                    self.settle()
                    print(f"{steps} steps in {time.monotonic() - started:.0f} s: {self.counts}", flush=True)
            self.settle()
        finally:
            for load in self.loads:
                load.__exit__()
        for load in self.loads:
            self.bed.dog("vdi", "check", load.volume)
            print(f"{load.volume}: {load.told()}")
        self.bed.dog("cluster", "check")
        print(f"{self.counts} in {time.monotonic() - started:.0f} s", flush=True)

    def settle(self):
        self.bed.cluster.wait_recovered()
        for load in self.loads:
            load.wait_progress()
            load.verify(self.bed.sheep)

    def step(self):
        sheep = self.random.choice(self.bed.sheep)
        choice = self.random.random()
        if choice < 0.8:
            self.kill(sheep)
        elif choice < 0.9:
            self.stop_shortly(sheep)
        elif choice < 0.95:
            self.stop_until_called_down(sheep)
        else:
            self.end_in_order(sheep)
        if self.random.random() < 0.5:
            self.bed.cluster.wait_recovered()
        # Whatever happened, it is a matter of seconds.
        for load in self.loads:
            load.wait_progress(60, 5)

    def runs_end(self, sheep):
        return [(load, load.new_run(sheep)) for load in self.loads]

    def over(self, runs):
        for load, run in runs:
            load.ended(run)

    def come_back(self, sheep):
        time.sleep(self.random.random())
        sheep.start()
        sheep.wait_listening()
        wait_back(self.bed, sheep)

    def kill(self, sheep):
        runs = self.runs_end(sheep)
        sheep.kill()
        self.counts["killed"] += 1
        if self.random.random() < 0.7:
            wait_down(self.bed, sheep)
            self.over(runs)
        self.come_back(sheep)

    def stop_shortly(self, sheep):
        self.counts["stopped"] += 1
        sheep.signal(19)
        time.sleep(self.random.random() * 3)
        sheep.signal(18)

    def stop_until_called_down(self, sheep):
        self.counts["stopped until called down"] += 1
        runs = self.runs_end(sheep)
        pid = sheep.pid
        sheep.signal(19)
        try:
            wait_down(self.bed, sheep)
            self.over(runs)
            time.sleep(self.random.random() * 2)
        finally:
            sheep.signal(18)
        sheep.wait_listening()
        check(sheep.pid == pid and sheep.is_running(), "a stopped sheep ended instead of starting anew")
        wait_back(self.bed, sheep)

    def end_in_order(self, sheep):
        self.counts["ended in order"] += 1
        runs = self.runs_end(sheep)
        sheep.signal(15)
        sheep.wait_ended(60)
        self.over(runs)
        self.come_back(sheep)
