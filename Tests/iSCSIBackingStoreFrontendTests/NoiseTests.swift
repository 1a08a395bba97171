import ConformanceKit
import FrontendKit
import NIOCore
import ObjectModel
import Testing
import iSCSIBackingStoreFrontend

/// Frames at random, most of them nearly right so that they get somewhere: 10,000 in all. Nothing may trap, grow, or touch what
/// it does not name.
@Suite("Noise of Sheepdog's clients")
struct NoiseTests {
    private static let framesPerSeed = 250

    @Test("random frames get answers or a closed connection", arguments: 1...40 as ClosedRange<UInt64>)
    func frames(_ seed: UInt64) throws {
        let server = try TestServer()
        let honest = try server.client()
        let vid = try honest.new("noise", size: 16 << 20).vid
        let kept = SheepdogObjectID(.data, try honest.new("kept", size: 8 << 20).vid, index: 1)
        #expect(try honest.write(kept, [1, 2, 3], flags: .tgt) == .success)
        var random = ConformanceRandom(seed: seed)
        var client = try server.client()
        for number in 0..<Self.framesPerSeed {
            var frame = Self.frame(&random, vid: vid)
            if number % 25 == 24 {
                // Gone in the middle of a frame.
                client.raw.send(frame.readSlice(length: Int.random(in: 0...frame.readableBytes, using: &random))!)
                client = try server.client()
                continue
            }
            let isWhole = frame.getInteger(at: 2, endianness: .little, as: UInt16.self)! & 1 == 0
                || Int(frame.getInteger(at: 12, endianness: .little, as: UInt32.self)!) == frame.readableBytes - 48
            client.raw.send(frame)
            guard isWhole, (try? client.receive()) != nil else {
                client = try server.client()
                continue
            }
        }
        client.raw.disconnect()
        #expect(Array(try honest.read(kept, length: 3, flags: .tgt).data.readableBytesView) == [1, 2, 3], "seed \(seed)")
        #expect(waitUntil { server.statistics.connections == 1 }, "seed \(seed)")
    }

    /// Half of it right: a known opcode, an object of the volume, a payload as long as it says.
    private static func frame(_ random: inout ConformanceRandom, vid: VID) -> ByteBuffer {
        func one(of choices: [UInt64]) -> UInt64 { choices[Int(random.next() % UInt64(choices.count))] }
        let isWild = random.next() % 2 == 0
        let known = Opcode.allCases[Int(random.next() % UInt64(Opcode.allCases.count))].rawValue
        let opcode = isWild && random.next() % 3 == 0 ? UInt8(truncatingIfNeeded: random.next()) : known
        let version = isWild && random.next() % 4 == 0 ? UInt8(truncatingIfNeeded: random.next()) : opcode < 0x80 ? 1 : 10
        // Never our own frames, which another handler takes.
        let flags = UInt16(truncatingIfNeeded: one(of: [0, 1, 1, 1, 3, 5, 0x20, 0x21, 0x25, random.next() % 0x800]))
        let payload = Int(one(of: [0, 1, 4, 8, 256, 256, 512, 512, 600, 4664, random.next() % 9000]))
        let isTrue = random.next() % 8 != 0
        let length = isTrue ? UInt64(payload) : one(of: [0, 1 << 21, 1 << 22, 4_198_968, 12_587_576, 0x7FFF_FFFF, 0xFFFF_FFFF])
        let object = one(of: [0, 1 << 63, 1 << 62, 1 << 61]) | UInt64(vid.rawValue) << 32 | one(of: [0, 1, 3, 4, 0xFFFF_FFFF])
        var buffer = ByteBuffer()
        buffer.writeMultipleIntegers(
            version, opcode, flags, UInt32(0), UInt32(truncatingIfNeeded: random.next()), UInt32(length), endianness: .little)
        let oid = isWild ? one(of: [object, random.next()]) : object
        let source = one(of: [0, object, random.next(), UInt64(vid.rawValue)])
        let offset = one(of: [0, 512, 4664, 4668, 4_194_300, 4_198_964, 1 << 32, .max, random.next() % 5_000_000])
        buffer.writeMultipleIntegers(oid, source, one(of: [0, 0, 1, random.next()]), offset, endianness: .little)
        guard flags & 1 != 0 else { return buffer }
        var bytes = [UInt8](repeating: 0, count: payload)
        for position in 0..<min(payload, Int(one(of: [0, 4, 10, 300]))) { bytes[position] = UInt8(truncatingIfNeeded: one(of: [0x61, 0, random.next()])) }
        buffer.writeBytes(bytes)
        return buffer
    }

    @Test("the state machine takes anything, in any pieces", arguments: 1..<100 as Range<UInt64>)
    func pieces(_ seed: UInt64) {
        var random = ConformanceRandom(seed: seed)
        var machine = RequestStateMachine(limits: .init(requests: 8, bytes: 100_000))
        var stream = ByteBuffer()
        for _ in 0..<100 { stream.writeImmutableBuffer(Self.frame(&random, vid: VID(rawValue: 5))) }
        var underWay: [Int] = []
        while stream.readableBytes > 0, !machine.isFinished {
            var piece = stream.readSlice(length: min(stream.readableBytes, Int.random(in: 1...300, using: &random)))!
            var goesOn = true
            while goesOn {
                let action = machine.next(&piece) { request in
                    if random.next() % 10 == 0 { return .notYet }
                    return RequestValidator.verdict(on: request, readiness: .serving) { _ in 100_000 }
                }
                switch action {
                case .execute(let request, _, let payload):
                    #expect(payload.readableBytes == (request.flags.contains(.write) ? Int(request.dataLength) : 0), "seed \(seed)")
                    underWay.append(request.dataUnderWay)
                case .atLimit: machine.completed(bytes: underWay.removeFirst())
                case .refuse, .notYet: break
                case .wait, .disconnect: goesOn = false
                }
            }
            #expect(underWay.count == machine.requestsUnderWay - (machine.missingPayload > 0 ? 1 : 0), "seed \(seed)")
        }
    }
}
