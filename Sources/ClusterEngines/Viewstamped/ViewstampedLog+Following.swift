import ObjectModel

/// What a node does that does not lead: takes the leader's log and tells how far it has it.
extension ViewstampedLog {
    mutating func leaderIsThere(_ heartbeat: Heartbeat, _ sender: NodeID) {
        guard sender == heartbeat.view.leader else { return }
        if isOutdated(heartbeat.view) { return refuse(sender) }
        if heartbeat.view > stored.promised { write(.promise(heartbeat.view)) }
        heard(heartbeat.view, round: heartbeat.round)
        if stored.lastNormal == heartbeat.view { commit(upTo: heartbeat.committed) }
        sendStatus()
    }

    mutating func leaderSent(_ append: Append, from sender: NodeID, log: LogID?) {
        guard sender == append.view.leader, let log else { return }
        if isOutdated(append.view) { return refuse(sender) }
        guard let isNew = take(append, log: log) else { return }
        heard(append.view, round: 0)
        if stored.lastNormal == append.view { commit(upTo: append.committed) }
        // What is new is told of when it is durable.
        if !isNew { sendStatus() }
    }

    /// Whether anything of it was new; nil: this node has failed.
    private mutating func take(_ append: Append, log: LogID) -> Bool? {
        let part = append.part
        if stored.lastNormal == append.view, part.after <= stored.last {
            let new = part.entries.dropFirst(Int(stored.last.rawValue - part.after.rawValue))
            if !new.isEmpty { write(.append(entries: Array(new), committed: append.committed)) }
            return !new.isEmpty
        }
        // Late, or far behind a leader that has cut its log: only what reaches back to what is committed here can be taken.
        if stored.lastNormal == append.view, part.snapshot == nil { return false }
        guard let record = adoption(of: part, view: append.view, committed: append.committed, log: log) else {
            if case .failed = role { return nil }
            if append.view > stored.promised { write(.promise(append.view)) }
            return false
        }
        write(record)
        return true
    }

    private mutating func heard(_ view: View, round: UInt64) {
        highestNumber = max(highestNumber, view.number)
        isVotedOut = false
        if case .following(let following) = role, following.heard == view {
            return follow(view, round: max(following.round, round))
        }
        follow(view, round: round)
        // What the former leader was told of this node's proposal may be lost with it.
        sendProposal()
    }

    mutating func sendStatus() {
        let view = stored.promised
        guard case .following(let following) = role, following.heard == view else { return }
        let isFollowing = stored.lastNormal == view
        let isDurable = durable.lastNormal == view
        let status = Status(
            view: view, round: following.round, isFollowing: isFollowing && isDurable,
            durable: isDurable ? durable.last : .zero, received: isFollowing ? stored.last : stored.committed)
        send(.status(status), to: view.leader)
    }
}
