"""sheepfs: its sheep is killed while a verifying load and a loop-mounted ext4 run; no error, nothing acknowledged is lost"""

import os
import threading

from acceptance import MiB, check
from sheepfs_mount import Loop, Sheepfs
from waiting import wait_until

SHEEP, COPIES, LIMIT = 3, 3, 300

BLOCK = 4096


def scenario(bed):
    bed.create("load", 128 * MiB)
    bed.create("disk", 256 * MiB)
    with Sheepfs(bed.directory, bed.sheep[0], "--auto-mount", by_socket=True) as fs:
        check(fs.read("config/sheep_info").strip() == str(bed.sheep[0].store / "sock"), "sheep_info does not name the socket")
        with Loop(bed, fs.volume("disk"), bed.directory / "loop") as loop:
            bed.run("mkfs.ext4", "-q", loop.device)
            loop.mount()
            writer = SyncWriter(loop.directory / "log")
            load = verifying_load(bed, fs, seconds=45 if bed.full else 20)
            writer.start()
            kill_and_return(bed, fs, writer, 0)
            moved_by_hand(bed, fs)
            kill_and_return(bed, fs, writer, serving(bed, fs))
            finish(load)
            writer.stop()
            loop.unmount()
            bed.run("fsck.ext4", "-f", "-n", loop.device)
            loop.mount()
            writer.verify()
        check("ERROR" not in fs.log.read_text(), fs.log.read_text())
        print(fs.log.read_text())
        nobody_there(bed, fs)
    for name in ("load", "disk"):
        bed.dog("vdi", "check", name)


def verifying_load(bed, fs, seconds):
    return bed.start(
        "fio", "--name=load", f"--filename={fs.volume('load')}", "--ioengine=libaio", "--direct=1", "--iodepth=8", "--rw=randrw",
        "--bs=4k", "--size=120M", "--verify=crc32c", "--verify_fatal=1", "--verify_backlog=256", "--verify_state_save=0", "--thread",
        "--time_based", f"--runtime={seconds}", output="load.fio")


def finish(load):
    code = load.wait(180)
    check(code == 0, f"the verifying load ended with {code}")


class SyncWriter(threading.Thread):
    """Appends numbered blocks to a file and syncs each; what was synced must be there."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path = path
        self.synced = 0
        self.error = None
        self.is_ending = False

    def run(self):
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600)
            while not self.is_ending:
                number = self.synced % 4096
                os.pwrite(descriptor, self.content(self.synced), number * BLOCK)
                os.fsync(descriptor)
                self.synced += 1
            os.close(descriptor)
        except OSError as error:
            self.error = error

    @staticmethod
    def content(number):
        return number.to_bytes(8, "little") * (BLOCK // 8)

    def progress(self, count, timeout=30):
        wanted = self.synced + count
        wait_until(lambda: self.error or self.synced >= wanted, f"{count} more synced writes", timeout)
        check(self.error is None, f"a writer on ext4 over loop saw {self.error}")

    def stop(self):
        self.is_ending = True
        self.join(60)
        check(not self.is_alive() and self.error is None, f"a writer on ext4 over loop saw {self.error}")

    def verify(self):
        data = self.path.read_bytes()
        for number in range(max(0, self.synced - 4096), self.synced):
            place = number % 4096 * BLOCK
            check(data[place:place + BLOCK] == self.content(number), f"synced write {number} is not there")
        print(f"{self.synced} synced writes found")


def serving(bed, fs):
    address = fs.read("config/sheep_info").strip()
    return next(sheep.number for sheep in bed.sheep if address in (f"127.0.0.1:{sheep.port}", str(sheep.store / "sock")))


def kill_and_return(bed, fs, writer, number):
    writer.progress(50)
    bed.sheep[number].kill()
    writer.progress(50)
    check(serving(bed, fs) != number, "sheep_info names the sheep that was killed")
    bed.sheep[number].start()
    bed.sheep[number].wait_listening()
    bed.cluster.wait_recovered()


def moved_by_hand(bed, fs):
    """By `echo host:port > config/sheep_info`, while the load runs."""
    before = serving(bed, fs)
    target = next(sheep for sheep in bed.sheep if sheep.number != before)
    fs.echo(f"127.0.0.1:{target.port}", "config/sheep_info")
    wait_until(lambda: serving(bed, fs) == target.number, "it uses the sheep that it was told", 15)


def nobody_there(bed, fs):
    """Without any sheep requests wait; they are answered when one is back."""
    with open(fs.volume("load"), "r+b", buffering=0) as file:
        file.write(b"before")
        os.fsync(file.fileno())
        bed.cluster.shutdown()
        done = []
        thread = threading.Thread(target=lambda: done.append(os.pread(file.fileno(), 6, 0)), daemon=True)
        thread.start()
        bed.cluster.restart()
        thread.join(60)
        check(done == [b"before"], f"a read that waited for the cluster gave {done}")
