/// A value with one little-endian encoding, used on the wire, in the control log and on disk alike.
package protocol WireCodable: Sendable {
    /// Reads the value; throws ``WireError`` on truncation or a value out of its stated range.
    init(from reader: inout WireReader) throws(WireError)
    func encode(to writer: inout WireWriter)
}

extension WireCodable {
    /// Decodes a whole array of bytes; what is left over is an error.
    package init(wire bytes: [UInt8]) throws(WireError) {
        var reader = WireReader(bytes)
        try self.init(from: &reader)
        guard reader.remaining == 0 else { throw .trailingBytes(reader.remaining) }
    }

    package var wire: [UInt8] {
        var writer = WireWriter()
        encode(to: &writer)
        return writer.bytes
    }
}

package enum WireError: Error, Hashable, Sendable {
    case truncated(need: Int, have: Int)
    case trailingBytes(Int)
    case tooLong(Int, maximum: Int)
    case invalid(StaticString)

    package static func == (a: WireError, b: WireError) -> Bool { a.text == b.text }
    package func hash(into hasher: inout Hasher) { hasher.combine(text) }

    package var text: String {
        switch self {
        case .truncated(let need, let have): "truncated: \(need) bytes needed, \(have) there"
        case .trailingBytes(let count): "\(count) bytes too many"
        case .tooLong(let length, let maximum): "length \(length) is over \(maximum)"
        case .invalid(let what): "invalid \(what)"
        }
    }
}

/// Writes little-endian integers and length-prefixed byte strings.
package struct WireWriter: Sendable {
    package private(set) var bytes: [UInt8] = []

    package init(reserving capacity: Int = 64) { bytes.reserveCapacity(capacity) }

    @inlinable package mutating func write<T: FixedWidthInteger>(_ value: T) {
        var little = value.littleEndian
        Swift.withUnsafeBytes(of: &little) { append($0) }
    }

    package mutating func append(_ raw: UnsafeRawBufferPointer) { bytes.append(contentsOf: raw) }
    package mutating func append(_ raw: [UInt8]) { bytes.append(contentsOf: raw) }

    package mutating func write(_ flag: Bool) { bytes.append(flag ? 1 : 0) }

    /// A 32-bit length, then the bytes.
    package mutating func write(bytes raw: [UInt8]) {
        write(UInt32(raw.count))
        bytes.append(contentsOf: raw)
    }

    /// UTF-8 with a 32-bit length.
    package mutating func write(_ text: String) { write(bytes: Array(text.utf8)) }

    package mutating func write<T: WireCodable>(_ value: T) { value.encode(to: &self) }

    /// A 32-bit count, then the elements.
    package mutating func write<T: WireCodable>(_ values: [T]) {
        write(UInt32(values.count))
        for value in values { value.encode(to: &self) }
    }

    package mutating func write<T: WireCodable>(optional value: T?) {
        write(value != nil)
        if let value { value.encode(to: &self) }
    }
}

/// Reads what ``WireWriter`` wrote; every length is checked before memory is taken.
package struct WireReader: Sendable {
    private let bytes: [UInt8]
    private var position = 0

    package init(_ bytes: [UInt8]) { self.bytes = bytes }

    package var remaining: Int { bytes.count - position }

    package mutating func read<T: FixedWidthInteger>(_: T.Type = T.self) throws(WireError) -> T {
        let size = MemoryLayout<T>.size
        guard remaining >= size else { throw .truncated(need: size, have: remaining) }
        defer { position += size }
        return T(littleEndian: bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: position, as: T.self) })
    }

    package mutating func readBool() throws(WireError) -> Bool {
        switch try read(UInt8.self) {
        case 0: false
        case 1: true
        default: throw .invalid("flag")
        }
    }

    package mutating func readBytes(count: Int) throws(WireError) -> [UInt8] {
        guard count >= 0, remaining >= count else { throw .truncated(need: count, have: remaining) }
        defer { position += count }
        return Array(bytes[position..<position + count])
    }

    package mutating func readBytes(maximum: Int = .max) throws(WireError) -> [UInt8] {
        let count = Int(try read(UInt32.self))
        guard count <= maximum else { throw .tooLong(count, maximum: maximum) }
        return try readBytes(count: count)
    }

    package mutating func readString(maximum: Int = 65_536) throws(WireError) -> String {
        let raw = try readBytes(maximum: maximum)
        guard let text = String(validating: raw, as: UTF8.self) else { throw .invalid("UTF-8 text") }
        return text
    }

    package mutating func readValue<T: WireCodable>(_: T.Type = T.self) throws(WireError) -> T { try T(from: &self) }

    package mutating func readArray<T: WireCodable>(of _: T.Type = T.self) throws(WireError) -> [T] {
        let count = Int(try read(UInt32.self))
        // An element takes a byte at least, so a lying count is refused before memory is taken.
        guard count <= remaining else { throw .truncated(need: count, have: remaining) }
        var values: [T] = []
        values.reserveCapacity(count)
        for _ in 0..<count { values.append(try T(from: &self)) }
        return values
    }

    package mutating func readOptional<T: WireCodable>(_: T.Type = T.self) throws(WireError) -> T? {
        try readBool() ? try T(from: &self) : nil
    }
}
