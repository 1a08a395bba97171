import ObjectModel

/// The open files, bounded in number and in bytes of tables; the second-chance rule chooses who leaves.
struct FileCache<D: Disk> {
    private var files: [ObjectName: OpenFile<D>] = [:]
    private var ring: [OpenFile<D>] = []
    private var hand = 0
    private var tableBytes = 0
    private let countLimit: Int
    private let byteLimit: Int
    private var last: OpenFile<D>?

    init(countLimit: Int, byteLimit: Int) { (self.countLimit, self.byteLimit) = (max(2, countLimit), byteLimit) }

    var count: Int { files.count }
    var all: [OpenFile<D>] { Array(files.values) }
    private var isOver: Bool { files.count > countLimit || tableBytes > byteLimit && files.count > 2 }

    @inline(__always)
    mutating func find(_ name: ObjectName) -> OpenFile<D>? {
        if let last, last.name == name { return last }
        guard let file = files[name] else { return nil }
        file.wasUsed = true
        last = file
        return file
    }

    mutating func insert(_ file: OpenFile<D>) {
        precondition(files[file.name] == nil)
        files[file.name] = file
        ring.append(file)
        tableBytes += file.table.byteCount
    }

    mutating func remove(_ file: OpenFile<D>) {
        files[file.name] = nil
        tableBytes -= file.table.byteCount
        file.isDetached = true
        if last === file { last = nil }
        // The ring drops detached files when the hand comes by; here only so that it stays in proportion.
        if ring.count > 2 * files.count + 64 { ring.removeAll { $0.isDetached } }
    }

    /// The next file to close, nil when the cache is within its bounds or all files are in use.
    mutating func candidate() -> OpenFile<D>? {
        guard isOver else { return nil }
        var steps = 2 * ring.count
        while steps > 0, !ring.isEmpty {
            steps -= 1
            hand = hand < ring.count ? hand : 0
            let file = ring[hand]
            if file.isDetached {
                ring[hand] = ring[ring.count - 1]
                ring.removeLast()
            } else if file.pins > 0 || file.wasUsed {
                file.wasUsed = false
                hand += 1
            } else {
                hand += 1
                return file
            }
        }
        return nil
    }
}
