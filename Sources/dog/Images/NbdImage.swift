import NIOCore

/// An NBD export as source and target, several requests at a time.
final class NbdImage: ImageSource, ImageTarget {
    let size: UInt64
    private let uri: String
    private let connection: NbdConnection

    private init(uri: String, connection: NbdConnection) {
        (self.uri, self.connection, size) = (uri, connection, connection.size)
    }

    deinit { connection.close() }

    static func connect(_ uri: String, writable: Bool) async throws -> NbdImage {
        do {
            let connection = try await blocking { try NbdConnection(uri: uri) }
            connection.start()
            let image = NbdImage(uri: uri, connection: connection)
            guard !writable || !connection.isReadOnly else { throw CommandFailure("\(uri) is read-only") }
            return image
        } catch let error as NbdError {
            throw CommandFailure("Failed to open \(uri): \(error.text)")
        }
    }

    func extents(at offset: UInt64, length: UInt64) async throws -> [ImageExtent] {
        guard connection.tellsExtents else { return [ImageExtent(length: length, isZero: false)] }
        let result = try await submit(.extents(offset: offset, length: length), "read")
        return result.extents.isEmpty ? [ImageExtent(length: length, isZero: false)] : result.extents
    }

    func read(at offset: UInt64, length: Int) async throws -> ByteBuffer {
        try await submit(.read(offset: offset, length: length), "read").data
    }

    func write(_ data: ByteBuffer, at offset: UInt64) async throws {
        _ = try await submit(.write(offset: offset, data), "write")
    }

    func zero(at offset: UInt64, length: UInt64) async throws {
        var done: UInt64 = 0
        while done < length {
            let step = min(length - done, UInt64(connection.canZero ? 1 << 30 : ImageLimits.piece))
            if connection.canZero {
                _ = try await submit(.zero(offset: offset + done, length: step), "write")
            } else {
                try await write(ByteBuffer(repeating: 0, count: Int(step)), at: offset + done)
            }
            done += step
        }
    }

    func finish() async throws {
        guard connection.canFlush else { return }
        _ = try await submit(.flush, "write")
    }

    private func submit(_ command: NbdConnection.Command, _ verb: String) async throws(CommandFailure) -> NbdConnection.Answer {
        do {
            return try await connection.submit(command)
        } catch {
            throw CommandFailure("Failed to \(verb) \(uri): \(error.text)")
        }
    }
}
