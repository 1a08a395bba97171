/// Sheepdog's inode, 12,587,576 bytes. Nobody stores it here: it is computed when read.
///
/// ```
///       off size field                                     off size field
///         0  256 name                                      553    1 store policy, 0
///       256  256 tag                                       554    1 copies
///       512    8 time of creation                          555    1 object shift
///       520    8 time of snapshot, 0 for a working volume  556    4 snapshot id
///       528    8 machine's clock, 0                        560    4 VID
///       536    8 size                                      564    4 VID of the parent, 0 for none
///       544    8 size of the machine's state, 0            568 4096 nothing
///       552    1 copy policy, 0
///      4664  4 Mi slots: of each index, the VID whose object it shows (4); 0: none
/// 4,198,968  8 Mi counts of references, 0
/// ```
package enum InodeLayout {
    package static let size = 12_587_576
    /// What QEMU and tgt read of it: without the counts.
    package static let sizeWithoutCounts = 4_198_968
    package static let headerSize = 4664
    package static let mostSlots = 1 << 20

    static let tag = 256
    static let createdAt = 512
    static let snapshotAt = 520
    static let volumeSize = 536
    static let copies = 554
    static let objectShift = 555
    static let snapshotID = 556
    static let vid = 560
    static let parent = 564
}
