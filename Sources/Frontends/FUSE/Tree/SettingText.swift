/// What is written to a setting's file: one line of text.
package enum SettingText {
    /// A name with tag and a newline, generously.
    package static let longest = 4096

    /// The line without its newline and blanks around it; nil for nothing, several lines, or what is no text.
    package static func line(_ bytes: some Collection<UInt8>) -> String? {
        guard bytes.count <= longest, let text = String(validating: bytes, as: UTF8.self) else { return nil }
        let isBlank: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x09 || $0 == 0x0A || $0 == 0x0D }
        let trimmed = text.utf8.drop(while: isBlank)
        guard let last = trimmed.lastIndex(where: { !isBlank($0) }) else { return nil }
        let line = String(Substring(trimmed[...last]))
        return line.utf8.contains { $0 == 0x0A || $0 == 0 } ? nil : line
    }

    /// "0" or "1".
    package static func flag(_ line: String) -> Bool? {
        switch line {
        case "0": false
        case "1": true
        default: nil
        }
    }
}
