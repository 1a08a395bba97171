import ObjectModel

/// The ``Disk`` of the simulator: files in memory, one thread, a seed.
///
/// It is the medium and the machine's page cache, so it outlives processes: after ``killProcess()`` everything written
/// is there, after ``powerCut()`` what was synced, and of the rest what the seed says. Handles and completions of
/// before do nothing any more. Syncs, background reads and copies end after delays drawn from the seed.
package final class SimulatedDisk: Disk {
    /// A handle of one process.
    package final class File {
        let name: String
        let contents: SimulatedFile
        let process: UInt64
        var isOpen = true

        init(name: String, contents: SimulatedFile, process: UInt64) {
            (self.name, self.contents, self.process) = (name, contents, process)
        }
    }

    package var faults = DiskFaults.none
    /// Blocks of 4 KiB in all.
    package var capacity = Int.max / blockSize
    /// How many times longer than usual everything in the background takes.
    package var slowness: UInt64 = 1
    /// How many times longer than that its reads take.
    package var readSlowness: UInt64 = 1
    private var generator: SeededGenerator
    private let schedule: (_ afterNanoseconds: UInt64, @escaping () -> Void) -> Void
    private var directories: [String: SimulatedDirectory] = [".": SimulatedDirectory()]
    /// Counts kills and power cuts.
    private var process: UInt64 = 0
    private var openHandles: [String: Int] = [:]
    private var usedBlocks = 0
    /// After a sync failed, its handles' contents are never called durable again.
    private var syncFailure: DiskError?
    private var death: Death?

    /// When the process dies between two calls, or in one of them.
    private struct Death {
        /// Calls that still change something.
        var calls: Int
        let happened: () -> Void
    }

    package init(seed: UInt64, schedule: @escaping (_ afterNanoseconds: UInt64, @escaping () -> Void) -> Void) {
        generator = SeededGenerator(seed: seed)
        self.schedule = schedule
    }

    // MARK: - What the test does

    /// Closes all handles and drops all completions; nothing written is lost.
    package func killProcess() {
        process += 1
        openHandles = [:]
        (syncFailure, death) = (nil, nil)
    }

    /// After so many calls that change something the next one finds the process dead: it changes nothing, or a write the first of its
    /// blocks, as when the kernel ends it there. Calls back then, from within that call; every later one fails until ``killProcess()``.
    package func dieInCall(after calls: Int, happened: @escaping () -> Void) { death = Death(calls: calls, happened: happened) }

    /// Nobody needs what is on it any more.
    package func forget() {
        killProcess()
        directories = [:]
    }

    /// Loses what no sync promised, block by block and name by name, as the seed says.
    package func powerCut() {
        killProcess()
        for name in directories.keys.sorted() {
            // Contents first: a file may have lost its name and still be another folder's.
            for file in directories[name]!.seen.sorted(by: { $0.key < $1.key }) { file.value.loseUnsynced(&generator) }
            directories[name]!.loseUnsynced(&generator)
        }
        for file in allFiles where !file.dirty.isEmpty { file.loseUnsynced(&generator) }
        usedBlocks = allFiles.reduce(0) { $0 + $1.allocatedBlocks }
    }

    /// Flips a bit of a file on the medium.
    package func flipBit(in name: String, at offset: UInt64, bit: Int = 0) throws(DiskError) {
        try file(name).flipBit(at: offset, bit)
    }

    /// Takes a file away behind the store's back, for good.
    package func lose(_ name: String) throws(DiskError) {
        try remove(name)
        let directory = try split(name).directory
        directory.makeDurable(directory.changes)
    }

    /// Flips a bit somewhere in what the objects' files hold, as the seed says.
    package func rot(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let names = objectNames
        guard !names.isEmpty, let name = Optional(names[random.below(names.count)]), let file = try? file(name) else { return }
        let blocks = file.seen.blocks.keys.sorted()
        guard !blocks.isEmpty else { return }
        let offset = blocks[random.below(blocks.count)] * UInt64(blockSize) + UInt64(random.below(blockSize))
        file.flipBit(at: offset, random.below(8))
    }

    /// Takes the file of some object away, as the seed says.
    package func loseAnObject(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let names = objectNames
        if !names.isEmpty { try? lose(names[random.below(names.count)]) }
    }

    /// Damages one of the files that say what the store has: a bit in what was durable, or the file's end is gone.
    package func garble(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let name = ["catalogue", "catalogue", "intents", "identity"][random.below(4)]
        guard let file = try? file(name), file.seen.size > 0 else { return }
        if name != "identity" {
            // The first record, which every log has: whatever follows, this is no torn end.
            file.flipBit(at: UInt64(random.below(40)), random.below(8))
        } else if random.chance(0.5) {
            file.flipBit(at: 16 + UInt64(random.below(48)), random.below(8))
        } else {
            file.truncate(to: UInt64(random.below(Int(file.seen.size))))
        }
    }

    private var objectNames: [String] {
        directories.keys.sorted().filter { $0.hasPrefix("objects/") }.flatMap { folder in
            directories[folder]!.seen.keys.sorted().map { folder + "/" + $0 }
        }
    }

    /// A file as another process of the machine sees it that opens it now, also after it has lost its path.
    package func view(_ name: String) -> ((_ offset: UInt64, _ buffer: UnsafeMutableRawBufferPointer) -> Void)? {
        guard let contents = try? file(name) else { return nil }
        return { contents.read(at: $0, into: $1) }
    }

    /// From now on there is room for so many blocks more.
    package func fillUp(leaving blocks: Int) { capacity = usedBlocks + blocks }

    /// Files that this process has open.
    package var openFiles: [String] { openHandles.filter { $0.value > 0 }.keys.sorted() }

    private var allFiles: [SimulatedFile] {
        // In order, so that a seed repeats exactly.
        directories.sorted { $0.key < $1.key }.flatMap { $0.value.seen.sorted { $0.key < $1.key }.map(\.value) }
    }

    /// To be called before each change.
    private func outlive(dying: () -> Void = {}) throws(DiskError) {
        guard let death else { return }
        self.death!.calls -= 1
        if death.calls > 0 { return }
        if death.calls == 0 {
            dying()
            death.happened()
        }
        throw .failed(call: "kill", errno: 5)
    }

    // MARK: - Names

    private func split(_ name: String) throws(DiskError) -> (directory: SimulatedDirectory, last: String) {
        let slash = name.lastIndex(of: "/")
        let folder = slash.map { String(name[..<$0]) } ?? "."
        guard let directory = directories[folder] else { throw .missing(name) }
        return (directory, slash.map { String(name[name.index(after: $0)...]) } ?? name)
    }

    private func file(_ name: String) throws(DiskError) -> SimulatedFile {
        let (directory, last) = try split(name)
        guard let file = directory.seen[last] else { throw .missing(name) }
        return file
    }

    package func open(_ name: String, create: Bool) throws(DiskError) -> File {
        let (directory, last) = try split(name)
        if create {
            try outlive()
            guard directory.seen[last] == nil else { throw .exists(name) }
            guard usedBlocks < capacity else { throw .full }
            directory.apply(.set(last, SimulatedFile()))
        }
        let file = File(name: name, contents: try file(name), process: process)
        openHandles[name, default: 0] += 1
        return file
    }

    package func close(_ file: File) {
        guard file.process == process else { return }
        precondition(file.isOpen, "\(file.name) closed twice")
        file.isOpen = false
        openHandles[file.name]! -= 1
    }

    package func exists(_ name: String) throws(DiskError) -> Bool {
        let (directory, last) = try split(name)
        return directory.seen[last] != nil
    }

    package func remove(_ name: String) throws(DiskError) {
        try outlive()
        usedBlocks -= try file(name).allocatedBlocks
        let (directory, last) = try split(name)
        directory.apply(.remove(last))
    }

    package func rename(_ old: String, to new: String) throws(DiskError) {
        try outlive()
        let contents = try file(old)
        let (directory, last) = try split(old)
        let (target, newLast) = try split(new)
        precondition(directory === target, "renames stay in their folder")
        if let replaced = target.seen[newLast] { usedBlocks -= replaced.allocatedBlocks }
        directory.apply(.rename(last, newLast, contents))
    }

    package func makeDirectory(_ name: String) throws(DiskError) {
        try outlive()
        guard directories[name] == nil else { throw .exists(name) }
        directories[name] = SimulatedDirectory()
    }

    package func list(_ directory: String) throws(DiskError) -> [String] {
        guard let names = directories[directory]?.seen.keys else { throw .missing(directory) }
        return names.sorted()
    }

    // MARK: - Contents

    private func check(_ file: File) { precondition(file.isOpen && file.process == process, "\(file.name) is not open") }

    private func faultsApply(_ file: File) -> Bool { file.name.hasPrefix(faults.prefix) }

    private func draw(_ probability: Double, _ file: File) -> Bool {
        faultsApply(file) && generator.chance(probability)
    }

    private func counting<Result>(_ file: File, _ body: () -> Result) -> Result {
        let before = file.contents.allocatedBlocks
        defer { usedBlocks += file.contents.allocatedBlocks - before }
        return body()
    }

    package func size(of file: File) throws(DiskError) -> UInt64 {
        check(file)
        return file.contents.seen.size
    }

    package func read(
        _ file: File, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
    ) throws(DiskError) {
        check(file)
        if draw(faults.readFails, file) { throw .failed(call: "pread", errno: 5) }
        if !buffer.isEmpty, draw(faults.bitFlips, file) {
            file.contents.flipBit(at: offset + generator.next() % UInt64(buffer.count), generator.below(8))
        }
        file.contents.read(at: offset, into: buffer)
    }

    package func tryRead(
        _ file: File, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
    ) throws(DiskError) {
        if generator.chance(faults.readMisses) { throw .wouldBlock }
        try read(file, at: offset, into: buffer)
    }

    /// All reads see the medium here.
    package func dropCached(_ file: File, at offset: UInt64, length: UInt64) {}

    package func write(_ file: File, at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(DiskError) {
        check(file)
        try outlive {
            let blocks = generator.below(1 + buffer.count / blockSize)
            guard usedBlocks + file.contents.newBlocks(at: offset, count: blocks * blockSize) <= capacity else { return }
            counting(file) { file.contents.write(at: offset, from: UnsafeRawBufferPointer(rebasing: buffer[..<(blocks * blockSize)])) }
        }
        if draw(faults.writeFails, file) { throw .failed(call: "pwrite", errno: 5) }
        if draw(faults.writeLost, file) { return }
        var offset = offset
        if draw(faults.writeMisdirected, file), offset >= UInt64(blockSize) { offset -= UInt64(blockSize) }
        let new = file.contents.newBlocks(at: offset, count: buffer.count)
        guard new == 0 || usedBlocks + new <= capacity else {
            // A real file system writes as far as it can.
            let fits = min(buffer.count, max(0, capacity - usedBlocks) * blockSize)
            counting(file) { file.contents.write(at: offset, from: UnsafeRawBufferPointer(rebasing: buffer[..<fits])) }
            throw .full
        }
        counting(file) { file.contents.write(at: offset, from: buffer) }
    }

    package func truncate(_ file: File, to size: UInt64) throws(DiskError) {
        check(file)
        try outlive()
        counting(file) { file.contents.truncate(to: size) }
    }

    package func punch(_ file: File, at offset: UInt64, length: UInt64) throws(DiskError) {
        check(file)
        try outlive()
        counting(file) { file.contents.punch(at: offset, length: length) }
    }

    package func reserve(_ file: File, at offset: UInt64, length: UInt64) throws(DiskError) {
        check(file)
        try outlive()
        guard usedBlocks + file.contents.newBlocks(at: offset, count: Int(length)) <= capacity else { throw .full }
        counting(file) { file.contents.reserve(at: offset, length: length) }
    }

    package func dataRanges(of file: File, upTo size: UInt64) throws(DiskError) -> [Range<UInt64>] {
        check(file)
        return file.contents.dataRanges(upTo: size)
    }

    package func copy(from: File, to: File, length: UInt64) throws(DiskError) {
        for range in try dataRanges(of: from, upTo: length) {
            let bytes = AlignedBytes(count: Int(range.upperBound - range.lowerBound))
            try read(from, at: range.lowerBound, into: bytes.buffer)
            try write(to, at: range.lowerBound, from: bytes.bytes)
        }
    }

    package func space() throws(DiskError) -> (total: UInt64, free: UInt64) {
        (UInt64(capacity) * UInt64(blockSize), UInt64(max(0, capacity - usedBlocks)) * UInt64(blockSize))
    }

    // MARK: - Later

    /// Runs the body after a delay of up to 10 ms, unless the process is gone by then.
    private func later(times factor: UInt64 = 1, _ body: @escaping () -> Void) {
        let born = process
        schedule((1_000 + generator.next() % 10_000_000) * slowness * factor) { [self] in
            if born == process { body() }
        }
    }

    package func readInBackground(
        _ file: File, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer, aheadTo end: UInt64,
        completion: @escaping (DiskError?) -> Void
    ) {
        later(times: readSlowness) { [self] in
            completion(FileCalls.outcome { () throws(DiskError) in try read(file, at: offset, into: buffer) })
        }
    }

    package func copyInBackground(
        from: File, to: File, length: UInt64, completion: @escaping (DiskError?) -> Void
    ) {
        later { [self] in
            completion(FileCalls.outcome { () throws(DiskError) in try copy(from: from, to: to, length: length) })
        }
    }

    package func sync(files: [File], directories names: [String], completion: @escaping (DiskError?) -> Void) {
        for file in files { check(file) }
        let fails = files.contains { draw(faults.syncFails, $0) }
        finish(files.map(\.contents), names.compactMap { directories[$0] }, fails, completion)
    }

    package func syncAll(completion: @escaping (DiskError?) -> Void) {
        finish(allFiles, Array(directories.values), generator.chance(faults.syncFails), completion)
    }

    private func finish(
        _ files: [SimulatedFile], _ folders: [SimulatedDirectory], _ fails: Bool,
        _ completion: @escaping (DiskError?) -> Void
    ) {
        if fails { syncFailure = syncFailure ?? .failed(call: "fsync", errno: 5) }
        let contents = files.map { ($0, $0.snapshot()) }
        let names = folders.map { ($0, $0.changes) }
        later { [self] in
            if let syncFailure { return completion(syncFailure) }
            for (file, snapshot) in contents { file.makeDurable(snapshot) }
            for (folder, changes) in names { folder.makeDurable(changes) }
            completion(nil)
        }
    }
}
