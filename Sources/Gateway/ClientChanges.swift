package import ObjectModel
package import SheepProtocol

/// Changes of clients that come back after a lost connection and send again what was not answered: a repeat joins the first
/// copy while that is under way, and is answered like it afterwards. So neither is the change done a second time over what
/// others wrote since, nor does a first copy that had to wait come after what the client wrote next.
///
/// Kept for one volume at one sheep. A repeat through another sheep is carried out; see `ChangeFence` for when it may be sent.
package struct ClientChanges {
    /// A client has a few dozen changes under way; what it has the answer to, it does not repeat.
    static let remembered = 1024
    /// Clients whose numbers are known; more come and go only over months.
    static let mostClients = 4096

    private var underWay: [WriteIdentity: [(SheepError?) -> Void]] = [:]
    private var done: Set<WriteIdentity> = []
    /// The same, oldest first from `oldest` on, round and round.
    private var order: [WriteIdentity] = []
    private var oldest = 0
    /// The highest number that came of each client.
    private var highest: [ClientID: UInt64] = [:]

    package init() {}

    package enum Verdict {
        case first
        /// The first copy's answer answers this one.
        case joined
        case done
        /// It stood in the buffers of a broken connection while so much newer came by the next that it was done, and forgotten.
        case outdated
    }

    package mutating func began(_ identity: WriteIdentity, completion: @escaping (SheepError?) -> Void) -> Verdict {
        if done.contains(identity) { return .done }
        if underWay[identity] != nil {
            underWay[identity]!.append(completion)
            return .joined
        }
        let latest = highest[identity.client] ?? 0
        if identity.number < latest, latest - identity.number >= UInt64(Self.remembered) { return .outdated }
        if highest.count >= Self.mostClients, highest[identity.client] == nil {
            let present = Set(order.map(\.client) + underWay.keys.map(\.client))
            highest = highest.filter { present.contains($0.key) }
        }
        highest[identity.client] = max(latest, identity.number)
        underWay[identity] = [completion]
        return .first
    }

    /// A change that failed may be tried again. Returns who waits for the answer.
    package mutating func ended(_ identity: WriteIdentity, failed: Bool) -> [(SheepError?) -> Void] {
        if !failed { remember(identity) }
        return underWay.removeValue(forKey: identity) ?? []
    }

    private mutating func remember(_ identity: WriteIdentity) {
        guard done.insert(identity).inserted else { return }
        if order.count < Self.remembered { return order.append(identity) }
        done.remove(order[oldest])
        order[oldest] = identity
        oldest = (oldest + 1) % Self.remembered
    }
}

extension VolumeSession {
    /// Carries a client's change out once, however often it is sent here.
    func submitOnce(_ identity: WriteIdentity, _ completion: @escaping (SheepError?) -> Void, change: (@escaping (SheepError?) -> Void) -> Void) {
        switch clientChanges.began(identity, completion: completion) {
        case .done: completion(nil)
        case .joined: break
        case .outdated: completion(SheepError(.stale, "the change is from a connection that was given up, and newer ones were done since"))
        case .first:
            change { [weak self] error in
                guard let self else { return completion(error) }
                for waiting in clientChanges.ended(identity, failed: error != nil) { waiting(error) }
            }
        }
    }
}
