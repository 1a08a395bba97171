package import ObjectModel

/// Reads a range of what a birth shows at an index: its own object, else the nearest ancestor's, else zeros.
package struct ReplicaRead: Hashable, WireCodable {
    package var context: ReplicaContext
    package var family: Family
    package var birth: Birth
    package var index: UInt32
    package var offset: UInt32
    package var length: UInt32
    /// Nobody else is left to ask: the receiver waits for its disk as long as there is time.
    package var isLastResort: Bool

    package init(
        context: ReplicaContext, family: Family, birth: Birth, index: UInt32, offset: UInt32, length: UInt32, isLastResort: Bool = true
    ) {
        (self.context, self.family, self.birth) = (context, family, birth)
        (self.index, self.offset, self.length, self.isLastResort) = (index, offset, length, isLastResort)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        context = try reader.readValue()
        family = try reader.readValue()
        birth = try reader.readValue()
        index = try reader.read()
        offset = try reader.read()
        length = try reader.read()
        isLastResort = try reader.readBool()
        guard UInt64(offset) + UInt64(length) <= 1 << UInt64(ObjectShift.allowed.upperBound) else {
            throw .invalid("range in the object")
        }
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(context)
        writer.write(family)
        writer.write(birth)
        writer.write(index)
        writer.write(offset)
        writer.write(length)
        writer.write(isLastResort)
    }
}

/// Bytes of an object that are stored; what lies between such ranges reads as zeros.
package struct StoredRange: Hashable, WireCodable {
    package var offset: UInt32
    package var length: UInt32
    package init(offset: UInt32, length: UInt32) { (self.offset, self.length) = (offset, length) }
    package init(from reader: inout WireReader) throws(WireError) {
        offset = try reader.read()
        length = try reader.read()
    }
    package func encode(to writer: inout WireWriter) {
        writer.write(offset)
        writer.write(length)
    }
}

/// Makes durable what was applied of a volume before this request; the reply comes when it is.
package struct ReplicaFlush: Hashable, WireCodable {
    package var context: ReplicaContext
    package var family: Family
    package init(context: ReplicaContext, family: Family) { (self.context, self.family) = (context, family) }
    package init(from reader: inout WireReader) throws(WireError) {
        context = try reader.readValue()
        family = try reader.readValue()
    }
    package func encode(to writer: inout WireWriter) {
        writer.write(context)
        writer.write(family)
    }
}

/// A new owner's question to every sheep: fence all lower terms of the volume, then tell what is unsettled.
/// The reply is a list of ``UnsettledRecord``, sent when no change of a lower term is under way any more.
package struct ReplicaGather: Hashable, WireCodable {
    package var context: ReplicaContext
    package init(context: ReplicaContext) { self.context = context }
    package init(from reader: inout WireReader) throws(WireError) { context = try reader.readValue() }
    package func encode(to writer: inout WireWriter) { writer.write(context) }
}

/// An owner's question to the members in sync, before it begins a change that its gateway sends again: have you done it already, perhaps
/// in a former run of yours? The reply is a ``Memory``.
package struct ReplicaRecall: Hashable, WireCodable {
    package var context: ReplicaContext
    package var origin: ChangeOrigin
    /// It was to outlive a power cut: who answers sees to it first.
    package var durable: Bool
    package init(context: ReplicaContext, origin: ChangeOrigin, durable: Bool) {
        (self.context, self.origin, self.durable) = (context, origin, durable)
    }
    package init(from reader: inout WireReader) throws(WireError) {
        context = try reader.readValue()
        origin = try reader.readValue()
        durable = try reader.readBool()
    }
    package func encode(to writer: inout WireWriter) {
        writer.write(context)
        writer.write(origin)
        writer.write(durable)
    }

    package enum Memory: UInt8, WireCodable {
        case notDone = 0
        case done = 1
        /// The process died in the middle of it: some of its blocks may have been read.
        case inPart = 2

        package init(from reader: inout WireReader) throws(WireError) {
            guard let memory = Memory(rawValue: try reader.read()) else { throw .invalid("memory of a change") }
            self = memory
        }

        package func encode(to writer: inout WireWriter) { writer.write(rawValue) }
    }
}

/// Tells a replica after a silence that every change up to `settled` is done on all members; with 0, that a new owner has
/// rolled forward what earlier terms left. And who has which replies to what it passed on.
package struct ReplicaSettled: Hashable, WireCodable {
    /// A gateway has the reply to every change that it passed on below this number.
    package struct RepliesSeen: Hashable, WireCodable {
        package var boot: BootID
        package var below: UInt64
        package init(boot: BootID, below: UInt64) { (self.boot, self.below) = (boot, below) }
        package init(from reader: inout WireReader) throws(WireError) {
            boot = try reader.readValue()
            below = try reader.read()
        }
        package func encode(to writer: inout WireWriter) {
            writer.write(boot)
            writer.write(below)
        }
    }

    package var volume: Birth
    package var term: Term
    package var settled: Sequence
    /// Ascending by boot id.
    package var repliesSeen: [RepliesSeen]
    package init(volume: Birth, term: Term, settled: Sequence, repliesSeen: [RepliesSeen] = []) {
        (self.volume, self.term, self.settled, self.repliesSeen) = (volume, term, settled, repliesSeen)
    }
    package init(from reader: inout WireReader) throws(WireError) {
        volume = try reader.readValue()
        term = try reader.readValue()
        settled = try reader.readValue()
        repliesSeen = try reader.readArray()
    }
    package func encode(to writer: inout WireWriter) {
        writer.write(volume)
        writer.write(term)
        writer.write(settled)
        writer.write(repliesSeen)
    }
}
