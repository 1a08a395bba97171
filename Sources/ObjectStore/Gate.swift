import ObjectModel

/// What changes are ordered by.
struct GateKey: Hashable {
    let family: Family
    let index: UInt32
    init(_ name: ObjectName) { (family, index) = (name.family, name.index) }
}

/// One change at a time; the others wait in the order of their calls.
final class Gate {
    var isBusy = true
    var isDraining = false
    var queue: [() -> Void] = []
    var head = 0

    func next() -> (() -> Void)? {
        guard head < queue.count else { return nil }
        defer {
            head += 1
            if head == queue.count { (queue, head) = ([], 0) }
        }
        return queue[head]
    }
}

extension ObjectStore {
    /// Runs the body when no other change of this (family, index) is under way; it ends with ``leave(_:)``.
    func enter(_ key: GateKey, _ body: @escaping () -> Void) {
        if let gate = gates[key] {
            gate.queue.append(body)
        } else {
            gates[key] = Gate()
            body()
        }
    }

    func leave(_ key: GateKey) {
        guard let gate = gates[key] else { return }
        gate.isBusy = false
        // A loop, not a recursion, however many wait.
        guard !gate.isDraining else { return }
        gate.isDraining = true
        while !gate.isBusy, let body = gate.next() {
            gate.isBusy = true
            body()
        }
        gate.isDraining = false
        if !gate.isBusy {
            gates[key] = nil
            if gates.isEmpty { closeIfIdle() }
        }
    }

    /// Runs a change: in its order, in a listed region, refused when the store takes no changes any more.
    ///
    /// The body calls `done` once, when the change is applied or has failed; `completion` comes before those that wait.
    func change(
        _ name: ObjectName, completion: @escaping (SheepError?) -> Void,
        body: @escaping (Region<D>, _ done: @escaping (SheepError?) -> Void) -> Void
    ) {
        if let refusal = refusesChanges { return completion(refusal) }
        let key = GateKey(name)
        enter(key) { [self] in
            if hasFailed, let refusal = refusesChanges {
                completion(refusal)
                return leave(key)
            }
            let region = region(of: name)
            region.users += 1
            let done: (SheepError?) -> Void = { [self] error in
                region.users -= 1
                completion(error)
                leave(key)
            }
            list(region) { error in
                if let error { done(error) } else { body(region, done) }
            }
        }
    }
}
