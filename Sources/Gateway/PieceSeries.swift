import NIOCore
import ObjectModel

/// A change that is made in pieces, in ascending order and some of them under way at once. Completes with the last, or with the first
/// failure once what is under way has ended.
final class PieceSeries {
    typealias Start = (_ range: Range<UInt64>, _ data: ByteBuffer, _ done: @escaping (SheepError?) -> Void) -> Void

    /// Pieces under way at once; bounds the memory and the window that one request may take.
    private static let width = 16

    private var rest: Range<UInt64>
    private var data: ByteBuffer
    private let cut: (Range<UInt64>) -> UInt64
    private let start: Start
    private let completion: (SheepError?) -> Void
    private var underWay = 0
    private var failure: SheepError?
    private var isAdvancing = false

    /// `range` is in bytes of the volume, `data` as long or empty; `cut` tells where the first piece of a range ends.
    init(
        _ range: Range<UInt64>, data: ByteBuffer, cut: @escaping (Range<UInt64>) -> UInt64, completion: @escaping (SheepError?) -> Void,
        start: @escaping Start
    ) {
        (rest, self.data, self.cut, self.completion, self.start) = (range, data, cut, completion, start)
    }

    /// Starts as many pieces as may be under way; called again by each that ends.
    func advance() {
        // A piece may end before its call returns: the loop below goes on, no recursion.
        guard !isAdvancing else { return }
        isAdvancing = true
        while failure == nil, !rest.isEmpty, underWay < Self.width { startPiece() }
        isAdvancing = false
        if underWay == 0, failure != nil || rest.isEmpty { completion(failure) }
    }

    private func startPiece() {
        let piece = rest.lowerBound..<cut(rest)
        rest = piece.upperBound..<rest.upperBound
        underWay += 1
        start(piece, data.readSlice(length: min(piece.count, data.readableBytes))!) { [self] error in
            underWay -= 1
            failure = failure ?? error
            advance()
        }
    }
}
