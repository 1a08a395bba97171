import NIOCore
import ObjectModel
import SheepProtocol

/// A connection that asks for changes and may end while they wait: what has not begun then never will. Who comes back through
/// another gateway must not find its writes undone by what it had asked for here.
final class VolumeClient {
    var isGone = false
}

/// Whom a change is from.
struct ChangeSender {
    /// Given when another gateway forwarded it, or when this one did before.
    var origin: ChangeOrigin?
    /// Nil: nobody whose connection ends.
    var client: VolumeClient?

    var isGone: Bool { client?.isGone ?? false }

    /// Nobody hears it.
    static var gone: SheepError { SheepError(.stale, "its client is gone") }
}

/// What a front-end, `dog` or another gateway wants of a volume, in bytes of the volume.
final class VolumeRequest {
    enum Work {
        case read(length: Int, buffer: ByteBuffer, completion: (Result<ByteBuffer, SheepError>) -> Void)
        case change(ChangeKind, length: UInt64, data: ByteBuffer, durable: Bool, completion: (SheepError?) -> Void)
        case flush((SheepError?) -> Void)
        case status(length: UInt64, completion: (Result<[StoredExtent], SheepError>) -> Void)
    }

    let offset: UInt64
    let work: Work
    /// When it came, in ns of CLOCK_BOOTTIME.
    let receivedAt: UInt64
    /// Given when another gateway forwarded it, or when this one forwards it.
    var origin: ChangeOrigin?
    let client: VolumeClient?
    /// Another gateway passes it on for another time, and acted upon the control log up to this entry.
    var repeatedKnowing: LogIndex?
    /// This gateway passed it on once at least.
    var wasForwarded = false
    /// Since it came, or was passed on last, all members in sync have said that they did not do it.
    var isKnownUndone = false
    /// Passed on, and the only copies that may have had it lost their power since, or their processes in the middle of it: nobody may know
    /// whether it was done, and if it was, what others wrote after it may be durable. It is not sent once more.
    var isInDoubt = false

    init(offset: UInt64, work: Work, receivedAt: UInt64, origin: ChangeOrigin? = nil, client: VolumeClient? = nil) {
        (self.offset, self.work, self.receivedAt, self.origin, self.client) = (offset, work, receivedAt, origin, client)
    }

    var sender: ChangeSender { ChangeSender(origin: origin, client: client) }

    func fail(_ error: SheepError) {
        switch work {
        case .read(_, _, let completion): completion(.failure(error))
        case .change(_, _, _, _, let completion): completion(error)
        case .flush(let completion): completion(error)
        case .status(_, let completion): completion(.failure(error))
        }
    }
}

/// A run of a volume's bytes that is stored or a hole.
struct StoredExtent: Hashable, WireCodable {
    var length: UInt64
    var isStored: Bool

    init(length: UInt64, isStored: Bool) { (self.length, self.isStored) = (length, isStored) }

    init(from reader: inout WireReader) throws(WireError) {
        length = try reader.read()
        isStored = try reader.readBool()
    }

    func encode(to writer: inout WireWriter) {
        writer.write(length)
        writer.write(isStored)
    }
}

extension Array where Element == StoredExtent {
    /// Appends, joined with the last extent when both are alike.
    mutating func extend(_ length: UInt64, isStored: Bool) {
        guard length > 0 else { return }
        if let last, last.isStored == isStored { self[count - 1].length += length } else {
            append(StoredExtent(length: length, isStored: isStored))
        }
    }
}
