package import ObjectModel
import SheepProtocol

/// How long the members of replica sets took for this gateway's changes lately, and so how long each is waited for before it
/// must leave: much longer than it usually takes, so that a disk that is slow today stays and one that stands still does not.
package struct MemberLatencies {
    /// Nanoseconds. A disk that writes back much holds its members up for a second or two.
    package static let shortestBound: UInt64 = 2_000_000_000
    package static let longestBound: UInt64 = 8_000_000_000
    /// Times the 99th percentile, on top of the shortest.
    package static let tails: UInt64 = 4

    private struct Member {
        var window = LatencyWindow()
        /// The 99th percentile, microseconds; forgotten slowly, for who is idle tells nothing new.
        var tail: UInt64 = 0
    }

    private var members: [DiskID: Member] = [:]

    package init() {}

    /// A member has a change, so many nanoseconds after it was sent it first.
    package mutating func record(_ disk: DiskID, _ nanoseconds: UInt64) { members[disk, default: Member()].window.record(nanoseconds) }

    /// To be called four times a second.
    package mutating func close() {
        for disk in members.keys {
            let seen = UInt64(members[disk]!.window.close(isCalm: false).tail)
            members[disk]!.tail = max(seen, members[disk]!.tail * 15 / 16)
        }
    }

    /// Disks that are members no more.
    package mutating func keep(_ disks: (DiskID) -> Bool) { members = members.filter { disks($0.key) } }

    /// So many nanoseconds a change is waited for at this member.
    package func bound(of disk: DiskID) -> UInt64 {
        min(Self.longestBound, Self.shortestBound + Self.tails * (members[disk]?.tail ?? 0) * 1_000)
    }
}
