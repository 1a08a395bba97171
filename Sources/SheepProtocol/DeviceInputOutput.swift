package import ObjectModel

/// Body of ``Operation/deviceRead``; the reply's payload is the data, its body is empty.
package struct DeviceRead: Hashable, Sendable, WireCodable {
    package var handle: DeviceHandle
    /// Bytes.
    package var offset: UInt64
    package var length: UInt32

    package init(handle: DeviceHandle, offset: UInt64, length: UInt32) {
        (self.handle, self.offset, self.length) = (handle, offset, length)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        handle = try reader.readValue()
        offset = try reader.read()
        length = try reader.read()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(handle)
        writer.write(offset)
        writer.write(length)
    }
}

/// Body of ``Operation/deviceWrite``; the data is the request's payload, or in shared memory. Answered by an empty frame.
package struct DeviceWrite: Hashable, Sendable, WireCodable {
    package var handle: DeviceHandle
    /// Bytes.
    package var offset: UInt64
    /// It survives a power cut once answered.
    package var durable: Bool
    package var identity: WriteIdentity
    /// Of the data; nil: it is the payload.
    package var place: PayloadPlace?

    package init(handle: DeviceHandle, offset: UInt64, durable: Bool, identity: WriteIdentity, place: PayloadPlace? = nil) {
        (self.handle, self.offset, self.durable, self.identity, self.place) = (handle, offset, durable, identity, place)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        handle = try reader.readValue()
        offset = try reader.read()
        durable = try reader.readBool()
        identity = try reader.readValue()
        place = try reader.readOptional()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(handle)
        writer.write(offset)
        writer.write(durable)
        writer.write(identity)
        writer.write(optional: place)
    }
}

/// Body of ``Operation/deviceZero``: the range reads as zeros afterwards. Answered by an empty frame.
package struct DeviceZero: Hashable, Sendable, WireCodable {
    package var handle: DeviceHandle
    /// Bytes.
    package var offset: UInt64
    package var length: UInt64
    /// False keeps or takes the space.
    package var mayDeallocate: Bool
    package var durable: Bool
    package var identity: WriteIdentity

    package init(
        handle: DeviceHandle, offset: UInt64, length: UInt64, mayDeallocate: Bool, durable: Bool, identity: WriteIdentity
    ) {
        (self.handle, self.offset, self.length) = (handle, offset, length)
        (self.mayDeallocate, self.durable, self.identity) = (mayDeallocate, durable, identity)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        handle = try reader.readValue()
        offset = try reader.read()
        length = try reader.read()
        mayDeallocate = try reader.readBool()
        durable = try reader.readBool()
        identity = try reader.readValue()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(handle)
        writer.write(offset)
        writer.write(length)
        writer.write(mayDeallocate)
        writer.write(durable)
        writer.write(identity)
    }
}
