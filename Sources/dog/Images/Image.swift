import NIOCore
import NIOPosix

/// A run of an image's bytes.
struct ImageExtent: Sendable {
    var length: UInt64
    /// It reads as zeros for certain; other runs may do so too.
    var isZero: Bool
}

/// Where an image is read from: a file, an NBD export, a volume. Any number of reads may overlap.
protocol ImageSource: Sendable {
    /// Bytes.
    var size: UInt64 { get }
    /// Extents from `offset` on, one at least, covering `length` or less.
    func extents(at offset: UInt64, length: UInt64) async throws -> [ImageExtent]
    /// Exactly `length` bytes.
    func read(at offset: UInt64, length: Int) async throws -> ByteBuffer
}

/// Where an image is written to. Any number of writes may overlap.
protocol ImageTarget: Sendable {
    func write(_ data: ByteBuffer, at offset: UInt64) async throws
    /// Makes the range read as zeros; nothing to do where it does so already.
    func zero(at offset: UInt64, length: UInt64) async throws
    /// Makes everything written durable.
    func finish() async throws
}

/// How images are cut: one request's size, and how many are under way.
enum ImageLimits {
    static let piece = 1 << 20
    static let piecesUnderWay = 16
    /// Zeros are looked for in units of this size.
    static let zeroUnit = 1 << 16
    /// The longest run that one question about extents covers.
    static let extentQuery: UInt64 = 1 << 30
}

/// Runs a blocking call on a thread of its own kind.
func blocking<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await NIOThreadPool.singleton.runIfActive(body)
}

/// A part of an image that one request moves.
struct ImagePiece: Sendable {
    var offset: UInt64
    var length: UInt64
    var isZero: Bool

    var end: UInt64 { offset + length }
}

/// Cuts a range of a source into pieces: data into ``ImageLimits/piece`` at most, zeros as they come.
struct PieceIterator<Source: ImageSource> {
    private let source: Source
    private var offset: UInt64
    private let end: UInt64
    private var extents: [ImageExtent] = []

    init(source: Source, range: Range<UInt64>) {
        (self.source, offset, end) = (source, range.lowerBound, range.upperBound)
    }

    mutating func next() async throws -> ImagePiece? {
        guard offset < end else { return nil }
        if extents.isEmpty {
            let length = min(ImageLimits.extentQuery, end - offset)
            extents = try await source.extents(at: offset, length: length).reversed()
        }
        guard var extent = extents.popLast(), extent.length > 0 else {
            throw CommandFailure("The source tells nothing about its content at \(offset)")
        }
        let limit = min(extent.isZero ? ImageLimits.extentQuery : UInt64(ImageLimits.piece), end - offset)
        let length = min(extent.length, limit)
        extent.length -= length
        if extent.length > 0 { extents.append(extent) }
        defer { offset += length }
        return ImagePiece(offset: offset, length: length, isZero: extent.isZero)
    }
}
