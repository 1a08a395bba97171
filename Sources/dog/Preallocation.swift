import Client
import SheepProtocol

/// Takes all the space of a volume: every object becomes the volume's own, or every one that is not a hole.
enum Preallocation {
    static func run(name: String, sheep: SheepClient, keepingHoles: Bool = false) async throws {
        try await sheep.withVolume(VolumeReference(name: name), readOnly: false) { volume in
            do throws(ClientError) {
                try await fill(volume, keepingHoles: keepingHoles)
                try await volume.flush()
            } catch {
                throw error.failure("Failed to preallocate VDI \(name)")
            }
        }
    }

    /// Object by object: what reads as zeros is zeroed in place, other content is copied onto itself.
    private static func fill(_ volume: RemoteVolume, keepingHoles: Bool) async throws(ClientError) {
        let size = volume.information.size
        let step = UInt64(1) << UInt64(volume.information.objectShift)
        var bar = ProgressBar(total: size)
        defer { bar.end() }
        var offset: UInt64 = 0
        while offset < size {
            let length = min(step, size - offset)
            let extents = try await volume.status(at: offset, length: length, limit: 1)
            if extents[0].isZero && extents[0].length >= length {
                if !keepingHoles { try await volume.zero(at: offset, length: length, mayDeallocate: false) }
            } else {
                try await rewrite(volume, at: offset, length: length)
            }
            offset += length
            bar.show(offset)
        }
    }

    private static func rewrite(_ volume: RemoteVolume, at start: UInt64, length: UInt64) async throws(ClientError) {
        var offset = start
        while offset < start + length {
            let piece = min(UInt64(volume.information.maximumRequest), start + length - offset)
            try await volume.write(try await volume.read(at: offset, length: Int(piece)), at: offset)
            offset += piece
        }
    }
}
