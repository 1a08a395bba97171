package import ObjectModel

/// Volumes in memory by name, for tests and measurements. To be used on one thread, as any provider.
package final class MemoryBlockDeviceProvider: BlockDeviceProvider {
    package private(set) var volumes: [String: MemoryBlockDevice.Volume] = [:]

    package init() {}

    @discardableResult
    package func create(_ name: String, description: String = "", size: UInt64) -> MemoryBlockDevice.Volume {
        let volume = MemoryBlockDevice.Volume(name: name, description: description, size: size)
        volumes[name] = volume
        return volume
    }

    /// Makes `NAME@TAG`, read-only.
    @discardableResult
    package func snapshot(_ name: String, tag: String, description: String = "") -> MemoryBlockDevice.Volume? {
        guard let volume = volumes[name] else { return nil }
        let snapshot = MemoryBlockDevice.Volume(snapshotOf: volume, name: "\(name)@\(tag)", description: description)
        volumes[snapshot.name] = snapshot
        return snapshot
    }

    /// Who has it open goes on.
    package func delete(_ name: String) { volumes[name] = nil }

    package func list(completion: @escaping (Result<[BlockDeviceInformation], SheepError>) -> Void) {
        let sorted = volumes.values.sorted { $0.name < $1.name }
        completion(
            .success(
                sorted.map { volume in
                    BlockDeviceInformation(
                        name: volume.name, description: volume.description, size: volume.size,
                        isReadOnly: volume.isReadOnly)
                }))
    }

    package func open(_ name: String, completion: @escaping (Result<MemoryBlockDevice, SheepError>) -> Void) {
        guard let volume = volumes[name] else {
            return completion(.failure(SheepError(.noSuchVolume, "there is no volume \(name)")))
        }
        completion(.success(MemoryBlockDevice(volume)))
    }
}
