"""What clients saw of a few blocks, and whether one disk could have shown it.

Every write carries a number of its own, so that a read says which write it saw. For each number there is a zone: from the first
moment at which an operation with it had ended, to the last at which one began. Where the zone runs forward its number must have
been there all that time. A history of one block is linearizable exactly when no two forward zones overlap and no backward zone
lies within a forward one (Gibbons and Korach, "Testing shared memories", 1997, section 4).
"""

import threading
from dataclasses import dataclass

INFINITY = float("inf")


class Violation(AssertionError):
    """No disk can have shown this."""


@dataclass
class Write:
    start: float
    end: float  # infinity: never acknowledged
    run: object  # of the sheep that it was sent to
    first_seen: float = INFINITY  # the end of the first read of it
    last_seen: float = -INFINITY  # the start of the last


class History:
    """Of blocks by their numbers. Calls may come from any thread."""

    def __init__(self, blocks):
        self.lock = threading.Lock()
        # {number: Write} for each block; 0 is what was there before.
        self.blocks = [{0: Write(-INFINITY, -INFINITY, None)} for _ in range(blocks)]
        # When a sheep's run could do nothing any more.
        self.ended = {}
        self.next_number = 1
        self.acknowledged = 0
        self.reads = 0

    def begin_write(self, blocks, now, run):
        with self.lock:
            number, self.next_number = self.next_number, self.next_number + 1
            for block in blocks:
                self.blocks[block][number] = Write(now, INFINITY, run)
            return number

    def end_write(self, blocks, number, now):
        with self.lock:
            self.acknowledged += 1
            for block in blocks:
                self.blocks[block][number].end = now

    def read(self, block, number, start, end):
        with self.lock:
            self.reads += 1
            write = self.blocks[block].get(number)
            if write is None:
                raise Violation(f"block {block} shows {number}, which nobody wrote there, or which was gone before")
            write.first_seen = min(write.first_seen, end)
            write.last_seen = max(write.last_seen, start)

    def run_ended(self, run, now):
        """What was sent to this run and not acknowledged has happened by now, or will never."""
        with self.lock:
            self.ended[run] = now

    # The check

    def check(self):
        with self.lock:
            for block, writes in enumerate(self.blocks):
                self._check(block, writes)

    def _zone(self, number, write):
        """(first end, last start), or None for a write that need not have happened."""
        end = write.end
        if end == INFINITY:
            if write.first_seen == INFINITY:
                return None
            end = self.ended.get(write.run, INFINITY)
        return min(end, write.first_seen), max(write.start, write.last_seen)

    def _check(self, block, writes):
        forward, backward = [], []
        for number, write in writes.items():
            if write.first_seen < write.start:
                raise Violation(f"block {block}: {number} was read before it was written")
            zone = self._zone(number, write)
            if zone is not None:
                (forward if zone[0] < zone[1] else backward).append((min(zone), max(zone), number))
        forward.sort()
        for a, b in zip(forward, forward[1:]):
            if b[0] < a[1]:
                raise Violation(self._told(block, writes, a[2], b[2]))
        backward.sort()
        place = 0
        for low, high, number in backward:
            while place < len(forward) and forward[place][1] < high:
                place += 1
            # The forward zones do not overlap: the first that ends no earlier than this one is the only one that can hold it.
            if place < len(forward) and forward[place][0] < low and high < forward[place][1]:
                raise Violation(self._told(block, writes, forward[place][2], number))

    def _told(self, block, writes, *numbers):
        lines = [f"block {block}: no order of these explains what was read:"]
        for number in numbers:
            w = writes[number]
            lines.append(
                f"  {number}: written {w.start:.4f} to {w.end:.4f} through {w.run} (over at {self.ended.get(w.run)}), "
                f"read first by {w.first_seen:.4f}, last from {w.last_seen:.4f}")
        return "\n".join(lines)

    # Long runs

    def collapse(self, contents, now):
        """Nothing is under way and every block was just read: what went before is forgotten, but for what may still come."""
        with self.lock:
            for block, number in enumerate(contents):
                kept = {
                    n: Write(w.start, INFINITY, w.run) for n, w in self.blocks[block].items()
                    if w.end == INFINITY and w.first_seen == INFINITY and self.ended.get(w.run, INFINITY) > now
                }
                self.blocks[block] = {**kept, number: Write(now, now, None)}


def check_the_checker():
    """A checker that finds nothing shows nothing: these must be found, and their neighbours must not."""
    def found(*operations):
        history, numbers = History(1), {}
        for kind, name, *rest in operations:
            if kind == "write":
                start, end, run = (*rest, "some run")[:3]
                numbers[name] = history.begin_write([0], start, run)
                if end is not None:
                    history.end_write([0], numbers[name], end)
            elif kind == "read":
                history.read(0, numbers.get(name, 0), *rest)
            else:
                history.run_ended(name, *rest)
        try:
            history.check()
        except Violation:
            return True
        return False

    a, b = ("write", "a", 0, 1), ("write", "b", 2, 3)
    lost, late = ("write", "b", 2, None), ("write", "b", 2, None, "stopped run")
    wanted = [
        ("reads of the last write", False, a, b, ("read", "b", 4, 5)),
        ("a stale read", True, a, b, ("read", "a", 4, 5)),
        ("a lost write", True, a, ("read", None, 2, 3)),
        ("a write that is there before it ends", False, ("write", "a", 0, 4), ("read", None, 1, 2), ("read", "a", 3, 4)),
        ("a write that is there and gone again", True, ("write", "a", 0, 10), ("read", "a", 2, 3), ("read", None, 4, 5)),
        ("one never acknowledged that comes late", False, a, lost, ("read", "a", 4, 5), ("read", "b", 6, 7)),
        ("one never acknowledged that comes and goes", True, a, lost, ("read", "b", 4, 5), ("read", "a", 6, 7)),
        ("one of a run that may still act", False, a, late, ("write", "c", 4, 5), ("read", "b", 6, 7)),
        ("one of a run that was over", True, a, late, ("over", "stopped run", 3.5), ("write", "c", 4, 5), ("read", "b", 6, 7)),
        ("one of a run that was over later", False, a, late, ("over", "stopped run", 4.5), ("write", "c", 4, 5), ("read", "b", 6, 7)),
    ]
    for what, is_wrong, *operations in wanted:
        if found(*operations) != is_wrong:
            raise RuntimeError(f"the checker of histories judges wrongly: {what}")
