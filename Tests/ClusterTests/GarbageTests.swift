import Cluster
import ObjectModel
import Testing

@Suite struct GarbageTests {
    private func name(_ family: Birth, _ birth: Birth, index: UInt32 = 0, kind: ObjectKind = .data) -> ObjectName {
        ObjectName(family: Family(rawValue: family.rawValue), index: index, birth: birth, kind: kind)
    }

    @Test("a deleted snapshot's object is garbage when every living descendant has its own")
    func deletedSnapshot() {
        var talk = Conversation.formatted()
        let a = talk.create("a")
        let b = talk.snapshot(a, "first")
        let c = talk.snapshot(b, "second")
        #expect(!talk.state.isGarbage(name(a, a), presentBirths: [a, b, c]), "it lives")
        talk.say(.deleteVolume(.init(volume: a, term: nil)))
        #expect(!talk.state.isGarbage(name(a, a), presentBirths: [a]))
        #expect(!talk.state.isGarbage(name(a, a), presentBirths: [a, c]), "snapshot b still reads it")
        #expect(talk.state.isGarbage(name(a, a), presentBirths: [a, b]))
        talk.say(.deleteVolume(.init(volume: b, term: nil)))
        #expect(talk.state.isGarbage(name(a, a), presentBirths: [a, c]))
        #expect(!talk.state.isGarbage(name(a, b), presentBirths: [a, b]), "c reads b's")
        #expect(talk.state.isGarbage(name(a, a), presentBirths: [a, b]), "b's hides a's, though b is deleted")
    }

    @Test("beyond a size nothing is read; saved machines belong to their birth; unborn births are kept")
    func edges() {
        var talk = Conversation.formatted()
        let a = talk.create("a", size: 8 << 20)
        #expect(talk.state.isGarbage(name(a, a, index: 2), presentBirths: [a]))
        #expect(!talk.state.isGarbage(name(a, a, index: 1), presentBirths: [a]))
        let b = talk.snapshot(a)
        talk.say(.resizeVolume(.init(volume: b, size: 16 << 20, term: nil)))
        #expect(!talk.state.isGarbage(name(a, a, index: 2), presentBirths: [a]), "the longer child resolves to it")
        #expect(!talk.state.isGarbage(name(a, a, index: 900, kind: .vmstate), presentBirths: [a]))
        talk.say(.deleteVolume(.init(volume: a, term: nil)))
        #expect(talk.state.isGarbage(name(a, a, index: 0, kind: .vmstate), presentBirths: [a]), "nobody inherits it")
        #expect(!talk.state.isGarbage(name(a, Birth(rawValue: talk.now.rawValue + 1)), presentBirths: []))
        talk.say(.deleteVolume(.init(volume: b, term: nil)))
        talk.say(.forgetVolume(b))
        talk.say(.forgetVolume(a))
        #expect(talk.state.isGarbage(name(a, a), presentBirths: [a]))
    }

    @Test("the rule agrees with resolving every living volume, on random trees", arguments: UInt64(1)...40)
    func model(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var talk = Conversation.formatted(nodes: 1, copies: 1)
        let root = talk.create("v0")
        let family = Family(rawValue: root.rawValue)
        for step in 1...40 {
            let births = talk.state.volumesInFamily(family).compactMap { talk.state.volume($0) }
            switch (births.randomElement(using: &random)!, Int.random(in: 0..<4, using: &random)) {
            case (let record, 0...1) where record.isWorking: _ = talk.snapshot(record.birth)
            case (let record, 0...2) where record.isSnapshot && !record.isDeleted: _ = talk.clone(record.birth, "v\(step)")
            case (let record, 3): talk.say(.deleteVolume(.init(volume: record.birth, term: nil)))
            default: break
            }
        }
        let births = talk.state.volumesInFamily(family)
        for _ in 0..<20 {
            let present = births.filter { _ in Bool.random(using: &random) }
            let resolved = Set(births.filter { talk.state.volume($0)?.isDeleted == false }.compactMap { living in
                talk.state.ancestry(of: living).first { present.contains($0) }
            })
            for birth in present {
                let isNeeded = resolved.contains(birth) || talk.state.volume(birth)?.isDeleted == false
                #expect(talk.state.isGarbage(name(root, birth), presentBirths: present) == !isNeeded, "seed \(seed)")
            }
        }
    }

    @Test("a family of a thousand snapshots is no burden")
    func longChain() {
        var talk = Conversation.formatted(nodes: 1, copies: 1)
        let root = talk.create("a")
        var working = root
        for _ in 0..<1000 { working = talk.snapshot(working) }
        let chain = talk.state.ancestry(of: working)
        #expect(chain.count == 1001 && chain.last == root)
        for birth in chain.dropFirst() { talk.say(.deleteVolume(.init(volume: birth, term: nil))) }
        #expect(!talk.state.isGarbage(name(root, root), presentBirths: [root]))
        #expect(talk.state.isGarbage(name(root, root), presentBirths: [root, chain[1]]))
    }
}
