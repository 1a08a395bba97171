import NIOCore
import ObjectModel

/// A read over several objects: its pieces one after the other, into one buffer that is made large enough once.
///
/// A completion's caller holds the buffer until the call returns; who appended to it from within would copy all of it. So the
/// next piece is asked for only after that.
final class ReadSeries<Env: NodeEnvironment> {
    private let session: VolumeSession<Env>
    private var offset: UInt64
    private var remaining: Int
    private var buffer: ByteBuffer
    private let since: UInt64
    private let completion: (Result<ByteBuffer, SheepError>) -> Void
    private var isAsking = false
    private var isAnswered = false

    init(
        session: VolumeSession<Env>, offset: UInt64, length: Int, buffer: consuming ByteBuffer, since: UInt64,
        completion: @escaping (Result<ByteBuffer, SheepError>) -> Void
    ) {
        (self.session, self.offset, remaining, self.since, self.completion) = (session, offset, length, since, completion)
        buffer.reserveCapacity(minimumWritableBytes: length)
        self.buffer = buffer
    }

    func advance() {
        while remaining > 0 {
            let within = Int(offset % UInt64(session.objectSize))
            let piece = min(remaining, session.objectSize - within)
            let target = buffer
            buffer = ByteBuffer()
            (isAsking, isAnswered) = (true, false)
            session.readObject(
                index: UInt32(offset / UInt64(session.objectSize)), offset: within, length: piece, buffer: target, since: since
            ) { self.took($0, of: piece) }
            isAsking = false
            guard isAnswered else { return }
        }
        completion(.success(buffer))
    }

    private func took(_ result: Result<ByteBuffer, SheepError>, of piece: Int) {
        switch result {
        case .failure: completion(result)
        case .success(let read):
            buffer = read
            offset += UInt64(piece)
            remaining -= piece
            isAnswered = true
            if !isAsking { session.node.clock.schedule(after: 0) { self.advance() } }
        }
    }
}
