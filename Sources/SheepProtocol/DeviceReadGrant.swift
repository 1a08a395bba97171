package import ObjectModel

/// Where a process of the sheep's machine, with the rights of its store, finds what it needs to read objects by itself.
package struct ShortCircuitOffer: Hashable, Sendable, WireCodable {
    /// The memory that tells whether what was read counts.
    package var board: String
    /// The store's folder.
    package var store: String
    /// The run that both are of.
    package var boot: BootID

    package init(board: String, store: String, boot: BootID) { (self.board, self.store, self.boot) = (board, store, boot) }

    package init(from reader: inout WireReader) throws(WireError) {
        board = try reader.readString(maximum: Self.longestPath)
        store = try reader.readString(maximum: Self.longestPath)
        boot = try reader.readValue()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(board)
        writer.write(store)
        writer.write(boot)
    }

    static var longestPath: Int { 64 }
}

/// Body of ``Operation/deviceReadGrant``; answered by ``DeviceReadGranted``, or ``SheepError/Code/busy`` when the sheep would not answer from its own
/// copy at once.
package struct DeviceReadGrant: Hashable, Sendable, WireCodable {
    package var handle: DeviceHandle
    /// The object's.
    package var index: UInt32

    package init(handle: DeviceHandle, index: UInt32) { (self.handle, self.index) = (handle, index) }

    package init(from reader: inout WireReader) throws(WireError) {
        handle = try reader.readValue()
        index = try reader.read()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(handle)
        writer.write(index)
    }
}

/// The reply's body to ``Operation/deviceReadGrant``; its payload is the checksum of each block, 32 bits little-endian, 0 for one never written.
package struct DeviceReadGranted: Hashable, Sendable, WireCodable {
    /// Whose bytes are shown; nil: all of it reads as zeros.
    package var object: ObjectName?
    package var place: UInt32
    package var changes: UInt64
    package var generation: UInt64

    package init(object: ObjectName?, place: UInt32, changes: UInt64, generation: UInt64) {
        (self.object, self.place, self.changes, self.generation) = (object, place, changes, generation)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        object = try reader.readOptional()
        place = try reader.read()
        changes = try reader.read()
        generation = try reader.read()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(optional: object)
        writer.write(place)
        writer.write(changes)
        writer.write(generation)
    }
}
