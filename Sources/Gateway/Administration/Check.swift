import Cluster
import ObjectModel
import SheepProtocol

/// Checks that were started and are polled by `dog`.
struct CheckRuns {
    private var runs: [UInt64: CheckProgress] = [:]
    private var nextIdentity: UInt64 = 1

    mutating func start(total: Int) -> UInt64 {
        defer { nextIdentity += 1 }
        // The oldest are forgotten: nobody polls them any more.
        if runs.count > 64, let oldest = runs.keys.min() { runs[oldest] = nil }
        runs[nextIdentity] = CheckProgress(identity: nextIdentity, objectsTotal: UInt64(total))
        return nextIdentity
    }

    mutating func update(_ identity: UInt64, _ body: (inout CheckProgress) -> Void) {
        if runs[identity] != nil { body(&runs[identity]!) }
    }

    /// Hands out the findings since the last reply.
    mutating func progress(of identity: UInt64) -> Result<AdministrationReply, SheepError> {
        guard let progress = runs[identity] else {
            return .failure(SheepError(.invalidArgument, "check \(identity) is not known to this sheep"))
        }
        runs[identity]!.findings = []
        return .success(.check(progress))
    }
}

extension SheepNode {
    /// Slots audited at the same time.
    private static var width: Int { 4 }

    /// Starts to read and compare all copies of a volume's (or every volume's) objects and to make good what is damaged; or
    /// to look only whether all copies are there.
    func startCheck(of volume: VolumeRow?, verify: Bool, _ completion: @escaping AdministrationCompletion) {
        allSlots(of: volume.map { [$0.family] }) { [self] result in
            switch result {
            case .failure(let error): completion(.failure(error))
            case .success(let slots):
                let identity = checks.start(total: slots.count)
                if let finding = unreachable(copies: volume?.copies) {
                    checks.update(identity) { ($0.lost, $0.findings) = (1, [finding]) }
                }
                completion(checks.progress(of: identity))
                CheckRun(node: self, slots: slots, identity: identity, verify: verify).start(width: Self.width)
            }
        }
    }

    /// Objects that only sheep have which are down: nobody can tell what they are.
    private func unreachable(copies: UInt8?) -> String? {
        let counts = copies.map { CopyCounts(copies: $0) } ?? control.state.copiesInUse
        let groups = groupHealth(copies: counts).notReadable
        if groups == 0 { return nil }
        return "\(groups) of \(PlacementGroup.count) placement groups have no copy in sync, their objects were not checked; waiting for "
            + waitedFor.joined(separator: ", ")
    }
}

/// One check: audits slot after slot, several at a time.
private final class CheckRun<Env: NodeEnvironment> {
    private let node: SheepNode<Env>
    private var slots: ArraySlice<ObjectSlot>
    private let identity: UInt64
    private let verify: Bool
    private var underWay = 0
    private var audits: [ObjectSlot: SlotAudit<Env>] = [:]

    init(node: SheepNode<Env>, slots: [ObjectSlot], identity: UInt64, verify: Bool) {
        (self.node, self.slots, self.identity, self.verify) = (node, slots[...], identity, verify)
    }

    func start(width: Int) {
        for _ in 0..<width {
            underWay += 1
            next()
        }
    }

    private func next() {
        guard node.isServing, let slot = slots.popFirst() else { return end() }
        let audit = SlotAudit(node: node, slot: slot, reads: verify) { [self] result in
            audits[slot] = nil
            node.checks.update(identity) {
                $0.objectsDone += 1
                $0.repaired += result.repaired
                $0.lost += result.findings.isEmpty ? 0 : 1
                $0.incomplete += result.lacksCopies && result.findings.isEmpty ? 1 : 0
                $0.findings += result.findings
            }
            // The loop gets air between two slots.
            node.clock.schedule(after: 0) { [self] in next() }
        }
        audits[slot] = audit
        audit.start()
    }

    private func end() {
        underWay -= 1
        guard underWay == 0 else { return }
        node.checks.update(identity) {
            if !slots.isEmpty {
                $0.lost += 1
                $0.findings.append("\(slots.count) objects were not checked: this sheep was called down meanwhile; check again")
            }
            ($0.isFinished, $0.endedAt) = (true, node.clock.wallClock())
        }
    }
}
