import Glibc

extension String {
    /// Blanks on the left up to a width, as `%5s` and `%5d` do.
    package func padded(left width: Int) -> String {
        String(repeating: " ", count: Swift.max(0, width - utf8.count)) + self
    }

    /// Blanks on the right up to a width, as `%-8s` does.
    package func padded(right width: Int) -> String {
        self + String(repeating: " ", count: Swift.max(0, width - utf8.count))
    }
}

extension FixedWidthInteger {
    /// `%5d`.
    package func padded(_ width: Int) -> String { String(self).padded(left: width) }

    /// `%7x`, or `%016x` with `zeros`.
    package func hexadecimal(_ width: Int = 0, zeros: Bool = false) -> String {
        let digits = String(self, radix: 16)
        return zeros ? String(repeating: "0", count: Swift.max(0, width - digits.count)) + digits : digits.padded(left: width)
    }
}

/// A number with one digit after the point, rounded half up: `%.1lf`. Tenths, so that no floating point is printed.
package func oneDecimal(tenths: UInt64) -> String { "\(tenths / 10).\(tenths % 10)" }

/// Tenths of a per cent of `total`.
package func percentTenths(_ part: UInt64, of total: UInt64, ofNothing: UInt64 = 1000) -> UInt64 {
    total == 0 ? ofNothing : UInt64(Double(min(part, total)) / Double(total) * 1000)
}

/// Times of the cluster, nanoseconds since 1970, in the local zone.
package enum DateText {
    package static func unixSeconds(_ nanoseconds: UInt64) -> String { String(nanoseconds / 1_000_000_000) }
    /// 2026-11-21 13:09
    package static func minutes(_ nanoseconds: UInt64) -> String { format(nanoseconds, "%Y-%m-%d %H:%M") }
    /// 2026-11-21 13:09:46
    package static func seconds(_ nanoseconds: UInt64) -> String { format(nanoseconds, "%Y-%m-%d %H:%M:%S") }
    /// As ctime(3): Sat Nov 21 13:09:46 2026
    package static func asCtime(_ nanoseconds: UInt64) -> String { format(nanoseconds, "%a %b %e %H:%M:%S %Y") }

    private static func format(_ nanoseconds: UInt64, _ pattern: String) -> String {
        var time = time_t(nanoseconds / 1_000_000_000)
        var parts = tm()
        guard localtime_r(&time, &parts) != nil else { return "?" }
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
            let length = strftime(buffer.baseAddress!, buffer.count, pattern, &parts)
            return String(decoding: buffer[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }
}
