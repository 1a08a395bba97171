import ObjectModel
import Viewstamped

/// The wires between machines. A message goes to an address, whoever is there when it arrives.
final class LogNetwork {
    private unowned let cluster: LogCluster
    private let world: World
    /// Where each node is, or was when its store was lost.
    var addresses: [NodeID: Int] = [:]
    /// Directions in which nothing passes: from, to.
    private var cuts: Set<[Int]> = []
    var lossRate = 0.0
    var repeatRate = 0.0
    var lateRate = 0.0
    /// What a node that was made to accept a lower view said it for, by that node.
    private var disguises: [NodeID: (shown: View, true: View)] = [:]

    init(cluster: LogCluster) { (self.cluster, world) = (cluster, cluster.world) }

    func passes(_ from: Int, _ to: Int) -> Bool { from == to || !cuts.contains([from, to]) }
    func cut(_ from: Int, _ to: Int) { cuts.insert([from, to]) }
    func mend(_ from: Int, _ to: Int) { cuts.remove([from, to]) }
    func healAll() { cuts = [] }

    func send(_ envelope: Envelope, from process: LogProcess) {
        let receivers = envelope.receiver.map { [$0] } ?? process.decider.groupMembers
        let from = process.machine.address
        var targets: [Int] = []
        for receiver in receivers {
            guard let to = addresses[receiver], to != from || receiver != envelope.sender, !targets.contains(to) else { continue }
            targets.append(to)
        }
        let bytes = envelope.wire
        for to in targets { transmit(bytes, from, to) }
        plant(after: envelope, of: process)
    }

    private func transmit(_ bytes: [UInt8], _ from: Int, _ to: Int) {
        guard passes(from, to) else { return }
        if world.chance(lossRate) { return cluster.count(.lostMessage) }
        if world.chance(repeatRate) {
            cluster.count(.repeatedMessage)
            arrive(bytes, from, to, after: world.draw(100_000...900_000_000))
        }
        var delay = world.draw(100_000...5_000_000)
        if world.chance(lateRate) {
            cluster.count(.lateMessage)
            delay = world.draw(5_000_000...2_000_000_000)
        }
        arrive(bytes, from, to, after: delay)
    }

    private func arrive(_ bytes: [UInt8], _ from: Int, _ to: Int, after delay: UInt64) {
        world.schedule(after: delay) { [self] in
            guard passes(from, to), let process = cluster.machines[to].running else { return }
            process.later(0) { [self] in
                do {
                    let envelope = try Envelope(wire: bytes)
                    deliver(envelope, to: process)
                } catch { world.fail("a message cannot be read: \(error)") }
            }
        }
    }

    private func deliver(_ envelope: Envelope, to process: LogProcess) {
        world.log(process.name, "from \(envelope.sender.low & 0xFFFF): \(envelope.message)")
        for shown in planted(envelope, to: process) { process.run { $0.received(shown) } }
    }

    // MARK: Planted faults

    /// What the receiver is shown instead of the message.
    private func planted(_ envelope: Envelope, to process: LogProcess) -> [Envelope] {
        var shown = envelope
        let own = process.decider.stored
        switch cluster.planted {
        case .adoptionByIndex:
            switch envelope.message {
            case .promise(var promise):
                promise.lastNormal = own.lastNormal
                shown.message = .promise(promise)
            case .logReply(var reply):
                reply.lastNormal = own.lastNormal
                shown.message = .logReply(reply)
            default: break
            }
            return [shown]
        case .majorityOfThePresent:
            let absent = own.voters.settled.filter { !cluster.reaches(process, $0) && $0 != process.store.identity }
            switch envelope.message {
            case .promise(var promise):
                (promise.lastNormal, promise.last) = (.zero, .zero)
                return absent.map { Envelope(log: envelope.log, sender: $0, receiver: nil, message: .promise(promise)) } + [shown]
            case .status:
                return [shown] + absent.map { Envelope(log: envelope.log, sender: $0, receiver: nil, message: envelope.message) }
            default: return [shown]
            }
        case .lowerViewAccepted:
            let promised = own.promised
            switch envelope.message {
            case .append(var append) where append.view < promised && promised.leader != process.store.identity:
                disguises[process.store.identity] = (promised, append.view)
                append.view = promised
                (shown.sender, shown.message) = (promised.leader, .append(append))
            default: break
            }
            return [shown]
        case .forgottenPromise, .commitBeforePersisted, .wipedVoterCounted, .unansweredRound, nil: return [shown]
        }
    }

    /// What happens beside a message that is sent.
    private func plant(after envelope: Envelope, of process: LogProcess) {
        switch (cluster.planted, envelope.message) {
        case (.unansweredRound, .heartbeat(let heartbeat)):
            let answer = Status(
                view: heartbeat.view, round: heartbeat.round, isFollowing: false, durable: .zero, received: process.decider.stored.last)
            for voter in process.decider.stored.voters.settled where voter != process.store.identity {
                process.later(0) {
                    process.run { $0.received(Envelope(log: nil, sender: voter, receiver: nil, message: .status(answer))) }
                }
            }
        case (.lowerViewAccepted, .status(var status)):
            guard let disguise = disguises[envelope.sender], disguise.shown == status.view,
                let to = addresses[disguise.true.leader]
            else { return }
            status.view = disguise.true
            var told = envelope
            (told.receiver, told.message) = (disguise.true.leader, .status(status))
            transmit(told.wire, process.machine.address, to)
        default: break
        }
    }
}
