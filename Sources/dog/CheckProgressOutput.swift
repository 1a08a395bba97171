import Client
import Listings
import SheepProtocol

extension SheepClient {
    private static let pollInterval = Duration.milliseconds(200)

    /// Polls a check that was started until it ends, and shows how far it is; prints what it finds as it comes.
    func followCheck(_ started: AdministrationReply, orFail what: String) async throws -> CheckProgress {
        guard case .check(var progress) = started else { throw unexpectedReply() }
        var bar = ProgressBar(total: progress.objectsTotal, unit: { "\($0)" })
        defer { bar.end() }
        while true {
            for finding in progress.findings { Terminal.printError(finding) }
            bar.show(progress.objectsDone)
            if progress.isFinished { return progress }
            try await Task.sleep(for: Self.pollInterval)
            let reply = try await ask(.checkProgress(progress.identity), orFail: what)
            guard case .check(let next) = reply, next.identity == progress.identity else { throw unexpectedReply() }
            progress = next
        }
    }
}

extension CheckProgress {
    /// The last line, and a failure when something could not be made good.
    func tell(of subject: String, json: Bool, existenceOnly: Bool = false) throws {
        if json {
            Terminal.print(JSON.object([
                ("objects", .number(objectsDone)), ("verified", .number(verified)), ("repaired", .number(repaired)),
                ("lost", .number(lost)), ("incomplete", .number(incomplete)), ("endedAt", .number(endedAt / 1_000_000_000)),
            ]).text())
        } else {
            Terminal.print("finish check&repair \(subject): \(objectsDone) objects, \(repaired) repaired, \(lost) lost")
            let isWhole = lost == 0 && incomplete == 0
            let what = existenceOnly
                ? (isWhole ? "every copy is there" : "objects looked for") : (isWhole ? "every object verified" : "objects verified")
            Terminal.print("\(what): \(verified) of \(objectsTotal) at \(DateText.seconds(endedAt))")
            if incomplete > 0 { Terminal.print("\(incomplete) of them lack copies, on sheep that are down or catch up: see 'dog cluster info'") }
        }
        try Terminal.flush()
        if existenceOnly, lost == 0, incomplete > 0 { throw CommandFailure("\(incomplete) objects of \(subject) lack copies") }
        // A copy that nobody could make good is a failure even when other copies serve.
        guard lost == 0 else { throw CommandFailure("\(lost) objects of \(subject) can not be made good") }
    }
}

extension CheckProgress {
    /// Objects of which all copies were read, compared and found good, or made good and read again.
    fileprivate var verified: UInt64 { objectsDone - min(objectsDone, lost) }
}
