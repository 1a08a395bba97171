/// Sizes in bytes as Sheepdog prints and reads them.
package enum ByteText {
    private static let units = ["MB", "GB", "TB", "PB", "EB", "ZB", "YB"]

    /// Raw: decimal bytes. Else MiB and up in steps of 1024, one decimal below 10: "0.0 MB", "16 MB", "1.5 GB".
    package static func string(_ bytes: UInt64, raw: Bool) -> String {
        guard !raw else { return String(bytes) }
        var value = Double(bytes) / Double(1 << 20)
        var unit = 0
        while value >= 1024 {
            value /= 1024
            unit += 1
        }
        let digits = value >= 10
            ? String(UInt64(value.rounded(.toNearestOrEven)))
            : oneDecimal(tenths: UInt64((value * 10).rounded(.toNearestOrEven)))
        return "\(digits) \(units[unit])"
    }

    /// Reads "1024", "16M", "1.5G": a number and an optional suffix B, K, M, G, T or P, base 1024; nil for anything
    /// else and for what no 64 bits hold. A fraction of a byte is dropped.
    package static func bytes(_ text: String) -> UInt64? {
        var digits = Substring(text)
        var unit: UInt64 = 1
        if let last = digits.last, let known = suffixes[Character(last.uppercased())] {
            unit = known
            digits.removeLast()
        }
        let parts = digits.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard digits.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 || $0 == 0x2E }), let first = parts.first,
            let whole = UInt64(first)
        else { return nil }
        let (product, overflow) = whole.multipliedReportingOverflow(by: unit)
        guard !overflow else { return nil }
        guard parts.count == 2 else { return product }
        guard !parts[1].isEmpty, let fraction = Double("0." + parts[1]) else { return nil }
        let (sum, carried) = product.addingReportingOverflow(UInt64(fraction * Double(unit)))
        return carried ? nil : sum
    }

    private static let suffixes: [Character: UInt64] = [
        "B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40, "P": 1 << 50,
    ]
}
