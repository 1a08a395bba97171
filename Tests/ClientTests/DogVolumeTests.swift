import ObjectModel
import SheepProtocol
import Testing

@Suite(.timeLimit(.minutes(15))) struct DogVolumeTests {
    private func run(_ sheep: FakeSheep, _ line: String, input: [UInt8] = []) async throws -> DogProcess {
        try await DogProcess.run(line.split(separator: " ").map(String.init), port: sheep.port, input: input)
    }

    @Test("create: the options reach the sheep; a second one of the name ends as Cinder looks for it")
    func create() async throws {
        try await FakeSheep.with { sheep async throws in
            let first = try await run(sheep, "vdi create alice 1.5M -c 2 -z 23 -v")
            #expect(first.text == "VDI ID of newly created VDI: a03907\n")
            #expect(sheep.cluster.requests == [
                .volumeCreate(VolumeCreate(name: "alice", size: 3 << 19, copies: 2, objectShift: 23))
            ])
            let second = try await run(sheep, "vdi create alice 1M")
            #expect(second.error == "Failed to create VDI alice: VDI exists already\n")
            #expect(second.status == 1)
        }
    }

    @Test("create -P takes every object's space; when the disks are full the volume is gone again, exit code 4")
    func preallocate() async throws {
        try await FakeSheep.with { sheep async throws in
            #expect(try await run(sheep, "vdi create alice 9M -P").status == 0)
            #expect(sheep.cluster.allocatedUnits(of: "alice") == 9 * 16)
            sheep.cluster.fill(from: 5 << 20)
            let full = try await run(sheep, "vdi create bob 9M -P")
            #expect(full.status == 4)
            #expect(full.error.hasPrefix("Failed to preallocate VDI bob: Server has no space for new objects\n"))
            #expect(sheep.cluster.content(of: "bob") == nil)
        }
    }

    @Test("not formatted and waiting: texts and exit codes of a command that needs the cluster")
    func notServing() async throws {
        try await FakeSheep.with { sheep async throws in
            sheep.cluster.refuseAll(.notFormatted)
            let unformatted = try await run(sheep, "vdi create a 1G")
            #expect(unformatted.error == "Failed to create VDI a: Waiting for cluster to be formatted\n")
            #expect(unformatted.status == 1)
            sheep.cluster.refuseAll(.waitingForNodes, "waiting for 127.0.0.1:7001")
            let waiting = try await run(sheep, "vdi list")
            #expect(waiting.error
                == "Failed to read VDIs: Waiting for other nodes to join cluster\nwaiting for 127.0.0.1:7001\n")
            #expect(waiting.status == 2)
        }
    }

    @Test("list: columns of both forms, snapshots before their volume; a name that nobody has is empty, exit code 0")
    func list() async throws {
        try await FakeSheep.with { sheep async throws in
            for line in ["vdi create alice 20G", "vdi snapshot alice -s monday", "vdi clone alice bob -s monday"] {
                #expect(try await run(sheep, line).status == 0)
            }
            let vids = (VID.preferred(for: "alice").rawValue, VID.preferred(for: "bob").rawValue)
            #expect(try await run(sheep, "vdi list").text == """
                  Name        Id    Size    Used  Shared    Creation time   VDI id  Copies  Tag   Block Size Shift
                s alice        1   20 GB  0.0 MB  0.0 MB 2023-11-14 22:13   \(String(vids.0, radix: 16))      3        monday  22
                  alice        0   20 GB  0.0 MB  0.0 MB 2023-11-14 22:13   \(String(vids.0 + 1, radix: 16))      3                22
                c bob          0   20 GB  0.0 MB  0.0 MB 2023-11-14 22:13   \(String(vids.1, radix: 16))      3                22

                """)
            #expect(try await run(sheep, "vdi list -r").text == """
                s alice 1 21474836480 0 0 1700000000 \(String(vids.0, radix: 16)) 3 monday 22
                = alice 0 21474836480 0 0 1700000000 \(String(vids.0 + 1, radix: 16)) 3  22
                c bob 0 21474836480 0 0 1700000000 \(String(vids.1, radix: 16)) 3  22

                """)
            let nobody = try await run(sheep, "vdi list nobody -r")
            #expect(nobody.output.isEmpty)
            #expect(nobody.status == 0)
            let json = try await run(sheep, "vdi list bob --json").text
            #expect(json.contains("\"name\": \"bob\",\n") && json.contains("\"parent\": 1,\n"))
        }
    }

    @Test("list -r escapes blanks and backslashes in names")
    func escapedNames() async throws {
        try await FakeSheep.with { sheep async throws in
            #expect(try await DogProcess.run(["vdi", "create", "a b\\c", "4096"], port: sheep.port).status == 0)
            #expect(try await run(sheep, "vdi list -r").text.hasPrefix("= a\\ b\\\\c 0 4096 "))
        }
    }

    @Test("tree and graph: clones fork from their snapshot")
    func tree() async throws {
        try await FakeSheep.with { sheep async throws in
            for line in [
                "vdi create alice 1M", "vdi snapshot alice -s monday", "vdi clone alice bob -s monday", "vdi create carol 1M",
            ] { #expect(try await run(sheep, line).status == 0) }
            #expect(try await run(sheep, "vdi tree").text == """
                alice---[2023-11-14 22:14]-+-(you are here)
                                           `-bob---(you are here)
                carol---(you are here)

                """)
            let graph = try await run(sheep, "vdi graph").text
            #expect(graph.hasPrefix("digraph sheepdog {\n") && graph.hasSuffix("}\n"))
            #expect(graph.contains("  \"1\" -> \"2\";\n") && graph.contains("  \"1\" -> \"3\";\n"))
        }
    }

    @Test("snapshot, clone, rollback: VIDs with -v; taken tags, unknown tags and ids in Sheepdog's words")
    func snapshots() async throws {
        try await FakeSheep.with { sheep async throws in
            #expect(try await run(sheep, "vdi create x 1M").status == 0)
            let vid = VID.preferred(for: "x").rawValue
            #expect(try await run(sheep, "vdi snapshot x -s abc -v -r").text
                == "\(String(vid + 1, radix: 16)) \(String(vid, radix: 16))\n")
            let again = try await run(sheep, "vdi snapshot x -s abc")
            #expect(again.error
                == "Failed to create snapshot for x, maybe snapshot id (0) or tag (abc) is existed\n")
            #expect(again.status == 1)
            let tag = try await run(sheep, "vdi clone x y -s other")
            #expect(tag.error == "Failed to open VDI x (snapshot id: 0 snapshot tag: other): Failed to find requested tag\n")
            #expect(tag.status == 1)
            let id = try await run(sheep, "vdi clone x y -s 9")
            #expect(id.error == "Failed to open VDI x (snapshot id: 9 snapshot tag: ): Failed to find requested tag\n")
            let taken = try await run(sheep, "vdi clone x x -s 1")
            #expect(taken.error == "Failed to create VDI x: VDI exists already\n")
            let back = AdministrationRequest.volumeRollback(VolumeReference(name: "x", selector: .tag("abc")))
            sheep.cluster.can(back, .created(VolumeCreated(birth: Birth(rawValue: 77), vid: VID(rawValue: 0xabc))))
            #expect(try await run(sheep, "vdi rollback x -s abc -v -f").text == "New VDI ID: abc\n")
        }
    }

    @Test("delete: a missing volume is told as Cinder looks for it, and is no failure")
    func delete() async throws {
        try await FakeSheep.with { sheep async throws in
            #expect(try await run(sheep, "vdi create x 1M").status == 0)
            #expect(try await run(sheep, "vdi delete x").status == 0)
            let missing = try await run(sheep, "vdi delete x")
            #expect(missing.error == "Failed to open VDI x (snapshot id: 0 snapshot tag: ): No VDI found\n")
            #expect(missing.status == 0)
        }
    }

    @Test("rename: the volume and its snapshots; a taken and a missing name in Sheepdog's words")
    func rename() async throws {
        try await FakeSheep.with { sheep async throws in
            #expect(try await run(sheep, "vdi create x 1M").status == 0)
            #expect(try await run(sheep, "vdi snapshot x -s abc").status == 0)
            #expect(try await run(sheep, "vdi create z 1M").status == 0)
            #expect(try await run(sheep, "vdi rename x y").status == 0)
            #expect(sheep.cluster.content(of: "y")?.count == 1 << 20 && sheep.cluster.content(of: "x") == nil)
            let missing = try await run(sheep, "vdi rename x y")
            #expect(missing.error == "Failed to open VDI x (snapshot id: 0 snapshot tag: ): No VDI found\n")
            let taken = try await run(sheep, "vdi rename y z")
            #expect(taken.error == "Failed to rename VDI y to z: VDI exists already\n" && taken.status == 1)
        }
    }

    @Test("owner: nobody's, then a node's; a node that there is not, a missing volume")
    func owner() async throws {
        try await FakeSheep.with { sheep async throws in
            let address = "10.0.0.2:7001"
            sheep.cluster.can(
                .nodeList,
                .nodes(
                    (1...2).map { (number: UInt64) in
                        NodeRecord(
                            node: NodeID(high: number, low: number), host: "10.0.0.\(number)", port: 7001, virtualNodes: 128, zone: 1, state: .up, isGateway: false)
                    }))
            #expect(try await run(sheep, "vdi create x 1M").status == 0)
            #expect(try await run(sheep, "vdi owner x").text == "Nobody orders the writes of VDI x: whoever is asked first will\n")
            #expect(try await run(sheep, "vdi owner x -r").text == "-\n")
            #expect(try await run(sheep, "vdi owner x --json").text.contains("\"owner\": null"))
            #expect(try await run(sheep, "vdi owner x 1").status == 0)
            #expect(try await run(sheep, "vdi owner x").text == "Node 1, \(address), orders the writes of VDI x\n")
            #expect(try await run(sheep, "vdi owner x -r").text == "1 \(address)\n")
            #expect(try await run(sheep, "vdi owner x --json").text.contains("\"address\": \"\(address)\""))
            let away = try await run(sheep, "vdi owner x 99")
            #expect(away.error.hasPrefix("Invalid node id 99") && away.status == 1)
            let missing = try await run(sheep, "vdi owner y 1")
            #expect(missing.error == "Failed to open VDI y (snapshot id: 0 snapshot tag: ): No VDI found\n" && missing.status == 1)
        }
    }

    @Test("resize: grows; shrinking is wrong usage")
    func resize() async throws {
        try await FakeSheep.with { sheep async throws in
            #expect(try await run(sheep, "vdi create x 1M").status == 0)
            #expect(try await run(sheep, "vdi resize x 2M").status == 0)
            #expect(sheep.cluster.content(of: "x")?.count == 2 << 20)
            let shrink = try await run(sheep, "vdi resize x 1M")
            #expect(shrink.error.hasPrefix("Shrinking VDIs is not implemented\nUsage: dog vdi resize"))
            #expect(shrink.status == 64)
            #expect(sheep.cluster.content(of: "x")?.count == 2 << 20)
        }
    }

    @Test("attributes: from the line and from standard input; exit codes 3 and 5")
    func attributes() async throws {
        try await FakeSheep.with { sheep async throws in
            #expect(try await run(sheep, "vdi create x 1M").status == 0)
            #expect(try await run(sheep, "vdi setattr x k one -x").status == 0)
            let exists = try await run(sheep, "vdi setattr x k two -x")
            #expect(exists.error == "The attribute 'k' already exists\n")
            #expect(exists.status == 3)
            #expect(try await run(sheep, "vdi setattr x bin", input: [0, 10, 255]).status == 0)
            #expect(try await run(sheep, "vdi getattr x bin").output == [0, 10, 255])
            #expect(try await run(sheep, "vdi getattr x k").text == "one")
            #expect(try await run(sheep, "vdi getattr x").text == "bin\nk\n")
            #expect(try await run(sheep, "vdi setattr x k -d").status == 0)
            let missing = try await run(sheep, "vdi getattr x k")
            #expect(missing.error == "Attribute 'k' not found\n")
            #expect(missing.status == 5)
            #expect(try await run(sheep, "vdi getattr nobody k").status == 1)
        }
    }

    @Test("object location and map, locks: Sheepdog's texts")
    func objectsAndLocks() async throws {
        let cluster = FakeCluster()
        let x = VolumeReference(name: "x")
        cluster.can(.objectLocation(ObjectLocationRequest(volume: x, index: 4)), .objectLocation(ObjectLocation(
            vid: VID(rawValue: 0xabcdef), copies: 2, nodes: [
                NodePresence(address: "127.0.0.1:7000", hasObject: true),
                NodePresence(address: "127.0.0.1:7001", hasObject: false),
            ], placed: ["127.0.0.1:7000", "127.0.0.1:7001"])))
        cluster.can(.objectMap(ObjectMapRequest(volume: x, from: 0, limit: 65_536)), .objectMap(ObjectMap(
            runs: [ObjectRun(first: 1, count: 2, vid: VID(rawValue: 0xabc))], next: 9)))
        cluster.can(.objectMap(ObjectMapRequest(volume: x, from: 9, limit: 65_536)), .objectMap(ObjectMap(
            runs: [ObjectRun(first: 9, count: 1, vid: VID(rawValue: 0xdef))], next: nil)))
        cluster.can(.lockList, .locks([
            LockRecord(
                name: "x", snapshotID: 0, tag: "", vid: VID(rawValue: 0xabc), isShared: false, owners: ["127.0.0.1:7000"])
        ]))
        try await FakeSheep.with(cluster: cluster) { sheep async throws in
            #expect(try await run(sheep, "vdi object location x -i 4").text == """
                Looking for the object 00abcdef00000004 (vid 0xabcdef idx 4, 2 copies) with 2 nodes

                127.0.0.1:7000 has the object
                127.0.0.1:7001 doesn't have the object

                According to sheepdog algorithm, the object should be located at:
                127.0.0.1:7000 127.0.0.1:7001

                """)
            #expect(try await run(sheep, "vdi object map x").text == """
                Index       VID
                00000001      abc
                00000002      abc
                00000009      def

                """)
            #expect(try await run(sheep, "vdi lock list").text == """
                  Name         Id  VDI id  Tag            Owner node(s)
                  x             0     abc                 127.0.0.1:7000

                """)
            #expect(try await run(sheep, "vdi lock unlock x").status == 0)
            #expect(cluster.requests.last == .lockUnlock(x))
        }
    }
}
