import NIOCore

/// Copies an image that can be read and written anywhere: several pieces at a time, holes stay holes.
enum ImageCopy {
    static func run(from source: some ImageSource, to target: some ImageTarget) async throws {
        var bar = ProgressBar(total: source.size)
        defer { bar.end() }
        try await withThrowingTaskGroup(of: UInt64.self) { group in
            var pieces = PieceIterator(source: source, range: 0..<source.size)
            var underWay = 0
            var done: UInt64 = 0
            while let piece = try await pieces.next() {
                try Task.checkCancellation()
                if underWay == ImageLimits.piecesUnderWay {
                    done += try await group.next()!
                    underWay -= 1
                    bar.show(done)
                }
                group.addTask { try await move(piece, from: source, to: target) }
                underWay += 1
            }
            while let length = try await group.next() {
                done += length
                bar.show(done)
            }
        }
        try await target.finish()
    }

    private static func move(
        _ piece: ImagePiece, from source: some ImageSource, to target: some ImageTarget
    ) async throws -> UInt64 {
        if piece.isZero {
            try await target.zero(at: piece.offset, length: piece.length)
        } else {
            try await write(try await source.read(at: piece.offset, length: Int(piece.length)), at: piece.offset, to: target)
        }
        return piece.length
    }

    /// Writes what is not zero, zeroes the rest.
    static func write(_ data: ByteBuffer, at offset: UInt64, to target: some ImageTarget) async throws {
        for run in data.zeroRuns(unit: ImageLimits.zeroUnit) {
            let position = offset + UInt64(run.offset)
            if run.isZero {
                try await target.zero(at: position, length: UInt64(run.length))
            } else {
                let slice = data.getSlice(at: data.readerIndex + run.offset, length: run.length)!
                try await target.write(slice, at: position)
            }
        }
    }
}

/// Neighbouring units of a buffer that are all zero, or all not.
struct ZeroRun: Equatable {
    var offset: Int
    var length: Int
    var isZero: Bool
}

extension ByteBuffer {
    func zeroRuns(unit: Int) -> [ZeroRun] {
        withUnsafeReadableBytes { raw in
            var runs: [ZeroRun] = []
            for offset in stride(from: 0, to: raw.count, by: unit) {
                let part = UnsafeRawBufferPointer(rebasing: raw[offset..<min(offset + unit, raw.count)])
                let isZero = part.isAllZero
                if let last = runs.last, last.isZero == isZero {
                    runs[runs.count - 1].length += part.count
                } else {
                    runs.append(ZeroRun(offset: offset, length: part.count, isZero: isZero))
                }
            }
            return runs
        }
    }
}

extension UnsafeRawBufferPointer {
    /// Eight bytes at a time; stops at the first that is not zero.
    fileprivate var isAllZero: Bool {
        let words = count / 8
        for word in 0..<words where loadUnaligned(fromByteOffset: word * 8, as: UInt64.self) != 0 { return false }
        for byte in words * 8..<count where self[byte] != 0 { return false }
        return true
    }
}
