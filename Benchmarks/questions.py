"""What is asked: a question, who is compared, and with which client."""

from dataclasses import dataclass, field

from measuring import Client, copy_in, copy_out, fio, iscsi_perf, load, psync


@dataclass
class Question:
    """The first subject is the one that the others are related to. `before` and `after` surround each run, unmeasured."""

    title: str
    subjects: list
    client: Client
    note: str = ""
    before: object = None
    after: object = None
    # {subject: [Sample]}, filled in by the runner.
    samples: dict = field(default_factory=dict)


def all_questions(s, seconds, source):
    """`s` has the subjects by name; `source` is a file of random bytes as big as the volumes."""
    peers = [s["qemu-nbd"], s["nbdkit file"], s["one copy"], s["three copies"]]
    return [
        Question("4 KiB random reads, depth 32", peers, fio("randread", "4k", 32, seconds)),
        Question("4 KiB random writes, depth 32", peers, fio("randwrite", "4k", 32, seconds)),
        Question("4 KiB random reads, depth 1", peers, load("read", 1, seconds)),
        Question("4 KiB random writes, depth 1", peers, load("write", 1, seconds)),
        Question("1 MiB sequential reads, depth 4", peers, fio("read", "1M", 4, seconds)),
        Question("1 MiB sequential writes, depth 4", peers, fio("write", "1M", 4, seconds)),
        Question("4 KiB random writes, each followed by a flush", peers, fio("randwrite", "4k", 32, seconds, "--fsync=1")),
        Question("4 KiB random writes with FUA, depth 32", peers, load("write", 32, seconds, fua=True)),
        Question("Copying 1 GiB in", peers, copy_in(source), note="With a flush at its end."),
        Question("Copying 1 GiB out", peers, copy_out()),
        *relay_questions(s, seconds),
        *file_questions(s, seconds),
        *iscsi_questions(s, seconds),
        Question("4 KiB random writes over a sparse volume of 64 GiB, depth 32",
                 [s["qemu-nbd"], s["nbdkit file"], s["one copy"]], load("write", 32, seconds, volume="sparse"),
                 note="Nothing was written there before: every write allocates."),
        Question("4 KiB random writes, depth 32, right after a snapshot", [s["one copy"], s["three copies"]],
                 load("write", 32, seconds), before=take_snapshot, after=delete_snapshot,
                 note="The first write to each object copies it where the file system cannot share blocks. Compare with the rate without a snapshot above."),
    ]


def relay_questions(s, seconds):
    """The same client on both sides."""
    cached, synced = [s["bare relay"], s["three copies"]], [s["bare relay, synced"], s["three copies"]]
    return [
        Question("Three copies and the bare relay: 4 KiB random writes, depth 1", cached, load("write", 1, seconds)),
        Question("Three copies and the bare relay: 4 KiB random writes, depth 32", cached, load("write", 32, seconds)),
        Question("Three copies and the bare relay, durable: 4 KiB random writes, depth 1", synced, load("write", 1, seconds, fua=True),
                 note="The relay calls fdatasync once for each burst that a backend received; ours get FUA."),
        Question("Three copies and the bare relay, durable: 4 KiB random writes, depth 32", synced, load("write", 32, seconds, fua=True)),
    ]


def iscsi_questions(s, seconds):
    """The same tgt in front of its own store and of ours."""
    return [
        Question(f"iSCSI through tgt{with_threads}: 4 KiB random reads, depth {depth}", [s[name] for name in stores], iscsi_perf(depth, seconds))
        for depth in (1, 16) for with_threads, stores in (
            ("", ("tgt, file", "tgt, bare store", "tgt, volume")),
            (" with 4 threads", ("tgt, file, 4 threads", "tgt, volume, 4 threads")))
    ]


def file_questions(s, seconds):
    """Through FUSE: what a volume as a file costs more than a file as a file."""
    plain, cached = [s["passthrough"], s["sheepfs"]], [s["passthrough, cached"], s["sheepfs -k"]]
    questions = []
    for title, direction, block in (
        ("4 KiB random reads", "randread", "4k"), ("4 KiB random writes", "randwrite", "4k"),
        ("1 MiB sequential reads", "read", "1M"), ("1 MiB sequential writes", "write", "1M"),
    ):
        questions.append(Question(f"Through FUSE: {title}, depth 1", plain, psync(direction, block, seconds)))
        questions.append(Question(f"Through FUSE and the page cache: {title}, depth 1", cached, psync(direction, block, seconds)))
    return questions


def take_snapshot(subject):
    subject.cluster.dog("vdi", "snapshot", "-s", "bench-snapshot", "bench")


def delete_snapshot(subject):
    subject.cluster.dog("vdi", "delete", "-s", "bench-snapshot", "bench")
