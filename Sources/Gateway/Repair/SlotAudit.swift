import Cluster
import Logging
import ObjectModel
import ObjectStore
import SheepProtocol

/// What an audit of a slot came to.
struct AuditResult {
    /// Copies that were made good.
    var repaired: UInt64 = 0
    /// What no copy could make good, a line each.
    var findings: [String] = []
    /// Some sheep that should have a copy was not looked at: it is down, or does not have everything yet.
    var lacksCopies = false
    var bytesRead: UInt64 = 0
}

/// Has all in-sync members read and repair their copies of a slot, compares them, has the odd ones made anew, and looks again
/// until everything is read, equal and sound, or it is clear that it cannot be made so.
final class SlotAudit<Env: NodeEnvironment> {
    /// Looks at most, and between them; recovery of one object takes a few.
    private static var looksMax: Int { 300 }

    private let node: SheepNode<Env>
    private let slot: ObjectSlot
    private let reads: Bool
    private let ended: (AuditResult) -> Void
    private var result = AuditResult()
    private var counts: [UInt8] = []
    private var comparison = SlotComparison()
    private var looks = 0
    /// The data must be read (again): nothing was yet, or something was repaired since.
    private var mustVerify = true
    private var outvoted: [NodeID: [ObjectName]] = [:]
    /// Copies that were outvoted, to be counted as repaired when all is equal.
    private var remade = 0
    private var lossesSeen = 0
    /// Members that make their copy anew: waited for until they are in sync again, and then read with the others.
    private var awaited: Set<NodeID> = []
    private var lacksCopies = false

    /// - Parameter reads: false looks only whether all copies are there, and repairs nothing.
    init(node: SheepNode<Env>, slot: ObjectSlot, reads: Bool, ended: @escaping (AuditResult) -> Void) {
        (self.node, self.slot, self.reads, self.ended) = (node, slot, reads, ended)
    }

    func start() {
        counts = node.control.state.copiesInUse(in: slot.family).counts
        nextCount()
    }

    private func nextCount() {
        (comparison, looks, mustVerify, outvoted, remade, lossesSeen) = (SlotComparison(), 0, reads, [:], 0, 0)
        awaited = []
        guard !counts.isEmpty else { return ended(result) }
        look()
    }

    private var copies: UInt8 { counts.last! }

    private func look() {
        guard node.isServing else { return finish("this sheep was called down meanwhile") }
        let set = node.replicaSet(of: slot.group, copies: copies)
        if (set.syncing + set.out).contains(where: { awaited.contains($0.node) && $0.isUp }) { return again(verify: true) }
        lacksCopies = !(set.syncing + set.out).isEmpty
        let members = set.inSync.compactMap { node.control.state.nodes[$0.node] }
        let (verify, orders) = (mustVerify, outvoted)
        (mustVerify, outvoted) = (false, [:])
        var answers: [NodeID: Result<SlotSummary, SheepError>] = [:]
        var remaining = members.count + 1
        let done = { [self] in
            remaining -= 1
            if remaining == 0 { looked(members, answers, verified: verify) }
        }
        for member in members {
            ask(member, verify: verify, outvoted: orders[member.id] ?? []) {
                answers[member.id] = $0
                done()
            }
        }
        done()
    }

    private func ask(
        _ member: NodeRow, verify: Bool, outvoted: [ObjectName],
        completion: @escaping (Result<SlotSummary, SheepError>) -> Void
    ) {
        if member.id == node.identity {
            guard let store = node.store else { return completion(.success(SlotSummary())) }
            return node.source.summarize(slot, in: store, verify: verify, outvoted: outvoted) { completion(.success($0)) }
        }
        let request = ScrubSlot(
            receiverBoot: member.boot, logIndex: node.control.state.appliedIndex, slot: slot, verify: verify,
            outvoted: outvoted)
        node.network.send(.scrubSlot, body: request.wire, payload: nil, to: member.id) { result in
            completion(result.flatMap { reply in
                do throws(WireError) { return .success(try SlotSummary(wire: reply.body)) } catch {
                    return .failure(SheepError(.unknown, "the answer of \(member.address) cannot be read: \(error.text)"))
                }
            })
        }
    }

    private func looked(_ members: [NodeRow], _ answers: [NodeID: Result<SlotSummary, SheepError>], verified: Bool) {
        var views: [SlotView] = []
        var (isBusy, losses) = (false, [String]())
        for member in members {
            switch answers[member.id]! {
            case .failure(let error):
                // It may be gone, or behind: the next look asks those that are in sync then.
                if looks >= Self.looksMax { return finish("\(member.address): \(error.message)") }
                (isBusy, mustVerify) = (true, mustVerify || verified)
            case .success(let summary):
                result.repaired += UInt64(summary.repaired)
                result.bytesRead += summary.bytesRead
                if summary.repaired > 0 { mustVerify = reads }
                if summary.isBusy {
                    (isBusy, mustVerify) = (true, reads)
                    // One copy was damaged beyond its own help. An outvoted one is counted when all is equal.
                    if awaited.insert(member.id).inserted { result.repaired += 1 }
                }
                if summary.lost > 0 { losses.append("\(member.address): \(summary.lost) damaged, no other copy can make it good") }
                let living = summary.objects.filter { object in
                    let counts = node.control.state.volume(object.name.birth).map { $0.copies == copies && !$0.isDeleted } ?? false
                    return counts && !hidesNothing(object, among: summary.objects)
                }
                views.append(SlotView(node: member.id, objects: reads ? living : living.map(\.withoutTable), unsettled: summary.unsettled))
            }
        }
        if !losses.isEmpty {
            // Others may be about to be repaired, and then be able to help.
            lossesSeen += 1
            if lossesSeen > 3 { return finish(losses.joined(separator: "; ")) }
            return again(verify: true)
        }
        if isBusy { return again() }
        judge(comparison.look(views))
    }

    /// Then it is as good as no entry, which other copies may have: a trim met the collection of what it was to hide.
    private func hidesNothing(_ object: SourceObject, among objects: [SourceObject]) -> Bool {
        guard object.isHole else { return false }
        let ancestors = node.ancestry(of: object.name.birth).dropFirst()
        return !objects.contains { ancestors.contains($0.name.birth) }
    }

    private func judge(_ verdict: SlotComparison.Verdict) {
        switch verdict {
        case .agreed where mustVerify: again()
        case .agreed:
            result.repaired += UInt64(remade)
            result.lacksCopies = result.lacksCopies || lacksCopies
            counts.removeLast()
            nextCount()
        case .doubtful: again()
        case .undecided(let names):
            finish("copies of \(names.map(\.description).joined(separator: ", ")) differ, and nothing tells which is right")
        case .outvoted(let found):
            guard reads else { return finish("copies differ or are missing") }
            for (member, names) in found.sorted(by: { $0.key < $1.key }) {
                awaited.insert(member)
                node.logger.error("\(names.count) objects at slot \(slot.index) of \(slot.family) on \(member) differ from most others: they are made anew")
            }
            remade += found.values.reduce(0) { $0 + $1.count }
            outvoted = found
            comparison = SlotComparison()
            again(verify: true)
        }
    }

    private func again(verify: Bool = false) {
        if verify { mustVerify = reads }
        looks += 1
        guard looks <= Self.looksMax else { return finish("it does not come to rest: other sheep are busy or down; check again later") }
        node.clock.schedule(after: 5 * NodeTiming.retry) { [weak node, self] in
            if node != nil { look() }
        }
    }

    /// This number of copies cannot be made good, or not be looked at.
    private func finish(_ what: String) {
        result.findings.append("object \(slot.index) of family \(slot.family): \(what)")
        counts.removeLast()
        nextCount()
    }
}

extension SourceObject {
    fileprivate var withoutTable: SourceObject {
        var copy = self
        copy.table = []
        return copy
    }
}
