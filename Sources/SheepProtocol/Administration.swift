package import ObjectModel

/// What `dog` asks of a sheep: the body of a request with ``Operation/administer``. A tag byte, then the value.
///
/// Everything is answered at once; a cluster that cannot serve it now answers `notFormatted` or `waitingForNodes`,
/// with a message that names what it waits for. What takes long is started, then polled.
package enum AdministrationRequest: Hashable, Sendable {
    // Cluster.
    case clusterInformation
    case clusterFormat(ClusterFormat)
    case clusterShutdown
    /// Verifies all objects of all volumes; ``AdministrationReply/check(_:)``.
    case clusterCheck
    /// Nil: tells what would be lost if the sheep that are away never return (``AdministrationReply/risk(_:)``). Else goes on with these
    /// disks, ``RecoveryRisk/present``; where nothing would be given up it only tells. `stale` when others are there by now.
    case clusterRecover(goingOnWith: [DiskID]?)
    // Nodes.
    case nodeList
    case nodeSpace
    /// Counters of the sheep that is asked.
    case nodeStatistics
    case nodeRecovery
    /// The limits that an operator set to the recovery of the sheep that is asked.
    case recoveryThrottle
    case recoveryThrottleSet(RecoveryThrottle)
    /// Ends the sheep's process.
    case nodeKill(NodeID)
    /// Ends the process of the sheep that is asked.
    case nodeEnd
    /// Takes the node out: its data moves to others at once, also where that lowers the number of copies. Of one that is removed and
    /// down, and still waited for, it tells what would be lost without it (``AdministrationReply/risk(_:)``), or with `givesUp` gives
    /// that up.
    case nodeRemove(NodeID, givesUp: Bool = false)
    // Volumes.
    case volumeCreate(VolumeCreate)
    case volumeDelete(VolumeDelete)
    /// Every volume and snapshot, or those with the name given; with usage.
    case volumeList(name: String?)
    /// One volume or snapshot without usage.
    case volumeFind(VolumeReference)
    case volumeSnapshot(VolumeSnapshot)
    case volumeClone(VolumeClone)
    case volumeRollback(VolumeReference)
    case volumeResize(VolumeResize)
    /// The volume with all its snapshots.
    case volumeRename(VolumeRename)
    /// Another sheep orders the volume's writes from now on; who uses it goes on.
    case volumeHandOver(VolumeHandOver)
    /// Verifies the copies of a volume's objects, or only that they exist; ``AdministrationReply/check(_:)``.
    case volumeCheck(VolumeReference, existenceOnly: Bool = false)
    case attributeSet(AttributeSet)
    case attributeGet(AttributeGet)
    case attributeList(VolumeReference)
    case objectLocation(ObjectLocationRequest)
    case objectMap(ObjectMapRequest)
    case lockList
    case lockUnlock(VolumeReference)
    /// The progress of a check that was started, by ``CheckProgress/identity``.
    case checkProgress(UInt64)
}

/// The answer to an ``AdministrationRequest``. A tag byte, then the value. Errors are no reply but a frame with a result.
package enum AdministrationReply: Hashable, Sendable {
    /// To format, shutdown, recover by force, kill, remove, delete, resize, rename, hand over, setting an attribute, unlock.
    case done
    case cluster(ClusterInformation)
    case nodes([NodeRecord])
    case space(SpaceReport)
    case statistics(NodeStatistics)
    case recovery([NodeRecovery])
    case recoveryThrottle(RecoveryThrottle)
    /// To create, snapshot, clone, rollback.
    case created(VolumeCreated)
    /// To list.
    case volumes([VolumeRecord])
    /// To find.
    case volume(VolumeRecord)
    case attribute([UInt8])
    case attributeKeys([AttributeKey])
    case objectLocation(ObjectLocation)
    case objectMap(ObjectMap)
    case locks([LockRecord])
    /// To the start of a check and to a poll.
    case check(CheckProgress)
    case risk(RecoveryRisk)
}

extension AdministrationRequest: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) {
        switch try reader.read(UInt8.self) {
        case 1: self = .clusterInformation
        case 2: self = .clusterFormat(try reader.readValue())
        case 3: self = .clusterShutdown
        case 4: self = .clusterCheck
        case 5: self = .clusterRecover(goingOnWith: try reader.readBool() ? try reader.readArray() : nil)
        case 16: self = .nodeList
        case 17: self = .nodeSpace
        case 18: self = .nodeStatistics
        case 19: self = .nodeRecovery
        case 20: self = .nodeKill(try reader.readValue())
        case 21: self = .nodeRemove(try reader.readValue(), givesUp: try reader.readBool())
        case 22: self = .nodeEnd
        case 23: self = .recoveryThrottle
        case 24: self = .recoveryThrottleSet(try reader.readValue())
        case 32: self = .volumeCreate(try reader.readValue())
        case 33: self = .volumeDelete(try reader.readValue())
        case 34: self = .volumeList(name: try reader.readBool() ? try reader.readVolumeName() : nil)
        case 35: self = .volumeFind(try reader.readValue())
        case 36: self = .volumeSnapshot(try reader.readValue())
        case 37: self = .volumeClone(try reader.readValue())
        case 38: self = .volumeRollback(try reader.readValue())
        case 39: self = .volumeResize(try reader.readValue())
        case 40: self = .volumeCheck(try reader.readValue(), existenceOnly: try reader.readBool())
        case 41: self = .attributeSet(try reader.readValue())
        case 42: self = .attributeGet(try reader.readValue())
        case 43: self = .attributeList(try reader.readValue())
        case 44: self = .objectLocation(try reader.readValue())
        case 45: self = .objectMap(try reader.readValue())
        case 46: self = .lockList
        case 47: self = .lockUnlock(try reader.readValue())
        case 48: self = .checkProgress(try reader.read())
        case 49: self = .volumeRename(try reader.readValue())
        case 50: self = .volumeHandOver(try reader.readValue())
        default: throw .invalid("administration request")
        }
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(tag)
        switch self {
        case .clusterInformation, .clusterShutdown, .clusterCheck, .nodeList, .nodeSpace, .nodeStatistics, .nodeRecovery,
            .recoveryThrottle, .nodeEnd, .lockList:
            break
        case .clusterRecover(let present):
            writer.write(present != nil)
            if let present { writer.write(present) }
        case .recoveryThrottleSet(let throttle): writer.write(throttle)
        case .clusterFormat(let value): writer.write(value)
        case .nodeKill(let node): writer.write(node)
        case .nodeRemove(let node, let givesUp):
            writer.write(node)
            writer.write(givesUp)
        case .volumeCreate(let value): writer.write(value)
        case .volumeDelete(let value): writer.write(value)
        case .volumeList(let name):
            writer.write(name != nil)
            if let name { writer.write(name) }
        case .volumeFind(let volume), .volumeRollback(let volume), .attributeList(let volume), .lockUnlock(let volume):
            writer.write(volume)
        case .volumeCheck(let volume, let existenceOnly):
            writer.write(volume)
            writer.write(existenceOnly)
        case .volumeSnapshot(let value): writer.write(value)
        case .volumeClone(let value): writer.write(value)
        case .volumeResize(let value): writer.write(value)
        case .volumeRename(let value): writer.write(value)
        case .volumeHandOver(let value): writer.write(value)
        case .attributeSet(let value): writer.write(value)
        case .attributeGet(let value): writer.write(value)
        case .objectLocation(let value): writer.write(value)
        case .objectMap(let value): writer.write(value)
        case .checkProgress(let identity): writer.write(identity)
        }
    }

    private var tag: UInt8 {
        switch self {
        case .clusterInformation: 1
        case .clusterFormat: 2
        case .clusterShutdown: 3
        case .clusterCheck: 4
        case .clusterRecover: 5
        case .nodeList: 16
        case .nodeSpace: 17
        case .nodeStatistics: 18
        case .nodeRecovery: 19
        case .nodeKill: 20
        case .nodeRemove: 21
        case .nodeEnd: 22
        case .recoveryThrottle: 23
        case .recoveryThrottleSet: 24
        case .volumeCreate: 32
        case .volumeDelete: 33
        case .volumeList: 34
        case .volumeFind: 35
        case .volumeSnapshot: 36
        case .volumeClone: 37
        case .volumeRollback: 38
        case .volumeResize: 39
        case .volumeCheck: 40
        case .attributeSet: 41
        case .attributeGet: 42
        case .attributeList: 43
        case .objectLocation: 44
        case .objectMap: 45
        case .lockList: 46
        case .lockUnlock: 47
        case .checkProgress: 48
        case .volumeRename: 49
        case .volumeHandOver: 50
        }
    }
}

extension AdministrationReply: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) {
        switch try reader.read(UInt8.self) {
        case 1: self = .done
        case 2: self = .cluster(try reader.readValue())
        case 3: self = .nodes(try reader.readArray())
        case 4: self = .space(try reader.readValue())
        case 5: self = .statistics(try reader.readValue())
        case 6: self = .recovery(try reader.readArray())
        case 7: self = .created(try reader.readValue())
        case 8: self = .volumes(try reader.readArray())
        case 9: self = .volume(try reader.readValue())
        case 10: self = .attribute(try reader.readBytes(maximum: AttributeLimit.value))
        case 11: self = .attributeKeys(try reader.readArray())
        case 12: self = .objectLocation(try reader.readValue())
        case 13: self = .objectMap(try reader.readValue())
        case 14: self = .locks(try reader.readArray())
        case 15: self = .check(try reader.readValue())
        case 16: self = .recoveryThrottle(try reader.readValue())
        case 17: self = .risk(try reader.readValue())
        default: throw .invalid("administration reply")
        }
    }

    package func encode(to writer: inout WireWriter) {
        switch self {
        case .done: writer.write(UInt8(1))
        case .cluster(let value): writer.write(tag: 2, value)
        case .nodes(let values): writer.write(tag: 3, values)
        case .space(let value): writer.write(tag: 4, value)
        case .statistics(let value): writer.write(tag: 5, value)
        case .recovery(let values): writer.write(tag: 6, values)
        case .created(let value): writer.write(tag: 7, value)
        case .volumes(let values): writer.write(tag: 8, values)
        case .volume(let value): writer.write(tag: 9, value)
        case .attribute(let bytes):
            writer.write(UInt8(10))
            writer.write(bytes: bytes)
        case .attributeKeys(let keys): writer.write(tag: 11, keys)
        case .objectLocation(let value): writer.write(tag: 12, value)
        case .objectMap(let value): writer.write(tag: 13, value)
        case .locks(let values): writer.write(tag: 14, values)
        case .check(let value): writer.write(tag: 15, value)
        case .recoveryThrottle(let value): writer.write(tag: 16, value)
        case .risk(let value): writer.write(tag: 17, value)
        }
    }
}

extension WireWriter {
    fileprivate mutating func write(tag: UInt8, _ value: some WireCodable) {
        write(tag)
        write(value)
    }

    fileprivate mutating func write<Value: WireCodable>(tag: UInt8, _ values: [Value]) {
        write(tag)
        write(values)
    }
}
