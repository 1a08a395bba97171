import Glibc
import ObjectModel
import SheepProtocol
import Testing

/// 5 MiB and a bit: data, a hole of 2 MiB, data at the very end.
private let image: [UInt8] = {
    var bytes = [UInt8](repeating: 0, count: (5 << 20) + 512)
    var state: UInt64 = 42
    for index in Array(0..<(2 << 20)) + Array((4 << 20)..<bytes.count) {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        bytes[index] = UInt8(state >> 56)
    }
    return bytes
}()

@Suite(.timeLimit(.minutes(15))) struct DogImageTests {
    private func dog(_ sheep: FakeSheep, _ arguments: String..., input: [UInt8] = []) async throws -> DogProcess {
        try await DogProcess.run(arguments, port: sheep.port, input: input)
    }

    @Test("read and write: whole, from an offset, of a length; beyond the end is refused")
    func readAndWrite() async throws {
        try await FakeSheep.with { sheep async throws in
            sheep.cluster.add("x", [UInt8](repeating: 0, count: image.count))
            #expect(try await dog(sheep, "vdi", "write", "x", input: image).status == 0)
            #expect(sheep.cluster.content(of: "x") == image)
            #expect(sheep.cluster.flushes == 1)
            #expect(try await dog(sheep, "vdi", "read", "x").output == image)
            #expect(try await dog(sheep, "vdi", "read", "x", "1M", "3M").output == Array(image[(1 << 20)..<(4 << 20)]))
            #expect(try await dog(sheep, "vdi", "read", "x", "5M").output == Array(image[(5 << 20)...]))
            #expect(try await dog(sheep, "vdi", "write", "x", "512", "3", "-w", input: [1, 2, 3, 4]).status == 0)
            #expect(sheep.cluster.content(of: "x")![512..<516] == [1, 2, 3, image[515]])
            let beyond = try await dog(sheep, "vdi", "read", "x", "6M")
            #expect(beyond.error == "Read offset is beyond the end of the VDI\n")
            #expect(beyond.status == 1)
            let missing = try await dog(sheep, "vdi", "read", "nobody")
            #expect(missing.error == "Failed to open VDI nobody (snapshot id: 0 snapshot tag: ): No VDI found\n")
        }
    }

    @Test("import of a sparse file writes its data only; export gives the same file back, sparse")
    func file() async throws {
        try await FakeSheep.with { sheep async throws in
            try await TemporaryDirectory.with { directory in
                let (source, target) = (directory + "/source", directory + "/target")
                try writeSparse(source)
                #expect(try await dog(sheep, "vdi", "import", source, "x").status == 0)
                #expect(sheep.cluster.content(of: "x") == image)
                #expect(sheep.cluster.allocatedUnits(of: "x") == 3 * 16 + 1)
                #expect(try await dog(sheep, "vdi", "export", "x", target).status == 0)
                #expect(try readFile(target) == image)
                var status = stat()
                stat(target, &status)
                #expect(status.st_blocks * 512 < 4 << 20)
                let again = try await dog(sheep, "vdi", "import", source, "x")
                #expect(again.status == 3)
                #expect(again.error == "Failed to create VDI x: VDI exists already\n")
                #expect(sheep.cluster.content(of: "x") == image)
            }
        }
    }

    @Test("import from a pipe of unknown length and export to one")
    func pipe() async throws {
        try await FakeSheep.with { sheep async throws in
            // More than one batch of 64 MiB, so that the volume grows.
            let long = image + [UInt8](repeating: 0, count: 64 << 20) + [7]
            #expect(try await dog(sheep, "vdi", "import", "-", "x", input: long).status == 0)
            #expect(sheep.cluster.content(of: "x") == long)
            #expect(sheep.cluster.allocatedUnits(of: "x") == 3 * 16 + 2)
            #expect(try await dog(sheep, "vdi", "export", "x", "-").output == long)
        }
    }

    @Test("export of a snapshot by name@tag and by -s")
    func snapshot() async throws {
        try await FakeSheep.with { sheep async throws in
            sheep.cluster.add("x", [1, 2, 3])
            #expect(try await dog(sheep, "vdi", "snapshot", "x", "-s", "t").status == 0)
            #expect(try await dog(sheep, "vdi", "write", "x", input: [4]).status == 0)
            #expect(try await dog(sheep, "vdi", "export", "x@t", "-").output == [1, 2, 3])
            #expect(try await dog(sheep, "vdi", "export", "x", "-", "-s", "1").output == [1, 2, 3])
            #expect(try await dog(sheep, "vdi", "export", "x", "-").output == [4, 2, 3])
        }
    }

    @Test("an import that fails midway deletes what it made, and a full cluster is exit code 4")
    func failedImport() async throws {
        try await FakeSheep.with { sheep async throws in
            sheep.cluster.fill(from: 1 << 20)
            let full = try await dog(sheep, "vdi", "import", "-", "x", input: image)
            #expect(full.error == "Failed to write VDI x: Server has no space for new objects\nall disks are full\n")
            #expect(full.status == 4)
            #expect(sheep.cluster.content(of: "x") == nil)
            let missing = try await dog(sheep, "vdi", "import", "/nowhere/image", "x")
            #expect(missing.error == "Failed to open /nowhere/image: No such file or directory\n")
            #expect(missing.status == 1)
        }
    }

    @Test("an import that is interrupted while its pipe is silent deletes what it made")
    func interruptedImport() async throws {
        try await FakeSheep.with { sheep in
            let cluster = sheep.cluster
            let dog = try await DogProcess.run(
                ["vdi", "import", "-", "x"], port: sheep.port, input: [UInt8](repeating: 0, count: 64 << 20),
                interruptWhen: { cluster.isOpen })
            #expect(dog.error == "Interrupted\n")
            #expect(dog.status == 1)
            #expect(cluster.content(of: "x") == nil)
        }
    }

    @Test("import from and export to an NBD server")
    func nbd() async throws {
        try await FakeSheep.with { sheep async throws in
            try await TemporaryDirectory.with { directory in
                let (source, target, socket) = (directory + "/source", directory + "/target", directory + "/sock")
                try writeSparse(source)
                try writeFile(target, [UInt8](repeating: 0xFF, count: image.count))
                let uri = "nbd+unix:///?socket=" + socket
                try await NbdServer.with(file: source, socket: socket) {
                    let result = try await dog(sheep, "vdi", "import", uri, "x")
                    #expect(result.status == 0, "\(result.error)")
                }
                #expect(sheep.cluster.content(of: "x") == image)
                #expect(sheep.cluster.allocatedUnits(of: "x") == 3 * 16 + 1)
                try await NbdServer.with(file: target, socket: socket) {
                    let result = try await dog(sheep, "vdi", "export", "x", uri)
                    #expect(result.status == 0, "\(result.error)")
                    sheep.cluster.add("large", [UInt8](repeating: 1, count: 6 << 20))
                    let tooLarge = try await dog(sheep, "vdi", "export", "large", uri)
                    #expect(tooLarge.status == 1)
                    #expect(tooLarge.error.contains("is smaller"))
                }
                #expect(try readFile(target) == image)
                let nobody = try await dog(sheep, "vdi", "import", uri, "y")
                #expect(nobody.status == 1)
                #expect(nobody.error.hasPrefix("Failed to open \(uri): "))
            }
        }
    }

    private func writeSparse(_ path: String) throws {
        try writeFile(path, [])
        let descriptor = open(path, O_WRONLY)
        defer { close(descriptor) }
        try check(ftruncate(descriptor, off_t(image.count)))
        for range in [0..<(2 << 20), (4 << 20)..<image.count] {
            let count = image[range].withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, off_t(range.lowerBound)) }
            try check(count == range.count ? 0 : -1)
        }
    }
}
