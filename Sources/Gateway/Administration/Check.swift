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
    /// Starts to compare all copies of a volume's (or every volume's) objects, block checksums re-read from the data; or
    /// only whether all copies are there.
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
                checkNext(slots[...], identity: identity, verify: verify, tries: 0)
            }
        }
    }

    /// Objects that only sheep have which are down: nobody can tell what they are.
    private func unreachable(copies: UInt8?) -> String? {
        let counts = copies.map { CopyCounts(copies: $0) } ?? control.state.copiesInUse
        let groups = control.state.groupHealth(copies: counts).notReadable
        if groups == 0 { return nil }
        return "\(groups) of \(PlacementGroup.count) placement groups have no copy in sync, their objects were not checked; waiting for "
            + waitedFor.joined(separator: ", ")
    }

    private func checkNext(_ slots: ArraySlice<ObjectSlot>, identity: UInt64, verify: Bool, tries: Int) {
        guard isServing, let slot = slots.first else { return checks.update(identity) { $0.isFinished = true } }
        compare(slot, verify: verify) { [self] findings in
            // What differs while writes are under way is looked at again before it is called a finding.
            if !findings.isEmpty, tries < 20 {
                clock.schedule(after: 5 * NodeTiming.retry) { [weak self] in
                    self?.checkNext(slots, identity: identity, verify: verify, tries: tries + 1)
                }
                return
            }
            checks.update(identity) {
                $0.objectsDone += 1
                $0.lost += UInt64(findings.count)
                $0.findings += findings
            }
            // The loop gets air between two slots.
            clock.schedule(after: 0) { [weak self] in self?.checkNext(slots.dropFirst(), identity: identity, verify: verify, tries: 0) }
        }
    }

    /// Compares a slot over all its in-sync members, for each number of copies that its volumes have.
    private func compare(_ slot: ObjectSlot, verify: Bool, completion: @escaping ([String]) -> Void) {
        let state = control.state
        var findings: [String] = []
        let counts = state.copiesInUse(in: slot.family).counts
        var remaining = counts.count + 1
        let done = {
            remaining -= 1
            if remaining == 0 { completion(findings) }
        }
        for copies in counts {
            let members = replicaSet(of: slot.group, copies: copies).inSync.compactMap { state.nodes[$0.node] }
            compare(slot, copies: copies, members: members, verify: verify) { found in
                findings += found
                done()
            }
        }
        done()
    }

    private func compare(
        _ slot: ObjectSlot, copies: UInt8, members: [NodeRow], verify: Bool, completion: @escaping ([String]) -> Void
    ) {
        var answers: [(NodeRow, Result<[SourceObject], SheepError>)] = []
        var remaining = members.count + 1
        let done = { [self] in
            remaining -= 1
            if remaining == 0 { completion(differences(slot, copies: copies, verify: verify, answers: answers)) }
        }
        for member in members {
            describe(slot, at: member, verify: verify) { result in
                answers.append((member, result))
                done()
            }
        }
        done()
    }

    private func differences(
        _ slot: ObjectSlot, copies: UInt8, verify: Bool, answers: [(NodeRow, Result<[SourceObject], SheepError>)]
    ) -> [String] {
        var findings: [String] = []
        var first: (node: NodeRow, tables: [ObjectName: [UInt32]])?
        for (node, answer) in answers {
            switch answer {
            case .failure(let error): findings.append("\(node.address): object \(slot.index): \(error.message)")
            case .success(let objects):
                let living = objects.filter { control.state.volume($0.name.birth).map { $0.copies == copies && !$0.isDeleted } ?? false }
                let tables = Dictionary(uniqueKeysWithValues: living.map { ($0.name, verify ? $0.table : []) })
                guard let reference = first else {
                    first = (node, tables)
                    continue
                }
                for name in Set(tables.keys).union(reference.tables.keys).sorted() where tables[name] != reference.tables[name] {
                    findings.append("object \(name) differs between \(reference.node.address) and \(node.address)")
                }
            }
        }
        return findings
    }
}
