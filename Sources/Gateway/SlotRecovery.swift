import Cluster
import Logging
import NIOCore
import ObjectModel
import ObjectStore
import SheepProtocol

/// How the recovery of a slot ended.
enum SlotOutcome {
    case equal(fetchedObjects: UInt64, fetchedBytes: UInt64)
    /// A change is under way there that the source may not have yet, or the source did not answer: later again.
    case postponed(String)
}

/// Makes one slot's objects equal to those of an in-sync member.
final class SlotRecovery<Env: NodeEnvironment> {
    /// The longest read of a source: what a loop does for it at a time holds up a client's request by some ten microseconds.
    private static var largestRead: Int { 64 << 10 }
    /// Bytes of an object that are compared by their digests at a time. Neither side gives its loop back in between.
    private static var digestsTogether: Int { 8 * digestSize }
    /// Bytes written at a time beside clients.
    private static var shortWrite: Int { 16 << 10 }

    /// What is fetched, or punched, at a time.
    private struct Piece {
        var object: SourceObject
        /// Blocks, ascending: all of data, or one run of never-written ones.
        var runs: [Range<Int>]
        var blocks: Int { runs.reduce(0) { $0 + $1.count } }
        var isData: Bool { object.table[runs[0].lowerBound] != ChecksumTable.neverWritten }
    }

    private let node: SheepNode<Env>
    private let slot: ObjectSlot
    private let attempt: Int
    private let ended: (SlotOutcome) -> Void
    private var isEnded = false
    /// Blocks that came by changes: theirs is the newest content.
    private var written: [ObjectName: Set<Int>] = [:]
    /// Objects that a change may have made here before the source has them, and how many such changes are done or under way.
    private var made: [ObjectName: Int] = [:]
    /// A change that is marked as written failed.
    private var hasFailures = false
    /// Objects that a change removed here, perhaps before the source did.
    private var removed: Set<ObjectName> = []
    /// Objects of which a part was trimmed: where an ancestor's shows, the source copies it first.
    private var punched: Set<ObjectName> = []
    /// The numbers of copies whose names were compared, and the names that the source had.
    private var comparedCounts: Set<UInt8> = []
    private var comparedNames: Set<ObjectName> = []
    private var pieces: [Piece] = []
    /// Objects of which some blocks were taken as equal because their checksums are, and from which byte on that is still to be seen.
    private var believed: [(object: SourceObject, from: Int)] = []
    private var counts: [UInt8] = []
    /// What the sources know to be in their objects, or to be there in part, of changes that a gateway may send once more.
    private var noted: [ReplicaRecord] = []
    /// Of changes that put others back, which the sources may not have yet.
    private var undos: [ChangeOrigin] = []
    /// Blocks that came otherwise than their source had listed them. The change that made them so must have come here as well, or nobody here
    /// knows of it.
    private var unlisted: [ObjectName: Set<Int>] = [:]
    private var fetchedObjects: Set<ObjectName> = []
    private var fetchedBytes: UInt64 = 0
    private var source: NodeID?

    /// `attempt` counts from 0; each asks another of the members that could be the source.
    init(node: SheepNode<Env>, slot: ObjectSlot, attempt: Int, ended: @escaping (SlotOutcome) -> Void) {
        (self.node, self.slot, self.attempt, self.ended) = (node, slot, attempt, ended)
    }

    private var store: ObjectStore<Env.StoreDisk> { node.store! }

    func start() {
        let unsettled = node.replica.unsettled(at: slot)
        undos = unsettled.compactMap(\.origin).filter(\.isUndo)
        for record in unsettled where !record.isPartial {
            mark(record.kind, record.object, offset: record.offset, length: record.length)
        }
        counts = node.control.state.copiesInUse(in: slot.family).counts.filter { isSyncing($0) }
        nextCount()
    }

    /// A write came to the slot while it is compared.
    func touched(_ change: ReplicaChange) {
        if change.origin?.isUndo ?? false { return postpone("a change was taken back") }
        // What was compared may be removed under it: once more from the start, with the removal noted.
        if change.kind == .trim, change.length == UInt32(1) << UInt32(change.objectShift) { return postpone("a removal came") }
        // An object that was not there when the names were compared lacks what the source copied from its ancestor.
        if let copies = copies(of: change.object), comparedCounts.contains(copies), !comparedNames.contains(change.object) {
            return postpone("a change made \(change.object)")
        }
        mark(change.kind, change.object, offset: change.offset, length: change.length)
    }

    /// A change that came did not get in, as one of an object that is damaged. It is sent again, or never was: what it marked is compared
    /// once more.
    func failed(_ change: ReplicaChange) {
        hasFailures = true
        guard change.kind != .trim, let count = made[change.object] else { return }
        made[change.object] = count > 1 ? count - 1 : nil
    }

    func membershipChanged() {
        if let source, !node.storingNodes.contains(source) { postpone("its source went down") }
    }

    /// Recovery must not wait for changes to settle: below the minimum they in turn wait for this disk to be in sync.
    private func mark(_ kind: ChangeKind, _ name: ObjectName, offset: UInt32, length: UInt32) {
        let shift = node.control.state.volume(name.birth)?.objectShift
        if kind == .trim, let shift, length == UInt32(1) << UInt32(shift) {
            removed.insert(name)
            made[name] = nil
            punched.remove(name)
            return
        }
        removed.remove(name)
        if kind == .trim { punched.insert(name) } else { made[name, default: 0] += 1 }
        for block in Int(offset) / blockSize..<(Int(offset) + Int(length)) / blockSize { written[name, default: []].insert(block) }
    }

    private func end(_ outcome: SlotOutcome) {
        guard !isEnded else { return }
        isEnded = true
        ended(outcome)
    }

    private func postpone(_ reason: String) { end(.postponed(reason)) }

    private func isSyncing(_ copies: UInt8) -> Bool {
        node.replicaSet(of: slot.group, copies: copies).syncing.contains { $0.node == node.identity }
    }

    // MARK: One number of copies after the other: their members differ

    private func nextCount() {
        guard !isEnded else { return }
        guard let copies = counts.popLast() else {
            if hasFailures { return postpone("a change failed here meanwhile") }
            if let name = unlisted.first(where: { !$0.value.isSubset(of: written[$0.key] ?? []) })?.key {
                return postpone("\(name) changed at its source, and not here")
            }
            guard node.replica.learn(noted) else { return postpone("it does not know all of its volumes yet") }
            return end(.equal(fetchedObjects: UInt64(fetchedObjects.count), fetchedBytes: fetchedBytes))
        }
        let set = node.replicaSet(of: slot.group, copies: copies)
        // Nobody has it who could be copied from: such volumes wait for their members to return (the log's `inSync` leaves
        // them out), and must not keep the others, of more copies, waiting.
        if set.inSync.isEmpty { return nextCount() }
        let linked = set.inSync.filter { node.network.isLinked(to: $0.node) }
        guard !linked.isEmpty else { return postpone("no in-sync member of \(copies) copies is linked") }
        let member = linked[attempt % linked.count]
        guard let boot = node.control.state.nodes[member.node]?.boot else { return postpone("its source went down") }
        source = member.node
        let request = RecoverySlot(
            receiverBoot: boot, logIndex: node.control.state.appliedIndex, slot: slot, verify: false)
        node.network.send(.recoverySlot, body: request.wire, payload: nil, to: member.node) { [weak self] result in
            guard let self, !isEnded else { return }
            guard case .success(let reply) = result, let held = try? RecoverySlot.Held(wire: reply.body) else {
                return postpone("its source answers \(result.map { _ in "garbage" })")
            }
            node.replica.inherit(held.unsettled)
            noted += held.noted.filter { change in
                guard let origin = change.record.origin, node.facts(of: change.volume)?.copies ?? copies == copies else { return false }
                return change.record.isPartial || !undos.contains { $0.undoes(origin) }
            }
            compare(held.objects.filter { self.copies(of: $0.name) == copies }, copies: copies, boot: boot)
        }
    }

    private func copies(of name: ObjectName) -> UInt8? { node.control.state.volume(name.birth)?.copies }

    private func compare(_ theirs: [SourceObject], copies: UInt8, boot: BootID) {
        let ours = store.births(family: slot.family, index: slot.index).filter { self.copies(of: $0.name) == copies }
        let names = Set(theirs.map(\.name))
        let stored = Set(theirs.lazy.filter { !$0.isHole }.map(\.name))
        // A change is under way that one of both has not done yet: the source lacks the object, or shows the hole that it fills.
        if let name = made.keys.sorted().first(where: { name in !stored.contains(name) || !ours.contains { $0.name == name } }) {
            return postpone("\(name) is being made")
        }
        if let name = punched.union(removed).first(where: { !names.contains($0) && showsAncestor($0, among: theirs) }) {
            return postpone("\(name) is being trimmed")
        }
        for object in ours where !names.contains(object.name) {
            // The source may not have this write's object yet.
            store.remove(object.name, version: node.replicaSet(of: slot.group, copies: copies).version) { _ in }
        }
        // The source has not removed it yet, or a later change made it again, which then is about to be known as settled.
        if let object = theirs.first(where: { !$0.isHole && removed.contains($0.name) }) {
            return postpone("\(object.name) is being removed")
        }
        comparedCounts.insert(copies)
        comparedNames.formUnion(stored)
        compareNext(theirs[...], boot: boot)
    }

    private func showsAncestor(_ name: ObjectName, among theirs: [SourceObject]) -> Bool {
        for birth in node.ancestry(of: name.birth).dropFirst() {
            if let found = theirs.first(where: { $0.name.birth == birth && $0.name.kind == name.kind }) { return !found.isHole }
        }
        return false
    }

    private func compareNext(_ theirs: ArraySlice<SourceObject>, boot: BootID) {
        guard !isEnded else { return }
        guard let object = theirs.first else { return fetchNext(boot: boot) }
        let goOn: () -> Void = { [self] in compareNext(theirs.dropFirst(), boot: boot) }
        guard let shift = ObjectShift(rawValue: object.objectShift) else { return postpone("an object has a size of 2^\(object.objectShift)") }
        guard object.isHole || object.table.count == shift.objectSize / blockSize else {
            return postpone("\(object.name) comes with \(object.table.count) checksums")
        }
        let own = store.births(family: slot.family, index: slot.index).first { $0.name == object.name }
        if object.isHole {
            guard own?.isHole != true else { return goOn() }
            return store.makeHole(object.name, objectShift: shift, version: object.version) { [self] error in
                if let error { postpone(error.message) } else { goOn() }
            }
        }
        if own == nil || own!.isHole || store.isUnlinked(object.name) {
            return rebuild(object, shift: shift, then: goOn)
        }
        store.table(of: object.name) { [self] result in
            // What cannot vouch for itself is made anew.
            guard case .success(let table) = result else { return rebuild(object, shift: shift, then: goOn) }
            plan(object, own: table)
            if own!.version < object.version { store.touch(object.name, version: object.version) }
            goOn()
        }
    }

    private func rebuild(_ object: SourceObject, shift: ObjectShift, then goOn: @escaping () -> Void) {
        guard made[object.name] == nil else { return postpone("\(object.name) is being made") }
        fetchedObjects.insert(object.name)
        // It stays on the list of what changed here until it is whole, also for a later run of this sheep.
        let version = max(object.version, store.object(object.name)?.version ?? .zero)
        store.reset(object.name, objectShift: shift, version: version) { [self] error in
            if let error { return postpone(error.message) }
            plan(object, own: [])
            goOn()
        }
    }

    /// Notes the runs of blocks that differ.
    private func plan(_ object: SourceObject, own: [UInt32]) {
        let ownEntry = { (block: Int) in block < own.count ? own[block] : ChecksumTable.neverWritten }
        plan(object) { object.table[$0] != ownEntry($0) }
        let marked = written[object.name] ?? []
        let isBelieved = object.table.indices.contains { block in
            object.table[block] != ChecksumTable.neverWritten && object.table[block] == ownEntry(block) && !marked.contains(block)
        }
        if isBelieved { believed.append((object, 0)) }
    }

    /// Notes those blocks that did not come by a write: data in pieces of ``largestRead``, never-written ones run by run.
    private func plan(_ object: SourceObject, where isWanted: (Int) -> Bool) {
        let marked = written[object.name] ?? []
        var data = Piece(object: object, runs: [])
        var count = 0
        for block in object.table.indices where isWanted(block) && !marked.contains(block) {
            if object.table[block] == ChecksumTable.neverWritten {
                if let last = pieces.last, last.object.name == object.name, !last.isData, last.runs[0].upperBound == block {
                    pieces[pieces.count - 1].runs[0] = last.runs[0].lowerBound..<block + 1
                } else {
                    pieces.append(Piece(object: object, runs: [block..<block + 1]))
                }
                continue
            }
            if let last = data.runs.last, last.upperBound == block {
                data.runs[data.runs.count - 1] = last.lowerBound..<block + 1
            } else {
                data.runs.append(block..<block + 1)
            }
            count += 1
            if count == Self.largestRead / blockSize {
                pieces.append(data)
                (data.runs, count) = ([], 0)
            }
        }
        if count > 0 { pieces.append(data) }
    }

    // MARK: Fetching

    private func fetchNext(boot: BootID) {
        guard !isEnded, let source else { return }
        guard let piece = pieces.popLast() else { return digestNext(boot: boot) }
        fetchedObjects.insert(piece.object.name)
        guard piece.isData else { return put(piece, data: nil, permit: nil) { [self] in fetchNext(boot: boot) } }
        node.recovery.fetch(piece.blocks * blockSize) { [weak self] permit in
            guard let self, !isEnded else { return permit.end() }
            fetch(piece, from: source, boot: boot, permit: permit)
        }
    }

    private func fetch(_ piece: Piece, from source: NodeID, boot: BootID, permit: FetchPermit) {
        let ranges = piece.runs.map {
            RecoveryRead.Range(offset: UInt32($0.lowerBound * blockSize), length: UInt32($0.count * blockSize))
        }
        let request = RecoveryRead(receiverBoot: boot, object: piece.object.name, ranges: ranges)
        node.network.send(.recoveryRead, body: request.wire, payload: nil, to: source) { [weak self] result in
            guard let self, !isEnded else { return permit.end() }
            guard case .success(let reply) = result, reply.payload.readableBytes == piece.blocks * blockSize else {
                permit.end()
                return postpone("its source does not give \(piece.object.name)")
            }
            noteUnlisted(piece, reply.payload)
            fetchedBytes += UInt64(reply.payload.readableBytes)
            put(piece, data: reply.payload, permit: permit) { [self] in fetchNext(boot: boot) }
        }
    }

    /// Notes the blocks that are not what the source had when it told what is unsettled there: it has taken a change since.
    private func noteUnlisted(_ piece: Piece, _ data: ByteBuffer) {
        data.withUnsafeReadableBytes { bytes in
            for (block, offset) in zip(piece.runs.joined(), stride(from: 0, to: bytes.count, by: blockSize))
            where ChecksumTable.value(of: UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + blockSize])) != piece.object.table[block] {
                unlisted[piece.object.name, default: []].insert(block)
            }
        }
    }

    /// Blocks with equal checksums are equal but for one in 2^32: a digest over each 64 KiB finds that one.
    private func digestNext(boot: BootID) {
        guard !isEnded, let source else { return }
        while let (object, from) = believed.popLast() {
            let end = object.table.count * blockSize
            let bytes = from..<min(end, from + Self.digestsTogether)
            if bytes.upperBound < end { believed.append((object, bytes.upperBound)) }
            let blocks = object.table[from / blockSize..<bytes.upperBound / blockSize].count { $0 != ChecksumTable.neverWritten }
            guard blocks > 0 else { continue }
            return node.recovery.fetch(blocks * blockSize / 8) { [weak self] permit in
                guard let self, !isEnded else { return permit.end() }
                digest(object, bytes, from: source, boot: boot, permit: permit)
            }
        }
        nextCount()
    }

    private func digest(_ object: SourceObject, _ bytes: Range<Int>, from source: NodeID, boot: BootID, permit: FetchPermit) {
        let range = RecoveryRead.Range(offset: UInt32(bytes.lowerBound), length: UInt32(bytes.count))
        let request = RecoveryDigest(receiverBoot: boot, object: object.name, range: range)
        node.network.send(.recoveryDigest, body: request.wire, payload: nil, to: source) { [weak self] result in
            guard let self, !isEnded else { return permit.end() }
            guard case .success(let reply) = result, let theirs = try? RecoveryDigests(wire: reply.body),
                theirs.values.count == bytes.count / digestSize
            else {
                permit.end()
                return postpone("its source gives no digest of \(object.name)")
            }
            store.digests(of: object.name, in: bytes) { [weak self] result in
                permit.end()
                guard let self, !isEnded else { return }
                switch result {
                case .success(let ours): compareDigests(of: object, from: bytes.lowerBound, ours, theirs.values)
                case .failure(let error): return postpone(error.message)
                }
                fetchNext(boot: boot)
            }
        }
    }

    /// Fetches parts whose digests differ: a write may have passed between the two looks, else checksums are equal by chance.
    private func compareDigests(of object: SourceObject, from start: Int, _ ours: [UInt64], _ theirs: [UInt64]) {
        let first = start / digestSize
        let differing = Set(zip(ours, theirs).enumerated().lazy.filter { $1.0 != $1.1 && $1.0 != 0 && $1.1 != 0 }.map { first + $0.offset })
        guard !differing.isEmpty else { return }
        plan(object) { differing.contains($0 * blockSize / digestSize) && object.table[$0] != ChecksumTable.neverWritten }
    }

    /// Writes a fetched piece, but for blocks that came by a write meanwhile.
    ///
    /// Little by little beside clients: new blocks of a file take long to fill, and a client's request waits for what the loop is at.
    private func put(_ piece: Piece, data: ByteBuffer?, permit: FetchPermit?, then: @escaping () -> Void) {
        let isHurried = data == nil || !node.recovery.isBesideClients
        put(piece.object, piece.runs[...], data, step: isHurried ? .max : Self.shortWrite) { [self] error in
            permit?.end()
            guard let error else { return then() }
            node.logger.error("recovery of \(piece.object.name): \(error.message)")
            node.recovery.refused(error)
            postpone(error.message)
        }
    }

    /// Writes at most `step` bytes now, and the rest when the loop comes back to it.
    private func put(
        _ object: SourceObject, _ runs: ArraySlice<Range<Int>>, _ data: ByteBuffer?, step: Int,
        completion: @escaping (SheepError?) -> Void
    ) {
        guard !isEnded else { return completion(nil) }
        var (runs, data) = (runs, data)
        var left = step / blockSize
        var now: [(blocks: Range<Int>, data: ByteBuffer?)] = []
        while left > 0, let run = runs.first {
            let part = run.prefix(left)
            left -= part.count
            runs.removeFirst()
            if part.count < run.count { runs = [part.upperBound..<run.upperBound] + runs }
            var slice = data?.readSlice(length: part.count * blockSize)
            for blocks in unmarked(part, of: object.name) {
                slice?.moveReaderIndex(to: (blocks.lowerBound - part.lowerBound) * blockSize)
                now.append((blocks, slice?.getSlice(at: slice!.readerIndex, length: blocks.count * blockSize)))
            }
        }
        var remaining = now.count + 1
        var failure: SheepError?
        let done: (SheepError?) -> Void = { [self] error in
            failure = failure ?? error
            remaining -= 1
            guard remaining == 0 else { return }
            if failure != nil || runs.isEmpty { return completion(failure) }
            node.clock.schedule(after: 0) { [self] in put(object, runs, data, step: step, completion: completion) }
        }
        for (blocks, data) in now { put(object, blocks, data, completion: done) }
        done(nil)
    }

    /// The runs of those blocks that did not come by a write.
    private func unmarked(_ blocks: Range<Int>, of name: ObjectName) -> [Range<Int>] {
        guard let marked = written[name] else { return [blocks] }
        var runs: [Range<Int>] = []
        for block in blocks where !marked.contains(block) {
            if let last = runs.last, last.upperBound == block { runs[runs.count - 1] = last.lowerBound..<block + 1 } else { runs.append(block..<block + 1) }
        }
        return runs
    }

    private func put(_ object: SourceObject, _ blocks: Range<Int>, _ data: ByteBuffer?, completion: @escaping (SheepError?) -> Void) {
        let shift = ObjectShift(rawValue: object.objectShift)!
        let offset = blocks.lowerBound * blockSize
        guard let data else {
            return store.zero(
                object.name, objectShift: shift, ancestry: [object.name.birth], version: object.version, at: offset,
                length: blocks.count * blockSize, deallocate: true, durable: false, completion: completion)
        }
        data.withUnsafeReadableBytes { bytes in
            store.write(
                object.name, objectShift: shift, ancestry: [object.name.birth], version: object.version, at: offset, from: bytes,
                copyOnWrite: false, durable: false, completion: completion)
        }
    }
}
