import ObjectModel

/// Looks at the committed end of the log, for the node lease.
///
/// The leader notes what is committed when a look arrives, and answers it once a majority of the voters has answered a round
/// that began after that: each of them had promised no higher view by then, so no later leader can have committed anything
/// before the look began (whatever it commits needs one of them, by invariant 5).
extension ViewstampedLog {
    mutating func beginLook(_ number: UInt64) {
        if looks.count == Self.maximumLooks { looks.removeFirst() }
        looks.append((number, nil))
        let request = LookRequest(boot: boot, number: number)
        if case .leading = role { return lookWanted(request, by: node) }
        if let leader { send(.lookRequest(request), to: leader) }
    }

    mutating func lookWanted(_ request: LookRequest, by sender: NodeID) {
        guard case .leading(var leading) = role, leading.isOpen else { return }
        guard leading.looks.count(where: { $0.node == sender }) < Self.maximumLooks else { return }
        // Looks that come during a round share the next.
        let isIdle = isAnswered(leading.round, leading)
        leading.looks.append(
            .init(node: sender, request: request, round: leading.round + 1, committed: stored.committed))
        role = .leading(leading)
        if isIdle { beat() }
        answerLooks()
    }

    mutating func answerLooks() {
        guard case .leading(var leading) = role, !leading.looks.isEmpty else { return }
        let all = leading.looks
        let answered = all.filter { isAnswered($0.round, leading) }
        leading.looks = all.filter { !isAnswered($0.round, leading) }
        role = .leading(leading)
        for look in answered {
            let reply = LookReply(boot: look.request.boot, number: look.request.number, committed: look.committed)
            if look.node == node { lookAnswered(reply) } else { send(.lookReply(reply), to: look.node) }
        }
        if leading.looks.contains(where: { $0.round > leading.round }), isAnswered(leading.round, leading) {
            beat()
            // A voter that is alone answers itself.
            answerLooks()
        }
    }

    mutating func lookAnswered(_ reply: LookReply) {
        guard reply.boot == boot, let place = looks.firstIndex(where: { $0.number == reply.number }) else { return }
        looks[place].end = reply.committed
        endLooks()
    }

    mutating func endLooks() {
        let ended = looks.filter { $0.end.map { $0 <= delivered } ?? false }
        guard let newest = ended.last else { return }
        // What the newest saw, those before it need not see any more.
        looks.removeAll { $0.number <= newest.number }
        order(.lookEnded(newest.number))
    }
}
