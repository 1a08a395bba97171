package import ObjectModel

/// One byte that names the command, then its fields.
///
/// Codes are for ever: the log and the snapshots of older versions have them. Texts and byte strings are bounded by the
/// entry that they are in; what is too long for its use is refused when the entry is applied, the same everywhere.
extension ControlCommand: WireCodable {
    private enum Code: UInt8 {
        case format = 1, nodesDown, nodeUp, nodeOut, planPlacement, diskOut, syncing, inSync, openGroups, shutdown, cleanStop
        case groupsOut = 24, forceOpen, giveUpNode, syncStopped
        case createVolume = 32, snapshotVolume, cloneVolume, rollbackVolume, resizeVolume, deleteVolume, setAttribute
        case forgetVolume, renameVolume
        case acquireLease = 64, releaseLease, lockVolume, unlockVolume, handOverLease
    }

    package init(from reader: inout WireReader) throws(WireError) {
        guard let code = Code(rawValue: try reader.read()) else { throw .invalid("control command") }
        switch code {
        case .format: self = .format(try reader.readValue())
        case .nodesDown: self = .nodesDown(try reader.readValue())
        case .nodeUp: self = .nodeUp(try reader.readValue())
        case .nodeOut: self = .nodeOut(try reader.readValue(), byOperator: try reader.readBool())
        case .planPlacement: self = .planPlacement
        case .diskOut: self = .diskOut(try reader.readValue(), boot: try reader.readValue())
        case .groupsOut: self = .groupsOut(try reader.readValue(), boot: try reader.readValue(), try reader.readArray())
        case .syncing: self = .syncing(try reader.readValue(), boot: try reader.readValue(), try reader.readArray())
        case .syncStopped: self = .syncStopped(try reader.readValue(), boot: try reader.readValue(), try reader.readArray())
        case .inSync: self = .inSync(try reader.readValue(), boot: try reader.readValue(), try reader.readArray())
        case .openGroups: self = .openGroups(present: try reader.readArray(), preferred: try reader.readArray())
        case .forceOpen: self = .forceOpen(present: try reader.readArray(), preferred: try reader.readArray())
        case .giveUpNode: self = .giveUpNode(try reader.readValue())
        case .shutdown: self = .shutdown
        case .cleanStop: self = .cleanStop(try reader.readValue(), boot: try reader.readValue())
        case .createVolume: self = .createVolume(try reader.readValue())
        case .snapshotVolume: self = .snapshotVolume(try reader.readValue())
        case .cloneVolume: self = .cloneVolume(try reader.readValue())
        case .rollbackVolume: self = .rollbackVolume(try reader.readValue())
        case .resizeVolume: self = .resizeVolume(try reader.readValue())
        case .deleteVolume: self = .deleteVolume(try reader.readValue())
        case .setAttribute: self = .setAttribute(try reader.readValue())
        case .forgetVolume: self = .forgetVolume(try reader.readValue())
        case .renameVolume: self = .renameVolume(try reader.readValue())
        case .acquireLease:
            self = .acquireLease(try reader.readValue(), try reader.readValue(), boot: try reader.readValue())
        case .releaseLease:
            self = .releaseLease(try reader.readValue(), try reader.readValue(), try reader.readValue())
        case .handOverLease:
            self = .handOverLease(try reader.readValue(), try reader.readValue(), try reader.readValue(), to: try reader.readValue())
        case .lockVolume:
            self = .lockVolume(try reader.readValue(), owner: try reader.readValue(), shared: try reader.readBool())
        case .unlockVolume: self = .unlockVolume(try reader.readValue(), owner: try reader.readOptional())
        }
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(code.rawValue)
        switch self {
        case .format(let format): writer.write(format)
        case .nodesDown(let down): writer.write(down)
        case .nodeUp(let up): writer.write(up)
        case .nodeOut(let node, let byOperator):
            writer.write(node)
            writer.write(byOperator)
        case .planPlacement, .shutdown: break
        case .diskOut(let disk, let boot):
            writer.write(disk)
            writer.write(boot)
        case .groupsOut(let disk, let boot, let ranges), .syncing(let disk, let boot, let ranges), .syncStopped(let disk, let boot, let ranges),
            .inSync(let disk, let boot, let ranges):
            writer.write(disk)
            writer.write(boot)
            writer.write(ranges)
        case .openGroups(let present, let preferred), .forceOpen(let present, let preferred):
            writer.write(present)
            writer.write(preferred)
        case .giveUpNode(let node): writer.write(node)
        case .cleanStop(let node, let boot):
            writer.write(node)
            writer.write(boot)
        case .createVolume(let create): writer.write(create)
        case .snapshotVolume(let snapshot): writer.write(snapshot)
        case .cloneVolume(let clone): writer.write(clone)
        case .rollbackVolume(let rollback): writer.write(rollback)
        case .resizeVolume(let resize): writer.write(resize)
        case .deleteVolume(let delete): writer.write(delete)
        case .setAttribute(let attribute): writer.write(attribute)
        case .forgetVolume(let birth): writer.write(birth)
        case .renameVolume(let rename): writer.write(rename)
        case .acquireLease(let birth, let node, let boot):
            writer.write(birth)
            writer.write(node)
            writer.write(boot)
        case .releaseLease(let birth, let node, let term):
            writer.write(birth)
            writer.write(node)
            writer.write(term)
        case .handOverLease(let birth, let node, let term, let heir):
            writer.write(birth)
            writer.write(node)
            writer.write(term)
            writer.write(heir)
        case .lockVolume(let birth, let owner, let shared):
            writer.write(birth)
            writer.write(owner)
            writer.write(shared)
        case .unlockVolume(let birth, let owner):
            writer.write(birth)
            writer.write(optional: owner)
        }
    }

    private var code: Code {
        switch self {
        case .format: .format
        case .nodesDown: .nodesDown
        case .nodeUp: .nodeUp
        case .nodeOut: .nodeOut
        case .planPlacement: .planPlacement
        case .diskOut: .diskOut
        case .groupsOut: .groupsOut
        case .syncing: .syncing
        case .syncStopped: .syncStopped
        case .inSync: .inSync
        case .openGroups: .openGroups
        case .forceOpen: .forceOpen
        case .giveUpNode: .giveUpNode
        case .shutdown: .shutdown
        case .cleanStop: .cleanStop
        case .createVolume: .createVolume
        case .snapshotVolume: .snapshotVolume
        case .cloneVolume: .cloneVolume
        case .rollbackVolume: .rollbackVolume
        case .resizeVolume: .resizeVolume
        case .deleteVolume: .deleteVolume
        case .setAttribute: .setAttribute
        case .forgetVolume: .forgetVolume
        case .renameVolume: .renameVolume
        case .acquireLease: .acquireLease
        case .releaseLease: .releaseLease
        case .handOverLease: .handOverLease
        case .lockVolume: .lockVolume
        case .unlockVolume: .unlockVolume
        }
    }
}
