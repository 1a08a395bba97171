import Cluster
import ObjectModel
import Testing

/// Random commands to two states, one of which is restored from a snapshot on the way, beside a model of who has what.
///
/// The model writes: at every entry, a volume whose lease is held may be written, and then exactly the in-sync and syncing
/// members have the write. Whoever the state calls in sync must have every write, whatever happened before.
@Suite struct RandomControlTests {
    @Test("states agree, and nobody who missed a write is in sync", arguments: 0..<20)
    func run(block: Int) throws {
        for seed in UInt64(block * 10 + 1)...UInt64(block * 10 + 10) {
            var world = ControlWorld(seed: seed)
            for step in 0..<100 { try world.step(step) }
            world.finish()
        }
    }
}

/// A volume's copies of one group, as they would be on disks.
private struct Stock {
    /// Writes acknowledged so far.
    var written = 0
    /// When a disk first missed a write that it has not copied since: the log index at that time.
    var missed: [DiskID: LogIndex] = [:]
}

private struct ControlWorld {
    private let seed: UInt64
    private var random: SeededGenerator
    private var talk = Conversation()
    private var twin = ControlState()
    private var stocks: [Birth: [UInt16: Stock]] = [:]
    private var runs: [UInt64: UInt64] = [:]
    private var versions: [String: LogIndex] = [:]
    private var terms: [Family: Term] = [:]
    private let groups: [UInt16] = [0, 9_000, 33_333, 65_535]
    private static let nodes: UInt64 = 5

    init(seed: UInt64) {
        self.seed = seed
        random = SeededGenerator(seed: seed)
        for node in 1...UInt64.random(in: 1...4, using: &random) { say(.nodeUp(announcement(node))) }
        say(.format(.init(cluster: ClusterID(high: 1, low: 1), copies: 2, objectShift: 22, flags: 0, force: false)))
        say(.createVolume(.init(name: "v0", size: 1 << 30, copies: UInt8.random(in: 1...3, using: &random))))
    }

    // MARK: Steps

    mutating func step(_ number: Int) throws {
        say(command(number))
        if number == 50 { twin = try ControlState(wire: twin.wire) }
        if Int.random(in: 0..<3, using: &random) == 0 { write() }
    }

    mutating func finish() {
        #expect(talk.state.wire == twin.wire, "seed \(seed)")
    }

    @discardableResult
    private mutating func say(_ command: ControlCommand) -> ControlResult {
        if givesUp(command) { stocks = [:] }
        let before = talk.state
        let entry = talk.entry(command, request: RequestID(high: 2, low: talk.now.rawValue))
        let result = talk.say(entry)
        let twinResult = Result { try twin.apply(entry, at: twin.appliedIndex.next) }
        #expect((try? twinResult.get()) == result, "seed \(seed) \(command)")
        #expect(twin.digest == talk.state.digest, "seed \(seed) \(command)")
        if case .refused = result { expectUnchanged(since: before, command) }
        copy(after: command, before: before)
        if case .forceOpen = command, result == .done { giveUp(before: before) }
        check(after: command)
        return result
    }

    private func expectUnchanged(since before: ControlState, _ command: ControlCommand) {
        let after = talk.state
        #expect(after.volumes == before.volumes && after.leases == before.leases && after.locks == before.locks, "seed \(seed) \(command)")
        #expect(after.nodes == before.nodes && after.disks == before.disks && after.epochs == before.epochs, "seed \(seed) \(command)")
    }

    // MARK: Commands

    private mutating func announcement(_ node: UInt64, new: Bool = true) -> ControlCommand.NodeUp {
        if new { runs[node, default: 0] += 1 }
        return ControlCommand.NodeUp(
            node: NodeID(node), boot: BootID(node, runs[node, default: 1]),
            address: NodeAddress(host: "10.0.0.\(node)", port: 7000), zone: UInt32(node), virtualNodes: 1,
            disks: [DiskAnnouncement(id: DiskID(node), capacity: 1 << 40)])
    }

    private mutating func boot(_ node: UInt64) -> BootID {
        BootID(node, max(1, runs[node, default: 1] - (Int.random(in: 0..<10, using: &random) == 0 ? 1 : 0)))
    }

    private mutating func pick() -> UInt64 { UInt64.random(in: 1...Self.nodes, using: &random) }

    private mutating func ranges() -> [GroupRange] {
        let (a, b) = (UInt16.random(in: 0 ... .max, using: &random), UInt16.random(in: 0 ... .max, using: &random))
        return Bool.random(using: &random) ? [.all] : [GroupRange(first: min(a, b), last: max(a, b))]
    }

    private mutating func volume() -> Birth {
        talk.state.volumes.randomElement(using: &random)?.birth ?? Birth(rawValue: 1)
    }

    private mutating func term(of birth: Birth) -> Term? {
        Int.random(in: 0..<10, using: &random) == 0 ? Term(rawValue: 1) : talk.state.owner(of: birth)?.term
    }

    private mutating func command(_ number: Int) -> ControlCommand {
        Int.random(in: 0..<10, using: &random) < 6 ? memberCommand() : volumeCommand(number)
    }

    private mutating func memberCommand() -> ControlCommand {
        let node = pick()
        switch Int.random(in: 0..<20, using: &random) {
        case 0...2:
            let victims = (1...UInt64.random(in: 1...3, using: &random)).map { _ in pick() }
            return .nodesDown(.init(victims: victims.map { .init(node: NodeID($0), boot: boot($0)) }, proven: false))
        case 3...6: return .nodeUp(announcement(node, new: talk.state.nodes[NodeID(node)]?.isUp != true || Bool.random(using: &random)))
        case 7:
            if Int.random(in: 0..<40, using: &random) == 0 { return .giveUpNode(NodeID(node)) }
            return .nodeOut(NodeID(node), byOperator: Bool.random(using: &random))
        case 8...9: return .planPlacement
        case 10:
            return Bool.random(using: &random)
                ? .diskOut(DiskID(node), boot: boot(node)) : .groupsOut(DiskID(node), boot: boot(node), ranges())
        case 11...12:
            return Int.random(in: 0..<4, using: &random) == 0
                ? .syncStopped(DiskID(node), boot: boot(node), ranges()) : .syncing(DiskID(node), boot: boot(node), ranges())
        case 13...15: return .inSync(DiskID(node), boot: boot(node), ranges())
        case 16...17 where Int.random(in: 0..<4, using: &random) == 0:
            let present = talk.state.presentDisks.filter { _ in Int.random(in: 0..<20, using: &random) > 0 }
            return .forceOpen(present: present, preferred: present.filter { _ in Bool.random(using: &random) })
        case 16...17:
            let present = (1...Self.nodes).filter { _ in Bool.random(using: &random) }.map { DiskID($0) }
            return .openGroups(present: present, preferred: present.filter { _ in Bool.random(using: &random) })
        case 18: return Int.random(in: 0..<3, using: &random) == 0 ? .shutdown : .planPlacement
        default: return .cleanStop(NodeID(node), boot: boot(node))
        }
    }

    private mutating func volumeCommand(_ number: Int) -> ControlCommand {
        let (birth, node) = (volume(), pick())
        switch Int.random(in: 0..<20, using: &random) {
        case 0: return .createVolume(.init(name: "v\(number % 5)", size: 1 << 30, copies: UInt8.random(in: 0...4, using: &random)))
        case 1...3: return .snapshotVolume(.init(volume: birth, tag: "t\(number % 7)", term: term(of: birth)))
        case 4: return .cloneVolume(.init(source: birth, name: "c\(number % 5)", copies: UInt8.random(in: 0...3, using: &random)))
        case 5: return .rollbackVolume(.init(volume: birth, snapshot: volume(), term: term(of: birth)))
        case 6: return .resizeVolume(.init(volume: birth, size: UInt64.random(in: 1...1 << 32, using: &random), term: term(of: birth)))
        case 7: return .deleteVolume(.init(volume: birth, term: term(of: birth)))
        case 8: return .forgetVolume(talk.state.deletedVolumes.randomElement(using: &random)?.birth ?? birth)
        case 9: return .setAttribute(.init(volume: birth, key: "k", value: Bool.random(using: &random) ? [1] : nil, exclusive: false))
        case 10: return .lockVolume(birth, owner: NodeID(node), shared: Bool.random(using: &random))
        case 11: return .unlockVolume(birth, owner: NodeID(node))
        case 13: return .renameVolume(.init(volume: birth, name: "v\(number % 5)"))
        case 12: return .releaseLease(birth, NodeID(node), talk.state.owner(of: birth)?.term ?? .zero)
        case 14: return .handOverLease(birth, talk.state.owner(of: birth)?.owner ?? NodeID(node), talk.state.owner(of: birth)?.term ?? .zero, to: NodeID(node))
        default: return .acquireLease(birth, NodeID(node), boot: boot(node))
        }
    }

    // MARK: The model

    /// Owners write to every group that has an in-sync member; all members in the set get it, all others miss it.
    private mutating func write() {
        for birth in talk.state.leases.keys.sorted() {
            let copies = talk.state.volume(birth)!.copies
            for group in groups {
                let set = talk.replicas(group, copies: copies)
                let members = set.inSync + set.syncing
                #expect(members.allSatisfy { $0.isUp }, "seed \(seed): writes to a node that is down")
                guard !set.inSync.isEmpty else { continue }
                var stock = stocks[birth, default: [:]][group] ?? Stock()
                stock.written += 1
                for disk in talk.state.disks.keys where !members.contains(where: { $0.disk == disk }) && stock.missed[disk] == nil {
                    stock.missed[disk] = talk.now
                }
                stocks[birth, default: [:]][group] = stock
            }
        }
        // A disk that is new to the cluster has nothing.
        newcomersMissAll()
    }

    private mutating func newcomersMissAll() {
        for birth in stocks.keys.sorted() {
            for group in groups where stocks[birth]![group] != nil {
                for node in 1...Self.nodes where talk.state.disks[DiskID(node)] == nil {
                    stocks[birth]![group]!.missed[DiskID(node)] = .zero
                }
            }
        }
    }

    /// What recovery does before `inSync` is proposed: copy from the members in sync, for the k that have one.
    private mutating func copy(after command: ControlCommand, before: ControlState) {
        guard case .inSync(let disk, _, let ranges) = command else { return }
        for birth in stocks.keys.sorted() {
            guard let copies = before.volume(birth)?.copies else { continue }
            for group in groups where ranges.contains(where: { $0.contains(PlacementGroup(rawValue: group)) }) {
                let set = before.replicas(of: PlacementGroup(rawValue: group), copies: copies)
                guard set.syncing.contains(where: { $0.disk == disk }), let source = set.inSync.first else { continue }
                let missed = stocks[birth]![group]?.missed[source.disk]
                stocks[birth]![group]?.missed[disk] = missed
            }
        }
    }

    /// By an operator's order one that missed writes, or never had them, opened a group: what it has is right from then on, and
    /// nobody else has exactly that.
    private mutating func giveUp(before: ControlState) {
        for birth in stocks.keys.sorted() {
            guard let copies = before.volume(birth)?.copies else { continue }
            for group in groups where stocks[birth]![group] != nil {
                let former = before.replicas(of: PlacementGroup(rawValue: group), copies: copies)
                let authorities = talk.replicas(group, copies: copies).inSync.map(\.disk)
                guard let authority = authorities.first, !(former.inSync + former.lastMembers).contains(where: { $0.disk == authority }) else {
                    continue
                }
                #expect(authorities.count == 1, "seed \(seed): two open group \(group)")
                for disk in talk.state.disks.keys { stocks[birth]![group]!.missed[disk] = disk == authority ? nil : .zero }
            }
        }
    }

    /// What only a dead node holds is given up: data is lost by order.
    private func givesUp(_ command: ControlCommand) -> Bool {
        guard case .giveUpNode(let node) = command, let record = talk.state.nodes[node] else { return false }
        return record.isRemoved && !record.isUp
    }

    // MARK: Invariants

    private mutating func check(after command: ControlCommand) {
        guard talk.state.cluster != nil else { return }
        checkLeases(talk.state)
        if talk.now.rawValue % 3 == 0 { checkNames(talk.state) }
        for copies: UInt8 in 1...4 {
            for group in groups { check(talk.replicas(group, copies: copies), group, copies, talk.state, command) }
        }
        // These walk all groups, so not every time.
        let oldest = talk.now.rawValue % 4 == 0 ? talk.state.oldestOutSince : .zero
        if talk.now.rawValue % 4 == 0 { checkWalks(after: command) }
        for birth in stocks.keys.sorted() {
            guard let copies = talk.state.volume(birth)?.copies else { continue }
            for group in groups {
                if let stock = stocks[birth]![group] { check(stock, of: birth, group, copies, oldest, command) }
            }
        }
    }

    /// What is found by walking all groups agrees with each group asked by itself.
    private func checkWalks(after command: ControlCommand) {
        let state = talk.state
        let plans = Dictionary(uniqueKeysWithValues: state.disks.keys.map { ($0, RecoveryPlan(for: $0, in: state)) })
        let inSync = Set(state.disks.keys.filter { state.isInSync($0) })
        for copies in state.copiesInUse.counts {
            for group in groups {
                let set = talk.replicas(group, copies: copies)
                let behind = Set((set.syncing + set.out).map(\.disk))
                #expect(!set.inSync.isEmpty || state.hasClosedGroups(copies: copies), "seed \(seed) group \(group), after \(command)")
                #expect(inSync.isDisjoint(with: behind), "seed \(seed) group \(group), after \(command)")
                for (disk, plan) in plans {
                    let planned = (plan.tasks + plan.waiting).filter {
                        $0.range.contains(PlacementGroup(rawValue: group)) && $0.copies.contains(copies: copies)
                    }
                    #expect(planned.count <= 1 && (planned.isEmpty || behind.contains(disk)), "seed \(seed) group \(group), after \(command)")
                    // What a disk only holds it does not fetch.
                    let isHolding = state.disks[disk]!.standings[PlacementGroup(rawValue: group)].holding.contains(copies: copies)
                    #expect(!planned.isEmpty || isHolding || !behind.contains(disk), "seed \(seed) group \(group), after \(command)")
                    if let task = planned.first, !task.sources.isEmpty {
                        #expect(task.sources == set.inSync.filter(\.isUp), "seed \(seed) group \(group), after \(command)")
                    }
                }
            }
        }
    }

    private func check(_ stock: Stock, of birth: Birth, _ group: UInt16, _ copies: UInt8, _ oldest: LogIndex?, _ command: ControlCommand) {
        let set = talk.replicas(group, copies: copies)
        for member in set.inSync + set.lastMembers {
            #expect(stock.missed[member.disk] == nil, "seed \(seed): \(member.disk) missed writes of \(birth) in group \(group), after \(command)")
        }
        for member in set.out + set.syncing {
            guard let missed = stock.missed[member.disk] else { continue }
            let since = talk.state.disks[member.disk]!.standings[PlacementGroup(rawValue: group)].layer(for: copies)!.since
            #expect(since <= missed, "seed \(seed): \(member.disk) would copy only what changed since \(since), after \(command)")
            #expect(oldest! <= since, "seed \(seed)")
        }
    }

    private func checkLeases(_ state: ControlState) {
        for (birth, lease) in state.leases {
            let node = state.nodes[lease.owner]
            #expect(node?.isUp == true && node?.boot == lease.boot, "seed \(seed): lease of \(birth)")
            #expect(state.volume(birth)?.isWorking == true && state.volume(birth)?.term == lease.term, "seed \(seed)")
        }
    }

    private func checkNames(_ state: ControlState) {
        let (living, all) = (state.volumes, state.volumes + state.deletedVolumes)
        #expect(Set(living.filter(\.isWorking).map(\.name)).count == living.filter(\.isWorking).count, "seed \(seed)")
        #expect(Set(living.map { "\($0.name)/\($0.snapshotID)" }).count == living.count, "seed \(seed)")
        #expect(Set(all.map(\.vid)).count == all.count, "seed \(seed)")
        for record in all {
            let line = state.ancestry(of: record.birth)
            #expect(line.last?.rawValue == record.family.rawValue, "seed \(seed): \(record.birth) lost its root")
            #expect(line.dropFirst().allSatisfy { state.volume($0)!.isFrozen && state.volume($0)!.size <= record.size }, "seed \(seed)")
        }
    }

    private mutating func check(_ set: ReplicaSet, _ group: UInt16, _ copies: UInt8, _ state: ControlState, _ command: ControlCommand) {
        let members = set.inSync + set.syncing + set.out
        #expect(!members.isEmpty && Set(members.map(\.node)).count == members.count, "seed \(seed)")
        #expect(set.inSync.isEmpty != set.lastMembers.isEmpty, "seed \(seed)")
        #expect(set.syncing.allSatisfy { $0.isUp }, "seed \(seed) after \(command)")
        #expect(set.inSync.allSatisfy { $0.isUp || state.nodes[$0.node]!.cleanStop != nil }, "seed \(seed) after \(command)")
        #expect(set.minimum >= (min(Int(copies), state.zones) + 1) / 2, "seed \(seed)")
        let key = "\(group)/\(copies)"
        #expect(set.version >= versions[key, default: .zero] && set.version <= state.membershipVersion, "seed \(seed) after \(command)")
        versions[key] = set.version
    }
}
