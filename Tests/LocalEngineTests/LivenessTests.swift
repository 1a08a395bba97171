import Glibc
import LocalEngine
import ObjectModel
import Testing

@Suite struct LivenessTests {
    private func ask(_ member: Member, isDead other: NodeID) -> Bool {
        var answer: Bool?
        member.engine.proveDead(other) { answer = $0 }
        #expect(answer == nil, "it answers later")
        #expect(turn([member.loop]) { answer != nil })
        return answer == true
    }

    private func alive(_ member: Member) -> [NodeID] {
        var answer: [NodeID]?
        member.engine.aliveNodes { answer = $0 }
        #expect(turn([member.loop]) { answer != nil })
        return answer ?? []
    }

    @Test("a second sheep with the same identity is refused with a clear error while the first runs")
    func sameIdentity() throws {
        let folder = TemporaryFolder()
        let member = try Member(1, in: folder)
        let directory = try folder.directory
        do throws(SheepError) {
            _ = try LocalEngine(node: node(1), directory: directory, loop: TestLoop())
            Issue.record("a second sheep was let in")
        } catch {
            #expect(error.code == .busy)
            #expect(error.message.contains(node(1).description))
        }
        member.engine.stop()
        _ = try Member(1, in: folder)
    }

    @Test("those who hold their locks are alive; who stops is suspected and proven dead, and lives again after a restart")
    func aliveAndDead() throws {
        let folder = TemporaryFolder()
        let first = try Member(1, in: folder)
        let second = try Member(2, in: folder)
        #expect(turn([first.loop, second.loop]) { first.recorder.caughtUpCount + second.recorder.caughtUpCount == 2 })
        #expect(alive(first) == [node(1), node(2)])
        #expect(!ask(first, isDead: node(2)))
        #expect(!ask(first, isDead: node(1)))
        #expect(!ask(first, isDead: node(3)), "no file is no proof")
        second.engine.stop()
        #expect(turn([first.loop]) { first.recorder.suspected == [node(2)] })
        #expect(ask(first, isDead: node(2)))
        #expect(alive(first) == [node(1)])
        let again = try Member(2, in: folder)
        #expect(!ask(first, isDead: node(2)))
        #expect(alive(first) == [node(1), node(2)])
        _ = again
    }

    @Test("a process that holds the lock and is killed with SIGKILL is suspected, then proven dead")
    func killedProcess() throws {
        let folder = TemporaryFolder()
        let path = try folder.directory.path + "/\(node(2)).alive"
        let child = try #require(spawn(["flock", "--no-fork", "--nonblock", path, "sleep", "600"]))
        defer {
            kill(child, SIGKILL)
            waitpid(child, nil, 0)
        }
        let member = try Member(1, in: folder)
        #expect(turn([member.loop]) { alive(member).contains(node(2)) })
        #expect(!ask(member, isDead: node(2)))
        kill(child, SIGSTOP)
        #expect(!ask(member, isDead: node(2)), "a stopped process is not dead")
        kill(child, SIGKILL)
        #expect(turn([member.loop]) { member.recorder.suspected == [node(2)] })
        #expect(ask(member, isDead: node(2)))
    }

    @Test("what a node shows is seen by the others, the last of it only, also after its end; a torn report is not")
    func shown() throws {
        let folder = TemporaryFolder()
        let first = try Member(1, in: folder)
        let second = try Member(2, in: folder)
        #expect(turn([first.loop, second.loop]) { first.recorder.caughtUpCount + second.recorder.caughtUpCount == 2 })
        #expect(second.engine.shown() == [:])
        first.engine.show([1, 2, 3])
        #expect(second.engine.shown() == [node(1): [1, 2, 3]])
        let long = (0..<20_000).map { UInt8(truncatingIfNeeded: $0) }
        first.engine.show(long)
        #expect(second.engine.shown() == [node(1): long])
        first.engine.show([])
        #expect(second.engine.shown() == [node(1): []])
        #expect(first.engine.shown() == [:], "not its own")
        first.engine.show([7, 7])
        first.engine.stop()
        first.engine.show([8])
        #expect(second.engine.shown() == [node(1): [7, 7]])
        #expect(turn([second.loop]) { second.recorder.suspected == [node(1)] })
        let file = open(try folder.directory.path + "/\(node(1)).alive", O_RDWR)
        #expect(pwrite(file, [UInt8(9)], 1, 4096 + 8) == 1)
        close(file)
        #expect(second.engine.shown() == [:])
    }

    @Test("a process that a signal stopped is seen to be stopped, until it goes on or ends")
    func stoppedProcess() throws {
        let child = try #require(spawn(["sleep", "600"]))
        let mark = ProcessMark(of: child)
        #expect(!mark.isStopped)
        kill(child, SIGSTOP)
        var status: Int32 = 0
        waitpid(child, &status, WUNTRACED)
        #expect(mark.isStopped)
        #expect(try ProcessMark(wire: mark.wire).isStopped)
        kill(child, SIGCONT)
        waitpid(child, &status, 8 /* WCONTINUED */)
        #expect(!mark.isStopped)
        kill(child, SIGKILL)
        waitpid(child, &status, 0)
        #expect(!mark.isStopped)
        let folder = TemporaryFolder()
        let first = try Member(1, in: folder)
        let second = try Member(2, in: folder)
        #expect(!second.engine.isStopped(node(1)))
        #expect(!second.engine.isStopped(node(3)), "nobody")
        _ = first
    }

    @Test("a liveness file that is removed ends the engine: others could take a new one for its lock")
    func aliveFileRemoved() throws {
        let folder = TemporaryFolder()
        let member = try Member(1, in: folder)
        #expect(turn([member.loop]) { member.recorder.caughtUpCount == 1 })
        unlink(try folder.directory.path + "/\(node(1)).alive")
        #expect(turn([member.loop]) { member.recorder.failure?.contains("alive") == true })
    }

    private func spawn(_ arguments: [String]) -> pid_t? {
        var child = pid_t()
        let raw = arguments.map { strdup($0) }
        defer { for argument in raw { free(argument) } }
        return posix_spawnp(&child, arguments[0], nil, nil, raw + [nil], environ) == 0 ? child : nil
    }
}
