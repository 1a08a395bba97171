import Client
import NIOCore
import SheepProtocol

/// A volume of the cluster as source and target. A fresh volume reads as zeros, so zeros need no request.
struct VolumeImage: ImageSource, ImageTarget {
    private let volume: RemoteVolume
    private let isFresh: Bool

    init(_ volume: RemoteVolume, isFresh: Bool = false) { (self.volume, self.isFresh) = (volume, isFresh) }

    var size: UInt64 { volume.information.size }
    private static let extentLimit = 4096

    func extents(at offset: UInt64, length: UInt64) async throws -> [ImageExtent] {
        try await telling("read") { () async throws(ClientError) in
            try await volume.status(at: offset, length: length, limit: Self.extentLimit)
                .map { ImageExtent(length: $0.length, isZero: $0.isZero) }
        }
    }

    func read(at offset: UInt64, length: Int) async throws -> ByteBuffer {
        try await telling("read") { () async throws(ClientError) in try await volume.read(at: offset, length: length) }
    }

    func write(_ data: ByteBuffer, at offset: UInt64) async throws {
        try await telling("write") { () async throws(ClientError) in try await volume.write(data, at: offset) }
    }

    func zero(at offset: UInt64, length: UInt64) async throws {
        guard !isFresh else { return }
        try await telling("write") { () async throws(ClientError) in
            try await volume.zero(at: offset, length: length, mayDeallocate: true)
        }
    }

    func finish() async throws {
        try await telling("write") { () async throws(ClientError) in try await volume.flush() }
    }

    private func telling<Result>(
        _ verb: String, _ body: () async throws(ClientError) -> Result
    ) async throws(CommandFailure) -> Result {
        do {
            return try await body()
        } catch {
            throw error.failure("Failed to \(verb) VDI \(volume.information.name)")
        }
    }
}
