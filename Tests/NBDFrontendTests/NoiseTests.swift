import FrontendKit
import NBDFrontend
import NIOCore
import ObjectModel
import Testing

/// Bytes at random, most of them in the shape of messages so that they get somewhere: no machine may trap or grow.
@Suite("NBD noise")
struct NoiseTests {
    @Test("the handshake takes anything", arguments: 1..<200 as Range<UInt64>)
    func handshake(_ seed: UInt64) {
        var random = ConformanceRandom(seed: seed)
        var machine = HandshakeStateMachine(defaultExport: "v", maximumRequest: 1 << 20)
        var bytes = ByteBuffer(integer: UInt32(3))
        for _ in 0..<50 {
            let data = (0..<Int.random(in: 0...60, using: &random)).map { _ in
                UInt8(random.next() % 5 == 0 ? random.next() % 256 : 0)
            }
            OptionHeader(option: UInt32(random.next() % 12), length: UInt32(data.count)).encode(into: &bytes)
            bytes.writeBytes(data)
        }
        let export = BlockDeviceInformation(name: "v", description: "", size: 1 << 20, isReadOnly: false)
        var action = machine.next(&bytes)
        while !machine.isFinished, action != .wait {
            action = switch action {
            case .list: machine.listed(.success([export]))
            case .open: machine.opened(seed % 2 == 0 ? .success(export) : .failure(SheepError(.noSuchVolume, "")))
            case .wait, .send, .beginTransmission, .finish, .close: machine.next(&bytes)
            }
        }
        #expect(machine.isFinished || bytes.readableBytes < OptionHeader.size, "seed \(seed)")
    }

    @Test("the transmission takes anything, in any pieces", arguments: 1..<200 as Range<UInt64>)
    func transmission(_ seed: UInt64) {
        var random = ConformanceRandom(seed: seed)
        var machine = TransmissionStateMachine(
            export: ExportLimits(size: 100_000, isReadOnly: seed % 3 == 0, maximumRequest: 65536),
            session: NegotiatedSession(structuredReplies: seed % 2 == 0, allocationContext: seed % 4 == 0),
            limits: .init(requests: 8, bytes: 100_000))
        var stream = ByteBuffer()
        for cookie in 0..<100 as Range<UInt64> {
            var header = RequestHeader(
                command: .write, cookie: cookie, offset: random.next() % 120_000, length: UInt32(random.next() % 300))
            header.command = UInt16(random.next() % 10)
            header.flags = random.next() % 3 == 0 ? CommandFlags(rawValue: UInt16(random.next() % 64)) : []
            header.encode(into: &stream)
            if header.command == Command.write.rawValue { stream.writeRepeatingByte(1, count: Int(header.length)) }
        }
        var underWay: [Int] = []
        while stream.readableBytes > 0, !machine.isFinished {
            var piece = stream.readSlice(length: min(stream.readableBytes, Int.random(in: 1...200, using: &random)))!
            var goesOn = true
            while goesOn {
                switch machine.next(&piece, currentSize: { 100_000 }) {
                case .execute(let header, let command, let payload):
                    #expect((payload?.readableBytes ?? 0) == (command == .write ? Int(header.length) : 0), "seed \(seed)")
                    underWay.append(header.payloadUnderWay)
                case .atLimit:
                    machine.completed(bytes: underWay.removeFirst())
                case .refuse:
                    break
                case .wait, .finish, .disconnect:
                    goesOn = false
                }
            }
            #expect(underWay.count == machine.requestsUnderWay - (machine.missingPayload > 0 ? 1 : 0), "seed \(seed)")
        }
    }
}
