package import ObjectModel

/// What every request for a volume's data names, so that a replica can refuse an outdated sender.
package struct ReplicaContext: Hashable, WireCodable {
    /// The working birth whose lease the sender holds; for reads of a frozen birth, that birth.
    package var volume: Birth
    /// The term of that lease; 0 for reads of a frozen birth.
    package var term: Term
    /// The index of the last entry that touched a member of the object's group, as the sender knows it.
    package var groupVersion: LogIndex
    /// The index of the last entry on the volume, as the sender knows it: a replica behind it catches up first.
    package var volumeEntry: LogIndex
    package var senderIncarnation: Incarnation
    /// The run of the receiving sheep that the sender means; another run has not what this one had.
    package var receiverBoot: BootID

    package init(
        volume: Birth, term: Term, groupVersion: LogIndex, volumeEntry: LogIndex, senderIncarnation: Incarnation,
        receiverBoot: BootID
    ) {
        (self.volume, self.term, self.groupVersion) = (volume, term, groupVersion)
        (self.volumeEntry, self.senderIncarnation) = (volumeEntry, senderIncarnation)
        self.receiverBoot = receiverBoot
    }

    package init(from reader: inout WireReader) throws(WireError) {
        volume = try reader.readValue()
        term = try reader.readValue()
        groupVersion = try reader.readValue()
        volumeEntry = try reader.readValue()
        senderIncarnation = try reader.readValue()
        receiverBoot = try reader.readValue()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(volume)
        writer.write(term)
        writer.write(groupVersion)
        writer.write(volumeEntry)
        writer.write(senderIncarnation)
        writer.write(receiverBoot)
    }
}
