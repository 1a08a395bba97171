import FrontendKit
import ObjectModel
import Testing
import iSCSIBackingStoreFrontend

@Suite("Block device conformance over Sheepdog's protocol")
struct ConformanceTests {
    @Test("on a unix socket", arguments: BlockDeviceConformance.scenarios)
    func unixSocket(_ scenario: BlockDeviceConformance.Scenario) throws {
        let server = try TestServer()
        #expect(try server.client().new("volume", size: BlockDeviceConformance.deviceSize).result == .success)
        try scenario.run(on: SheepdogTarget(unix: server.socketPath, name: "volume"))
    }
}
