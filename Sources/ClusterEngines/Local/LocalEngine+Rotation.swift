import Cluster
import ObjectModel

/// How far the change from a full segment to the next is.
///
/// Space for the next segment is reserved before the present one is sealed, so that a full disk cannot leave the log
/// between two. Everyone makes the next segment if the one who sealed does not; the first link wins.
struct Rotation {
    enum Draft: Sendable {
        case none
        /// The worker reserves its space.
        case reserving
        case ready(SegmentDraft)
    }

    var draft = Draft.none
    /// Not before this time is space asked for again after there was none.
    var nextReservation: UInt64 = 0
    /// When this process saw that the seal is delivered and the next segment missing.
    var standingSince: UInt64?
    /// The worker makes a segment.
    var isMaking = false

    mutating func discardDraft() {
        if case .ready(let draft) = draft { draft.discard() }
        draft = .none
    }
}

extension LocalEngine {
    /// Reads all there is, following seals whose entries have been delivered.
    /// - Returns: the end was reached; false when there is no segment at all yet (then one is being made), or another one after
    ///   what is being delivered.
    func readToEnd() throws(EngineFailure) -> Bool {
        if segment == nil, try !openNewest() {
            makeSegment()
            return false
        }
        while let current = segment {
            // Before it is read: a segment that has its name and no seal is the log's end.
            if try current.isRemoved() {
                guard try openNewest() else { throw .removed(path: current.file.path) }
                continue
            }
            queue.saw(try current.read().map { .entry($0.index, $0.payload) })
            guard current.isSealed else { return true }
            // What stands in the next segment is seen when this one's entries were delivered; until then this was no look at
            // the end: a sheep that stood still could take its node lease for valid.
            guard queue.isIdle else { return try folder.open(current.next) == nil }
            precondition(delivered.next == current.next)
            guard let following = try folder.open(current.next) else {
                standAtEnd()
                return true
            }
            // When the predecessor has its name the follower was never removed, so this is it and not one that a
            // process stopped long ago has put there again.
            if try !current.isRemoved() { advance(to: following) }
        }
        return true
    }

    private func advance(to following: Segment) {
        segment = following
        folderNeedsSync = true
        rotation.standingSince = nil
        rotation.discardDraft()
    }

    /// Starts from the newest segment's snapshot.
    /// - Returns: false when there is no segment newer than the present one.
    private func openNewest() throws(EngineFailure) -> Bool {
        for _ in 0..<16 {
            guard let newest = try folder.segments().last else { return false }
            if let segment, newest <= segment.first { return false }
            // Twice the same answer: the names change while they are listed.
            guard let candidate = try folder.open(newest), try folder.segments().last == newest else { continue }
            let snapshot = try candidate.readSnapshot()
            advance(to: candidate)
            queue.dropWaiting()
            unwritten = nil
            if candidate.first.rawValue > 1 || !snapshot.isEmpty {
                queue.saw([.restored(candidate.header.index, snapshot)])
            }
            return true
        }
        throw .damaged(path: folder.directory.path, what: "segments come and go")
    }

    // MARK: Sealing

    private var isFull: Bool {
        guard let segment, !segment.isSealed else { return false }
        return segment.recordBytes > max(limits.sealAfter, segment.header.snapshotLength)
    }

    /// After an own entry: reserves the next segment's space when this one is full. So those who write see to it.
    func considerSealing() {
        guard phase == .running, isFull, let segment else { return }
        guard case .none = rotation.draft, loop.now() >= rotation.nextReservation else { return }
        rotation.draft = .reserving
        let estimate = segment.header.snapshotLength * 2
        worker.run { [folder, loop, node, limits] in
            let draft: Result<SegmentDraft, EngineFailure>
            do throws(EngineFailure) {
                draft = .success(try SegmentDraft(
                    in: folder, maker: node.description, snapshotEstimate: estimate, reserve: limits.reserve))
            } catch { draft = .failure(error) }
            loop.post { self.reserved(draft) }
        }
    }

    private func reserved(_ draft: Result<SegmentDraft, EngineFailure>) {
        guard phase == .running else { return (try? draft.get())?.discard() ?? () }
        switch draft {
        case .success(let draft):
            rotation.draft = .ready(draft)
            trySealing()
            look()
        case .failure(let failure) where failure.isFull:
            // The log goes on in its reserve.
            rotation.draft = .none
            rotation.nextReservation = loop.now() + 1_000_000_000
        case .failure(let failure):
            fail(failure)
        }
    }

    /// Appends the seal when the space for what follows is there. Another entry may win its index; the timer tries again.
    func trySealing() {
        guard phase == .running, case .ready = rotation.draft, let segment else { return }
        look()
        guard phase == .running, isFull, segment === self.segment else { return }
        do throws(EngineFailure) {
            try segment.append(LogRecord(index: segment.next, payload: []))
        } catch { return fail(error) }
        look()
    }

    // MARK: Making the next segment

    /// The seal is delivered and the next segment missing: the one with the space makes it at once, others a look later.
    private func standAtEnd() {
        let now = loop.now()
        let since = rotation.standingSince ?? now
        rotation.standingSince = since
        let isDue =
            switch rotation.draft {
            case .ready: true
            case .reserving: false
            case .none: now >= since + Self.lookInterval
            }
        guard isDue, !rotation.isMaking else { return }
        // Later, for the delegate is not asked for a snapshot from within its own call of `look` or `append`.
        loop.schedule(afterNanoseconds: 0) { [weak self] in self?.makeSegment() }
    }

    /// Makes the segment after the seal, from the delegate's state, or the log's first.
    private func makeSegment() {
        guard phase == .running, !rotation.isMaking, let delegate else { return }
        // Another's segment may have been found meanwhile.
        if let segment, !segment.isSealed || !queue.isIdle || delivered.next != segment.next { return }
        rotation.isMaking = true
        let snapshot = segment == nil ? [] : delegate.snapshot()
        precondition(snapshot.count <= SegmentHeader.maximumSnapshot)
        let ready: SegmentDraft? = if case .ready(let draft) = rotation.draft { draft } else { nil }
        rotation.draft = .none
        worker.run { [folder, loop, node, limits, delivered] in
            var failure: EngineFailure?
            do throws(EngineFailure) {
                let draft =
                    if let ready { ready } else {
                        try SegmentDraft(
                            in: folder, maker: node.description, snapshotEstimate: UInt64(snapshot.count), reserve: limits.reserve)
                    }
                if try draft.install(index: delivered, snapshot: snapshot) { try folder.removeOldSegments() }
            } catch { failure = error }
            loop.post { [failure] in self.made(failure) }
        }
    }

    private func made(_ failure: EngineFailure?) {
        rotation.isMaking = false
        guard phase == .running else { return }
        if let failure {
            let stands = loop.now() - (rotation.standingSince ?? 0)
            guard failure.isFull, segment != nil, stands < Self.spacePatience else { return fail(failure) }
            // The next look tries again; nothing can be committed meanwhile, and nothing that was is in danger.
            return
        }
        look()
    }
}
