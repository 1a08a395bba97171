import NBDFrontend
import NIOCore
import Testing

@Suite("NBD transmission")
struct TransmissionStateMachineTests {
    private func machine(requests: Int = 4, bytes: Int = 1 << 20) -> TransmissionStateMachine {
        TransmissionStateMachine(
            export: ExportLimits(size: 1 << 20, isReadOnly: false, maximumRequest: 1 << 18), session: NegotiatedSession(),
            limits: .init(requests: requests, bytes: bytes))
    }

    private func request(_ command: Command, cookie: UInt64 = 1, length: UInt32 = 0, payload: [UInt8] = []) -> ByteBuffer {
        var bytes = ByteBuffer()
        RequestHeader(command: command, cookie: cookie, offset: 0, length: length).encode(into: &bytes)
        bytes.writeBytes(payload)
        return bytes
    }

    private func next(_ machine: inout TransmissionStateMachine, _ bytes: inout ByteBuffer) -> TransmissionStateMachine.Action {
        machine.next(&bytes, currentSize: { 1 << 20 })
    }

    @Test("a burst cut anywhere gives the same requests")
    func cuts() {
        var burst = request(.write, cookie: 1, length: 5, payload: [1, 2, 3, 4, 5])
        var more = request(.read, cookie: 2, length: 7)
        burst.writeBuffer(&more)
        more = request(.write, cookie: 3, length: 3, payload: [6, 7, 8])
        burst.writeBuffer(&more)
        for cut in 0...burst.readableBytes {
            var machine = machine()
            var found: [UInt64: ByteBuffer?] = [:]
            for var part in [burst.getSlice(at: 0, length: cut)!, burst.getSlice(at: cut, length: burst.readableBytes - cut)!] {
                while case .execute(let header, _, let payload) = next(&machine, &part) { found[header.cookie] = payload }
                #expect(part.readableBytes == 0)
            }
            #expect(found == [1: ByteBuffer(bytes: [1, 2, 3, 4, 5]), 2: nil, 3: ByteBuffer(bytes: [6, 7, 8])], "cut at \(cut)")
            #expect(machine.requestsUnderWay == 3 && machine.bytesUnderWay == 15 && !machine.isInsideRequest)
        }
    }

    @Test("requests beyond the bound wait until one is answered")
    func requestBound() {
        var machine = machine(requests: 2)
        var bytes = ByteBuffer()
        for cookie in 1...3 as ClosedRange<UInt64> {
            var one = request(.flush, cookie: cookie)
            bytes.writeBuffer(&one)
        }
        for _ in 0..<2 {
            guard case .execute = next(&machine, &bytes) else {
                Issue.record("not executed")
                return
            }
        }
        #expect(next(&machine, &bytes) == .atLimit)
        machine.completed(bytes: 0)
        guard case .execute(let third, _, _) = next(&machine, &bytes) else {
            Issue.record("not executed")
            return
        }
        #expect(third.cookie == 3)
    }

    @Test("payload beyond the bound waits")
    func byteBound() {
        var machine = machine(bytes: 100)
        var bytes = request(.read, length: 100)
        _ = next(&machine, &bytes)
        bytes = request(.read, length: 1)
        #expect(next(&machine, &bytes) == .atLimit)
        machine.completed(bytes: 100)
        guard case .execute = next(&machine, &bytes) else {
            Issue.record("not executed")
            return
        }
    }

    @Test("a large payload is received in place, whatever the pieces")
    func inPlace() {
        var machine = machine()
        var bytes = request(.write, length: 100_000, payload: [1, 2, 3])
        #expect(next(&machine, &bytes) == .wait)
        #expect(machine.missingPayload == 99_997)
        while machine.missingPayload > 0 {
            let count = machine.receivePayload { space in
                let count = min(space.count, 30_000)
                space[..<count].initializeMemory(as: UInt8.self, repeating: 9)
                return count
            }
            #expect(count > 0)
        }
        guard case .execute(_, .write, let payload?) = next(&machine, &bytes) else {
            Issue.record("not executed")
            return
        }
        #expect(payload == ByteBuffer(bytes: [1, 2, 3] + Array(repeating: 9, count: 99_997)))
    }

    @Test("the payload of a refused write is skipped, the next request is heard")
    func skipping() {
        var machine = machine()
        var bytes = request(.write, cookie: 5, length: 1 << 19, payload: Array(repeating: 0, count: 1000))
        #expect(next(&machine, &bytes) == .wait)
        #expect(machine.isInsideRequest && machine.missingBytes == (1 << 19) - 1000)
        bytes = ByteBuffer(repeating: 0, count: (1 << 19) - 1000)
        var flush = request(.flush, cookie: 6)
        bytes.writeBuffer(&flush)
        guard case .refuse(let header, .invalid, .tooLong) = next(&machine, &bytes) else {
            Issue.record("not refused")
            return
        }
        #expect(header.cookie == 5)
        guard case .execute(let next, .flush, nil) = next(&machine, &bytes) else {
            Issue.record("not executed")
            return
        }
        #expect(next.cookie == 6)
    }

    @Test("lies end the conversation")
    func lies() {
        var wrong = machine()
        var bytes = ByteBuffer(repeating: 0x55, count: 28)
        #expect(next(&wrong, &bytes) == .disconnect(.wrongMagic))
        var long = machine()
        bytes = request(.write, length: .max)
        #expect(next(&long, &bytes) == .disconnect(.writeTooLong))
        bytes = request(.flush)
        #expect(next(&long, &bytes) == .wait)
    }

    @Test("after a disconnect request nothing is heard")
    func disconnect() {
        var machine = machine()
        var bytes = request(.disconnect)
        #expect(next(&machine, &bytes) == .finish)
        bytes = request(.flush)
        #expect(next(&machine, &bytes) == .wait)
        #expect(machine.isFinished)
    }

    @Test("stopped in the middle of a write, it owes nothing")
    func stopped() {
        var machine = machine()
        var bytes = request(.write, length: 50_000, payload: [1])
        #expect(next(&machine, &bytes) == .wait)
        machine.stop()
        #expect(machine.requestsUnderWay == 0 && machine.bytesUnderWay == 0 && machine.missingPayload == 0)
    }
}
