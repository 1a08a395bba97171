/// What a connection waited for at some time, to be compared with later: has the client moved?
package enum StallWatch: Equatable {
    /// The rest of a request.
    case request(number: UInt64, missing: Int)
    /// That the client takes replies: the bytes of all replies that it has taken.
    case unsent(taken: UInt64)

    /// A client that sends less of one request, or takes less of its replies, in the time of a watch (60 s) does not work, it drips.
    /// Bytes; 4 KiB/s.
    package static let leastProgress = 256 << 10

    package func hasMovedOn(since before: StallWatch) -> Bool {
        switch (before, self) {
        case (.request(let numberBefore, let missingBefore), .request(let number, let missing)):
            number != numberBefore || missingBefore - missing >= Self.leastProgress
        case (.unsent(let takenBefore), .unsent(let taken)):
            taken - min(taken, takenBefore) >= UInt64(Self.leastProgress)
        case (.request, .unsent), (.unsent, .request):
            true
        }
    }
}
