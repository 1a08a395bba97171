import ObjectModel

/// What a node does in the present view.
enum Role: Sendable {
    case following(Following)
    case asking(Asking)
    case leading(Leading)
    /// It has seen a contradiction and does nothing any more.
    case failed
}

struct Following: Sendable {
    /// The view whose leader was heard last; nil: none since the node knows that it has lost its leader.
    var heard: View?
    /// The last round of that view that was heard of.
    var round: UInt64 = 0
    /// Since a leader was heard, or another node was promised a view.
    var quietTicks = 0
}

/// On the way to lead a view: promises are collected, then the best log is fetched.
struct Asking: Sendable {
    let view: View
    /// Its own is among them once it is durable; the others are asked then.
    var promises: [NodeID: Promise] = [:]
    /// Who has been asked for its log.
    var source: NodeID?
    var ticks = 0
}

struct Leading: Sendable {
    struct Progress: Sendable {
        /// The last entry of this view's log on its disk; nil: none of it, as far as is known.
        var durable: LogIndex?
        /// The last round that it answered, and the last before the log was last sent to it.
        var round: UInt64 = 0
        var sentRound: UInt64?
    }

    struct Look: Sendable {
        let node: NodeID
        let request: LookRequest
        /// A majority must have answered this round or a later one.
        let round: UInt64
        let committed: LogIndex
    }

    let view: View
    /// All of the adopted log is committed in this view; before that nothing is appended or answered.
    var isOpen = false
    var progress: [NodeID: Progress] = [:]
    var round: UInt64 = 0
    /// The round of the last append to all.
    var appendRound: UInt64 = 0
    var looks: [Look] = []
    /// The round that the last tick began, and how many ticks in a row a majority has left such a one unanswered.
    var tickRound: UInt64 = 0
    var unansweredTicks = 0
}
