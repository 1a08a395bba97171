/// Leaves out parts of a run, by number: what is left happens as it would have, at the same moments.
package struct Restriction: Sendable, Equatable {
    package var faults: Set<Int> = []
    package var orders: Set<Int> = []
    package var clients: Set<Int> = []
    /// How long faults and clients go on, instead of the profile's time, in nanoseconds.
    package var duration: UInt64?
    /// Other delays and other requests of the clients, with the same faults and orders.
    package var variation: UInt64 = 0

    package init() {}
}

/// What a run was made of.
package struct Happenings: Sendable {
    package internal(set) var workBegan: UInt64 = 0
    package internal(set) var faults: [(number: Int, time: UInt64, text: String)] = []
    /// An order of the administrator may have several of one number: the question how it ended is one.
    package internal(set) var orders: [(number: Int, time: UInt64, text: String)] = []
    package internal(set) var clients: [(number: Int, name: String)] = []
}
