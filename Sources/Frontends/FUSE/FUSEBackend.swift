package import FrontendKit
package import ObjectModel

/// What the tree shows beside volumes; the texts are made by the backend, lines with a final newline.
package enum FUSEReport: Hashable, Sendable, CaseIterable {
    case clusterInformation, nodeList, nodeSpace, volumeList
}

/// Room for objects, in bytes.
package struct FUSESpace: Hashable, Sendable {
    package var total: UInt64
    package var available: UInt64
    package init(total: UInt64, available: UInt64) { (self.total, self.available) = (total, available) }
}

/// What `sheepfs` shows and serves. All of it happens on the event loop, as with every provider; requests wait as long as the
/// cluster cannot be reached.
package protocol FUSEBackend: BlockDeviceProvider, SendableMetatype {
    /// A volume or snapshot by its export name, as it is now, without opening it.
    func find(_ name: String, completion: @escaping (Result<BlockDeviceInformation, SheepError>) -> Void)
    /// What an open one is by now, whatever its name became.
    func present(_ device: Device, completion: @escaping (Result<BlockDeviceInformation, SheepError>) -> Void)
    /// Makes a volume larger.
    func resize(_ name: String, to size: UInt64, completion: @escaping (SheepError?) -> Void)
    /// Of all nodes together, all copies counted.
    func space(completion: @escaping (Result<FUSESpace, SheepError>) -> Void)
    func report(_ report: FUSEReport, completion: @escaping (Result<String, SheepError>) -> Void)
    /// Which sheep serves: "host:port".
    var sheepAddress: String { get }
    /// Uses another sheep of the cluster from now on; what is under way is finished first.
    func useSheep(_ address: String, completion: @escaping (SheepError?) -> Void)
    /// Waits for a moment, without sleeping, for the one answer that is to come, if that pays; true when it is there.
    func awaitAnswer() -> Bool
}

extension FUSEBackend {
    package func awaitAnswer() -> Bool { false }
}
