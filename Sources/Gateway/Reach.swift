// Invariants
// 1. Who is cut off goes down by a committed entry, proposed by one of those who stay; it is never proven dead by that.
// 2. A sheep that stands still is not cut off. It loses its place after eight seconds of silence, or after one when the engine
//    sees that its process was stopped and somebody waits for it.
// 3. A sheep joins only when it and every node that is up reach each other: so one that is cut off stays out, and does not come
//    and go, until its links are back.
import Cluster
import Logging
import ObjectModel
import SheepProtocol

/// Probes this sheep's links, shows the others which fail, and settles who stays when some do.
final class Reach<Env: NodeEnvironment> {
    private struct Joiner {
        var peer: Peer
        var askedAt: UInt64
        /// Answered once this sheep is linked to it as well.
        var replies: [PeerCompletion]
    }

    private unowned(unsafe) let node: SheepNode<Env>
    private var watch: ReachWatch
    private var sequence: UInt64 = 0
    private var shown: [ReachReport.Trouble]?
    /// As of the last tick.
    private var arrivals: [NodeID: UInt64] = [:]
    private var renewedAt: [NodeID: UInt64] = [:]
    /// Nodes whose answer somebody waits for, since the last tick.
    private var awaited: Set<NodeID> = []
    private var verdictSince: UInt64?
    /// Runs that want to join and are not up yet.
    private var joiners: [NodeID: Joiner] = [:]

    // While this sheep wants to join.
    private var join: (() -> Void)?
    private var joinSince: UInt64 = 0
    private var completeSince: UInt64?
    private var hadTrouble = false
    private var linkedBack: [NodeID: BootID] = [:]
    private var lastWarning: UInt64 = 0

    init(node: SheepNode<Env>) {
        self.node = node
        watch = ReachWatch(node: node.identity)
    }

    private var state: ControlState { node.control.state }

    /// The other nodes that are up, by their ids.
    private var others: [Cluster.NodeRecord] {
        state.nodes.values.filter { $0.isUp && $0.id != node.identity }.sorted { $0.id < $1.id }
    }

    // MARK: What happens on the links

    func membersChanged() {
        watch.keep(others.map { ($0.id, $0.boot) }, now: node.clock.now())
        for id in joiners.keys.sorted() where state.nodes[id]?.isUp == true { answerJoiner(id, isLinked: true) }
    }

    func linked(to peer: NodeID) {
        watch.heard(peer, now: node.clock.now())
        answerJoiner(peer, isLinked: true)
        if join != nil, let record = state.nodes[peer], record.isUp { ping(record) }
    }

    private func ping(_ record: Cluster.NodeRecord) {
        guard node.network.isLinked(to: record.id) else { return }
        let address = node.options.address
        let ping = Ping(
            logIndex: node.control.appliedIndex, load: node.load,
            joining: join == nil ? nil : ListeningPlace(host: address.host, port: address.port))
        node.network.send(.ping, body: ping.wire, payload: nil, to: record.id) { [weak self] result in
            guard let self, case .success(let reply) = result, let answer = try? PingAnswer(wire: reply.body) else { return }
            watch.heard(record.id, now: node.clock.now())
            node.recovery.clientsFare(answer.load, at: record.id)
            linkedBack[record.id] = answer.isLinkedBack ? record.boot : nil
            joinIfComplete()
        }
    }

    /// Another sheep asks for a sign of life; one that wants to join also whether this one reaches it.
    func pinged(_ ping: Ping, by peer: NodeID, boot: BootID, reply: @escaping PeerCompletion) {
        let isMember = state.nodes[peer].map { $0.isUp && $0.boot == boot } ?? false
        if isMember {
            watch.pinged(by: peer)
            node.recovery.clientsFare(ping.load, at: peer)
        }
        guard let place = ping.joining, !isMember else { return reply(answer(isLinkedBack: true)) }
        let candidate = Peer(node: peer, boot: boot, address: NodeAddress(host: place.host, port: place.port))
        if joiners[peer]?.peer != candidate {
            answerJoiner(peer, isLinked: false)
            joiners[peer] = Joiner(peer: candidate, askedAt: node.clock.now(), replies: [])
            node.keepLinks()
        }
        joiners[peer]!.askedAt = node.clock.now()
        if node.network.isLinked(to: peer), state.nodes[peer]?.isUp != true { return reply(answer(isLinkedBack: true)) }
        joiners[peer]!.replies.append(reply)
    }

    private func answer(isLinkedBack: Bool) -> Result<PeerReply, SheepError> {
        .success(PeerReply(body: PingAnswer(logIndex: node.control.appliedIndex, load: node.load, isLinkedBack: isLinkedBack).wire))
    }

    private func answerJoiner(_ peer: NodeID, isLinked: Bool) {
        guard let replies = joiners[peer]?.replies, !replies.isEmpty else { return }
        joiners[peer]!.replies = []
        for reply in replies { reply(answer(isLinkedBack: isLinked)) }
    }

    /// Runs to keep links to although they are not up.
    var wantedPeers: [Peer] {
        joiners.values.map(\.peer).filter { state.nodes[$0.node]?.isUp != true }
    }

    // MARK: The passage of time

    func discount(_ pause: UInt64, now: UInt64) { watch.discount(pause, now: now) }

    /// A request waits for this node for longer than it should.
    func awaits(_ peer: NodeID) { awaited.insert(peer) }

    func tick(now: UInt64, isMember: Bool) {
        let others = others
        watch.keep(others.map { ($0.id, $0.boot) }, now: now)
        for record in others {
            noteArrivals(record.id, now: now)
            ping(record)
        }
        watch.look(node.engine.shown().compactMapValues { try? ReachReport(wire: $0) }, now: now)
        renew(others, now: now)
        show(now: now)
        forgetJoiners(now: now)
        defer { awaited = [] }
        guard isMember else { return joinIfComplete() }
        judge(others, now: now)
        for record in others {
            let silence = watch.silence(of: record.id, now: now)
            if silence > NodeTiming.silence {
                node.membership.suspected(record.id)
                if awaited.contains(record.id), node.engine.isStopped(record.id) {
                    node.membership.callDown([record], proven: false, why: "was stopped, and is waited for")
                }
            }
        }
        giveUp(others, now: now)
    }

    /// Those who are silent for long, in one entry. Who goes down last is taken for the one that has every acknowledged write, so while
    /// another one with storage has just fallen silent, it is waited for: it is heard again, or goes with them.
    private func giveUp(_ others: [Cluster.NodeRecord], now: UInt64) {
        let silent = others.filter { watch.silence(of: $0.id, now: now) > NodeTiming.silence }
        let givenUp = silent.filter { watch.silence(of: $0.id, now: now) > NodeTiming.givenUp }
        guard silent.allSatisfy({ $0.isGateway || watch.silence(of: $0.id, now: now) > NodeTiming.givenUp }) else { return }
        node.membership.callDown(givenUp, proven: false, why: "does not answer")
    }

    /// No other sheep with storage is even in doubt.
    func hears(allWithStorageBut owner: NodeID) -> Bool {
        let now = node.clock.now()
        return others.allSatisfy { $0.isGateway || $0.id == owner || watch.silence(of: $0.id, now: now) <= ReachWatch.doubt }
    }

    private func noteArrivals(_ peer: NodeID, now: UInt64) {
        let count = node.network.arrivals(from: peer)
        if count > 0, count != arrivals[peer], node.network.isLinked(to: peer) { watch.heard(peer, now: now) }
        arrivals[peer] = count
    }

    /// A connection can be stuck for minutes where a new one gets through: it sends again ever more rarely.
    private func renew(_ others: [Cluster.NodeRecord], now: UInt64) {
        for record in others where watch.wantsRenewal(record.id, now: now) {
            if let last = renewedAt[record.id], now < last + NodeTiming.renewal { continue }
            renewedAt[record.id] = now
            node.logger.debug("\(record.address) is silent though it runs: its connection is made anew")
            node.network.renewLink(to: record.id)
        }
    }

    /// While all is well nothing is shown, so nothing is written. The first report says that this run has none.
    private func show(now: UInt64) {
        let troubles = watch.troubles(now: now)
        guard troubles != shown || watch.isTroubled(now: now) else { return }
        sequence += 1
        shown = troubles
        // More troubles than a report holds: the first ones of many are as good.
        node.engine.show(ReachReport(boot: node.boot, sequence: sequence, troubles: Array(troubles.prefix(1024))).wire)
    }

    private func forgetJoiners(now: UInt64) {
        let gone = joiners.filter { now - min(now, $0.value.askedAt) > NodeTiming.joinerKept }.keys.sorted()
        // A link is made in far less than a tick, if it can be made; who is answered so asks again.
        for id in joiners.keys.sorted() { answerJoiner(id, isLinked: false) }
        for id in gone { joiners[id] = nil }
        if !gone.isEmpty { node.keepLinks() }
    }

    /// Calls down those who are outside of the largest set that all reach each other.
    private func judge(_ others: [Cluster.NodeRecord], now: UInt64) {
        guard watch.isTroubled(now: now) else { return verdictSince = nil }
        let placed = Set(state.epochs.last?.members.flatMap { $0.disks.map(\.id) } ?? [])
        let members = (others + [state.nodes[node.identity]!]).map { record in
            ReachWatch.Member(
                node: record.id, boot: record.boot, stores: !record.isGateway,
                isCurrent: record.diskIDs.contains(where: placed.contains) && record.diskIDs.allSatisfy { state.isInSync($0) })
        }
        guard let verdict = watch.verdict(members, now: now), !verdict.leaving.isEmpty, verdict.staying.contains(node.identity)
        else { return verdictSince = nil }
        let since = verdictSince ?? now
        verdictSince = since
        // One proposes for all; the others only when it does not.
        guard verdict.staying.first == node.identity || now - since >= 2 * NodeTiming.tick else { return }
        let leaving = others.filter { verdict.leaving.contains($0.id) }
        node.membership.callDown(leaving, proven: false, why: "is cut off")
    }

    // MARK: Joining

    /// Runs `action` once this sheep and every node that is up reach each other; nodes that stand still are not waited for.
    func whenComplete(_ action: @escaping () -> Void) {
        join = action
        joinSince = node.clock.now()
        for record in others { ping(record) }
        joinIfComplete()
    }

    /// Does nothing while this sheep does not wait to join.
    func joinIfComplete() {
        guard let join else { return }
        let now = node.clock.now()
        let missing = others.filter { isMissing($0, now: now) }
        if !missing.isEmpty {
            completeSince = nil
            if now - joinSince > NodeTiming.tick { hadTrouble = true }
            return warn(missing, now: now)
        }
        let since = completeSince ?? now
        completeSince = since
        // After trouble the links have to hold for a while first.
        if hadTrouble, now - since < NodeTiming.silence { return }
        self.join = nil
        join()
    }

    private func isMissing(_ record: Cluster.NodeRecord, now: UInt64) -> Bool {
        // By then whoever moves has shown it.
        if now - joinSince > 2 * NodeTiming.silence, !watch.isMoving(record.id, now: now), watch.silence(of: record.id, now: now) > ReachWatch.doubt {
            return false
        }
        return !node.network.isLinked(to: record.id) || linkedBack[record.id] != record.boot
            || watch.silence(of: record.id, now: now) > ReachWatch.doubt
    }

    var isWaitingToJoin: Bool { join != nil }

    private func warn(_ missing: [Cluster.NodeRecord], now: UInt64) {
        guard now - joinSince > 2 * NodeTiming.silence, now - min(now, lastWarning) > 10 * NodeTiming.silence else { return }
        lastWarning = now
        let names = missing.map(\.address.description).joined(separator: ", ")
        node.logger.warning(
            "waits to join the cluster: no connection both ways to \(names), which the others reach; check the network and firewalls between them")
    }
}
