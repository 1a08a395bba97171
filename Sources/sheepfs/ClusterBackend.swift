import Client
import FUSEFrontend
import FrontendKit
import Listings
import ObjectModel
import SheepProtocol

/// The cluster as the tree shows it; the texts are those of `dog`.
final class ClusterBackend: FUSEBackend {
    private let client: ClusterClient

    init(_ client: ClusterClient) { self.client = client }

    func list(completion: @escaping (Result<[BlockDeviceInformation], SheepError>) -> Void) { client.list(completion: completion) }

    func open(_ name: String, completion: @escaping (Result<ClusterVolume, SheepError>) -> Void) {
        client.open(name, completion: completion)
    }

    func find(_ name: String, completion: @escaping (Result<BlockDeviceInformation, SheepError>) -> Void) {
        client.find(name, completion: completion)
    }

    func present(_ device: ClusterVolume, completion: @escaping (Result<BlockDeviceInformation, SheepError>) -> Void) {
        client.present(device, completion: completion)
    }

    func resize(_ name: String, to size: UInt64, completion: @escaping (SheepError?) -> Void) {
        client.resize(name, to: size, completion: completion)
    }

    func space(completion: @escaping (Result<FUSESpace, SheepError>) -> Void) {
        client.administer(.nodeSpace) { result in
            completion(
                result.flatMap { reply in
                    guard case .space(let report) = reply else { return .failure(SheepError(.unknown, "the sheep answered something else")) }
                    return .success(FUSESpace(total: report.size, available: report.available))
                })
        }
    }

    func awaitAnswer() -> Bool { client.awaitAnswer() }

    // MARK: Texts

    func report(_ report: FUSEReport, completion: @escaping (Result<String, SheepError>) -> Void) {
        client.administer(report.request) { result in
            completion(
                result.flatMap { reply in
                    guard let lines = reply.lines else { return .failure(SheepError(.unknown, "the sheep answered something else")) }
                    return .success(lines.map { $0 + "\n" }.joined())
                })
        }
    }

    // MARK: The sheep

    var sheepAddress: String { client.endpoint?.description ?? "" }

    func useSheep(_ address: String, completion: @escaping (SheepError?) -> Void) {
        guard let endpoint = SheepEndpoint(address) else {
            return completion(SheepError(.invalidArgument, "'\(address)' is no sheep: HOST:PORT is wanted"))
        }
        client.move(to: endpoint) { error in
            switch error {
            case nil: completion(nil)
            case .refused(let refusal): completion(refusal)
            case let other?: completion(SheepError(.unavailable, "\(other)"))
            }
        }
    }
}

extension FUSEReport {
    fileprivate var request: AdministrationRequest {
        switch self {
        case .clusterInformation: .clusterInformation
        case .nodeList: .nodeList
        case .nodeSpace: .nodeSpace
        case .volumeList: .volumeList(name: nil)
        }
    }
}

extension AdministrationReply {
    fileprivate var lines: [String]? {
        switch self {
        case .cluster(let information): information.lines(raw: false, verbose: false)
        case .nodes(let nodes): nodes.listing(raw: false)
        case .space(let report): report.listing(raw: false)
        case .volumes(let volumes): volumes.inListingOrder.listing(raw: false)
        default: nil
        }
    }
}
