"""Clients that use a volume through several doors and go on through the next when one does not answer."""

import random
import threading
import time
import uuid

import nbd
from acceptance import check
from cluster import CommandFailed
from history import History, check_the_checker
from waiting import wait_until

BLOCK = 4096


def content(number):
    """Every sector carries the number, so that a torn block shows."""
    return number.to_bytes(8, "little") * (BLOCK // 8)


def number_in(data):
    number = int.from_bytes(data[:8], "little")
    if data != content(number):
        found = sorted({int.from_bytes(data[i:i + 8], "little") for i in range(0, BLOCK, 512)})
        raise AssertionError(f"a block holds parts of the writes {found}")
    return number


class DoorClosed(Exception):
    """This door does not answer now."""


class Run:
    """One run of a sheep, as clients met it."""

    def __init__(self, sheep):
        self.sheep = sheep
        self.name = f"sheep {sheep.number}, run {uuid.uuid4().hex[:6]}"

    def __repr__(self):
        return self.name


class Doors:
    """Which run each sheep is in. A scenario says when it ends one."""

    def __init__(self, sheep):
        self.runs = {s.number: Run(s) for s in sheep}

    def new_run(self, sheep):
        """The present run gets no new requests; returns it."""
        old = self.runs[sheep.number]
        self.runs[sheep.number] = Run(sheep)
        return old


class Connection:
    """To one door. Every wait has a limit."""

    def __init__(self, run, volume, limit):
        self.run = run
        self.handle = nbd.NBD()
        self.handle.set_export_name(volume)
        try:
            self.handle.aio_connect_unix(str(run.sheep.nbd_socket))
        except nbd.Error as error:
            raise DoorClosed(f"{error}") from error
        self._poll_until(lambda: not self.handle.aio_is_connecting(), limit)
        if not self.handle.aio_is_ready():
            raise DoorClosed("it does not take the connection")

    def _poll_until(self, done, limit):
        deadline = time.monotonic() + limit
        while not done():
            left = deadline - time.monotonic()
            if left <= 0:
                raise DoorClosed(f"no answer in {limit:g} s")
            try:
                self.handle.poll(max(1, int(left * 1000)))
            except nbd.Error as error:
                raise DoorClosed(f"{error}") from error

    def _await(self, cookie, limit):
        def done():
            try:
                return self.handle.aio_command_completed(cookie)
            except nbd.Error as error:
                if error.errnum in (None, 0) or self.handle.aio_is_dead() or self.handle.aio_is_closed() or error.errnum in (107, 108):
                    raise DoorClosed(f"{error}") from error
                raise
        self._poll_until(done, limit)

    def write(self, offset, data, limit):
        buffer = nbd.Buffer.from_bytearray(bytearray(data))
        self._await(self._begin(lambda: self.handle.aio_pwrite(buffer, offset)), limit)

    def read(self, offset, length, limit):
        buffer = nbd.Buffer(length)
        self._await(self._begin(lambda: self.handle.aio_pread(buffer, offset)), limit)
        return bytes(buffer.to_bytearray())

    def _begin(self, command):
        try:
            return command()
        except nbd.Error as error:
            raise DoorClosed(f"{error}") from error


class Client(threading.Thread):
    """Writes and reads blocks of a volume, one request at a time; any error that is not a lost connection ends it."""

    def __init__(self, group, number, doors):
        super().__init__(daemon=True)
        self.group, self.number, self.doors = group, number, doors
        self.random = random.Random(group.seed * 1000 + number)
        self.connection = None
        self.idle = threading.Event()
        self.failure = None
        self.moves = 0
        self.longest_wait = 0.0
        self.last_success = None

    def run(self):
        try:
            while not self.group.stopping.is_set():
                if self.group.paused.is_set():
                    self.last_success = None
                    self.idle.set()
                    time.sleep(0.005)
                    continue
                self.idle.clear()
                self._step()
        except BaseException as error:  # told by `check_alive`, on the scenario's thread
            self.failure = error
        finally:
            self.idle.set()

    def _step(self):
        history, group = self.group.history, self.group
        count = self.random.choice((1, 1, 2, 4))
        first = self.random.randrange(group.blocks - count + 1)
        blocks = range(first, first + count)
        try:
            connection = self._connection()
            start = time.monotonic()
            if self.random.random() < group.write_share:
                number = history.begin_write(blocks, start, connection.run)
                connection.write(first * BLOCK, content(number) * count, group.patience)
                history.end_write(blocks, number, time.monotonic())
            else:
                data = connection.read(first * BLOCK, count * BLOCK, group.patience)
                end = time.monotonic()
                for place, block in enumerate(blocks):
                    history.read(block, number_in(data[place * BLOCK:(place + 1) * BLOCK]), start, end)
        except DoorClosed:
            self._move()
            return
        now = time.monotonic()
        self.longest_wait = max(self.longest_wait, now - (self.last_success or start))
        self.last_success = now
        if group.pace:
            time.sleep(self.random.random() * group.pace)

    def _connection(self):
        if self.connection is not None and self.group.doors.runs[self.doors[0].number] is not self.connection.run:
            # A run that has been ended by the scenario: whatever it still answers is another matter.
            self.connection = None
        if self.connection is None:
            self.connection = Connection(self.group.doors.runs[self.doors[0].number], self.group.volume, self.group.patience)
        return self.connection

    def _move(self):
        """To the next door; what was under way at this one stays in doubt."""
        self.connection = None
        self.doors = [*self.doors[1:], self.doors[0]]
        self.moves += 1
        time.sleep(0.01)


class Clients:
    """Some clients on the same few blocks of one volume, and the history of what they saw. As a context manager they end."""

    def __init__(self, bed, volume, count, doors, blocks=16, patience=2.0, write_share=0.6, pace=0.002, seed=1, doors_each=2,
                 beside=None):
        """`doors` are sheep; client N has `doors_each` of them, beginning with the Nth. Those `beside` use the same blocks."""
        self.volume, self.blocks, self.patience = volume, blocks, patience
        self.write_share, self.pace, self.seed = write_share, pace, seed
        self.history = beside.history if beside else History(blocks)
        self.doors = beside.doors if beside else Doors(bed.sheep)
        self.stopping, self.paused = threading.Event(), threading.Event()
        self.clients = [
            Client(self, n, [doors[(n + k) % len(doors)] for k in range(doors_each)]) for n in range(count)
        ]

    def __enter__(self):
        check_the_checker()
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for client in self.clients:
            client.join(30)

    def check_alive(self):
        for client in self.clients:
            if client.failure is not None:
                raise AssertionError(f"client {client.number} of {self.volume} failed: {client.failure!r}") from client.failure

    def new_run(self, sheep):
        return self.doors.new_run(sheep)

    def ended(self, run):
        self.history.run_ended(run, time.monotonic())

    def wait_progress(self, timeout=60.0, count=20):
        """So many more writes are acknowledged."""
        wanted = self.history.acknowledged + count
        def more():
            self.check_alive()
            return self.history.acknowledged >= wanted
        wait_until(more, f"{count} more writes to {self.volume} are acknowledged", timeout)

    def verify(self, sheep, timeout=60.0):
        """Holds the clients, reads every block through every one of these doors, checks the history, goes on."""
        self.paused.set()
        wait_until(lambda: all(c.idle.is_set() for c in self.clients), "the clients have come to rest", timeout)
        self.check_alive()
        for door in sheep:
            contents = self._read_all(door, timeout)
        self.history.check()
        self.history.collapse(contents, time.monotonic())
        self.paused.clear()
        for client in self.clients:
            client.idle.clear()

    def _read_all(self, door, timeout):
        connection = Connection(self.doors.runs[door.number], self.volume, timeout)
        contents = []
        for block in range(self.blocks):
            start = time.monotonic()
            number = number_in(connection.read(block * BLOCK, BLOCK, timeout))
            self.history.read(block, number, start, time.monotonic())
            contents.append(number)
        return contents

    def told(self):
        moves = sum(c.moves for c in self.clients)
        longest = max(c.longest_wait for c in self.clients)
        return f"{self.history.acknowledged} writes acknowledged, {self.history.reads} reads, {moves} moves to another door, longest wait {longest:.1f} s"


def wait_down(bed, sheep, timeout=60.0):
    """Every other sheep that runs knows it as down."""
    others = [s for s in bed.sheep if s is not sheep and s.is_running()]
    check(others, "nobody is left to call it down")
    for other in others:
        wait_until(
            lambda: state_or_nothing(bed, sheep, other) in ("down", None), f"sheep {other.number} knows sheep {sheep.number} as down",
            timeout)


def wait_back(bed, sheep, timeout=60.0):
    """It says itself that it is up."""
    wait_until(lambda: state_or_nothing(bed, sheep, sheep) in ("up", "syncing"), f"sheep {sheep.number} is back", timeout)


def state_or_nothing(bed, sheep, through):
    """Of the sheep, as the other one knows it; "unknown" while that one starts anew."""
    try:
        return bed.cluster.node_state(sheep, through)
    except CommandFailed:
        return "unknown"
