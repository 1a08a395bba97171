"""a gateway stands still for ten seconds in the middle of writes: its successor's are not overwritten, and it shows nothing old"""

import random
import time

from acceptance import MiB, check
from doors import Clients, wait_down

SHEEP, COPIES, LIMIT = 3, 3, 300
SHEEP_OPTIONS = ("--io-timeout", "0")
STANDSTILL = 10


def scenario(bed):
    chance = random.Random(7)
    bed.create("volume", 16 * MiB)
    bed.qemu_io(bed.sheep[0].unix("volume"), "write 8M 64k")
    gateway = bed.sheep[0]
    # Few blocks, so that writes of all overlap. The patient ones stay at the gateway: what they ask while it stands still is
    # in its socket when it goes on.
    with Clients(bed, "volume", 4, bed.sheep, blocks=6, patience=1.0) as moving, \
            Clients(bed, "volume", 3, [gateway], blocks=6, patience=60.0, write_share=0.3, pace=0.3, doors_each=1, seed=2,
                    beside=moving) as patient:
        for _ in range(12 if bed.full else 2):
            moving.wait_progress()
            time.sleep(chance.random())
            stand_still(bed, gateway, moving, patient, STANDSTILL)
            # Shorter than it takes to be called down, and longer than a node lease: it goes on as the owner, or finds itself fenced.
            for _ in range(4):
                time.sleep(chance.random() / 2)
                gateway.signal(19)
                time.sleep(0.2 + 2.5 * chance.random())
                gateway.signal(18)
                moving.wait_progress()
            bed.cluster.wait_recovered()
            verify(bed, moving, patient)
            print(moving.told(), flush=True)
    bed.dog("vdi", "check", "volume")


def stand_still(bed, gateway, moving, patient, seconds):
    run = moving.new_run(gateway)
    started = time.monotonic()
    gateway.signal(19)
    try:
        wait_down(bed, gateway)
        moving.ended(run)
        before = moving.history.acknowledged
        time.sleep(max(0, seconds - (time.monotonic() - started)))
        check(moving.history.acknowledged > before, "nobody wrote through another door meanwhile")
    finally:
        gateway.signal(18)
    gateway.wait_listening()
    patient.check_alive()


def verify(bed, moving, patient):
    patient.paused.set()
    try:
        for client in patient.clients:
            check(client.idle.wait(70), "a patient client was never answered")
        patient.check_alive()
        moving.verify(bed.sheep)
    finally:
        for client in patient.clients:
            client.idle.clear()
        patient.paused.clear()
