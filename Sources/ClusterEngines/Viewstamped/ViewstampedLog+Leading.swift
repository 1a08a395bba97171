import ObjectModel

/// What the leader of a view does: hands out its log, counts who has it, takes proposals.
extension ViewstampedLog {
    // MARK: Rounds

    /// Begins a round: everybody is told that the leader is there and what is committed.
    mutating func beat() {
        guard case .leading(var leading) = role else { return }
        leading.round += 1
        leading.progress[node, default: .init()].round = leading.round
        role = .leading(leading)
        send(.heartbeat(Heartbeat(view: leading.view, round: leading.round, committed: stored.committed)), to: nil)
    }

    mutating func tickLeading() {
        guard case .leading(var leading) = role else { return }
        leading.unansweredTicks = isAnswered(leading.tickRound, leading) ? 0 : leading.unansweredTicks + 1
        // A leader that nobody answers keeps others from trying, who may hear each other.
        guard leading.unansweredTicks < Self.patienceTicks else { return follow() }
        leading.tickRound = leading.round + 1
        role = .leading(leading)
        beat()
        answerLooks()
    }

    func isAnswered(_ round: UInt64, _ leading: Leading) -> Bool {
        stored.voters.isMajority { leading.progress[$0].map { $0.round >= round } ?? false }
    }

    // MARK: Who has what

    mutating func sendLog(to member: NodeID, after index: LogIndex) {
        guard case .leading(var leading) = role else { return }
        leading.progress[member, default: .init()].sentRound = leading.round
        role = .leading(leading)
        send(.append(Append(view: leading.view, part: stored.part(after: index), committed: stored.committed)), to: member)
    }

    mutating func memberTold(_ status: Status, from sender: NodeID) {
        guard case .leading(var leading) = role, leading.view == status.view else { return }
        var progress = leading.progress[sender] ?? .init()
        progress.round = max(progress.round, min(status.round, leading.round))
        if status.isFollowing { progress.durable = max(progress.durable ?? .zero, status.durable) }
        leading.progress[sender] = progress
        role = .leading(leading)
        let lacks = !status.isFollowing || status.received < stored.last
        // Once a round that began after the log was sent has been answered without it, it was lost.
        let sent = progress.sentRound.map { max($0, status.isFollowing ? leading.appendRound : 0) }
        if lacks, sent.map({ status.round > $0 }) ?? (!status.isFollowing || status.round > leading.appendRound) {
            sendLog(to: sender, after: status.received)
        }
        advance()
        answerLooks()
    }

    mutating func ownLogMayBeDurable() {
        guard case .leading(var leading) = role, durable.lastNormal == leading.view else { return }
        leading.progress[node, default: .init()].durable = durable.last
        role = .leading(leading)
        advance()
    }

    /// A majority may have all of the log: then the view is open and all of it is committed.
    private mutating func advance() {
        guard case .leading(var leading) = role, !leading.isOpen || stored.committed < stored.last else { return }
        let last = stored.last
        guard stored.voters.isMajority({ leading.progress[$0]?.durable.map { $0 >= last } ?? false }) else { return }
        leading.isOpen = true
        role = .leading(leading)
        commit(upTo: last)
        beat()
        // It was voted out by the entry just committed: the others know, and choose one of themselves.
        guard stored.voters.contains(node) else { return follow() }
        sendProposal()
    }

    // MARK: Proposals

    mutating func sendProposal() {
        guard let proposal else { return }
        if case .leading = role { return entryProposed(proposal, by: node) }
        if let leader { send(.proposal(proposal), to: leader) }
    }

    /// A proposal whose index is taken, or not next, is left alone: its proposer learns what is committed there, and asks again.
    mutating func entryProposed(_ proposal: Proposal, by sender: NodeID) {
        guard case .leading(var leading) = role, leading.isOpen, proposal.index == stored.last.next,
            stored.committed == stored.last
        else { return }
        if case .voters(let change) = proposal.entry, let reason = refusal(of: change, leading) {
            return refuse(proposal, by: sender, reason)
        }
        let before = stored.last
        write(.append(entries: [proposal.entry], committed: before))
        leading.appendRound = leading.round
        role = .leading(leading)
        let part = LogPart(after: before, entries: [proposal.entry])
        send(.append(Append(view: leading.view, part: part, committed: before)), to: nil)
    }

    /// All that speaks against a change of the voters.
    private func refusal(of change: VoterChange, _ leading: Leading) -> RefusalReason? {
        let voters = stored.voters
        switch change {
        case .add(let added):
            if voters.contains(added) { return .isVoterAlready }
            let isCaughtUp = members.contains(added) && leading.progress[added]?.durable == stored.last
            return isCaughtUp ? nil : .isNotCaughtUp
        case .remove(let removed):
            if !voters.contains(removed) { return .isNoVoter }
            if voters.settled.count == 1 { return .isLastVoter }
            let rest = Voters(settled: change.applied(to: voters.settled))
            return rest.isMajority { members.contains($0) } ? nil : .leavesNoMajority
        }
    }

    private mutating func refuse(_ proposal: Proposal, by sender: NodeID, _ reason: RefusalReason) {
        let refusal = ProposalRefusal(index: proposal.index, reason: reason)
        if sender == node { proposalRefused(refusal) } else { send(.proposalRefusal(refusal), to: sender) }
    }

    mutating func proposalRefused(_ refusal: ProposalRefusal) {
        guard let proposal, proposal.index == refusal.index, case .voters = proposal.entry else { return }
        self.proposal = nil
        order(.proposalRefused(refusal.index, refusal.reason))
    }
}
