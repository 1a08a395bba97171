import ArgumentParser
import Client
import ObjectModel
import SheepProtocol

/// A command that talks to a sheep: connects, runs, tells failures with their exit code.
protocol SheepCommand: AsyncParsableCommand {
    var common: CommonOptions { get }
    func run(with sheep: SheepClient) async throws
}

extension SheepCommand {
    func run() async throws {
        let start = ContinuousClock.now
        defer { if common.time { Terminal.printError("elapsed time: \(ContinuousClock.now - start)") } }
        do {
            let sheep = try await SheepClient.connect(to: try common.endpoint(), key: try common.clusterKey())
            try await run(with: sheep)
            try Terminal.flush()
        } catch let failure as CommandFailure {
            Terminal.printError(failure.text)
            throw failure.status
        } catch let failure as UsageFailure {
            Terminal.printError(failure.text + "\nUsage: " + Dog.usageString(for: Self.self))
            throw ExitStatus.usage
        } catch let error as ClientError {
            let failure = error.failure("Failed to run the command")
            Terminal.printError(failure.text)
            throw failure.status
        }
    }
}

extension SheepClient {
    /// Asks; a refusal becomes "`what`: result text".
    func ask(_ request: AdministrationRequest, orFail what: String) async throws -> AdministrationReply {
        do {
            return try await administer(request)
        } catch {
            throw error.failure(what)
        }
    }

    /// Asks about one volume; a missing one is told as Sheepdog tells it.
    func ask(
        _ request: AdministrationRequest, about volume: VolumeReference, orFail what: String
    ) async throws -> AdministrationReply {
        do {
            return try await administer(request)
        } catch {
            throw error.failure(volume, orFail: what)
        }
    }
}

extension ClientError {
    func failure(_ volume: VolumeReference, orFail what: String) -> CommandFailure {
        switch code {
        case .noSuchVolume, .noSuchSnapshot: failure("Failed to open VDI " + volume.openText)
        default: failure(what)
        }
    }
}

extension VolumeReference {
    /// `NAME (snapshot id: ID snapshot tag: TAG)`, as in "Failed to open VDI …".
    var openText: String {
        switch selector {
        case .working: "\(name) (snapshot id: 0 snapshot tag: )"
        case .id(let id): "\(name) (snapshot id: \(id) snapshot tag: )"
        case .tag(let tag): "\(name) (snapshot id: 0 snapshot tag: \(tag))"
        }
    }

    /// The export name that opens it.
    var exportName: String {
        switch selector {
        case .working: name
        case .id(let id): "\(name)@\(id)"
        case .tag(let tag): "\(name)@\(tag)"
        }
    }
}

/// A reply that belongs to another request is the sheep's fault, never a reason to trap.
func unexpectedReply() -> CommandFailure {
    CommandFailure("The sheep answered something else than was asked", ExitStatus.system)
}
