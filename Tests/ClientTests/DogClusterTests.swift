import ObjectModel
import SheepProtocol
import Testing

@Suite(.timeLimit(.minutes(15))) struct DogClusterTests {
    private static let running = ClusterInformation(
        status: .running,
        format: FormatRecord(
            cluster: ClusterID(high: 1, low: 2), createdAt: 1_700_000_000_000_000_000, copies: 3, objectShift: 22,
            flags: 4),
        epochs: [
            EpochRecord(epoch: Epoch(rawValue: 2), time: 1_700_000_060_000_000_000, members: [
                EpochMember(host: "127.0.0.1", port: 7000, virtualNodes: 128),
                EpochMember(host: "127.0.0.1", port: 7001, virtualNodes: 64),
            ]),
            EpochRecord(epoch: Epoch(rawValue: 1), time: 1_700_000_000_000_000_000, members: [
                EpochMember(host: "127.0.0.1", port: 7000, virtualNodes: 128)
            ]),
        ],
        redundancy: RedundancyState(zones: 3, largestCopies: 3))

    private func info(_ information: ClusterInformation, _ options: String...) async throws -> DogProcess {
        let cluster = FakeCluster()
        cluster.can(.clusterInformation, .cluster(information))
        return try await FakeSheep.with(cluster: cluster) {
            try await DogProcess.run(["cluster", "info"] + options, port: $0.port)
        }
    }

    @Test("cluster info: Sheepdog's text, newest epoch first")
    func running() async throws {
        #expect(try await info(Self.running).text == """
            Cluster status: running, auto-recovery enabled

            Cluster created at Tue Nov 14 22:13:20 2023

            Epoch Time           Version [Host:Port:V-Nodes,,,]
            2023-11-14 22:14:20      2 [127.0.0.1:7000:128, 127.0.0.1:7001:64]
            2023-11-14 22:13:20      1 [127.0.0.1:7000:128]

            """)
        #expect(try await info(Self.running, "-r").text == """
            running, auto-recovery enabled

            1700000060 2 [127.0.0.1:7000:128, 127.0.0.1:7001:64]
            1700000000 1 [127.0.0.1:7000:128]

            """)
        #expect(try await info(Self.running, "-r", "-d").text == """
            running, auto-recovery enabled

            1700000060 2 [+127.0.0.1:7001:64]
            1700000000 1 [127.0.0.1:7000:128]

            """)
        let verbose = try await info(Self.running, "-v").text
        #expect(verbose.hasPrefix("""
            Cluster status: running, auto-recovery enabled
            Cluster store: plain with 3 redundancy policy
            Cluster vnodes strategy: auto
            Cluster vnode mode: node

            """))
        #expect(try await info(Self.running, "--json").text.hasPrefix("{\n  \"status\": \"running\","))
    }

    @Test("cluster info: not formatted, which is no failure")
    func unformatted() async throws {
        let dog = try await info(ClusterInformation(status: .waitingForFormat))
        #expect(dog.text == "Cluster status: Waiting for cluster to be formatted\n")
        #expect(dog.status == 0)
    }

    @Test("cluster info: what is waited for, what is missing and what is rebuilt is said")
    func waiting() async throws {
        var information = Self.running
        information.status = .waitingForNodes
        information.waitingFor = ["127.0.0.1:7002 (down since epoch 2)"]
        information.waitingRequests = 5
        information.redundancy = RedundancyState(zones: 1, largestCopies: 3, degradedGroups: 7, unavailableGroups: 2)
        information.recovery = RecoveryTotals(objectsDone: 1, objectsTotal: 8)
        information.scrub = ScrubState(
            objectsVerified: 10, objectsTotal: 12, damagedBlocks: 2, repairedBlocks: 1, lastPassAt: 1_800_000_000_000_000_000,
            lastPassObjects: 9, lastPassFlaws: ScrubFlaws(unsound: 1, incomplete: 3))
        information.warnings = ["127.0.0.1:7001 is nearly full"]
        #expect(try await info(information).text.hasPrefix("""
            Cluster status: Waiting for other nodes to join cluster
            Waiting for: 127.0.0.1:7002 (down since epoch 2)
            Waiting requests: 5
            Warning: 3 copies are asked for, but nodes are in 1 zone only: there are 1 copies
            Warning: 7 placement groups lack copies
            Warning: 2 placement groups can not be written: too few copies
            Warning: 127.0.0.1:7001 is nearly full
            Recovery: 1 of 8 objects (12.5%)
            Warning: the scrub found 1 objects that it could not make good; 'dog cluster check' names them
            Scrub: 10 of 12 copies read in this pass, 2 damaged blocks, 1 repaired; the last pass read 9 copies, at 20
            """))
        #expect(try await info(information).text.contains("of its objects 1 could not be made good, 3 lack copies\n"))
        information.scrub.lastPassFlaws = ScrubFlaws()
        #expect(try await info(information).text.contains("; every copy verified, 9, at 20"))
        information.scrub.lastPassAt = 0
        #expect(try await info(information).text.contains("; no pass is complete yet\n"))
    }

    @Test("cluster format: the options reach the sheep; over a cluster only with -f")
    func format() async throws {
        try await FakeSheep.with { sheep async throws in
            let standard = ClusterFormat(copies: 3, objectShift: 22, flags: 4, force: false)
            let dog = try await DogProcess.run(["cluster", "format"], port: sheep.port)
            #expect(dog.text == "using backend plain store\n")
            let own = ["cluster", "format", "-c", "2", "-z", "20", "-t", "-l", "-f", "-b", "tree"]
            #expect(try await DogProcess.run(own, port: sheep.port).text == "using backend tree store\n")
            #expect(sheep.cluster.requests == [
                .clusterFormat(standard),
                .clusterFormat(ClusterFormat(copies: 2, objectShift: 20, flags: 0x0D, force: true)),
            ])
            sheep.cluster.refuse(.clusterFormat(standard), .alreadyFormatted)
            let again = try await DogProcess.run(["cluster", "format"], port: sheep.port)
            #expect(again.status == 1)
            #expect(again.error.hasPrefix("Failed to format cluster: it is formatted already"))
        }
    }

    @Test("cluster check: polls to the end, tells what it found, fails when something is lost")
    func checkAll() async throws {
        let cluster = FakeCluster()
        cluster.can(.clusterCheck, .check(CheckProgress(identity: 5, objectsTotal: 10)))
        cluster.can(.checkProgress(5), .check(CheckProgress(
            identity: 5, objectsDone: 10, objectsTotal: 10, repaired: 2, lost: 0, isFinished: true, endedAt: 1_800_000_000_000_000_000,
            findings: ["two bad"])))
        try await FakeSheep.with(cluster: cluster) { sheep async throws in
            let good = try await DogProcess.run(["cluster", "check"], port: sheep.port)
            #expect(good.text.hasPrefix("""
                finish check&repair the cluster: 10 objects, 2 repaired, 0 lost
                every object verified: 10 of 10 at 20
                """))
            #expect(good.error == "two bad\n")
            #expect(good.status == 0)
            cluster.can(.checkProgress(5), .check(CheckProgress(
                identity: 5, objectsDone: 10, objectsTotal: 10, incomplete: 4, isFinished: true)))
            let incomplete = try await DogProcess.run(["cluster", "check"], port: sheep.port)
            #expect(incomplete.text.contains("\nobjects verified: 10 of 10 at ") && incomplete.text.contains("\n4 of them lack copies"))
            #expect(incomplete.status == 0)
            cluster.can(.checkProgress(5), .check(CheckProgress(
                identity: 5, objectsDone: 10, objectsTotal: 10, lost: 1, isFinished: true)))
            #expect(try await DogProcess.run(["cluster", "check"], port: sheep.port).status == 1)
            cluster.refuse(.clusterCheck, .waitingForNodes, "waiting for 127.0.0.1:7001")
            let waiting = try await DogProcess.run(["cluster", "check"], port: sheep.port)
            #expect(waiting.status == 2)
            #expect(waiting.error == """
                Failed to check the cluster: Waiting for other nodes to join cluster
                waiting for 127.0.0.1:7001

                """)
        }
    }
    private static let risk = RecoveryRisk(
        olderGroups: 65_000, lostGroups: 500, closedGroups: 30, openingGroups: 6,
        absent: [
            AbsentNode(host: "127.0.0.1", port: 7001, downSince: LogIndex(rawValue: 42)), AbsentNode(host: "::1", port: 7002, downSince: nil),
        ],
        volumes: [
            VolumeRisk(
                name: "alice", isSnapshot: true, snapshotID: 1, tag: "mon day", vid: VID(rawValue: 0xAB), objects: 25, older: 20, lost: 4,
                closed: 1),
            VolumeRisk(
                name: "bob x", isSnapshot: false, snapshotID: 0, tag: "", vid: VID(rawValue: 0xCDEF01), objects: 262_144, older: 0,
                lost: 262_144, closed: 0),
        ], present: [DiskID(high: 1, low: 2), DiskID(high: 3, low: 4)])

    private func recover(_ risk: RecoveryRisk, _ options: String...) async throws -> (DogProcess, [AdministrationRequest]) {
        let cluster = FakeCluster()
        cluster.can(.clusterRecover(goingOnWith: nil), .risk(risk))
        cluster.can(.clusterRecover(goingOnWith: Self.risk.present), .done)
        return try await FakeSheep.with(cluster: cluster) {
            (try await DogProcess.run(["cluster", "recover", "force"] + options, port: $0.port), cluster.requests)
        }
    }

    private static let riskText = """
        65536 of 65536 placement groups have no current copy.
        Newer copies than those that are up have:
          127.0.0.1:7001 (down since entry 42)
          [::1]:7002 (its disk is gone)
        Without them:
          65000 groups go back to an older copy: what was written since is lost
            500 groups are lost: no sheep that is up ever had all of them, and what is not there reads as zeros
             30 groups stay closed: none of their sheep is up; 'dog node remove' the dead ones first
              6 groups open by themselves in a moment: a sheep with a current copy is back

          Name        Id  VDI id   Objects     Older      Lost    Closed  Tag
        s alice        1      ab        25        20         4         1  mon day
          bob x        0  cdef01    262144         0    262144         0

        Sheep that return are made equal to what is served then.
        Writes wait for half of the copies: until sheep have caught up, or the dead ones are taken out by 'dog node remove'.
        Start clients of these volumes anew: what they remember is newer than what they would read.

        """

    @Test("cluster recover force: names what is lost, asks, and without a terminal says how to go on")
    func recoverAsks() async throws {
        let (dog, requests) = try await recover(Self.risk)
        #expect(dog.text == Self.riskText)
        #expect(dog.error == "Failed to recover the cluster: nothing was changed; -f does not ask, and what is named above is lost then\n")
        #expect(dog.status == 1)
        #expect(requests == [.clusterRecover(goingOnWith: nil)])
    }

    @Test("cluster recover force -f: names what is lost and goes on")
    func recoverForced() async throws {
        for option in ["-f", "--force"] {
            let (dog, requests) = try await recover(Self.risk, option)
            #expect(dog.text == Self.riskText + "The cluster goes on with what is there.\n")
            #expect(dog.status == 0 && dog.error.isEmpty)
            #expect(requests == [.clusterRecover(goingOnWith: nil), .clusterRecover(goingOnWith: Self.risk.present)])
        }
    }

    @Test("cluster recover force: raw and JSON")
    func recoverForScripts() async throws {
        let (raw, _) = try await recover(Self.risk, "-r", "-f")
        #expect(raw.text == "s alice 1 ab 25 20 4 1 mon day\n= bob\\ x 0 cdef01 262144 0 262144 0 \n")
        let (json, _) = try await recover(Self.risk, "--json", "-f")
        #expect(json.text.hasPrefix("{\n  \"waitingGroups\": 65536,\n  \"olderGroups\": 65000,"))
        #expect(json.text.contains("\"downSince\": 42") && json.text.hasSuffix("}\n") && json.status == 0)
    }

    @Test("cluster recover force: nothing waits, nothing is lost, nothing can be opened")
    func recoverNothing() async throws {
        let (whole, requests) = try await recover(RecoveryRisk(), "-f")
        #expect(whole.text == "Nothing waits: every placement group has a current copy.\n" && whole.status == 0)
        #expect(requests == [.clusterRecover(goingOnWith: nil)], "there is nothing to give up")
        let (opening, _) = try await recover(RecoveryRisk(openingGroups: 9))
        #expect(opening.text == """
            9 of 65536 placement groups have no current copy.
                  9 groups open by themselves in a moment: a sheep with a current copy is back

            """)
        #expect(opening.status == 0)
        let (closed, asked) = try await recover(RecoveryRisk(closedGroups: 9), "-f")
        #expect(closed.status == 1 && asked == [.clusterRecover(goingOnWith: nil)])
        #expect(closed.error == """
            Failed to recover the cluster: none of the sheep that should have the groups is up; start one, or remove the dead ones by 'dog node remove'

            """)
    }

    @Test("cluster recover force: sheep that return meanwhile, and refusals, are told")
    func recoverRefused() async throws {
        let cluster = FakeCluster()
        cluster.can(.clusterRecover(goingOnWith: nil), .risk(Self.risk))
        cluster.can(.clusterRecover(goingOnWith: Self.risk.present), .risk(RecoveryRisk()))
        try await FakeSheep.with(cluster: cluster) { sheep async throws in
            let force = ["cluster", "recover", "force", "-f"]
            let late = try await DogProcess.run(force, port: sheep.port)
            #expect(late.status == 1 && late.error.contains("sheep returned meanwhile, nothing was given up"))
            cluster.refuse(.clusterRecover(goingOnWith: Self.risk.present), .stale, "sheep came or went meanwhile")
            let stale = try await DogProcess.run(force, port: sheep.port)
            #expect(stale.status == 1 && stale.error.hasPrefix("Failed to recover the cluster: sheep came or went meanwhile"))
            cluster.refuse(.clusterRecover(goingOnWith: nil), .waitingForNodes, "it is joining")
            #expect(try await DogProcess.run(force, port: sheep.port).status == 2)
        }
    }

    @Test("bare cluster recover: help that names force, and what became of enable and disable")
    func recoverBare() async throws {
        let dog = try await DogProcess.run(["cluster", "recover"])
        #expect(dog.status == 0)
        #expect(dog.text.contains("SUBCOMMANDS:\n  force") && dog.text.contains("set-throttle"))
    }
}

@Suite(.timeLimit(.minutes(15))) struct DogNodeTests {
    private static let nodes = (0..<2).map { number in
        NodeRecord(
            node: NodeID(high: 0, low: UInt64(number)), host: "127.0.0.1", port: 7000 + UInt16(number), virtualNodes: 128,
            zone: 16_777_343, state: number == 0 ? .up : .down, isGateway: false)
    }

    @Test("node list: Sheepdog's columns; people also see who is down, programs only who serves")
    func list() async throws {
        let cluster = FakeCluster()
        cluster.can(.nodeList, .nodes(Self.nodes))
        try await FakeSheep.with(cluster: cluster) { sheep async throws in
            #expect(try await DogProcess.run(["node", "list"], port: sheep.port).text == """
                  Id   Host:Port         V-Nodes       Zone
                   0   127.0.0.1:7000      \t128   16777343
                   1   127.0.0.1:7001      \t128   16777343  down

                """)
            #expect(try await DogProcess.run(["node", "list", "-r"], port: sheep.port).text
                == "0 127.0.0.1:7000 128 16777343\n")
        }
    }

    @Test("node info: per node and in all; libvirt's and Cinder's Total line; nothing known is exit code 2")
    func info() async throws {
        let cluster = FakeCluster()
        cluster.can(.nodeSpace, .space(SpaceReport(nodes: [
            NodeSpace(number: 0, size: 10 << 30, used: 5 << 30, available: 5 << 30),
            NodeSpace(number: 1, size: 30 << 30, used: 5 << 30, available: 25 << 30),
        ], virtualSize: 100 << 30)))
        try await FakeSheep.with(cluster: cluster) { sheep async throws in
            #expect(try await DogProcess.run(["node", "info"], port: sheep.port).text == """
                Id\tSize\tUsed\tAvail\tUse%
                 0\t10 GB\t5.0 GB\t5.0 GB\t 50%
                 1\t30 GB\t5.0 GB\t25 GB\t 16%
                Total\t40 GB\t10 GB\t30 GB\t 25%

                Total virtual image size\t100 GB

                """)
            let raw = try await DogProcess.run(["node", "info", "-r", "-a", "127.0.0.1"], port: sheep.port)
            #expect(raw.text.hasSuffix("\nTotal 42949672960 10737418240 32212254720 25% 107374182400\n"))
            cluster.refuse(.nodeSpace, .notFormatted)
            let unformatted = try await DogProcess.run(["node", "info"], port: sheep.port)
            #expect(unformatted.status == 2)
            #expect(unformatted.error == """
                Response's result: Waiting for cluster to be formatted
                Cannot get information from any nodes

                """)
        }
    }

    @Test("node stat and recovery: Sheepdog's columns")
    func statAndRecovery() async throws {
        var client = RequestCounters()
        (client.active, client.total, client.writes, client.reads, client.bytesWritten) = (1, 9, 5, 4, 3 << 20)
        let cluster = FakeCluster()
        cluster.can(.nodeStatistics, .statistics(NodeStatistics(client: client, peer: RequestCounters())))
        cluster.can(.nodeRecovery, .recovery([
            NodeRecovery(number: 1, record: Self.nodes[1], totals: RecoveryTotals(objectsDone: 1, objectsTotal: 3))
        ]))
        try await FakeSheep.with(cluster: cluster) { sheep async throws in
            #expect(try await DogProcess.run(["node", "stat"], port: sheep.port).text == """
                Request\tActive\tTotal\tWrite\tRead\tRemove\tFlush\tAll WR\tAll RD
                Client\t1\t9\t5\t4\t0\t0\t3.0 MB\t0.0 MB
                Peer\t0\t0\t0\t0\t0\t0\t0.0 MB\t0.0 MB

                """)
            #expect(try await DogProcess.run(["node", "recovery"], port: sheep.port).text == """
                Nodes In Recovery:
                  Id   Host:Port         V-Nodes       Zone       Progress
                   1   127.0.0.1:7001        128   16777343       33.3%

                """)
            #expect(try await DogProcess.run(["node", "recovery", "-r"], port: sheep.port).text
                == "1 127.0.0.1:7001 128 16777343 1 3\n")
        }
    }

    @Test("node kill and remove: who has the number is named by identity; a number nobody has is refused")
    func killAndRemove() async throws {
        let cluster = FakeCluster()
        cluster.can(.nodeList, .nodes(Self.nodes))
        try await FakeSheep.with(cluster: cluster) { sheep async throws in
            #expect(try await DogProcess.run(["node", "kill", "1"], port: sheep.port).status == 0)
            #expect(try await DogProcess.run(["node", "remove", "0"], port: sheep.port).status == 0)
            #expect(try await DogProcess.run(["node", "kill", "2"], port: sheep.port).status == 1)
            #expect(cluster.requests.filter { $0 != .nodeList }
                == [.nodeKill(Self.nodes[1].node), .nodeRemove(Self.nodes[0].node)])
        }
    }

    @Test("node remove of a dead one that is waited for names what is lost, asks, and with -f gives it up")
    func removeWaitedFor() async throws {
        let (cluster, node) = (FakeCluster(), Self.nodes[0].node)
        cluster.can(.nodeList, .nodes(Self.nodes))
        cluster.can(.nodeRemove(node), .risk(RecoveryRisk(lostGroups: 7, absent: [AbsentNode(host: "h", port: 1, downSince: nil)])))
        cluster.can(.nodeRemove(node, givesUp: true), .done)
        try await FakeSheep.with(cluster: cluster) { sheep async throws in
            let asked = try await DogProcess.run(["node", "remove", "0"], port: sheep.port)
            #expect(asked.status == 1 && asked.text.contains("7 groups are lost") && asked.error.contains("nothing was changed"))
            #expect(!cluster.requests.contains(.nodeRemove(node, givesUp: true)))
            let forced = try await DogProcess.run(["node", "remove", "-f", "0"], port: sheep.port)
            #expect(forced.status == 0 && forced.text.contains("7 groups are lost"))
            #expect(cluster.requests.last == .nodeRemove(node, givesUp: true))
        }
    }
}
