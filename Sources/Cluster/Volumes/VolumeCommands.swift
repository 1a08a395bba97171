import ObjectModel

/// The volume commands. Each is checked in full before it changes anything.
extension VolumeTree {
    /// Where and when an entry happens.
    struct Moment {
        var index: LogIndex
        /// Wall clock of the proposer, nanoseconds since 1970.
        var time: UInt64
        var birth: Birth { Birth(rawValue: index.rawValue) }
    }

    mutating func create(_ command: ControlCommand.CreateVolume, defaults: ClusterRecord, at moment: Moment) throws(SheepError) -> Birth {
        let copies = command.copies == 0 ? defaults.copies : command.copies
        let objectShift = command.objectShift == 0 ? defaults.objectShift : command.objectShift
        try Self.checkLayout(copies: copies, objectShift: objectShift)
        try checkNameIsFree(command.name)
        try checkSize(command.size, objectShift: objectShift)
        insert(
            VolumeRecord(
                birth: moment.birth, parent: nil, family: Family(rawValue: moment.birth.rawValue), name: command.name,
                snapshotID: nextSnapshotID(for: command.name), vid: try checkedVID(for: command.name),
                createdAt: moment.time, size: command.size, objectShift: objectShift, copies: copies,
                lastEntry: moment.index))
        return moment.birth
    }

    /// The present birth becomes the snapshot; a new one, its child, goes on as the volume.
    mutating func snapshot(_ command: ControlCommand.SnapshotVolume, at moment: Moment) throws(SheepError) -> Birth {
        let present = try checkedWorking(command.volume)
        try checkTag(command.tag, ofVolumeNamed: present.name)
        let vid = try checkedVID(for: present.name)
        update(present.birth) {
            ($0.tag, $0.snapshotAt, $0.attributes, $0.lastEntry) = (command.tag, moment.time, [:], moment.index)
        }
        insert(successor(of: present, childOf: present, vid: vid, at: moment))
        return moment.birth
    }

    /// The present birth is deleted; a new one, child of the snapshot, goes on as the volume. It is no smaller than before, for who
    /// has the volume open goes on writing up to the size he knows: past the snapshot's end it reads as zeros.
    mutating func rollback(_ command: ControlCommand.RollbackVolume, at moment: Moment) throws(SheepError) -> Birth {
        let present = try checkedWorking(command.volume)
        let target = try checkedSnapshot(command.snapshot)
        guard target.family == present.family, target.name == present.name else {
            throw SheepError(.invalidArgument, "snapshot \(target.tag) of \(target.name) is none of volume \(present.name)")
        }
        let vid = try checkedVID(for: present.name)
        bury(present.birth, at: moment)
        insert(successor(of: present, childOf: target, vid: vid, at: moment))
        return moment.birth
    }

    private func successor(of present: VolumeRecord, childOf parent: VolumeRecord, vid: VID, at moment: Moment) -> VolumeRecord {
        VolumeRecord(
            birth: moment.birth, parent: parent.birth, family: parent.family, name: present.name,
            snapshotID: parent.birth == present.birth ? present.snapshotID + 1 : present.snapshotID, vid: vid,
            createdAt: moment.time, size: max(present.size, parent.size), objectShift: parent.objectShift, copies: parent.copies,
            attributes: present.attributes, lastEntry: moment.index, term: present.term)
    }

    mutating func clone(_ command: ControlCommand.CloneVolume, at moment: Moment) throws(SheepError) -> Birth {
        let source = try checkedSnapshot(command.source)
        // The clone shows the snapshot's objects where these are: other members than those of the snapshot have none of them.
        guard command.copies == 0 || command.copies == source.copies else {
            throw SheepError(
                .invalidArgument,
                "a clone has as many copies as its snapshot, \(source.copies) and not \(command.copies): copy the snapshot into a new volume instead")
        }
        try checkNameIsFree(command.name)
        insert(
            VolumeRecord(
                birth: moment.birth, parent: source.birth, family: source.family, name: command.name,
                snapshotID: nextSnapshotID(for: command.name), vid: try checkedVID(for: command.name),
                createdAt: moment.time, size: source.size, objectShift: source.objectShift, copies: source.copies,
                lastEntry: moment.index))
        return moment.birth
    }

    mutating func resize(_ command: ControlCommand.ResizeVolume, at moment: Moment) throws(SheepError) {
        let present = try checkedWorking(command.volume)
        try checkSize(command.size, objectShift: present.objectShift)
        guard command.size >= present.size else {
            throw SheepError(
                .invalidArgument,
                "volume \(present.name) has \(present.size) bytes and cannot shrink to \(command.size); copy it to a smaller one")
        }
        update(present.birth) { ($0.size, $0.lastEntry) = (command.size, moment.index) }
    }

    /// A volume or a snapshot; what descends from it stays.
    mutating func delete(_ birth: Birth, at moment: Moment) throws(SheepError) {
        _ = try checkedLiving(birth)
        bury(birth, at: moment)
    }

    private mutating func bury(_ birth: Birth, at moment: Moment) {
        update(birth) {
            ($0.name, $0.tag, $0.attributes) = ("", "", [:])
            ($0.isDeleted, $0.lastEntry) = (true, moment.index)
        }
    }

    /// The name is the snapshots' too, and goes with them: rollback, clone and listings find them under the volume's name.
    /// Nothing that data requests know changes, so no owner is asked.
    mutating func rename(_ command: ControlCommand.RenameVolume) throws(SheepError) {
        let present = try checkedWorking(command.volume)
        try checkNameIsFree(command.name)
        let left = snapshots(named: command.name)
        // Their tags and ids might be those of snapshots that come along.
        guard left.isEmpty else {
            throw SheepError(
                .volumeExists,
                "\(left.count) snapshots of a deleted volume \(command.name) are left: choose another name, or delete them first")
        }
        for birth in snapshots(named: present.name).map(\.birth) + [present.birth] { update(birth) { $0.name = command.name } }
    }

    mutating func setAttribute(_ command: ControlCommand.SetAttribute) throws(SheepError) {
        let record = try checkedLiving(command.volume)
        guard (1...Self.longestName).contains(command.key.utf8.count), command.value?.count ?? 0 <= Self.longestAttribute else {
            throw SheepError(.invalidArgument, "an attribute has a key of 1 to 255 bytes and a value of at most 65536")
        }
        let isThere = record.attributes[command.key] != nil
        if command.exclusive, isThere, command.value != nil {
            throw SheepError(.attributeExists, "volume \(record.name) has an attribute \(command.key)")
        }
        if !isThere {
            guard command.value != nil else {
                throw SheepError(.noSuchAttribute, "volume \(record.name) has no attribute \(command.key)")
            }
            guard record.attributes.count < Self.mostAttributes else {
                throw SheepError(.noSpace, "volume \(record.name) has \(Self.mostAttributes) attributes, the most")
            }
        }
        update(record.birth) { $0.attributes[command.key] = command.value }
    }

    /// Unknown ones are forgotten already.
    mutating func forgetDeleted(_ birth: Birth) throws(SheepError) {
        guard let record = self[birth] else { return }
        guard record.isDeleted else { throw SheepError(.busy, "volume \(record.name) (birth \(birth)) is not deleted") }
        forget(birth)
    }

    private func nextSnapshotID(for name: String) -> UInt32 {
        (snapshots(named: name).map(\.snapshotID).max() ?? 0) + 1
    }
}
