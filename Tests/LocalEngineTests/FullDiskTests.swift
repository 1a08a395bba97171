import Glibc
import LocalEngine
import ObjectModel
import Testing

/// On a file system of 1 MiB, which takes root to mount; where that is not allowed nothing is tested.
@Suite(.enabled(if: geteuid() == 0)) struct FullDiskTests {
    @Test("a full disk stops no set change while the reserve lasts, freed space is used again, then the engine says what to do")
    func fullDisk() throws {
        let folder = TemporaryFolder()
        guard run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder.path]) else { return }
        defer { _ = run(["umount", "-l", folder.path]) }
        let limits = LocalEngine.Limits(sealAfter: 8192, reserve: 65_536)
        let member = try Member(1, in: folder, limits: limits)
        defer { member.engine.stop() }
        #expect(turn([member.loop]) { member.recorder.caughtUpCount == 1 })
        let filler = folder.path + "/filler"
        fill(filler)
        // Some 14,000 bytes of records: more than a segment should have, less than is reserved.
        member.recorder.propose(payloads(of: 1, count: 200))
        #expect(turn([member.loop]) { member.recorder.proposals.isEmpty })
        #expect(member.recorder.failure == nil)
        #expect(try folder.directory.folder.segments().count == 1, "sealed without space for what follows")
        unlink(filler)
        var number = 0
        #expect(try turn([member.loop]) {
            if member.recorder.proposals.isEmpty {
                number += 1
                usleep(1000)
                member.recorder.propose([[UInt8(truncatingIfNeeded: number), UInt8(truncatingIfNeeded: number >> 8)]])
            }
            return try folder.directory.folder.segments().count == 2
        }, "no new segment though there is space again")
        fill(filler)
        member.recorder.propose(payloads(of: 2, count: 3000, length: 100))
        #expect(turn([member.loop]) { member.recorder.failure != nil })
        #expect(member.recorder.failure?.contains("No space left on device. Free space") == true)
    }

    private func fill(_ path: String) {
        let file = open(path, O_WRONLY | O_CREAT, 0o600)
        let block = [UInt8](repeating: 1, count: 4096)
        while write(file, block, block.count) > 0 {}
        close(file)
    }

    private func run(_ arguments: [String]) -> Bool {
        var child = pid_t()
        let raw = arguments.map { strdup($0) }
        defer { for argument in raw { free(argument) } }
        guard posix_spawnp(&child, arguments[0], nil, nil, raw + [nil], environ) == 0 else { return false }
        var status: Int32 = 0
        waitpid(child, &status, 0)
        return status == 0
    }
}
