/// What may go wrong in the profile `log`.
package enum LogFaultKind: String, CaseIterable, Sendable {
    /// The process ends; of what its disk had not yet confirmed, a random beginning is kept.
    case crash, crashAll
    /// As above, between two orders of one event: after a record was given to the disk, say, and before the message after it.
    case crashBetweenOrders
    /// The store is lost; the machine comes back at its address as a new node.
    case wipe
    /// One direction, both directions, or all between two halves.
    case oneWayCut, cut, partition
    case heal
    /// The same, aimed at a node that leads.
    case leaderCrash, leaderCut
    /// The disk confirms nothing for a while; the process does nothing for a while.
    case diskStall, pause
    /// A membership that is not so, or not for all.
    case wrongMembership
    case lostMessage, repeatedMessage, lateMessage
    /// A request that another node proposes as well.
    case repeatedRequest
}

/// Faults that the world commits in the decider's stead, to show that the checkers see them.
package enum PlantedLogFault: String, CaseIterable, Sendable {
    /// A promise is confirmed but not on the disk.
    case forgottenPromise
    /// Voters that are not there are taken to agree with those that are.
    case majorityOfThePresent
    /// The longest log is adopted, whatever view it is from.
    case adoptionByIndex
    /// Records are confirmed when they are given to the disk.
    case commitBeforePersisted
    /// A node that promised a higher view takes what a lower view's leader sends, and says so.
    case lowerViewAccepted
    /// A lost store comes back under the old identity.
    case wipedVoterCounted
    /// A leader's rounds are answered whether anybody hears them or not.
    case unansweredRound
}

/// What happened in runs of the profile `log`.
package struct LogCounters: Sendable {
    package var faults: [LogFaultKind: Int] = [:]
    package var entries = 0
    package var voterChanges = 0
    package var refusedChanges = 0
    package var looks = 0
    package var views = 0
    package var restores = 0
    package var events: UInt64 = 0
    package var nanoseconds: UInt64 = 0
    /// Runs at whose end no majority of the voters was left, so that nothing had to go on.
    package var withoutMajority = 0
    /// The longest time from the last fault until all that had to go on did, in nanoseconds.
    package var slowestEnd: UInt64 = 0

    package init() {}

    package mutating func add(_ other: LogCounters) {
        faults.merge(other.faults) { $0 + $1 }
        entries += other.entries
        voterChanges += other.voterChanges
        refusedChanges += other.refusedChanges
        looks += other.looks
        views += other.views
        restores += other.restores
        events += other.events
        nanoseconds += other.nanoseconds
        withoutMajority += other.withoutMajority
        slowestEnd = max(slowestEnd, other.slowestEnd)
    }
}
