import FUSEFrontend
import FrontendKit
import ObjectModel

/// Volumes in memory and canned texts.
final class MemoryBackend: FUSEBackend {
    let provider = MemoryBlockDeviceProvider()
    private(set) var sheepAddress = "127.0.0.1:7000"

    func list(completion: @escaping (Result<[BlockDeviceInformation], SheepError>) -> Void) { provider.list(completion: completion) }

    func open(_ name: String, completion: @escaping (Result<MemoryBlockDevice, SheepError>) -> Void) {
        provider.open(name, completion: completion)
    }

    func find(_ name: String, completion: @escaping (Result<BlockDeviceInformation, SheepError>) -> Void) {
        guard let volume = provider.volumes[name] else {
            return completion(.failure(SheepError(.noSuchVolume, "there is no volume \(name)")))
        }
        completion(
            .success(.init(name: name, description: "", size: volume.size, isReadOnly: volume.isReadOnly, identity: volume.identity)))
    }

    func present(_ device: MemoryBlockDevice, completion: @escaping (Result<BlockDeviceInformation, SheepError>) -> Void) {
        completion(.success(device.information))
    }

    func resize(_ name: String, to size: UInt64, completion: @escaping (SheepError?) -> Void) {
        guard let volume = provider.volumes[name] else { return completion(SheepError(.noSuchVolume, "")) }
        guard size >= volume.size else { return completion(SheepError(.invalidArgument, "smaller")) }
        volume.size = size
        completion(nil)
    }

    func space(completion: @escaping (Result<FUSESpace, SheepError>) -> Void) {
        completion(.success(FUSESpace(total: 8 << 40, available: 3 << 40)))
    }

    func report(_ report: FUSEReport, completion: @escaping (Result<String, SheepError>) -> Void) {
        completion(.success("report \(report)\n"))
    }

    func useSheep(_ address: String, completion: @escaping (SheepError?) -> Void) {
        guard address.contains(":") else { return completion(SheepError(.invalidArgument, "no sheep")) }
        sheepAddress = address
        completion(nil)
    }
}
