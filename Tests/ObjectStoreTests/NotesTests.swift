import ObjectStore
import Testing

/// What one run leaves for the next.
@Suite struct NotesTests {
    private func notes(_ store: ObjectStore<some Disk>) -> [[UInt8]] { store.notesLeft().map(\.note) }

    private func outliveTheProcess(_ world: some World) throws {
        defer { world.cleanUp() }
        let driver = try StoreDriver(world)
        #expect(notes(driver.store).isEmpty)
        let slots = (1...5 as ClosedRange<UInt8>).map { driver.store.addNote([$0, $0]) }
        driver.store.removeNote(try #require(slots[1]))
        #expect(driver.store.addNote(Array(repeating: 9, count: 122)) == slots[1])
        driver.store.removeNote(try #require(slots[4]))
        world.kill()
        try driver.open()
        #expect(notes(driver.store) == [[1, 1], Array(repeating: 9, count: 122), [3, 3], [4, 4]])
        // Slots that were left go on being theirs.
        #expect(driver.store.addNote([6]) == slots[4])
        #expect(driver.close() == nil)
        try driver.open()
        #expect(notes(driver.store).count == 5)
        driver.store.forgetNotes()
        #expect(driver.close() == nil)
        try driver.open()
        #expect(notes(driver.store).isEmpty)
        #expect(driver.close() == nil)
    }

    @Test("a killed process's notes are there at the next start, those taken back are not")
    func kill() throws {
        try outliveTheProcess(SimulatedWorld(seed: 1))
        try outliveTheProcess(FileWorld())
    }

    @Test("a garbled note is none, nor is one in another's slot; a store that is emptied has none")
    func garbled() throws {
        let driver = try StoreDriver(SimulatedWorld(seed: 2))
        for note in 1...3 as ClosedRange<UInt8> { _ = driver.store.addNote([note]) }
        try driver.world.disk.flipBit(in: "notes", at: 6)
        driver.world.kill()
        try driver.open()
        #expect(notes(driver.store) == [[2], [3]])
        #expect(driver.await { driver.store.wipe(completion: $0) } == nil)
        try driver.open()
        #expect(notes(driver.store).isEmpty)
        #expect(driver.close() == nil)
    }
}
