import ObjectModel

/// How a view begins: who tries, who promises, whose log is adopted.
extension ViewstampedLog {
    // MARK: Who tries

    mutating func membersChanged() {
        switch role {
        case .following(var following):
            // Who has just come hears of a leader soon, if there is one; who has lost its leader need not wait.
            let lost = following.heard.map { !members.contains($0.leader) } ?? false
            if lost { following.heard = nil }
            role = .following(following)
            if placeInLine == 0, lost || members == [node] { ask() }
        case .asking(let asking):
            if asking.promises[node] != nil { send(.promiseRequest(PromiseRequest(view: asking.view)), to: nil) }
        case .leading: beat()
        case .failed: break
        }
    }

    /// How many voters that are there come before this node; nil: it is none, or there are too few for a majority anyway.
    private var placeInLine: Int? {
        let voters = stored.voters
        guard !isVotedOut, voters.isMajority({ members.contains($0) }) else { return nil }
        return members.filter { voters.contains($0) }.firstIndex(of: node)
    }

    mutating func tickFollowing() {
        guard case .following(var following) = role else { return }
        following.quietTicks += 1
        role = .following(following)
        if let placeInLine, following.quietTicks >= Self.patienceTicks * (1 + placeInLine) { ask() }
    }

    mutating func tickAsking() {
        guard case .asking(var asking) = role else { return }
        asking.ticks += 1
        role = .asking(asking)
        // What has not come by now will not come in this view; others may try, and this one waits for its turn.
        if asking.ticks >= Self.patienceTicks { return follow() }
        guard asking.promises[node] != nil else { return }
        if let source = asking.source {
            send(.logRequest(LogRequest(view: asking.view, after: stored.committed)), to: source)
        } else {
            send(.promiseRequest(PromiseRequest(view: asking.view)), to: nil)
        }
    }

    mutating func follow(_ heard: View? = nil, round: UInt64 = 0) {
        role = .following(Following(heard: heard, round: round))
    }

    /// Whom to ask and to answer: the leader of the promised view, once it was heard.
    var leader: NodeID? {
        guard case .following(let following) = role, following.heard == stored.promised else { return nil }
        return stored.promised.leader
    }

    // MARK: The promises

    mutating func ask() {
        guard highestNumber < View.maximumNumber else { return }
        let view = View(number: highestNumber + 1, leader: node)
        highestNumber = view.number
        role = .asking(Asking(view: view))
        write(.promise(view))
    }

    mutating func ownPromiseMayBeDurable() {
        guard case .asking(var asking) = role, durable.promised == asking.view, asking.promises[node] == nil else { return }
        asking.promises[node] = ownPromise
        role = .asking(asking)
        send(.promiseRequest(PromiseRequest(view: asking.view)), to: nil)
        considerPromises()
    }

    private var ownPromise: Promise {
        Promise(
            view: stored.promised, lastNormal: stored.lastNormal, last: stored.last, committed: stored.committed,
            voters: stored.voters)
    }

    /// Somebody out of sight, who would not hear the answer either, does not end the view of those who see each other.
    mutating func asked(_ request: PromiseRequest, by sender: NodeID, log: LogID?) {
        guard sender == request.view.leader, members.contains(sender) else { return }
        highestNumber = max(highestNumber, request.view.number)
        guard request.view >= stored.promised else { return refuse(sender) }
        if request.view > stored.promised {
            follow()
            let number = write(.promise(request.view))
            send(.promise(ownPromise), to: sender, log: log, afterRecord: number)
        } else if durable.promised == request.view, stored.lastNormal < request.view {
            // The first answer was lost, or is late.
            send(.promise(ownPromise), to: sender, log: log)
        }
    }

    func isOutdated(_ view: View) -> Bool { view < stored.promised }
    mutating func refuse(_ sender: NodeID) { send(.refusal(Refusal(promised: stored.promised)), to: sender) }

    mutating func refused(_ refusal: Refusal) {
        highestNumber = max(highestNumber, refusal.promised.number)
        switch role {
        case .asking(let asking):
            if refusal.promised > asking.view { follow() }
        case .leading(let leading):
            // Somebody follows no more because another's attempt came to nothing; a higher view takes all along.
            if refusal.promised > leading.view { ask() }
        case .following, .failed: break
        }
    }

    mutating func promised(_ promise: Promise, by sender: NodeID) {
        guard case .asking(var asking) = role, asking.view == promise.view, asking.promises[node] != nil else { return }
        asking.promises[sender] = promise
        role = .asking(asking)
        considerPromises()
    }

    private mutating func considerPromises() {
        guard case .asking(var asking) = role, asking.source == nil, let best = best(of: asking.promises) else { return }
        let (source, promise) = best
        let voters = committed(of: asking.promises) >= promise.last ? promise.voters.changed : promise.voters
        guard voters.isMajority({ asking.promises[$0] != nil }) else { return }
        guard voters.contains(node) else {
            // Those who vote now find a leader among them, if this node lets them.
            isVotedOut = true
            return follow()
        }
        if source == node { return lead(adopting: LogPart(after: stored.last, entries: [])) }
        asking.source = source
        role = .asking(asking)
        send(.logRequest(LogRequest(view: asking.view, after: stored.committed)), to: source)
    }

    /// The highest (last normal view, last index); this node's own among equals, for it need not be fetched.
    private func best(of promises: [NodeID: Promise]) -> (NodeID, Promise)? {
        promises.max { a, b in
            (a.value.lastNormal, a.value.last, a.key == node ? 1 : 0, a.key)
                < (b.value.lastNormal, b.value.last, b.key == node ? 1 : 0, b.key)
        }.map { ($0.key, $0.value) }
    }

    /// What any of them knows to be committed is in the best log, and is committed for all.
    private func committed(of promises: [NodeID: Promise]) -> LogIndex { promises.values.map(\.committed).max() ?? .zero }

    // MARK: The best log

    mutating func logWanted(_ request: LogRequest, by sender: NodeID) {
        guard sender == request.view.leader else { return }
        if isOutdated(request.view) { return refuse(sender) }
        // A promise of this view was given, so the log is what it was then.
        guard request.view == stored.promised, stored.lastNormal < request.view else { return }
        let reply = LogReply(view: request.view, lastNormal: stored.lastNormal, part: stored.part(after: request.after))
        send(.logReply(reply), to: sender)
    }

    mutating func logCame(_ reply: LogReply, from sender: NodeID) {
        guard case .asking(let asking) = role, asking.view == reply.view, asking.source == sender,
            let promise = asking.promises[sender], promise.lastNormal == reply.lastNormal, promise.last == reply.part.end
        else { return }
        lead(adopting: reply.part)
    }

    private mutating func lead(adopting part: LogPart) {
        guard case .asking(let asking) = role, let log = stored.log else { return }
        // This node's own log need not be cut back to what is committed of it.
        let isOwn = part.snapshot == nil && part.after == stored.last && part.entries.isEmpty
        let committed = committed(of: asking.promises)
        let own = StoreRecord.adopt(.init(log: log, view: asking.view, part: part, committed: committed))
        guard let record = isOwn ? own : adoption(of: part, view: asking.view, committed: committed, log: log) else { return }
        write(record)
        role = .leading(Leading(view: asking.view))
        deliver()
        for (member, promise) in asking.promises.sorted(by: { $0.key < $1.key }) where member != node {
            sendLog(to: member, after: promise.committed)
        }
        beat()
    }
}
