import ConformanceKit
import FrontendKit
import NBDFrontend
import NIOCore
import NIOPosix
import ObjectModel
import Testing

@Suite("Block device conformance")
struct ConformanceTests {
    @Test("directly on the memory device", arguments: BlockDeviceConformance.scenarios)
    func direct(_ scenario: BlockDeviceConformance.Scenario) throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let volume = MemoryBlockDevice.Volume(name: "direct", size: BlockDeviceConformance.deviceSize)
        try scenario.run(on: DirectTarget(eventLoop: group.next()) { $0(.success(MemoryBlockDevice(volume))) })
        try group.syncShutdownGracefully()
    }

    @Test("through NBD on a unix socket", arguments: BlockDeviceConformance.scenarios)
    func unixSocket(_ scenario: BlockDeviceConformance.Scenario) throws {
        let server = try conformanceServer()
        try scenario.run(on: LibnbdTarget(.unix(server.socketPath), export: "volume"))
    }

    @Test("through NBD on TCP without structured replies", arguments: BlockDeviceConformance.scenarios)
    func simpleReplies(_ scenario: BlockDeviceConformance.Scenario) throws {
        let server = try conformanceServer()
        try scenario.run(on: LibnbdTarget(.tcp(port: server.port), export: "volume", structuredReplies: false))
    }

    @Test("random mixes of many seeds, through NBD", arguments: 100..<106 as Range<UInt64>)
    func seeds(_ seed: UInt64) throws {
        let server = try conformanceServer()
        let mix = try #require(BlockDeviceConformance.scenarios.last)
        try mix.run(on: LibnbdTarget(.unix(server.socketPath), export: "volume"), seed: seed)
    }

    private func conformanceServer() throws -> TestServer<MemoryBlockDeviceProvider> {
        let provider = MemoryBlockDeviceProvider()
        provider.create("volume", size: BlockDeviceConformance.deviceSize)
        return try TestServer(provider)
    }
}
