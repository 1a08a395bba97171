import NIOCore
import ObjectModel
import SheepProtocol

/// A change that spans objects: its pieces go out one object at a time, some at once, and it completes with the last.
final class ChangeSeries<Env: NodeEnvironment> {
    /// Pieces under way at once; bounds the memory and the window that one request may take.
    private static var width: Int { 16 }

    private let session: VolumeSession<Env>
    private let kind: ChangeKind
    private let durable: Bool
    private let origin: ChangeOrigin?
    private let completion: (SheepError?) -> Void
    private var data: ByteBuffer
    private var position: UInt64
    private let end: UInt64
    private var underWay = 0
    private var failure: SheepError?
    private var isAdvancing = false

    init(
        session: VolumeSession<Env>, kind: ChangeKind, offset: UInt64, length: UInt64, data: ByteBuffer, durable: Bool,
        origin: ChangeOrigin?, completion: @escaping (SheepError?) -> Void
    ) {
        (self.session, self.kind, self.durable, self.origin) = (session, kind, durable, origin)
        (self.data, position, end, self.completion) = (data, offset, offset + length, completion)
    }

    /// Starts as many pieces as may be under way; called again by each that ends.
    func advance() {
        // A piece may end before its call returns: the loop below goes on, no recursion.
        guard !isAdvancing else { return }
        isAdvancing = true
        while failure == nil, position < end, underWay < Self.width { startPiece() }
        isAdvancing = false
        if underWay == 0, failure != nil || position == end { completion(failure) }
    }

    private func startPiece() {
        let size = UInt64(session.objectSize)
        let within = position % size
        let length = min(size - within, end - position)
        let piece = kind == .write ? data.readSlice(length: Int(length))! : ByteBuffer()
        let index = UInt32(position / size)
        position += length
        underWay += 1
        session.changePiece(
            kind, index: index, offset: Int(within), length: Int(length), data: piece, durable: durable, origin: origin
        ) { [self] error in
            underWay -= 1
            if failure == nil { failure = error }
            advance()
        }
    }
}
