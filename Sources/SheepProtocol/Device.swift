package import ObjectModel

/// Names an open device on its connection.
package struct DeviceHandle: Identifier {
    package let rawValue: UInt64
    @inlinable package init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// A client process, chosen at random at its start; stays the same when it connects to another sheep.
package struct ClientID: UniqueIdentifier {
    package let high, low: UInt64
    @inlinable package init(high: UInt64, low: UInt64) { (self.high, self.low) = (high, low) }
}

/// Names one write of a client, so that a repeat after a reconnect is not done a second time over later writes.
package struct WriteIdentity: Hashable, Sendable, WireCodable {
    package var client: ClientID
    /// Counts up from 1 within the client.
    package var number: UInt64

    package init(client: ClientID, number: UInt64) { (self.client, self.number) = (client, number) }

    package init(from reader: inout WireReader) throws(WireError) {
        client = try reader.readValue()
        number = try reader.read()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(client)
        writer.write(number)
    }
}

/// Body of ``Operation/deviceOpen``; answered by ``DeviceOpened``.
package struct DeviceOpen: Hashable, Sendable, WireCodable {
    /// `NAME`, `NAME@TAG` or `NAME@ID`.
    package var name: String
    package var readOnly: Bool
    /// Who had the volume open before, through another sheep, goes on with that one, whatever has its name by now.
    package var continuing: DeviceOrigin?

    package init(name: String, readOnly: Bool, continuing: DeviceOrigin? = nil) {
        (self.name, self.readOnly, self.continuing) = (name, readOnly, continuing)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        name = try reader.readString(maximum: 2 * NameLimit.bytes + 1)
        readOnly = try reader.readBool()
        continuing = try reader.readOptional()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(name)
        writer.write(readOnly)
        writer.write(optional: continuing)
    }
}

/// The volume that a device was opened on; snapshots and rollbacks give it another birth, but never another family.
package struct DeviceOrigin: Hashable, Sendable, WireCodable {
    package var birth: Birth
    package var family: Family
    /// It was opened as a snapshot, which stays what it is.
    package var isSnapshot: Bool

    package init(birth: Birth, family: Family, isSnapshot: Bool) {
        (self.birth, self.family, self.isSnapshot) = (birth, family, isSnapshot)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        birth = try reader.readValue()
        family = try reader.readValue()
        isSnapshot = try reader.readBool()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(birth)
        writer.write(family)
        writer.write(isSnapshot)
    }
}

/// The reply's body to ``Operation/deviceOpen``. The handle holds until its close or the end of the connection.
package struct DeviceOpened: Hashable, Sendable, WireCodable {
    package var handle: DeviceHandle
    /// The sheep that answers: when it is lost, the cluster's word on it tells whether what it was given may still be done.
    package var gateway: NodeID
    package var name: String
    package var description: String
    /// Bytes.
    package var size: UInt64
    package var isReadOnly: Bool
    package var preferredBlockSize: UInt32
    /// The most bytes that one read or write may have.
    package var maximumRequest: UInt32
    /// The size of the volume's objects as a power of two.
    package var objectShift: UInt8
    package var origin: DeviceOrigin
    /// Where a process of the sheep's machine finds what it needs to read by itself.
    package var shortCircuit: ShortCircuitOffer?

    package init(
        handle: DeviceHandle, gateway: NodeID, name: String, description: String, size: UInt64, isReadOnly: Bool,
        preferredBlockSize: UInt32, maximumRequest: UInt32, objectShift: UInt8,
        origin: DeviceOrigin, shortCircuit: ShortCircuitOffer? = nil
    ) {
        self.shortCircuit = shortCircuit
        (self.handle, self.gateway, self.name) = (handle, gateway, name)
        (self.description, self.size) = (description, size)
        (self.isReadOnly, self.preferredBlockSize) = (isReadOnly, preferredBlockSize)
        (self.maximumRequest, self.objectShift, self.origin) = (maximumRequest, objectShift, origin)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        handle = try reader.readValue()
        gateway = try reader.readValue()
        name = try reader.readString(maximum: 2 * NameLimit.bytes + 1)
        description = try reader.readString(maximum: NameLimit.note)
        size = try reader.read()
        isReadOnly = try reader.readBool()
        preferredBlockSize = try reader.read()
        maximumRequest = try reader.read()
        objectShift = try reader.readObjectShift()
        origin = try reader.readValue()
        shortCircuit = try reader.readOptional()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(handle)
        writer.write(gateway)
        writer.write(name)
        writer.write(description)
        writer.write(size)
        writer.write(isReadOnly)
        writer.write(preferredBlockSize)
        writer.write(maximumRequest)
        writer.write(objectShift)
        writer.write(origin)
        writer.write(optional: shortCircuit)
    }
}

/// Body of ``Operation/deviceFlush`` and ``Operation/deviceClose``; answered by an empty frame.
package struct DeviceReference: Hashable, Sendable, WireCodable {
    package var handle: DeviceHandle

    package init(handle: DeviceHandle) { self.handle = handle }
    package init(from reader: inout WireReader) throws(WireError) { handle = try reader.readValue() }
    package func encode(to writer: inout WireWriter) { writer.write(handle) }
}
