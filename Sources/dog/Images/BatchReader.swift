import NIOCore

/// Reads a pipe in batches of 64 pieces (64 MiB), so that a growing volume is resized rarely.
struct BatchReader {
    private static let piecesPerBatch = 64
    var input: PieceReader

    struct Batch {
        var pieces: [ByteBuffer] = []
        var length: UInt64 { pieces.reduce(0) { $0 + UInt64($1.readableBytes) } }

        /// Zeros are left out as the target allows.
        func write(to target: some ImageTarget, at offset: UInt64) async throws {
            try await withThrowingTaskGroup(of: Void.self) { group in
                var position = offset
                for (number, piece) in pieces.enumerated() {
                    try Task.checkCancellation()
                    if number >= ImageLimits.piecesUnderWay { try await group.next() }
                    let place = position
                    group.addTask { try await ImageCopy.write(piece, at: place, to: target) }
                    position += UInt64(piece.readableBytes)
                }
                try await group.waitForAll()
            }
        }
    }

    /// Empty at the end of the input.
    mutating func next() async throws -> Batch {
        var batch = Batch()
        while batch.pieces.count < Self.piecesPerBatch, let piece = try await input.next() { batch.pieces.append(piece) }
        return batch
    }
}
