import ArgumentParser
import Client
import SheepProtocol

struct NodeRecoverySetThrottle: SheepCommand {
    static let configuration = CommandConfiguration(
        commandName: "set-throttle",
        abstract: "Limits how many objects the sheep that is asked begins to recover in each interval.",
        discussion: """
            Without a limit, which is the default, recovery goes as fast as it can while no client changes anything, and slows
            down when changes take more than twice as long as without it. A limit holds besides; 0 0 removes it. It is
            forgotten when the sheep stops: 'sheep -R' sets it at start.
            """)
    @OptionGroup var common: CommonOptions
    @Argument(help: ArgumentHelp("Objects in each interval; 0: no limit.", valueName: "max"))
    var objects: UInt32
    @Argument(help: ArgumentHelp("The interval in milliseconds; 0: no limit.", valueName: "interval"))
    var interval: UInt32

    func validate() throws {
        guard (objects == 0) == (interval == 0) else {
            throw ValidationError("Invalid throttle '\(objects) \(interval)': both must be positive, or both 0 for no limit")
        }
    }

    func run(with sheep: SheepClient) async throws {
        let throttle = RecoveryThrottle(objects: objects, intervalMilliseconds: interval)
        _ = try await sheep.ask(.recoveryThrottleSet(throttle), orFail: "Failed to set the recovery throttle")
    }
}

struct NodeRecoveryGetThrottle: SheepCommand {
    static let configuration = CommandConfiguration(
        commandName: "get-throttle", abstract: "The limit that was set, of the sheep that is asked.")
    @OptionGroup var common: CommonOptions

    func run(with sheep: SheepClient) async throws {
        guard case .recoveryThrottle(let throttle) = try await sheep.ask(.recoveryThrottle, orFail: "Failed to get the recovery throttle")
        else { throw unexpectedReply() }
        if common.raw { return Terminal.print("\(throttle.objects) \(throttle.intervalMilliseconds)") }
        Terminal.print(
            throttle.isLimited
                ? "Recovery begins at most \(throttle.objects) objects every \(throttle.intervalMilliseconds) ms."
                : "Recovery has no limit but the clients' latency.")
    }
}
