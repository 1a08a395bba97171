// Invariants
// 1. An entry is applied exactly once, in log order, and only when the engine calls it committed (durable, final).
// 2. At most one proposal of this node is offered to the engine at a time, always for the index after the last applied.
// 3. A proposal keeps its request id over all tries, so winning twice gives the first result.
package import Cluster
package import ObjectModel

/// One sheep's side of the control log: proposes commands, applies what was committed, tells who waits.
package final class ControlPlane<Engine: ClusterEngine>: ClusterEngineDelegate {
    private struct Proposal {
        var request: RequestID
        var command: ControlCommand
        var completion: (ControlResult) -> Void
    }

    package private(set) var state = ControlState()
    /// That of ``state``; for the data path, which must not copy the state to ask it.
    package private(set) var appliedIndex = LogIndex.zero
    package let engine: Engine
    private let node: NodeID
    private let wallClock: () -> UInt64
    private let randomRequest: () -> RequestID
    private var proposals: [Proposal] = []
    private var waiters: [(index: LogIndex, action: () -> Void)] = []

    /// Called after each applied entry; `result` is what it gave.
    package var applied: ((ControlEntry, LogIndex, ControlResult) -> Void)?
    package var restoredState: (() -> Void)?
    package var started: (() -> Void)?
    package var suspected: ((NodeID) -> Void)?
    /// Gets what is applied once the log was read to its end.
    package var copy: (any ControlLogCopy)?
    private var isCopying = false
    /// The sheep cannot go on; the text says why and what to do.
    package var failed: ((String) -> Void)?

    package init(
        engine: Engine, node: NodeID, wallClock: @escaping () -> UInt64, randomRequest: @escaping () -> RequestID
    ) {
        (self.engine, self.node, self.wallClock, self.randomRequest) = (engine, node, wallClock, randomRequest)
        engine.delegate = self
    }

    /// Puts a command into the log; the completion gets its result when it is committed and applied here.
    package func propose(_ command: ControlCommand, completion: @escaping (ControlResult) -> Void = { _ in }) {
        proposals.append(Proposal(request: randomRequest(), command: command, completion: completion))
        if proposals.count == 1 { offerFirst() }
    }

    /// Calls back as soon as the entry `index` has been applied here.
    package func whenApplied(_ index: LogIndex, _ action: @escaping () -> Void) {
        if appliedIndex >= index { return action() }
        waiters.append((index, action))
        engine.look()
    }

    /// Offers the first proposal again in case its record was lost on the way; harmless when it was not.
    package func retry() {
        if !proposals.isEmpty { offerFirst() }
    }

    private func offerFirst() {
        guard let proposal = proposals.first else { return }
        let entry = ControlEntry(
            request: proposal.request, proposer: node, time: wallClock(), stateDigest: state.digest,
            command: proposal.command)
        engine.append(entry.wire, at: state.appliedIndex.next)
    }

    // MARK: The engine's calls

    package func committed(index: LogIndex, payload: [UInt8]) {
        precondition(index == state.appliedIndex.next, "entry \(index) after \(state.appliedIndex)")
        guard !payload.isEmpty else {
            state.skip(to: index)
            appliedIndex = index
            beginCopy()
            return advanced()
        }
        do {
            let entry = try ControlEntry(wire: payload)
            let result = try state.apply(entry, at: index)
            appliedIndex = index
            copyEntry(payload, at: index)
            applied?(entry, index, result)
            if let first = proposals.first, first.request == entry.request {
                proposals.removeFirst()
                first.completion(result)
            }
        } catch {
            failed?("control log entry \(index) cannot be applied here (\(error)): this sheep stops; compare versions of sheep")
            return
        }
        advanced()
    }

    private func advanced() {
        let reached = state.appliedIndex
        if !waiters.isEmpty {
            let ready = waiters.filter { $0.index <= reached }
            waiters.removeAll { $0.index <= reached }
            for waiter in ready { waiter.action() }
        }
        if !proposals.isEmpty { offerFirst() }
    }

    package func restored(index: LogIndex, snapshot: [UInt8]) {
        do {
            state = try ControlState(wire: snapshot)
        } catch {
            failed?("the control log's snapshot at \(index) cannot be read (\(error.text)): restore it from another copy")
            return
        }
        appliedIndex = state.appliedIndex
        precondition(state.appliedIndex == index, "snapshot of \(state.appliedIndex) given as \(index)")
        beginCopy()
        restoredState?()
        advanced()
    }

    private func copyEntry(_ payload: [UInt8], at index: LogIndex) {
        guard isCopying, let copy else { return }
        if !copy.isBroken { return copy.append(payload, at: index) }
        // There may be space again; a whole state is not written for each entry.
        if index.rawValue % 64 == 0 { beginCopy() }
    }

    /// A segment of the log has ended, so nothing that is copied grows without an end.
    private func beginCopy() {
        if isCopying { copy?.begin(after: appliedIndex, snapshot: state.wire) }
    }

    package func snapshot() -> [UInt8] { state.wire }

    package func caughtUp() {
        if let last = copy?.last, last > appliedIndex {
            failed?(
                """
                the control log ends at entry \(appliedIndex), but this store's copy of it at entry \(last): the log was lost, an older one or \
                another cluster's is in its place. Put it back; or if it is gone, start the sheep of this machine that ran last with \
                --restore-log, which makes the log anew from its store's copy. For another cluster give an empty store
                """)
            return
        }
        if let last = copy?.last, let mark = state.restorations.first(where: { $0.from < last && last < $0.to }) {
            failed?(
                """
                the control log was made anew from a copy that ended at entry \(mark.from), but this store's ends at entry \(last): it may have \
                writes that the others know nothing of. To go on with them stop all sheep of this machine, move the log away, and start this \
                one with --restore-log; to give them up give this sheep an empty store
                """)
            return
        }
        isCopying = true
        beginCopy()
        started?()
    }

    package func suspects(_ node: NodeID) { suspected?(node) }
    package func engineFailed(_ reason: String) { failed?(reason) }
}
