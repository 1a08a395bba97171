import ConformanceKit
import FUSEFrontend
import FrontendKit
import Testing

@Suite("Block device conformance through a mounted file", .enabled(if: canMount), .timeLimit(.minutes(15)))
struct ConformanceTests {
    @Test("without the page cache", arguments: BlockDeviceConformance.scenarios)
    func direct(_ scenario: BlockDeviceConformance.Scenario) throws {
        try withTarget(pageCache: false) { try scenario.run(on: $0) }
    }

    @Test("with the page cache and kept writes", arguments: BlockDeviceConformance.scenarios)
    func cached(_ scenario: BlockDeviceConformance.Scenario) throws {
        try withTarget(pageCache: true) { try scenario.run(on: $0) }
    }

    @Test("random mixes of many seeds", arguments: 100..<104 as Range<UInt64>, [false, true])
    func seeds(_ seed: UInt64, pageCache: Bool) throws {
        let mix = try #require(BlockDeviceConformance.scenarios.last)
        try withTarget(pageCache: pageCache) { try mix.run(on: $0, seed: seed) }
    }

    private func withTarget(pageCache: Bool, _ body: (FileTarget) throws -> Void) throws {
        try TestMount.with { backend in
            backend.provider.create("volume", size: BlockDeviceConformance.deviceSize)
        } configure: { configuration in
            (configuration.autoMount, configuration.pageCache) = (true, pageCache)
        } _: { mount in
            try body(try FileTarget("\(mount.path)/volume/volume"))
        }
    }
}
