import ObjectModel

/// Sheepdog's bounds of names and tags: 255 bytes and a final zero.
package enum NameLimit {
    package static let bytes = 255
    /// Texts for people: what is waited for, findings of a check.
    package static let note = 4096
}

extension WireReader {
    mutating func readVolumeName() throws(WireError) -> String { try readString(maximum: NameLimit.bytes) }

    /// A host, or host:port with an IPv6 address in brackets.
    mutating func readHost() throws(WireError) -> String { try readString(maximum: 272) }

    mutating func readCopies(orDefault: Bool = false) throws(WireError) -> UInt8 {
        let copies: UInt8 = try read()
        guard Redundancy.allowedCopies.contains(copies) || orDefault && copies == 0 else { throw .invalid("copies") }
        return copies
    }

    mutating func readObjectShift(orDefault: Bool = false) throws(WireError) -> UInt8 {
        let shift: UInt8 = try read()
        guard ObjectShift.allowed.contains(shift) || orDefault && shift == 0 else { throw .invalid("object shift") }
        return shift
    }

    mutating func readStrings() throws(WireError) -> [String] {
        let count = Int(try read(UInt32.self))
        // A text takes its length's four bytes at least, so a lying count is refused before memory is taken.
        guard count <= remaining / 4 else { throw .truncated(need: count * 4, have: remaining) }
        var texts: [String] = []
        texts.reserveCapacity(count)
        for _ in 0..<count { texts.append(try readString(maximum: NameLimit.note)) }
        return texts
    }
}

extension WireWriter {
    mutating func write(strings: [String]) {
        write(UInt32(strings.count))
        for text in strings { write(text) }
    }
}
