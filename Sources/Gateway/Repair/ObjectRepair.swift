import Cluster
import Logging
import NIOCore
import ObjectModel
import ObjectStore
import SheepProtocol

/// Reads one object of this sheep through and writes its damaged blocks anew, from one in-sync member after the other.
final class ObjectRepair<Env: NodeEnvironment> {
    struct Result {
        var newlyFound = 0
        var mended = 0
        /// Blocks that nobody could give.
        var remaining: Set<Int> = []
        /// Its table or file is damaged.
        var needsRebuilding = false
    }

    /// The longest read of a member, in blocks.
    private static var longestRun: Int { 64 }

    private let node: SheepNode<Env>
    private let name: ObjectName
    /// Blocks that were found before and could not be made good.
    private let known: Set<Int>
    private let ended: (Result) -> Void
    private var result = Result()
    private var sources: [Replica] = []
    private var isFirstLook = true
    /// A member gave bytes that this copy's checksums do not know.
    private var hasMismatch = false

    init(node: SheepNode<Env>, name: ObjectName, known: Set<Int>, ended: @escaping (Result) -> Void) {
        (self.node, self.name, self.known, self.ended) = (node, name, known, ended)
    }

    func start() {
        if let copies = node.control.state.volume(name.birth)?.copies {
            sources = node.replicaSet(of: name.group, copies: copies).inSync.filter { $0.node != node.identity }
        }
        look()
    }

    private func look() {
        guard let store = node.store else { return ended(result) }
        store.verify(name) { [self] outcome in
            switch outcome {
            case .success(let bad): found(Set(bad))
            case .failure(let error):
                result.needsRebuilding = error.code == .damaged
                ended(result)
            }
        }
    }

    private func found(_ bad: Set<Int>) {
        if isFirstLook {
            result.newlyFound = bad.subtracting(known).count
            if result.newlyFound > 0 {
                node.logger.error("object \(name): \(bad.count) blocks are damaged, the first is \(bad.min()!)")
            }
        } else {
            result.mended += result.remaining.subtracting(bad).count
            if !result.remaining.subtracting(bad).isEmpty {
                node.logger.notice("object \(name): \(result.remaining.subtracting(bad).count) blocks are good again")
            }
        }
        isFirstLook = false
        result.remaining = bad
        guard !bad.isEmpty, let source = sources.first else {
            // A peer's bytes, which were held against its checksums, are not what this copy's say: these are old.
            result.needsRebuilding = !bad.isEmpty && hasMismatch
            return ended(result)
        }
        sources.removeFirst()
        fetch(Self.runs(bad.sorted())[...], from: source.node)
    }

    private static func runs(_ blocks: [Int]) -> [Range<Int>] {
        var runs: [Range<Int>] = []
        for block in blocks {
            if let last = runs.last, last.upperBound == block, last.count < longestRun {
                runs[runs.count - 1] = last.lowerBound..<block + 1
            } else {
                runs.append(block..<block + 1)
            }
        }
        return runs
    }

    /// Fetches and mends run after run; then looks what is left.
    private func fetch(_ runs: ArraySlice<Range<Int>>, from source: NodeID) {
        guard let run = runs.first, let row = node.control.state.nodes[source], row.isUp else { return look() }
        let request = RecoveryRead(
            receiverBoot: row.boot, object: name,
            ranges: [.init(offset: UInt32(run.lowerBound * blockSize), length: UInt32(run.count * blockSize))])
        node.network.send(.recoveryRead, body: request.wire, payload: nil, to: source) { [self] answer in
            switch answer {
            case .success(let reply) where reply.payload.readableBytes == run.count * blockSize:
                mend(run, reply.payload) { [self] in fetch(runs.dropFirst(), from: source) }
            case .failure(let error) where error.code == .damaged && run.count > 1:
                // That member's own damage may be in one of them only.
                fetch((run.map { $0..<$0 + 1 } + runs.dropFirst())[...], from: source)
            case .success, .failure: fetch(runs.dropFirst(), from: source)
            }
        }
    }

    private func mend(_ run: Range<Int>, _ data: ByteBuffer, then: @escaping () -> Void) {
        guard let store = node.store else { return ended(result) }
        data.withUnsafeReadableBytes { bytes in
            store.mend(name, at: run.lowerBound * blockSize, from: bytes) { [self] outcome in
                if case .success(let count) = outcome, count < run.count { hasMismatch = true }
                then()
            }
        }
    }
}
