import Glibc

struct LoadPlan {
    var depth: Int
    var seconds: Int
    var blockSize: Int
    var size: Int64
    var seed: UInt64

    var blockCount: UInt64 { UInt64(size) / UInt64(blockSize) }
}

struct LoadResult {
    var operations: Int
    var nanoseconds: UInt64
    var latencies: LatencyHistogram

    var json: String {
        let rate = UInt64(operations) * 1_000_000_000 / max(1, nanoseconds)
        let percentiles = [("p50", 500), ("p99", 990), ("p999", 999)].map { name, permille in
            "\"\(name)\": \(latencies.nanoseconds(atPermille: permille) / 1000)"
        }
        return "{\"operations\": \(operations), \"milliseconds\": \(nanoseconds / 1_000_000), \"rate\": \(rate), "
            + "\"microseconds\": {\(percentiles.joined(separator: ", ")), \"max\": \(latencies.maximum / 1000)}}"
    }
}

/// Keeps `depth` requests in flight on one connection from one thread: each answer sends the next request, and all
/// answers of one `recv` are followed by one `send`.
struct LoadGenerator {
    private let plan: LoadPlan
    private let wire: LoadWire
    private let socket: BlockingSocket
    private var random: SplitMix
    private var sentAt: [UInt64]
    private var requests: [UInt8]
    private var requestBytes = 0
    private var answers: [UInt8]
    private var answerBytes = 0
    private var latencies = LatencyHistogram()

    init(plan: LoadPlan, wire: LoadWire, socket: BlockingSocket) {
        self.plan = plan
        self.wire = wire
        self.socket = socket
        random = SplitMix(state: plan.seed)
        sentAt = [UInt64](repeating: 0, count: plan.depth)
        requests = [UInt8](repeating: 0, count: plan.depth * wire.requestSize)
        answers = [UInt8](repeating: 0, count: max(256 << 10, 2 * wire.answerSize))
        for index in requests.indices { requests[index] = UInt8(truncatingIfNeeded: random.next()) }
    }

    mutating func run() throws(RelayError) -> LoadResult {
        let start = Self.now()
        let end = start + UInt64(plan.seconds) * 1_000_000_000
        var inFlight = plan.depth
        var operations = 0
        for id in 0..<plan.depth { addRequest(UInt64(id), at: start) }
        try sendRequests()
        while inFlight > 0 {
            try receiveAnswers()
            let now = Self.now()
            let answered = try takeAnswers(at: now, sendNext: now < end)
            operations += answered
            if now < end { try sendRequests() } else { inFlight -= answered }
        }
        return LoadResult(operations: operations, nanoseconds: Self.now() - start, latencies: latencies)
    }

    private mutating func addRequest(_ id: UInt64, at now: UInt64) {
        let offset = (random.next() % plan.blockCount) * UInt64(plan.blockSize)
        let position = requestBytes
        let size = wire.requestHeaderSize
        let wire = wire
        requests.withUnsafeMutableBytes { bytes in
            wire.writeHeader(id: id, offset: offset, to: UnsafeMutableRawBufferPointer(rebasing: bytes[position..<position + size]))
        }
        requestBytes += wire.requestSize
        sentAt[Int(id)] = now
    }

    private mutating func sendRequests() throws(RelayError) {
        let (socket, count) = (socket, requestBytes)
        let result = requests.withUnsafeBytes { bytes -> Result<Void, RelayError> in
            Result { () throws(RelayError) in try socket.sendAll(UnsafeRawBufferPointer(rebasing: bytes[..<count])) }
        }
        try result.get()
        requestBytes = 0
    }

    private mutating func receiveAnswers() throws(RelayError) {
        let (socket, start) = (socket, answerBytes)
        let result = answers.withUnsafeMutableBytes { bytes -> Result<Int, RelayError> in
            Result { () throws(RelayError) in
                try socket.receive(into: UnsafeMutableRawBufferPointer(rebasing: bytes[start...]))
            }
        }
        answerBytes += try result.get()
    }

    /// Counts the whole answers received, and asks anew for each if told so.
    private mutating func takeAnswers(at now: UInt64, sendNext: Bool) throws(RelayError) -> Int {
        var position = 0
        var answered = 0
        while position + wire.answerSize <= answerBytes {
            let id = try answeredID(at: position)
            guard id < UInt64(plan.depth) else { throw .refused("an answer to request \(id), which was never sent") }
            latencies.record(now - sentAt[Int(id)])
            position += wire.answerSize
            answered += 1
            if sendNext { addRequest(id, at: now) }
        }
        dropAnswers(position)
        return answered
    }

    private func answeredID(at position: Int) throws(RelayError) -> UInt64 {
        let wire = wire
        let result = answers.withUnsafeBytes { bytes -> Result<UInt64, RelayError> in
            Result { () throws(RelayError) in try wire.answeredID(UnsafeRawBufferPointer(rebasing: bytes[position...])) }
        }
        return try result.get()
    }

    private mutating func dropAnswers(_ count: Int) {
        let rest = answerBytes - count
        answers.withUnsafeMutableBytes { bytes in
            _ = memmove(bytes.baseAddress!, bytes.baseAddress! + count, rest)
        }
        answerBytes = rest
    }

    private static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}

/// The generator of Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
