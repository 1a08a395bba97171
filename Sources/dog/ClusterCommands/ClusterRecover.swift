import ArgumentParser
import Client
import Listings
import ObjectModel
import SheepProtocol

struct ClusterRecoverCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recover", abstract: "Goes on without sheep that will never return.",
        discussion: """
            What sheep missed is copied to them by itself; nothing starts or stops that. Sheepdog's 'recover disable' and 'enable'
            are 'node recovery set-throttle' here, which limits it.
            """,
        subcommands: [ClusterRecoverForce.self])
}

struct ClusterRecoverForce: SheepCommand {
    static let configuration = CommandConfiguration(
        commandName: "force", abstract: "Tells what is lost without the sheep that are away, asks, and goes on with what is there.",
        discussion: """
            For placement groups without a current copy, when the sheep that have one will never return. Of the copies that are
            up the newest is served from then on, also where it missed writes; all others are made equal to it, those of sheep
            that return as well. Where none of the sheep that should have a group is up, remove the dead ones first
            ('node remove'): then others have it, empty.

            Writes are acknowledged by half of the copies at least, so they wait until enough sheep have caught up, or the dead
            ones were removed. Start clients of the volumes anew: what they remember is newer than what they would read.
            """)
    @OptionGroup var common: CommonOptions
    @OptionGroup var listing: ListingOptions
    @Flag(name: [.short, .long], help: "Do not ask. What the sheep that are away had is lost.")
    var force = false

    private static let failed = "Failed to recover the cluster"

    func run(with sheep: SheepClient) async throws {
        let risk = try await Self.risk(sheep)
        show(risk)
        guard risk.givesUpData else {
            guard risk.closedGroups == 0 else {
                throw CommandFailure("\(Self.failed): none of the sheep that should have the groups is up; start one, or remove the dead ones by 'dog node remove'")
            }
            return
        }
        if !force { try await confirm(risk, sheep) }
        guard case .done = try await sheep.ask(.clusterRecover(goingOnWith: risk.present), orFail: Self.failed) else {
            throw CommandFailure("\(Self.failed): sheep returned meanwhile, nothing was given up; see 'dog cluster info'")
        }
        if !listing.json && !common.raw { Terminal.print("The cluster goes on with what is there.") }
    }

    private func show(_ risk: RecoveryRisk) {
        if listing.json { return Terminal.print(risk.json.text()) }
        for line in risk.lines(raw: common.raw) { Terminal.print(line) }
    }

    /// Somebody may think for long, and sheep come and go meanwhile.
    private func confirm(_ risk: RecoveryRisk, _ sheep: SheepClient) async throws {
        guard Terminal.confirm("What is named above will be lost for ever. Are you sure?") else {
            throw CommandFailure("\(Self.failed): nothing was changed; -f does not ask, and what is named above is lost then")
        }
        guard try await Self.risk(sheep) == risk else {
            throw CommandFailure("\(Self.failed): sheep came or went meanwhile, so something else would be lost; nothing was changed")
        }
    }

    private static func risk(_ sheep: SheepClient) async throws -> RecoveryRisk {
        guard case .risk(let risk) = try await sheep.ask(.clusterRecover(goingOnWith: nil), orFail: failed) else { throw unexpectedReply() }
        return risk
    }
}

extension RecoveryRisk {
    fileprivate var json: JSON {
        .object([
            ("waitingGroups", .number(waitingGroups)),
            ("olderGroups", .number(olderGroups)),
            ("lostGroups", .number(lostGroups)),
            ("closedGroups", .number(closedGroups)),
            ("openingGroups", .number(openingGroups)),
            ("absent", .array(absent.map(\.json))),
            ("volumes", .array(volumes.map(\.json))),
        ])
    }
}

extension AbsentNode {
    fileprivate var json: JSON {
        .object([
            ("host", .string(host)), ("port", .number(port)),
            ("downSince", downSince.map { .number($0.rawValue) } ?? .null),
        ])
    }
}

extension VolumeRisk {
    fileprivate var json: JSON {
        .object([
            ("name", .string(name)), ("isSnapshot", .bool(isSnapshot)), ("id", .number(snapshotID)), ("tag", .string(tag)),
            ("vid", .string(vid.description)), ("objects", .number(objects)), ("older", .number(older)), ("lost", .number(lost)),
            ("closed", .number(closed)),
        ])
    }
}
