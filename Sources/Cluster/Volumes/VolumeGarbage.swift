import ObjectModel

extension VolumeTree {
    /// Whether nothing living can ever read the object `name`, where `presentBirths` are the births that have an object at
    /// its (family, index), as far as the log is applied.
    ///
    /// So it is when its birth S is deleted or the index beyond its size, and no living volume resolves the index to S. Who
    /// resolves to S is found downwards from S: a descendant that has an object itself hides S from all below it. The state
    /// of a saved machine and attributes belong to their birth alone and are not inherited.
    func isGarbage(_ name: ObjectName, presentBirths: [Birth], appliedIndex: LogIndex) -> Bool {
        guard let own = records[name.birth] else {
            // Forgotten; or born by an entry not seen yet.
            return name.birth.rawValue <= appliedIndex.rawValue
        }
        switch name.kind {
        case .vmstate, .attribute: return own.isDeleted
        case .data, .strip: break
        }
        if !own.isDeleted, UInt64(name.index) < own.objectCount { return false }
        return !isResolved(name, hiddenBy: Set(presentBirths))
    }

    private func isResolved(_ name: ObjectName, hiddenBy present: Set<Birth>) -> Bool {
        var waiting = [name.birth]
        while let birth = waiting.popLast() {
            let record = records[birth]!
            if !record.isDeleted, UInt64(name.index) < record.objectCount { return true }
            waiting.append(contentsOf: children(of: birth).filter { !present.contains($0) })
        }
        return false
    }
}
