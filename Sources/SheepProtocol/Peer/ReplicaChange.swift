package import ObjectModel

/// Where a change came from when a gateway without the lease forwarded it: a repeat is recognised by it.
package struct ChangeOrigin: Hashable, WireCodable {
    /// The run of the gateway that took the request from its client.
    package var boot: BootID
    /// Counts that gateway's changes and marks, of whatever volume, from 1.
    package var request: UInt64

    package init(boot: BootID, request: UInt64) { (self.boot, self.request) = (boot, request) }

    /// No gateway's: a new owner puts back what was there before a change that it found on too few members. `other` is that change's origin.
    /// `inDoubt`: what it puts there comes from a member that may have had some of the change, as there is no other.
    package static func undo(of other: ChangeOrigin?, inDoubt: Bool = false) -> ChangeOrigin {
        ChangeOrigin(
            boot: other?.boot ?? BootID(rawValue: 0), request: (other?.request ?? 0) | undoFlag | (inDoubt ? doubtFlag : 0))
    }

    package var isUndo: Bool { request & Self.undoFlag != 0 }

    /// It puts back what was there before the change of this origin, which did not happen.
    package func undoes(_ other: ChangeOrigin) -> Bool { isUndo && !other.isUndo && boot == other.boot && request & Self.number == other.request }

    /// Of an undo that leaves some of a gateway's change behind, maybe: that change's origin.
    package var doubted: ChangeOrigin? {
        guard isUndo, request & Self.doubtFlag != 0, boot.rawValue != 0 else { return nil }
        return ChangeOrigin(boot: boot, request: request & Self.number)
    }

    private static let undoFlag: UInt64 = 1 << 63
    private static let doubtFlag: UInt64 = 1 << 62
    private static let number = ~(undoFlag | doubtFlag)

    package init(from reader: inout WireReader) throws(WireError) {
        boot = try reader.readValue()
        request = try reader.read()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(boot)
        writer.write(request)
    }
}

/// What a change does to its range of an object.
package enum ChangeKind: UInt8, Hashable, Sendable {
    /// Puts the payload there.
    case write = 0
    /// Makes it read as zeros and gives the space back.
    case trim = 1
    /// Makes it read as zeros and keeps the space.
    case zero = 2
}

/// A change of one object on its replicas: the body of `replicaWrite` (the payload is the data) and `replicaZero`.
///
/// Offset and length are multiples of the block size: the owner completes smaller requests before it sends them.
package struct ReplicaChange: Hashable, WireCodable {
    package var context: ReplicaContext
    package var object: ObjectName
    package var objectShift: UInt8
    package var kind: ChangeKind
    /// The reply is sent only when the change would outlive a power cut.
    package var durable: Bool
    package var sequence: Sequence
    /// Every change of the term up to this one is done on all members.
    package var settled: Sequence
    package var offset: UInt32
    package var length: UInt32
    package var origin: ChangeOrigin?

    package init(
        context: ReplicaContext, object: ObjectName, objectShift: UInt8, kind: ChangeKind, durable: Bool,
        sequence: Sequence, settled: Sequence, offset: UInt32, length: UInt32, origin: ChangeOrigin?
    ) {
        (self.context, self.object, self.objectShift, self.kind) = (context, object, objectShift, kind)
        (self.durable, self.sequence, self.settled) = (durable, sequence, settled)
        (self.offset, self.length, self.origin) = (offset, length, origin)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        context = try reader.readValue()
        object = try reader.readValue()
        objectShift = try reader.read()
        guard ObjectShift.allowed.contains(objectShift) else { throw .invalid("object shift") }
        guard let kind = ChangeKind(rawValue: try reader.read()) else { throw .invalid("change kind") }
        self.kind = kind
        durable = try reader.readBool()
        sequence = try reader.readValue()
        settled = try reader.readValue()
        offset = try reader.read()
        length = try reader.read()
        origin = try reader.readOptional()
        guard length > 0, Int(offset) % blockSize == 0, Int(length) % blockSize == 0,
            UInt64(offset) + UInt64(length) <= 1 << UInt64(objectShift)
        else { throw .invalid("range in the object") }
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(context)
        writer.write(object)
        writer.write(objectShift)
        writer.write(kind.rawValue)
        writer.write(durable)
        writer.write(sequence)
        writer.write(settled)
        writer.write(offset)
        writer.write(length)
        writer.write(optional: origin)
    }
}

/// A change that a replica made or is making and that the owner has not called settled. It lies within one object.
package struct UnsettledRecord: Hashable, WireCodable {
    package var term: Term
    package var sequence: Sequence
    package var object: ObjectName
    package var kind: ChangeKind
    package var offset: UInt32
    package var length: UInt32
    package var origin: ChangeOrigin?
    /// It failed on the way, or the process died in the middle of it: each of its blocks may be old, new or torn.
    package var isPartial: Bool

    package init(
        term: Term, sequence: Sequence, object: ObjectName, kind: ChangeKind, offset: UInt32, length: UInt32,
        origin: ChangeOrigin?, isPartial: Bool = false
    ) {
        (self.term, self.sequence, self.object, self.kind) = (term, sequence, object, kind)
        (self.offset, self.length, self.origin, self.isPartial) = (offset, length, origin, isPartial)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        term = try reader.readValue()
        sequence = try reader.readValue()
        object = try reader.readValue()
        guard let kind = ChangeKind(rawValue: try reader.read()) else { throw .invalid("change kind") }
        self.kind = kind
        offset = try reader.read()
        length = try reader.read()
        origin = try reader.readOptional()
        isPartial = try reader.readBool()
        guard UInt64(offset) + UInt64(length) <= 1 << UInt64(ObjectShift.allowed.upperBound) else {
            throw .invalid("range in the object")
        }
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(term)
        writer.write(sequence)
        writer.write(object)
        writer.write(kind.rawValue)
        writer.write(offset)
        writer.write(length)
        writer.write(optional: origin)
        writer.write(isPartial)
    }
}
