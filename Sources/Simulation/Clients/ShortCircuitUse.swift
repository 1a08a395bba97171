import Gateway
import ObjectModel
import ObjectStore

/// The memory of a ``ReadBoard`` of one run of a sheep; it outlives the run, as mapped memory does.
final class SimulatedBoard {
    private let memory: UnsafeMutableRawPointer
    let board: ReadBoard

    init(boot: BootID) {
        memory = .allocate(byteCount: ReadBoard.size, alignment: 4096)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: ReadBoard.size)
        board = ReadBoard(memory: memory, boot: boot)
    }

    deinit { memory.deallocate() }
}

/// A process on a gateway's machine that reads the files of its store by itself, as sheepfs does, for one client's volume.
final class ShortCircuitUse {
    private let process: SheepProcess
    private let disk: SimulatedDisk
    private let shared: SimulatedBoard
    private let objectSize: Int
    private var objects: [UInt32: ShortCircuitObject] = [:]

    /// Nil where the gateway has no store.
    init?(_ use: GatewayUse, objectSize: Int) {
        guard let shared = use.sheep.shared, shared.boot == use.process.boot else { return nil }
        (process, disk, self.shared, self.objectSize) = (use.process, use.sheep.disk, shared.board, objectSize)
    }

    func granted(_ grant: ReadGrant, index: UInt32) {
        guard process.isAlive else { return }
        guard let name = grant.object else { return objects[index] = ShortCircuitObject(nil, checksums: [], stamp: grant.stamp) }
        // Opened now and kept open, whatever becomes of its path.
        objects[index] = disk.view(ObjectPath.path(name)).map { view in
            ShortCircuitObject({ offset, buffer in
                view(offset, buffer)
                return true
            }, checksums: grant.checksums, stamp: grant.stamp)
        }
    }

    /// Bytes of one object that are still to be vouched for.
    struct Bytes {
        let bytes: [UInt8]
        fileprivate let stamp: ReadStamp
    }

    /// Nil: the sheep is to be asked.
    func read(at offset: UInt64, length: Int) -> Bytes? {
        let (index, within) = (UInt32(offset / UInt64(objectSize)), Int(offset % UInt64(objectSize)))
        guard within + length <= objectSize, let object = objects[index] else { return nil }
        let first = within / blockSize * blockSize
        var blocks = [UInt8](repeating: 0, count: (within + length + blockSize - 1) / blockSize * blockSize - first)
        guard vouches(for: object.stamp), blocks.withUnsafeMutableBytes({ object.read(at: first, into: $0) }) else { return nil }
        return Bytes(bytes: Array(blocks[within - first..<within - first + length]), stamp: object.stamp)
    }

    func vouches(for bytes: Bytes) -> Bool { vouches(for: bytes.stamp) }

    /// A process that has died is known as dead at once, see ``SharedReadBoard``.
    private func vouches(for stamp: ReadStamp) -> Bool {
        process.isAlive && !process.isDying && shared.board.vouches(for: stamp, at: process.now())
    }
}
