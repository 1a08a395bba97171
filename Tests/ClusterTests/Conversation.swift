import Cluster
import ObjectModel

/// A control state and a proposer: says commands and hears results.
struct Conversation {
    var state = ControlState()
    private var requests: UInt64 = 0

    /// Skips nothing: each command is the next entry.
    @discardableResult
    mutating func say(_ command: ControlCommand) -> ControlResult {
        requests += 1
        return say(entry(command, request: RequestID(high: 1, low: requests)))
    }

    mutating func say(_ entry: ControlEntry) -> ControlResult {
        do {
            return try state.apply(entry, at: state.appliedIndex.next)
        } catch {
            fatalError("\(error)")
        }
    }

    func entry(_ command: ControlCommand, request: RequestID) -> ControlEntry {
        ControlEntry(
            request: request, proposer: NodeID(0), time: 1000 + state.appliedIndex.rawValue, stateDigest: state.digest,
            command: command)
    }

    /// The index of the entry said last.
    var now: LogIndex { state.appliedIndex }

    // MARK: Shorthands. Node n has disk n, zone n, and runs under boot id n × 100 + run.

    @discardableResult
    mutating func up(
        _ node: UInt64, run: UInt64 = 1, virtualNodes: UInt16? = nil, disks: [UInt64]? = nil, zone: UInt32? = nil, lostPower: Bool = false,
        reached: LogIndex? = nil
    ) -> ControlResult {
        say(.nodeUp(.init(
            node: NodeID(node), boot: BootID(node, run), address: NodeAddress(host: "127.0.0.1", port: UInt16(7000 + node)),
            zone: zone ?? UInt32(node), virtualNodes: virtualNodes,
            disks: (disks ?? [node]).map { DiskAnnouncement(id: DiskID($0), capacity: 100 << 30) }, lostPower: lostPower,
            reached: reached)))
    }

    @discardableResult
    mutating func down(_ nodes: (UInt64, UInt64)...) -> ControlResult {
        say(.nodesDown(.init(victims: nodes.map { .init(node: NodeID($0.0), boot: BootID($0.0, $0.1)) }, proven: true)))
    }

    @discardableResult
    mutating func format(copies: UInt8 = 3, force: Bool = false) -> ControlResult {
        say(.format(.init(cluster: ClusterID(high: 9, low: now.rawValue), copies: copies, objectShift: 22, flags: 0, force: force)))
    }

    mutating func create(_ name: String, size: UInt64 = 1 << 30, copies: UInt8 = 0) -> Birth {
        birth(say(.createVolume(.init(name: name, size: size, copies: copies))))
    }

    mutating func snapshot(_ volume: Birth, _ tag: String = "", term: Term? = nil) -> Birth {
        birth(say(.snapshotVolume(.init(volume: volume, tag: tag, term: term))))
    }

    mutating func clone(_ source: Birth, _ name: String, copies: UInt8 = 0) -> Birth {
        birth(say(.cloneVolume(.init(source: source, name: name, copies: copies))))
    }

    @discardableResult
    mutating func sync(_ node: UInt64, run: UInt64, _ ranges: [GroupRange] = [.all]) -> ControlResult {
        say(.syncing(DiskID(node), boot: BootID(node, run), ranges))
        return say(.inSync(DiskID(node), boot: BootID(node, run), ranges))
    }

    /// An operator orders to go on with who is up; those given had no power cut.
    @discardableResult
    mutating func force(preferred: [UInt64] = []) -> ControlResult {
        say(.forceOpen(present: state.presentDisks, preferred: preferred.map { DiskID($0) }))
    }

    @discardableResult
    mutating func acquire(_ volume: Birth, _ node: UInt64, run: UInt64 = 1) -> ControlResult {
        say(.acquireLease(volume, NodeID(node), boot: BootID(node, run)))
    }

    private func birth(_ result: ControlResult) -> Birth {
        guard case .volume(let birth) = result else { fatalError("\(result)") }
        return birth
    }

    /// Nodes 1 to `nodes` are up and the cluster is formatted.
    static func formatted(nodes: UInt64 = 3, copies: UInt8 = 3, virtualNodes: UInt16? = 8) -> Conversation {
        var talk = Conversation()
        for node in 1...nodes { talk.up(node, virtualNodes: virtualNodes) }
        talk.format(copies: copies)
        return talk
    }

    func replicas(_ group: UInt16 = 0, copies: UInt8 = 3) -> ReplicaSet {
        state.replicas(of: PlacementGroup(rawValue: group), copies: copies)
    }

    /// Node numbers of the in-sync members, ascending.
    func inSync(_ group: UInt16 = 0, copies: UInt8 = 3) -> [UInt64] { replicas(group, copies: copies).inSync.nodes }
    func lastMembers(_ group: UInt16 = 0, copies: UInt8 = 3) -> [UInt64] { replicas(group, copies: copies).lastMembers.nodes }
}

extension [Replica] {
    var nodes: [UInt64] { map(\.node.low).sorted() }
}

extension NodeID {
    init(_ number: UInt64) { self.init(high: 0xA, low: number) }
}

extension DiskID {
    init(_ number: UInt64) { self.init(high: 0xD, low: number) }
}

extension BootID {
    init(_ node: UInt64, _ run: UInt64) { self.init(rawValue: node * 100 + run) }
}

extension ControlResult {
    var refusal: SheepError.Code? {
        if case .refused(let error) = self { error.code } else { nil }
    }

    var term: Term? {
        if case .lease(let term) = self { term } else { nil }
    }
}

/// SplitMix64: every seed replays exactly.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var x = state
        x = (x ^ x >> 30) &* 0xBF58_476D_1CE4_E5B9
        x = (x ^ x >> 27) &* 0x94D0_49BB_1331_11EB
        return x ^ x >> 31
    }
}
