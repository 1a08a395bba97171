import Gateway
import NIOCore
import ObjectModel
import SheepProtocol

/// A client's connection to one run of a gateway: calls arrive there as events of its process, answers come back as the
/// client's; when the process ends all that is under way fails.
final class GatewayUse {
    let sheep: SimulatedSheep
    let process: SheepProcess
    /// Its number in this run.
    let connection: Int
    private let world: World
    private(set) var isBroken = false
    private var nextCall = 0
    private var failing: [Int: () -> Void] = [:]
    var broken: (() -> Void)?

    init?(_ sheep: SimulatedSheep, world: World) {
        guard let process = sheep.process, process.isAlive, !process.isStopping, sheep.node != nil else { return nil }
        (self.sheep, self.process, self.world) = (sheep, process, world)
        connection = world.nextConnection()
        process.attached += 1
        process.whenEnded { [weak self] in self?.processEnded() }
    }

    private func processEnded() {
        isBroken = true
        let calls = failing.sorted { $0.key < $1.key }
        failing = [:]
        for (_, fail) in calls { fail() }
        broken?()
    }

    func close() {
        process.attached -= 1
        broken = nil
    }

    /// Runs `body` in the gateway; `completion` gets its answer, or the failure of the connection.
    func call<Answer>(
        _ body: @escaping (@escaping (Result<Answer, SheepError>) -> Void) -> Void,
        completion: @escaping (Result<Answer, SheepError>) -> Void
    ) {
        if isBroken || !process.isAlive { return completion(.failure(Self.gone)) }
        nextCall += 1
        let number = nextCall
        failing[number] = { completion(.failure(Self.gone)) }
        var isAnswered = false
        world.schedule(after: world.draw(5_000...50_000), in: process) { [self] in
            body { [self] result in
                if process.isDying { return }
                if isAnswered { world.fail("\(sheep.name) answered a client twice") }
                isAnswered = true
                guard process.isAlive else { return }
                world.schedule(after: world.draw(5_000...50_000)) { [self] in
                    if failing.removeValue(forKey: number) != nil { completion(result) }
                }
            }
        }
    }

    private static var gone: SheepError { SheepError(.unavailable, "the gateway is gone") }

    func administer(_ request: AdministrationRequest, completion: @escaping (Result<AdministrationReply, SheepError>) -> Void) {
        call({ [sheep] done in
            guard let node = sheep.node else { return }
            node.administer(request, completion: done)
        }, completion: completion)
    }

    func open(_ name: String, completion: @escaping (Result<VolumeDevice<SimulatedEnvironment>, SheepError>) -> Void) {
        call({ [sheep] done in sheep.directory?.open(name, completion: done) }, completion: completion)
    }

    func read(
        _ device: VolumeDevice<SimulatedEnvironment>, at offset: UInt64, length: Int,
        completion: @escaping (Result<[UInt8], SheepError>) -> Void
    ) {
        call({ done in
            device.read(at: offset, length: length, appendingTo: ByteBuffer()) { result in
                done(result.map { Array($0.readableBytesView) })
            }
        }, completion: completion)
    }
}
