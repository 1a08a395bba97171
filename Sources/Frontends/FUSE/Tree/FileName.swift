/// Volumes may have names that no file can have: with a slash in it, "." and "..". In file names "%", "/" and a leading "." of
/// these two are written as in a URL: "%25", "%2F", "%2E".
package enum FileName {
    /// FUSE's limit, in bytes.
    package static let longest = 1024

    package static func encode(_ volume: String) -> String {
        if volume == "." || volume == ".." { return "%2E" + volume.dropFirst() }
        guard volume.utf8.contains(where: { $0 == UInt8(ascii: "%") || $0 == UInt8(ascii: "/") }) else { return volume }
        var result = ""
        for character in volume.unicodeScalars {
            switch character {
            case "%": result += "%25"
            case "/": result += "%2F"
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }

    /// Nil for what ``encode(_:)`` never gives.
    package static func decode(_ file: String) -> String? {
        guard file.utf8.contains(UInt8(ascii: "%")) else { return file }
        var result = ""
        var rest = Substring(file)
        while let character = rest.unicodeScalars.first {
            guard character == "%" else {
                result.unicodeScalars.append(character)
                rest = rest[rest.unicodeScalars.index(after: rest.startIndex)...]
                continue
            }
            switch rest.prefix(3) {
            case "%25": result += "%"
            case "%2F": result += "/"
            case "%2E": result += "."
            default: return nil
            }
            rest = rest.dropFirst(3)
        }
        return encode(result) == file ? result : nil
    }
}
