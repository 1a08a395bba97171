/// The intervals of a sheep, in nanoseconds, with their reasons.
package enum NodeTiming {
    /// Silence on a link after which its peer is suspected.
    package static let silence: UInt64 = 1_000_000_000
    /// Silence after which a peer that stands still and cannot be proven dead is called down all the same. Longer than a busy
    /// disk holds up a loop: a sheep that only waits for its disk should not lose its place. One that is known to be stopped, and
    /// one that is cut off, lose theirs sooner: these wait for nothing that comes by itself.
    package static let givenUp: UInt64 = 8_000_000_000
    /// A request that waits so long for another sheep says so: if that one was stopped, it is not waited for any longer.
    package static let awaited: UInt64 = 500_000_000
    /// Between new connections to a peer that is silent though it runs.
    package static let renewal: UInt64 = 1_000_000_000
    /// A run that wants to join is forgotten when it did not ask for so long.
    package static let joinerKept: UInt64 = 2_000_000_000
    /// Members that are too slow leave one after the other, so far apart: when all are slow, it is not theirs.
    package static let betweenSlowMembers: UInt64 = 1_000_000_000
    /// Between tries of what may succeed soon.
    package static let retry: UInt64 = 20_000_000
    /// A read that finds every copy damaged tries again for so long: they may repair each other.
    package static let damagedRead: UInt64 = 3_000_000_000
    /// For so long after a member refused a change for want of space, others are sent to it first.
    package static let fullMember: UInt64 = 5_000_000_000
    /// Nodes that stopped cleanly are waited for before a lease is taken.
    package static let cleanReturn: UInt64 = 5_000_000_000
    /// Joins and removals gather for so long into one epoch.
    package static let placementGathering: UInt64 = 2_000_000_000
    /// A volume takes no requests for so long at most, while what is under way ends.
    package static let draining: UInt64 = 5_000_000_000
    /// A sheep that gave its leases back for a shutdown takes none for so long, should the shutdown not come.
    package static let releasing: UInt64 = 5_000_000_000
    /// A shutdown waits so long for changes that are under way; less than `dog` waits for its answer.
    package static let shutdownTry: UInt64 = 20_000_000_000
    /// After a full stop, absent members of a group are waited for so long.
    package static let openingWait: UInt64 = 10_000_000_000
    /// The same where all that are present lost their power: an absent one may have kept what was not synced, and is worth a longer wait.
    package static let openingWaitAfterPowerLoss: UInt64 = 60_000_000_000
    /// Opening a volume waits for a sheep that joins the cluster, so long at most.
    package static let joiningWait: UInt64 = 10_000_000_000
    /// Between looks for deleted volumes that nothing needs any more.
    package static let forgetting: UInt64 = 10_000_000_000
    /// The sheep's housekeeping.
    package static let tick: UInt64 = 250_000_000
    /// The store's own.
    package static let storeTick: UInt64 = 62_500_000
}
