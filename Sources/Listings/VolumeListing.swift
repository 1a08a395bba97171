import ObjectModel
package import SheepProtocol

extension [VolumeRecord] {
    /// By name; of one name the snapshots by id, then the working volume.
    package var inListingOrder: [VolumeRecord] { sorted { $0.place < $1.place } }

    /// `dog vdi list`.
    package func listing(raw: Bool) -> [String] {
        (raw ? [] : ["  Name        Id    Size    Used  Shared    Creation time   VDI id  Copies  Tag   Block Size Shift"])
            + map { $0.line(raw: raw) }
    }
}

extension VolumeRecord {
    fileprivate var place: (String, UInt32) { (name, isSnapshot ? snapshotID : .max) }

    /// The first character: s snapshot, c clone, else a blank, or '=' in raw output.
    fileprivate func flag(raw: Bool) -> String { isSnapshot ? "s" : isClone ? "c" : raw ? "=" : " " }

    fileprivate func line(raw: Bool) -> String {
        let sizes = [size, usage?.own ?? 0, usage?.shared ?? 0].map { ByteText.string($0, raw: raw) }
        if raw {
            return ([flag(raw: true), name.escapedName, String(snapshotID)] + sizes
                + [DateText.unixSeconds(createdAt), vid.description, String(copies), tag, String(objectShift)])
                .joined(separator: " ")
        }
        return "\(flag(raw: false)) \(name.padded(right: 8)) \(snapshotID.padded(5)) "
            + sizes.map { $0.padded(left: 7) }.joined(separator: " ")
            + " \(DateText.minutes(createdAt))  \(vid.rawValue.hexadecimal(7)) \(copies.padded(6)) "
            + "\(tag.padded(left: 13)) \(objectShift.padded(3))"
    }
}

extension String {
    /// Raw lines are split at blanks.
    var escapedName: String {
        var result = ""
        for character in unicodeScalars {
            if character == " " || character == "\\" { result += "\\" }
            result.unicodeScalars.append(character)
        }
        return result
    }
}
