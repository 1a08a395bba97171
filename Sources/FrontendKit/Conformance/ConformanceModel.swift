import Glibc
import ObjectModel

/// What a device must hold, as a plain array, beside the device itself: every change is done to both.
struct ConformanceModel {
    private let target: any ConformanceTarget
    private(set) var bytes: [UInt8]
    /// The part of the device that the model covers begins here.
    let base: UInt64

    /// Covers `length` bytes of the device from `base` on and reads what is there.
    init(of target: any ConformanceTarget, at base: UInt64 = 0, length: Int) throws {
        (self.target, self.base) = (target, base)
        bytes = []
        bytes.reserveCapacity(length)
        while bytes.count < length {
            let count = min(length - bytes.count, target.maximumRequest)
            bytes += try target.read(at: base + UInt64(bytes.count), length: count)
        }
    }

    mutating func write(_ data: [UInt8], at offset: Int, durable: Bool = false) throws {
        try target.write(data, at: base + UInt64(offset), durable: durable)
        copy(data, to: offset)
    }

    mutating func writeTogether(_ writes: [(offset: Int, data: [UInt8])]) throws {
        try target.writeTogether(writes.map { (base + UInt64($0.offset), $0.data) })
        for write in writes { copy(write.data, to: write.offset) }
    }

    mutating func trim(_ range: Range<Int>, durable: Bool = false) throws {
        try target.trim(at: base + UInt64(range.lowerBound), length: UInt64(range.count), durable: durable)
        clear(range)
    }

    mutating func zero(_ range: Range<Int>, mayDeallocate: Bool, onlyIfFast: Bool = false, durable: Bool = false) throws {
        do {
            try target.zero(
                at: base + UInt64(range.lowerBound), length: UInt64(range.count), mayDeallocate: mayDeallocate,
                onlyIfFast: onlyIfFast, durable: durable)
            clear(range)
        } catch {
            // Slow, said so, and nothing was done.
            guard onlyIfFast, error.code == .notSupported else { throw error }
        }
    }

    // Whole ranges at once: element by element, a debug build takes minutes.

    private mutating func copy(_ data: [UInt8], to offset: Int) {
        data.withUnsafeBytes { source in
            bytes.withUnsafeMutableBytes { UnsafeMutableRawBufferPointer(rebasing: $0[offset...]).copyMemory(from: source) }
        }
    }

    private mutating func clear(_ range: Range<Int>) {
        bytes.withUnsafeMutableBytes { _ = memset($0.baseAddress! + range.lowerBound, 0, range.count) }
    }

    private func holds(_ found: [UInt8], at position: Int) -> Bool {
        bytes.withUnsafeBytes { memcmp($0.baseAddress! + position, found, found.count) == 0 }
    }

    private func isZero(_ range: Range<Int>) -> Bool {
        bytes.withUnsafeBytes { raw in
            let start = raw.baseAddress! + range.lowerBound
            // Zero when the first byte is and each equals its successor.
            return start.load(as: UInt8.self) == 0 && memcmp(start, start + 1, range.count - 1) == 0
        }
    }

    /// Reads the range and compares.
    func check(_ range: Range<Int>, _ what: String) throws {
        var position = range.lowerBound
        while position < range.upperBound {
            let count = min(range.upperBound - position, target.maximumRequest)
            let found = try target.read(at: base + UInt64(position), length: count)
            guard found.count == count else {
                throw ConformanceFailure("\(what): read of \(count) bytes gave \(found.count)")
            }
            if !holds(found, at: position) {
                throw difference(found, at: position, what)
            }
            position += count
        }
    }

    func checkAll(_ what: String) throws { try check(0..<bytes.count, what) }

    private func difference(_ found: [UInt8], at position: Int, _ what: String) -> ConformanceFailure {
        let first = found.indices.first { found[$0] != bytes[position + $0] }!
        let wrong = found.indices.count { found[$0] != bytes[position + $0] }
        return ConformanceFailure(
            "\(what): byte \(base + UInt64(position + first)) is \(found[first]), not \(bytes[position + first]); "
                + "\(wrong) bytes differ")
    }

    /// What block status says of the range must cover it without a gap and be true: zero is zero.
    func checkStatus(_ range: Range<Int>, _ what: String) throws {
        var position = range.lowerBound
        while position < range.upperBound {
            let rest = range.upperBound - position
            let extents = try target.status(at: base + UInt64(position), length: UInt64(rest), onlyOne: false)
            guard !extents.isEmpty else { throw ConformanceFailure("\(what): no extent at \(position)") }
            for extent in extents {
                guard extent.length > 0, extent.length <= UInt64(range.upperBound - position) else {
                    throw ConformanceFailure("\(what): an extent of \(extent.length) bytes at \(position) of \(range)")
                }
                let end = position + Int(extent.length)
                if extent.isZero, !isZero(position..<end) {
                    throw ConformanceFailure("\(what): \(position)..<\(end) is called zero and is not")
                }
                position = end
            }
        }
    }
}
