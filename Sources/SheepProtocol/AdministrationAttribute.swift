package import ObjectModel

/// Sheepdog's bounds of an attribute, in bytes (its vdi_attr has key[256] with a final zero and value[65536]).
package enum AttributeLimit {
    package static let key = 255
    package static let value = 65_536
}

/// Sets or deletes an attribute.
package struct AttributeSet: Hashable, Sendable, WireCodable {
    package var volume: VolumeReference
    package var key: String
    /// Nil deletes; `noSuchAttribute` when there is none.
    package var value: [UInt8]?
    /// Refused with `attributeExists` when the key is there.
    package var exclusive: Bool

    package init(volume: VolumeReference, key: String, value: [UInt8]?, exclusive: Bool) {
        (self.volume, self.key, self.value, self.exclusive) = (volume, key, value, exclusive)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        volume = try reader.readValue()
        key = try reader.readString(maximum: AttributeLimit.key)
        value = try reader.readBool() ? try reader.readBytes(maximum: AttributeLimit.value) : nil
        exclusive = try reader.readBool()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(volume)
        writer.write(key)
        writer.write(value != nil)
        if let value { writer.write(bytes: value) }
        writer.write(exclusive)
    }
}

/// Answered by ``AdministrationReply/attribute(_:)`` or `noSuchAttribute`.
package struct AttributeGet: Hashable, Sendable, WireCodable {
    package var volume: VolumeReference
    package var key: String

    package init(volume: VolumeReference, key: String) { (self.volume, self.key) = (volume, key) }

    package init(from reader: inout WireReader) throws(WireError) {
        volume = try reader.readValue()
        key = try reader.readString(maximum: AttributeLimit.key)
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(volume)
        writer.write(key)
    }
}

/// A key that a volume has, and the length of its value in bytes.
package struct AttributeKey: Hashable, Sendable, WireCodable {
    package var key: String
    package var valueLength: UInt32

    package init(key: String, valueLength: UInt32) { (self.key, self.valueLength) = (key, valueLength) }

    package init(from reader: inout WireReader) throws(WireError) {
        key = try reader.readString(maximum: AttributeLimit.key)
        valueLength = try reader.read()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(key)
        writer.write(valueLength)
    }
}
