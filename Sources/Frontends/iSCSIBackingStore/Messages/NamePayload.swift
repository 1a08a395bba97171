package import NIOCore

/// What clients name a volume or snapshot with: 256 bytes of name, perhaps 256 of tag, each ended by zeros.
package struct NamePayload: Hashable, Sendable {
    package static let fieldSize = 256

    package var name: String
    package var tag: String

    package init(name: String, tag: String = "") { (self.name, self.tag) = (name, tag) }

    /// Nil unless there are 256 or 512 bytes, of UTF-8, with a name and an end in each field.
    package init?(from payload: ByteBuffer) {
        guard [Self.fieldSize, 2 * Self.fieldSize].contains(payload.readableBytes),
            let name = payload.sheepdogText(at: payload.readerIndex, length: Self.fieldSize), !name.isEmpty
        else { return nil }
        self.init(name: name)
        guard payload.readableBytes > Self.fieldSize else { return }
        guard let tag = payload.sheepdogText(at: payload.readerIndex + Self.fieldSize, length: Self.fieldSize) else { return nil }
        self.tag = tag
    }

    /// Writes 512 bytes, or 256 without the tag.
    package func encode(into buffer: inout ByteBuffer, withTag: Bool = true) {
        buffer.writeSheepdogText(name, length: Self.fieldSize)
        if withTag { buffer.writeSheepdogText(tag, length: Self.fieldSize) }
    }
}

extension ByteBuffer {
    /// UTF-8 up to the first zero, which must be there.
    func sheepdogText(at index: Int, length: Int) -> String? {
        guard let bytes = getSlice(at: index, length: length)?.readableBytesView, let end = bytes.firstIndex(of: 0) else { return nil }
        return String(validating: bytes[..<end], as: UTF8.self)
    }

    /// Fills up with zeros; what does not fit is cut off.
    mutating func writeSheepdogText(_ text: String, length: Int) {
        let bytes = text.utf8.prefix(length - 1)
        writeBytes(bytes)
        writeRepeatingByte(0, count: length - bytes.count)
    }
}
