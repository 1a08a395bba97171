import ObjectModel
import SheepProtocol
import Synchronization

/// Volumes in memory and canned reports; answers what a sheep would.
final class FakeCluster: Sendable {
    struct Volume {
        var record: VolumeRecord
        /// The units of 64 KiB that were ever written.
        var units: [Int: [UInt8]] = [:]
        var attributes: [String: [UInt8]] = [:]

        func read(_ offset: Int, _ length: Int) -> [UInt8] {
            var result = [UInt8](repeating: 0, count: length)
            Self.forEachPart(offset, length) { unit, within, place in
                if let bytes = units[unit] {
                    result.replaceSubrange(place..<place + within.count, with: bytes[within])
                }
            }
            return result
        }

        mutating func write(_ offset: Int, _ data: [UInt8]) {
            Self.forEachPart(offset, data.count) { unit, within, place in
                units[unit, default: [UInt8](repeating: 0, count: FakeCluster.unit)]
                    .replaceSubrange(within, with: data[place..<place + within.count])
            }
        }

        /// The unit, the range within it, and where that is in the request.
        private static func forEachPart(_ offset: Int, _ length: Int, _ body: (Int, Range<Int>, Int) -> Void) {
            var done = 0
            while done < length {
                let (unit, start) = (offset + done).quotientAndRemainder(dividingBy: FakeCluster.unit)
                let count = min(FakeCluster.unit - start, length - done)
                body(unit, start..<start + count, done)
                done += count
            }
        }
    }

    struct State {
        var volumes: [Volume] = []
        var devices: [DeviceHandle: Birth] = [:]
        var lastBirth: UInt64 = 0
        /// Every administration request, in order.
        var requests: [AdministrationRequest] = []
        /// Count of flushes.
        var flushes = 0
        /// Replies to be given instead of the usual ones.
        var canned: [AdministrationRequest: Result<AdministrationReply, SheepError>] = [:]
        /// Refuses everything but cluster information.
        var refusal: SheepError?
        /// Refuses device writes at and beyond this offset.
        var fullFrom: UInt64 = .max
    }

    static let unit = 65_536
    let state = Mutex(State())

    func answer(_ operation: Operation, body: [UInt8], payload: [UInt8]) throws -> (body: [UInt8], payload: [UInt8]) {
        try state.withLock { state in
            switch operation {
            case .administer:
                let request = try AdministrationRequest(wire: body)
                return (try state.administer(request).wire, [])
            case .deviceOpen: return (try state.open(try DeviceOpen(wire: body)).wire, [])
            case .deviceRead: return ([], try state.read(try DeviceRead(wire: body)))
            case .deviceWrite: try state.write(try DeviceWrite(wire: body), payload)
            case .deviceZero: try state.zero(try DeviceZero(wire: body))
            case .deviceStatus: return (try state.status(try DeviceStatus(wire: body)).wire, [])
            case .deviceFlush: state.flushes += 1
            case .deviceClose: state.devices[try DeviceReference(wire: body).handle] = nil
            default: throw SheepError(.notSupported, "not an operation of clients")
            }
            return ([], [])
        }
    }

    /// Somebody has a volume open.
    var isOpen: Bool { state.withLock { !$0.devices.isEmpty } }

    var flushes: Int { state.withLock { $0.flushes } }

    /// Device writes at and beyond the offset are refused from now on.
    func fill(from offset: UInt64) { state.withLock { $0.fullFrom = offset } }

    var requests: [AdministrationRequest] { state.withLock { $0.requests } }

    func content(of name: String) -> [UInt8]? {
        state.withLock { state in state.volumes.first { $0.record.name == name && !$0.record.isSnapshot }.map { $0.read(0, Int($0.record.size)) } }
    }

    func allocatedUnits(of name: String) -> Int {
        state.withLock { state in state.volumes.first { $0.record.name == name && !$0.record.isSnapshot }!.units.count }
    }

    /// Adds a volume with content.
    func add(_ name: String, _ content: [UInt8]) {
        state.withLock { state in
            _ = try! state.create(VolumeCreate(name: name, size: UInt64(content.count)))
            let place = state.volumes.count - 1
            for start in stride(from: 0, to: content.count, by: Self.unit) {
                let part = Array(content[start..<min(start + Self.unit, content.count)])
                if part.contains(where: { $0 != 0 }) { state.volumes[place].write(start, part) }
            }
        }
    }

    func can(_ request: AdministrationRequest, _ reply: AdministrationReply) {
        state.withLock { $0.canned[request] = .success(reply) }
    }

    func refuse(_ request: AdministrationRequest, _ code: SheepError.Code, _ message: String = "") {
        state.withLock { $0.canned[request] = .failure(SheepError(code, message)) }
    }

    func refuseAll(_ code: SheepError.Code, _ message: String = "") {
        state.withLock { $0.refusal = SheepError(code, message) }
    }
}
