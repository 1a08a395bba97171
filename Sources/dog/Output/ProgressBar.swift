import Glibc
import Listings

/// A line on standard error that shows how far a long command is; nothing where that is no terminal.
struct ProgressBar {
    private let total: UInt64
    private let unit: (UInt64) -> String
    private let isShown: Bool
    private var lastPercent: UInt64?

    /// In bytes, or in what `unit` prints.
    init(total: UInt64, unit: @escaping (UInt64) -> String = { ByteText.string($0, raw: false) }) {
        (self.total, self.unit, isShown) = (total, unit, Terminal.errorIsTerminal)
    }

    mutating func show(_ done: UInt64) {
        let tenths = percentTenths(done, of: total)
        guard isShown, tenths != lastPercent else { return }
        lastPercent = tenths
        let filled = Int(tenths * 40 / 1000)
        let bar = String(repeating: "=", count: filled) + String(repeating: " ", count: 40 - filled)
        put("\r\(oneDecimal(tenths: tenths).padded(left: 5)) % [\(bar)] \(unit(min(done, total))) / \(unit(total)) ")
    }

    /// Leaves the line.
    func end() {
        if isShown && lastPercent != nil { put("\n") }
    }

    private func put(_ text: String) {
        var text = text
        text.withUTF8 { raw in try? Terminal.writeAll(UnsafeRawBufferPointer(raw), to: STDERR_FILENO) }
    }
}
