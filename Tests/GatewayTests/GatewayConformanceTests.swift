import ConformanceKit
import FrontendKit
import Gateway
import ObjectModel
import SheepProtocol
import Testing
import Transport

@Suite("Block device conformance of the gateway")
struct GatewayConformanceTests {
    @Test("one sheep, one copy", arguments: BlockDeviceConformance.scenarios)
    func single(_ scenario: BlockDeviceConformance.Scenario) throws {
        let cluster = try LiveCluster(sheep: 1, copies: 1)
        try scenario.run(on: target(cluster, at: 0))
    }

    @Test("three sheep, three copies, at the owner", arguments: BlockDeviceConformance.scenarios)
    func owner(_ scenario: BlockDeviceConformance.Scenario) throws {
        let cluster = try LiveCluster(sheep: 3, copies: 3)
        try scenario.run(on: target(cluster, at: 0))
    }

    @Test("three sheep, two copies: the owner holds no replica of some objects", arguments: BlockDeviceConformance.scenarios)
    func partly(_ scenario: BlockDeviceConformance.Scenario) throws {
        let cluster = try LiveCluster(sheep: 3, copies: 2)
        try scenario.run(on: target(cluster, at: 0))
    }

    @Test("at a gateway that forwards to the owner", arguments: BlockDeviceConformance.scenarios)
    func forwarded(_ scenario: BlockDeviceConformance.Scenario) throws {
        let cluster = try LiveCluster(sheep: 3, copies: 3)
        // The first flush makes sheep 1 the owner; sheep 0 forwards from then on.
        let owner = try target(cluster, at: 1)
        try owner.flush()
        try scenario.run(on: target(cluster, at: 0, create: false))
    }

    @Test("through NBD, by libnbd", arguments: BlockDeviceConformance.scenarios)
    func wire(_ scenario: BlockDeviceConformance.Scenario) throws {
        let cluster = try LiveCluster(sheep: 3, copies: 3)
        try create(in: cluster)
        try scenario.run(on: LibnbdTarget(.unix(cluster.members[0].socket), export: "volume"))
    }

    private func create(in cluster: LiveCluster) throws {
        try cluster.administer(.volumeCreate(VolumeCreate(name: "volume", size: BlockDeviceConformance.deviceSize)))
    }

    private func target(
        _ cluster: LiveCluster, at number: Int, create: Bool = true
    ) throws -> DirectTarget<VolumeDevice<LiveEnvironment>> {
        if create { try self.create(in: cluster) }
        let member = cluster.members[number]
        return try DirectTarget(eventLoop: member.loop.eventLoop) { done in member.directory.open("volume", completion: done) }
    }
}
