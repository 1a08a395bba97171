import Cluster
import ObjectModel
import ObjectStore
import SheepProtocol

/// Finds out which objects a volume or snapshot shows: every sheep that stores tells of the groups that it is in sync for.
final class ObjectMapper<Env: NodeEnvironment> {
    /// Indices asked for at once, which bounds how long one question holds up a sheep.
    private static var window: UInt32 { 1 << 16 }
    /// How long it is asked again while the membership changes, in nanoseconds.
    private static var patience: UInt64 { 2_000_000_000 }

    private let node: SheepNode<Env>
    private let volume: VolumeRow
    private let last: UInt32
    private let limit: Int
    private let completion: (Result<ObjectMap, SheepError>) -> Void
    private var runs: [ObjectRun] = []

    /// Completes once, when the run after the `limit`-th has begun or all indices up to `last` are known.
    init(
        node: SheepNode<Env>, volume: VolumeRow, through last: UInt32, limit: Int,
        completion: @escaping (Result<ObjectMap, SheepError>) -> Void
    ) {
        (self.node, self.volume, self.last, self.limit, self.completion) = (node, volume, last, limit, completion)
    }

    func map(from first: UInt32) {
        ask(first...min(last, first | (Self.window - 1)), until: node.clock.now() + Self.patience)
    }

    private func ask(_ indices: ClosedRange<UInt32>, until end: UInt64) {
        let membership = node.control.state.membershipVersion
        let rows: [NodeRow]
        switch whoKnows(indices) {
        case .failure(let error): return completion(.failure(error))
        case .success(let found): rows = found
        }
        var parts: [VolumeMapping.Shown] = []
        var failure: SheepError?
        var remaining = rows.count + 1
        let done = { [self] in
            remaining -= 1
            guard remaining == 0 else { return }
            guard let failure else { return known(parts, of: indices) }
            guard [.unavailable, .stale, .busy].contains(failure.code), node.clock.now() < end else { return completion(.failure(failure)) }
            node.clock.schedule(after: NodeTiming.retry) { [self] in ask(indices, until: end) }
        }
        let answered = { (result: Result<VolumeMapping.Shown, SheepError>) in
            switch result {
            // Who acts upon another membership may leave to others what they leave to it.
            case .success(let shown) where shown.membership != membership:
                failure = failure ?? SheepError(.busy, "who is in sync changes just now: try again")
            case .success(let shown): parts.append(shown)
            case .failure(let error): failure = failure ?? error
            }
            done()
        }
        for row in rows {
            if row.id == node.identity {
                answered(node.shown(by: volume.birth, in: indices))
                continue
            }
            let request = VolumeMapping(
                receiverBoot: row.boot, logIndex: node.control.appliedIndex, volume: volume.birth, indices: indices)
            node.network.send(.volumeMapping, body: request.wire, payload: nil, to: row.id) { result in
                answered(result.flatMap { reply in
                    do throws(WireError) { return .success(try VolumeMapping.Shown(wire: reply.body)) } catch {
                        return .failure(SheepError(.unknown, "the answer of \(row.address) cannot be read: \(error.text)"))
                    }
                })
            }
        }
        done()
    }

    /// Of one index a member of its group is enough, unless others tell what comes after it.
    private func whoKnows(_ indices: ClosedRange<UInt32>) -> Result<[NodeRow], SheepError> {
        let storing = node.nodeList().map(\.row).filter { $0.isUp && !$0.isGateway }
        let isSingle = indices == last...last
        guard isSingle || node.hasClosedGroups(copies: volume.copies) else { return .success(storing) }
        for index in indices {
            let group = ObjectSlot(family: volume.family, index: index).group
            let members = node.replicaSet(of: group, copies: volume.copies).inSync.map(\.node)
            guard let member = storing.first(where: { members.contains($0.id) }) else {
                return .failure(SheepError(.unavailable, "object \(index) has no copy in sync; see 'dog cluster info'"))
            }
            if isSingle { return .success([nearest(members, among: storing) ?? member]) }
        }
        return .success(storing)
    }

    /// This sheep, or one that can be reached.
    private func nearest(_ members: [NodeID], among rows: [NodeRow]) -> NodeRow? {
        let known = rows.filter { members.contains($0.id) }
        return known.first { $0.id == node.identity } ?? known.first { node.network.isLinked(to: $0.id) }
    }

    /// All members of a group tell the same.
    private func known(_ parts: [VolumeMapping.Shown], of indices: ClosedRange<UInt32>) {
        var vids = [VID?](repeating: nil, count: indices.count)
        for run in parts.flatMap(\.runs) {
            for index in run.first...run.first + (run.count - 1) where indices.contains(index) {
                vids[Int(index - indices.lowerBound)] = run.vid
            }
        }
        for (place, vid) in vids.enumerated() { if let vid { runs.extend(indices.lowerBound + UInt32(place), vid: vid) } }
        if runs.count <= limit, let next = parts.compactMap(\.next).min(), next <= last {
            // Others on the loop are let go on.
            node.clock.schedule(after: 0) { [self] in map(from: next) }
            return
        }
        let shown = ObjectMap(runs: Array(runs.prefix(limit)), next: runs.count > limit ? runs[limit].first : nil)
        node.whenLeaseHeld { [completion] in completion(.success(shown)) }
    }
}

extension SheepNode {
    /// For a sheep that asks which objects a volume shows.
    func serveMapping(_ request: VolumeMapping, reply: @escaping PeerCompletion) {
        source.admit(boot: request.receiverBoot, index: request.logIndex, reply: reply) { [self] _ in
            let result = shown(by: request.volume, in: request.first...request.last)
            whenLeaseHeld { reply(result.map { PeerReply(body: $0.wire) }) }
        }
    }

    /// The objects that a volume shows in the groups that this sheep is in sync for.
    fileprivate func shown(by birth: Birth, in indices: ClosedRange<UInt32>) -> Result<VolumeMapping.Shown, SheepError> {
        guard let volume = control.state.volume(birth) else {
            return .failure(SheepError(.noSuchVolume, "no volume of birth \(birth)"))
        }
        let ancestry = ancestry(of: birth)
        var runs: [ObjectRun] = []
        var before: UInt32?
        store?.forEachObject(inFamily: volume.family, indices: UInt64(indices.lowerBound)..<UInt64(indices.upperBound) + 1) { object in
            let index = object.name.index
            if index == before { return true }
            before = index
            guard holdsCurrent(ObjectSlot(family: volume.family, index: index), copies: volume.copies),
                case .object(let name)? = store?.resolve(family: volume.family, index: index, ancestry: ancestry)
            else { return true }
            runs.extend(index, vid: control.state.volume(name.birth)?.vid ?? volume.vid)
            return true
        }
        var next: UInt32?
        store?.forEachObject(inFamily: volume.family, indices: UInt64(indices.upperBound) + 1..<1 << 32) { object in
            next = object.name.index
            return false
        }
        return .success(VolumeMapping.Shown(membership: control.state.membershipVersion, runs: runs, next: next))
    }
}

extension Array where Element == ObjectRun {
    fileprivate mutating func extend(_ index: UInt32, vid: VID) {
        if let last, last.vid == vid, last.first + last.count == index { self[count - 1].count += 1 } else {
            append(ObjectRun(first: index, count: 1, vid: vid))
        }
    }
}
