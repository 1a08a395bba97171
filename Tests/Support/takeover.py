"""How long a volume is without a gateway: its owner goes, and a write through another door is acknowledged."""

import math
import signal
import threading
import time

import nbd
from contents import connect
from waiting import TimedOut, wait_until

BLOCK = 4096
MiB = 1 << 20


def killed(bed, sheep):
    sheep.signal(signal.SIGKILL)
    return sheep.start


def stopped(bed, sheep):
    sheep.signal(signal.SIGSTOP)
    return lambda: sheep.signal(signal.SIGCONT)


def cut_off(bed, sheep):
    bed.network.isolate(sheep.number + 1)
    return bed.network.heal


KINDS = {"killed": killed, "stopped (SIGSTOP)": stopped, "cut off from all others": cut_off}


class Writer(threading.Thread):
    """Writes through a door until it breaks, so that the owner goes in the middle of writes."""

    def __init__(self, sheep, volume):
        super().__init__(daemon=True)
        self.handle = connect(sheep, volume)
        self.done = 0
        self.start()

    def run(self):
        try:
            while True:
                self.handle.pwrite(b"o" * BLOCK, self.done % 256 * BLOCK)
                self.done += 1
        except nbd.Error:
            pass


def one_try(bed, fault, number, volume):
    """Seconds from the fault to the acknowledgement. Afterwards all is as it was before."""
    owner, heir = bed.sheep[number % len(bed.sheep)], bed.sheep[(number + 1) % len(bed.sheep)]
    bed.dog("vdi", "create", volume, str(16 * MiB), through=heir)
    writer = Writer(owner, volume)
    wait_until(lambda: writer.done >= 20, "the owner writes")
    started = time.monotonic()
    undo = fault(bed, owner)
    handle = connect(heir, volume)
    handle.pwrite(b"h" * BLOCK, 0)
    taken = time.monotonic() - started
    if bytes(handle.pread(BLOCK, 0)) != b"h" * BLOCK:
        raise AssertionError("the write that was acknowledged after a takeover is not there")
    handle.shutdown()
    undo()
    owner.wait_listening()
    writer.join(30)
    if writer.is_alive():
        raise AssertionError("the former owner's client hears nothing of its end")
    bed.cluster.wait_recovered()
    delete(bed, volume, heir)
    return taken


def delete(bed, volume, heir):
    """Once the heir knows that its client has left."""
    said = []

    def is_deleted():
        result = bed.cluster.run_dog("vdi", "delete", volume, through=heir)
        said[:] = [result.stderr.strip()]
        return result.returncode == 0
    try:
        wait_until(is_deleted, f"{volume} can be deleted")
    except TimedOut as error:
        raise TimedOut(f"{error}: {said[0]}") from error


def measure(bed, kind, tries, tell=lambda number, seconds: None):
    """Sorted seconds of so many tries. The bed has hosts of their own, and `--io-timeout 0`."""
    times = []
    for number in range(tries):
        times.append(one_try(bed, KINDS[kind], number, f"taken{number}"))
        tell(number, times[-1])
    return sorted(times)


def percentile(times, share):
    """The smallest of the sorted times that so many of a hundred do not exceed."""
    return times[max(0, math.ceil(len(times) * share / 100) - 1)]


def told(times):
    return f"p50 {percentile(times, 50):.2f} s, p99 {percentile(times, 99):.2f} s, longest {times[-1]:.2f} s of {len(times)}"
