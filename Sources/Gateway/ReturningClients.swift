import ObjectModel
import SheepProtocol

/// Clients that come back after a lost connection and send again what was not answered, and what those who are away had asked for here.
///
/// Nothing of that is begun while they are away: whoever ended for good may be started again and write the same blocks through another sheep,
/// and a change that waited here must not come after that. What was begun goes on, and what another sheep was asked for is answered.
///
/// Kept for one volume at one sheep.
struct ReturningClients {
    /// After that nobody comes back for it, or does everything anew.
    private static var patience: UInt64 { 60_000_000_000 }

    /// How many connections each has: a new one may be there before the old one is known to be lost.
    private var connections: [ClientID: Int] = [:]
    /// In the order in which they came.
    private var kept: [(since: UInt64, request: VolumeRequest)] = []

    func isAway(_ client: VolumeClient?) -> Bool {
        guard let id = client?.id else { return false }
        return connections[id] == nil
    }

    mutating func keep(_ request: VolumeRequest, since: UInt64) { kept.append((since, request)) }

    /// Returns what waited for it.
    mutating func came(_ id: ClientID) -> [VolumeRequest] {
        connections[id, default: 0] += 1
        return take { $0.request.client?.id == id }
    }

    mutating func left(_ id: ClientID) {
        guard let count = connections[id] else { return }
        connections[id] = count > 1 ? count - 1 : nil
    }

    mutating func takeExpired(now: UInt64) -> [VolumeRequest] { take { now > $0.since && now - $0.since > Self.patience } }

    mutating func takeAll() -> [VolumeRequest] { take { _ in true } }

    private mutating func take(_ isMeant: ((since: UInt64, request: VolumeRequest)) -> Bool) -> [VolumeRequest] {
        guard !kept.isEmpty else { return [] }
        let taken = kept.filter(isMeant).map(\.request)
        if !taken.isEmpty { kept.removeAll(where: isMeant) }
        return taken
    }
}

extension VolumeSession {
    /// A connection of that client asks for a change.
    func connected(_ client: VolumeClient, as id: ClientID) {
        guard client.id == nil else { return }
        client.id = id
        for request in returning.came(id) { submit(request) }
    }

    /// The owner learns soon that these are not asked for any more, should it not have begun them.
    func forgetAwayClients(now: UInt64) {
        let expired = returning.takeExpired(now: now)
        if expired.isEmpty { return }
        for request in expired { request.fail(ChangeSender.gone) }
        confirmLater()
    }
}
