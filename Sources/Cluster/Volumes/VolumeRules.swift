import ObjectModel

/// What may be asked for: all refusals of volume commands but those about leases.
extension VolumeTree {
    /// 255 bytes and a zero fill the 256 bytes of Sheepdog's name fields.
    static let longestName = 255
    static let longestAttribute = 65_536
    static let mostAttributes = 1024

    func checkName(_ name: String) throws(SheepError) {
        guard (1...Self.longestName).contains(name.utf8.count), !name.utf8.contains(0) else {
            throw SheepError(.invalidArgument, "a volume's name has 1 to 255 bytes of UTF-8 and no NUL")
        }
    }

    func checkNameIsFree(_ name: String) throws(SheepError) {
        try checkName(name)
        guard volume(named: name) == nil else { throw SheepError(.volumeExists, "volume \(name) exists") }
    }

    func checkTag(_ tag: String, ofVolumeNamed name: String) throws(SheepError) {
        guard tag.utf8.count <= Self.longestName, !tag.utf8.contains(0) else {
            throw SheepError(.invalidArgument, "a snapshot's tag has at most 255 bytes of UTF-8 and no NUL")
        }
        guard Int(tag) == nil, tag.isEmpty || !tag.utf8.allSatisfy({ 48...57 ~= $0 }) else {
            throw SheepError(.invalidArgument, "the tag \(tag) would be taken for a snapshot id; choose one that is no number")
        }
        guard tag.isEmpty || !snapshots(named: name).contains(where: { $0.tag == tag }) else {
            throw SheepError(.snapshotExists, "volume \(name) has a snapshot \(tag)")
        }
    }

    func checkSize(_ size: UInt64, objectShift: UInt8) throws(SheepError) {
        let largest = ObjectShift(rawValue: objectShift)!.largestVolume
        guard size <= largest else {
            throw SheepError(.invalidArgument, "\(size) bytes are over the largest size, \(largest) bytes (2^32 objects)")
        }
    }

    static func checkLayout(copies: UInt8, objectShift: UInt8) throws(SheepError) {
        guard Redundancy.allowedCopies.contains(copies) else {
            throw SheepError(.invalidArgument, "\(copies) copies are asked for; 1 to 31 are possible")
        }
        guard ObjectShift.allowed.contains(objectShift) else {
            throw SheepError(.invalidArgument, "object size 2^\(objectShift) is asked for; 2^20 to 2^27 bytes are possible")
        }
    }

    func checkedWorking(_ birth: Birth) throws(SheepError) -> VolumeRecord {
        let record = try checkedLiving(birth)
        guard record.isWorking else {
            throw SheepError(.readOnly, "snapshot \(record.tag) of volume \(record.name) (birth \(birth)) cannot change")
        }
        return record
    }

    func checkedSnapshot(_ birth: Birth) throws(SheepError) -> VolumeRecord {
        guard let record = self[birth], !record.isDeleted else {
            throw SheepError(.noSuchSnapshot, "no snapshot of birth \(birth)")
        }
        guard record.isSnapshot else {
            throw SheepError(.invalidArgument, "volume \(record.name) is no snapshot; take one of it first")
        }
        return record
    }

    func checkedLiving(_ birth: Birth) throws(SheepError) -> VolumeRecord {
        guard let record = self[birth], !record.isDeleted else {
            throw SheepError(.noSuchVolume, "no volume of birth \(birth)")
        }
        return record
    }

    func checkedVID(for name: String) throws(SheepError) -> VID {
        guard let vid = freeVID(for: name) else {
            throw SheepError(.tooManyVolumes, "all 2^24 - 1 volume ids are taken; delete volumes or snapshots")
        }
        return vid
    }
}
