package import ObjectModel

/// Body of ``Operation/deviceStatus``; answered by ``DeviceExtents``.
package struct DeviceStatus: Hashable, Sendable, WireCodable {
    package var handle: DeviceHandle
    /// Bytes.
    package var offset: UInt64
    package var length: UInt64
    /// The most extents to answer with, 1 at least.
    package var limit: UInt32

    package init(handle: DeviceHandle, offset: UInt64, length: UInt64, limit: UInt32) {
        (self.handle, self.offset, self.length, self.limit) = (handle, offset, length, limit)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        handle = try reader.readValue()
        offset = try reader.read()
        length = try reader.read()
        limit = try reader.read()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(handle)
        writer.write(offset)
        writer.write(length)
        writer.write(limit)
    }
}

/// The reply's body to ``Operation/deviceStatus``: from the offset on, covering the length or less, one at least.
package struct DeviceExtents: Hashable, Sendable, WireCodable {
    package var extents: [DeviceExtent]

    package init(extents: [DeviceExtent]) { self.extents = extents }
    package init(from reader: inout WireReader) throws(WireError) { extents = try reader.readArray() }
    package func encode(to writer: inout WireWriter) { writer.write(extents) }
}

/// A run of bytes of one kind.
package struct DeviceExtent: Hashable, Sendable, WireCodable {
    /// Bytes, 1 at least.
    package var length: UInt64
    package var isAllocated: Bool
    package var isZero: Bool

    package init(length: UInt64, isAllocated: Bool, isZero: Bool) {
        (self.length, self.isAllocated, self.isZero) = (length, isAllocated, isZero)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        length = try reader.read()
        guard length > 0 else { throw .invalid("extent length") }
        isAllocated = try reader.readBool()
        isZero = try reader.readBool()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(length)
        writer.write(isAllocated)
        writer.write(isZero)
    }
}
