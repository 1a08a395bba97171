package import ObjectModel

/// What one disk is to one placement group besides its place in the group's list, for every number of copies k at once.
///
/// In-sync state is kept by exception: for a k in no layer the disk, if it is a member, is in sync.
///
/// Invariants: no two layers share a k; layers are in order of (since, state), and equal ones are one, so that equal
/// standings compare equal. Layers for a k whose member the disk is not mean nothing.
package struct Standing: Hashable, Sendable {
    package enum State: UInt8, Hashable, Sendable { case out = 0, syncing = 1 }

    package struct Layer: Hashable, Sendable {
        package var copies: CopyCounts
        package var state: State
        /// The entry that put the disk out; syncing keeps it. 0: the disk never had the objects.
        package var since: LogIndex
    }

    /// The k for which the disk is a holding member: a member of earlier epochs that stays until all placed ones are in sync.
    package var holding: CopyCounts = []
    package private(set) var layers: [Layer] = []

    package static let inSync = Standing()

    /// All k for which the disk, where a member, is not in sync.
    package var exceptions: CopyCounts { layers.reduce(into: []) { $0.formUnion($1.copies) } }

    /// Nil: in sync.
    package func layer(for copies: UInt8) -> Layer? { layers.first { $0.copies.contains(copies: copies) } }

    /// Puts the disk out of all sets; where it is out or syncing already, the older `since` stays.
    package func out(since index: LogIndex) -> Standing {
        let fresh = CopyCounts.all.subtracting(exceptions)
        var result = interrupted()
        result.rebuild { $0.append(Layer(copies: fresh, state: .out, since: index)) }
        return result
    }

    /// Out for these k where it is in sync.
    package func out(_ copies: CopyCounts, since index: LogIndex) -> Standing {
        var result = self
        result.rebuild { $0.append(Layer(copies: copies.subtracting(exceptions), state: .out, since: index)) }
        return result
    }

    /// The process that synced is gone, or what it copied from was no authority: what was syncing for these k is out,
    /// since the same entry.
    package func interrupted(_ copies: CopyCounts = .all) -> Standing {
        var result = self
        result.rebuild { layers in
            for layer in layers where layer.state == .syncing {
                layers.append(Layer(copies: layer.copies.intersection(copies), state: .out, since: layer.since))
            }
            for layer in layers.indices where layers[layer].state == .syncing { layers[layer].copies.subtract(copies) }
        }
        return result
    }

    /// The disk has nothing of the volumes of these k.
    package func missing(_ copies: CopyCounts) -> Standing {
        guard !copies.isEmpty else { return self }
        var result = inSync(copies)
        result.rebuild { $0.append(Layer(copies: copies, state: .out, since: .zero)) }
        return result
    }

    /// What was out for these k is syncing.
    package func syncing(_ copies: CopyCounts) -> Standing {
        var result = self
        result.rebuild { layers in
            for layer in layers where layer.state == .out {
                layers.append(Layer(copies: layer.copies.intersection(copies), state: .syncing, since: layer.since))
            }
            for layer in layers.indices where layers[layer].state == .out { layers[layer].copies.subtract(copies) }
        }
        return result
    }

    /// The disk is in sync for these k.
    package func inSync(_ copies: CopyCounts) -> Standing {
        var result = self
        result.rebuild { layers in
            for layer in layers.indices { layers[layer].copies.subtract(copies) }
        }
        return result
    }

    /// Out since other entries.
    package func movingSince(_ move: (LogIndex) -> LogIndex) -> Standing {
        var result = self
        result.rebuild { layers in
            for layer in layers.indices { layers[layer].since = move(layers[layer].since) }
        }
        return result
    }

    package func copies(_ state: State) -> CopyCounts {
        layers.reduce(into: []) { if $1.state == state { $0.formUnion($1.copies) } }
    }

    /// Changes the layers and restores their order.
    private mutating func rebuild(_ change: (inout [Layer]) -> Void) {
        change(&layers)
        layers.removeAll { $0.copies.isEmpty }
        // Mostly there is one at most.
        guard layers.count > 1 else { return }
        let changed = layers.sorted { ($0.since, $0.state.rawValue) < ($1.since, $1.state.rawValue) }
        layers = []
        for layer in changed {
            if let last = layers.last, (last.since, last.state) == (layer.since, layer.state) {
                layers[layers.count - 1].copies.formUnion(layer.copies)
            } else {
                layers.append(layer)
            }
        }
        precondition(layers.reduce(0) { $0 + $1.copies.rawValue.nonzeroBitCount } == exceptions.rawValue.nonzeroBitCount)
    }
}

extension Standing: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) {
        holding = try reader.readValue()
        layers = try reader.readArray()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(holding)
        writer.write(layers)
    }
}

extension Standing.Layer: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) {
        copies = try reader.readValue()
        guard let state = Standing.State(rawValue: try reader.read()) else { throw .invalid("member state") }
        self.state = state
        since = try reader.readValue()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(copies)
        writer.write(state.rawValue)
        writer.write(since)
    }
}
