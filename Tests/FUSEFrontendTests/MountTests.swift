import CFuse3
import CLinux
import FUSEFrontend
import FrontendKit
import Glibc
import Testing

@Suite("The mounted tree", .enabled(if: canMount), .timeLimit(.minutes(15)))
struct MountTests {
    private static let size: UInt64 = 16 << 20

    private func with(pageCache: Bool = false, autoMount: Bool = true, _ body: (TestMount) throws -> Void) throws {
        try TestMount.with { backend in
            backend.provider.create("alice", size: Self.size)
            backend.provider.snapshot("alice", tag: "monday")
            backend.provider.create("a/b", size: 4096)
        } configure: { configuration in
            (configuration.pageCache, configuration.autoMount) = (pageCache, autoMount)
        } _: { mount in
            try body(mount)
        }
    }

    private func open(_ mount: TestMount, _ name: String, _ flags: Int32) -> Int32 {
        clinux_open("\(mount.path)/volume/\(name)", flags | O_CLOEXEC, 0)
    }

    @Test("texts are read, settings are read and written, nothing else is")
    func texts() throws {
        try with(autoMount: false) { mount in
            #expect(mount.list("") == ["cluster", "config", "http", "node", "vdi", "volume"])
            #expect(mount.list("http").isEmpty)
            #expect(mount.read("cluster/info") == "report clusterInformation\n")
            #expect(mount.read("node/list") == "report nodeList\n")
            #expect(mount.read("node/info") == "report nodeSpace\n")
            #expect(mount.read("vdi/list") == "report volumeList\n")
            #expect(mount.read("config/page_cache") == "0\n")
            #expect(mount.echo("1", to: "config/page_cache") == 0)
            #expect(mount.read("config/page_cache") == "1\n")
            #expect(mount.echo("perhaps", to: "config/page_cache") == EINVAL)
            #expect(mount.echo("10.0.0.1:7001", to: "config/sheep_info") == 0)
            #expect(mount.read("config/sheep_info") == "10.0.0.1:7001\n")
            #expect(mount.echo("nowhere", to: "config/sheep_info") == EINVAL)
            #expect(mount.echo("x", to: "cluster/info") != 0)
            #expect(clinux_open("\(mount.path)/volume/new", O_CREAT | O_WRONLY, 0o600) == -1)
            #expect(mkdir("\(mount.path)/new", 0o700) == -1)
            #expect(unlink("\(mount.path)/cluster/info") == -1)
        }
    }

    @Test("volumes come by vdi/mount and go by vdi/unmount, unless they are in use")
    func mounting() throws {
        try with(autoMount: false) { mount in
            #expect(mount.list("volume").isEmpty)
            #expect(mount.status("volume/alice") == nil)
            #expect(mount.echo("nobody", to: "vdi/mount") == ENOENT)
            #expect(mount.echo("alice", to: "vdi/mount") == 0)
            #expect(mount.echo("a/b", to: "vdi/mount") == 0)
            #expect(mount.list("volume") == ["a%2Fb", "alice"])
            #expect(mount.read("vdi/mount") == "a/b\nalice\n")
            #expect(mount.status("volume/a%2Fb")?.size == 4096)
            let file = open(mount, "alice", O_RDONLY)
            #expect(mount.echo("alice", to: "vdi/unmount") == EBUSY)
            close(file)
            // The kernel gives a closed file back a moment later.
            #expect(waitUntil { mount.echo("alice", to: "vdi/unmount") == 0 })
            #expect(mount.status("volume/alice") == nil)
            #expect(mount.list("volume") == ["a%2Fb"])
            #expect(mount.echo("alice", to: "vdi/unmount") == ENOENT)
        }
    }

    @Test("what is deleted is listed no more, unless somebody has it open")
    func deletedElsewhere() throws {
        try with(autoMount: false) { mount in
            for name in ["alice", "alice@monday", "a/b"] { #expect(mount.echo(name, to: "vdi/mount") == 0) }
            let file = open(mount, "alice", O_RDONLY)
            mount.onLoop { backend in for name in ["alice", "alice@monday"] { backend.provider.delete(name) } }
            #expect(mount.list("volume") == ["a%2Fb", "alice"])
            #expect(mount.read("vdi/mount") == "a/b\nalice\n")
            close(file)
            #expect(waitUntil { mount.list("volume") == ["a%2Fb"] })
            #expect(mount.read("vdi/mount") == "a/b\n")
        }
    }

    @Test("stat tells less space than the size, so that cp and tar look for holes, and never none; df tells the cluster's")
    func space() throws {
        try with { mount in
            let blocks = { (name: String) in
                var status = stat()
                return stat("\(mount.path)/volume/\(name)", &status) == 0 ? status.st_blocks : -1
            }
            mount.onLoop { backend in for size: UInt64 in [1, 512, 1023, 1024, 1025, 4096] { backend.provider.create("\(size)", size: size) } }
            #expect(["1", "512", "1023", "1024", "1025", "4096", "alice"].map(blocks) == [1, 1, 1, 1, 1, 7, Int(Self.size) / 512 - 1])
            var space = statvfs()
            #expect(statvfs(mount.path, &space) == 0)
            #expect(space.f_blocks * space.f_frsize == 8 << 40 && space.f_bavail * space.f_frsize == 3 << 40)
            #expect(space.f_bfree == space.f_bavail)
        }
    }

    @Test("with auto-mount all volumes and snapshots are there, those made later too; snapshots are read-only")
    func autoMount() throws {
        try with { mount in
            #expect(mount.list("volume") == ["a%2Fb", "alice", "alice@monday"])
            mount.onLoop { _ = $0.provider.create("bob", size: 512) }
            #expect(mount.status("volume/bob")?.size == 512)
            #expect(mount.list("volume").contains("bob"))
            #expect(mount.status("volume/alice@monday")?.mode == S_IFREG | 0o400)
            #expect(open(mount, "alice@monday", O_RDWR) == -1)
            #expect(clinux_errno() == EROFS)
            let file = open(mount, "alice@monday", O_RDONLY)
            #expect(file >= 0)
            close(file)
            #expect(mount.echo("alice", to: "vdi/unmount") == EOPNOTSUPP)
        }
    }

    @Test("a volume grows by truncate, does not shrink, and is not cut by O_TRUNC", arguments: [false, true])
    func truncating(pageCache: Bool) throws {
        try with(pageCache: pageCache) { mount in
            let file = open(mount, "alice", O_RDWR | O_TRUNC)
            defer { close(file) }
            #expect(mount.status("volume/alice")?.size == Int(Self.size))
            #expect(ftruncate(file, Int(2 * Self.size)) == 0)
            #expect(mount.status("volume/alice")?.size == Int(2 * Self.size))
            #expect(mount.onLoop { $0.provider.volumes["alice"]!.size } == 2 * Self.size)
            #expect(pwrite(file, "x", 1, Int(2 * Self.size) - 1) == 1)
            #expect(ftruncate(file, Int(Self.size)) == -1)
            #expect(clinux_errno() == EINVAL)
            #expect(ftruncate(file, 0) == -1)
            #expect(mount.onLoop { $0.provider.volumes["alice"]!.size } == 2 * Self.size)
        }
    }

    @Test("growth from elsewhere is seen by those who have it open", arguments: [false, true])
    func growing(pageCache: Bool) throws {
        try with(pageCache: pageCache) { mount in
            let file = open(mount, "alice", O_RDWR)
            defer { close(file) }
            #expect(pwrite(file, "end", 3, Int(Self.size) - 3) == 3)
            mount.onLoop { $0.provider.volumes["alice"]!.size = Self.size + 4096 + 512 }
            #expect(mount.status("volume/alice")?.size == Int(Self.size) + 4608)
            #expect(lseek(file, 0, SEEK_END) == Int(Self.size) + 4608)
            var bytes = [UInt8](repeating: 1, count: 8192)
            #expect(pread(file, &bytes, 8192, Int(Self.size) - 3) == 4611)
            #expect(bytes[..<3] == [0x65, 0x6E, 0x64])
            #expect(bytes[3..<4611].allSatisfy { $0 == 0 })
            #expect(pwrite(file, "y", 1, Int(Self.size) + 4607) == 1)
            #expect(fsync(file) == 0)
        }
    }

    @Test("past the end nothing is written, and nothing grows")
    func pastTheEnd() throws {
        try with { mount in
            let file = open(mount, "alice", O_RDWR)
            defer { close(file) }
            #expect(pwrite(file, "abcd", 4, Int(Self.size) - 2) == 2)
            #expect(pwrite(file, "abcd", 4, Int(Self.size)) == -1)
            #expect(clinux_errno() == ENOSPC)
            #expect(clinux_reserve(file, 0, 4096) == -1)
            #expect(clinux_errno() == EOPNOTSUPP)
        }
    }

    @Test("fsync, O_DSYNC and the last close reach the device's flush", arguments: [false, true])
    func durability(pageCache: Bool) throws {
        try with(pageCache: pageCache) { mount in
            let flushes: () -> Int = { mount.onLoop { $0.provider.volumes["alice"]!.durableRequests } }
            let file = open(mount, "alice", O_RDWR)
            #expect(pwrite(file, "x", 1, 0) == 1)
            #expect(flushes() == 0)
            #expect(fsync(file) == 0)
            #expect(flushes() == 1)
            let synchronous = open(mount, "alice", O_RDWR | O_DSYNC)
            #expect(pwrite(synchronous, "y", 1, 4096) == 1)
            #expect(flushes() == 2)
            close(synchronous)
            #expect(pwrite(file, "z", 1, 8192) == 1)
            close(file)
            #expect(waitUntil { flushes() == 3 })
        }
    }

    @Test("O_DIRECT is allowed", arguments: [false, true])
    func directly(pageCache: Bool) throws {
        try with(pageCache: pageCache) { mount in
            let file = open(mount, "alice", O_RDWR | clinux_o_direct())
            #expect(file >= 0)
            defer { close(file) }
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 8192, alignment: 4096)
            defer { memory.deallocate() }
            memory.initializeMemory(as: UInt8.self, repeating: 7)
            #expect(pwrite(file, memory.baseAddress, 4096, 4096) == 4096)
            #expect(pread(file, memory.baseAddress, 8192, 0) == 8192)
            #expect(memory[0] == 0)
            #expect(memory[4096] == 7)
        }
    }

    @Test("who unmounts from outside ends the session, after what was written is durable")
    func unmounting() throws {
        try with { mount in
            let file = open(mount, "alice", O_RDWR)
            #expect(pwrite(file, "x", 1, 0) == 1)
            close(file)
            // A child that another test forks has the file until it executes its program.
            #expect(waitUntil { cfuse_unmount(mount.path, false) == 0 })
            #expect(waitUntil { mount.endedByItself })
            #expect(mount.onLoop { $0.provider.volumes["alice"]!.durableRequests } == 1)
            #expect(mount.onLoop { $0.provider.volumes["alice"]!.users } == 0)
            #expect(mount.list("").isEmpty)
        }
    }

    @Test("a stop while a file is open hides the tree and makes what was written durable")
    func stoppingInUse() throws {
        try with { mount in
            let file = open(mount, "alice", O_RDWR)
            #expect(pwrite(file, "x", 1, 0) == 1)
            mount.stop()
            #expect(mount.list("").isEmpty)
            #expect(mount.onLoop { $0.provider.volumes["alice"]!.durableRequests } == 1)
            close(file)
            #expect(waitUntil { mount.endedByItself })
            #expect(mount.onLoop { $0.provider.volumes["alice"]!.users } == 0)
        }
    }
}
