import Gateway
import ObjectModel
import Testing

@Suite struct MemberLatenciesTests {
    private let disk = DiskID(high: 1, low: 1), other = DiskID(high: 2, low: 2)

    private func second(_ latencies: inout MemberLatencies, of microseconds: UInt64?) {
        for _ in 0..<4 {
            if let microseconds { for _ in 0..<100 { latencies.record(disk, microseconds * 1_000) } }
            latencies.close()
        }
    }

    @Test("a member that nobody knows, or that is quick, is waited for as long as a busy disk takes")
    func quick() {
        var latencies = MemberLatencies()
        #expect(latencies.bound(of: disk) == MemberLatencies.shortestBound)
        second(&latencies, of: 500)
        #expect(latencies.bound(of: disk) < MemberLatencies.shortestBound + 4_000_000)
        #expect(latencies.bound(of: other) == MemberLatencies.shortestBound)
    }

    @Test("one that is slow is waited for longer, up to a limit, and what it was is forgotten slowly")
    func slow() {
        var latencies = MemberLatencies()
        second(&latencies, of: 400_000)
        let bound = latencies.bound(of: disk)
        // The histogram is right to 19 %.
        #expect((3_600_000_000...4_000_000_000).contains(bound))
        second(&latencies, of: 5_000_000)
        #expect(latencies.bound(of: disk) == MemberLatencies.longestBound)
        second(&latencies, of: 400_000)
        second(&latencies, of: nil)
        #expect(latencies.bound(of: disk) > MemberLatencies.shortestBound)
        for _ in 0..<60 { second(&latencies, of: nil) }
        #expect(latencies.bound(of: disk) < MemberLatencies.shortestBound + 1_000_000)
    }

    @Test("a disk that is no member any more is forgotten")
    func gone() {
        var latencies = MemberLatencies()
        second(&latencies, of: 400_000)
        latencies.keep { $0 != disk }
        #expect(latencies.bound(of: disk) == MemberLatencies.shortestBound)
    }
}
