package import ObjectModel

/// Asks a sheep for what it holds at a slot, its data read from the disk and held against its checksums if `verify`: what is
/// damaged is repaired first. The reply is a ``SlotSummary``.
package struct ScrubSlot: Hashable, WireCodable {
    package var receiverBoot: BootID
    package var logIndex: LogIndex
    package var slot: ObjectSlot
    package var verify: Bool
    /// Objects of which the receiver's copy agrees with its own checksums, but not with those of most others: it is made anew.
    package var outvoted: [ObjectName]

    package init(receiverBoot: BootID, logIndex: LogIndex, slot: ObjectSlot, verify: Bool, outvoted: [ObjectName] = []) {
        (self.receiverBoot, self.logIndex, self.slot) = (receiverBoot, logIndex, slot)
        (self.verify, self.outvoted) = (verify, outvoted)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        receiverBoot = try reader.readValue()
        logIndex = try reader.readValue()
        slot = try reader.readValue()
        verify = try reader.readBool()
        outvoted = try reader.readArray()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(receiverBoot)
        writer.write(logIndex)
        writer.write(slot)
        writer.write(verify)
        writer.write(outvoted)
    }
}

/// What one sheep holds at a slot and how sound it is.
package struct SlotSummary: Hashable, WireCodable {
    /// Objects and holes; those damaged beyond their tables are not among them.
    package var objects: [SourceObject]
    /// Changes that other members may not have yet, or this one not.
    package var unsettled: [UnsettledRecord]
    /// Copies that were damaged and are good again.
    package var repaired: UInt32
    /// Copies that are damaged and that no other member could make good.
    package var lost: UInt32
    /// Something of it is being made anew from others: ask again.
    package var isBusy: Bool
    package var bytesRead: UInt64

    package init(
        objects: [SourceObject] = [], unsettled: [UnsettledRecord] = [], repaired: UInt32 = 0, lost: UInt32 = 0,
        isBusy: Bool = false, bytesRead: UInt64 = 0
    ) {
        (self.objects, self.unsettled, self.repaired) = (objects, unsettled, repaired)
        (self.lost, self.isBusy, self.bytesRead) = (lost, isBusy, bytesRead)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        objects = try reader.readArray()
        unsettled = try reader.readArray()
        repaired = try reader.read()
        lost = try reader.read()
        isBusy = try reader.readBool()
        bytesRead = try reader.read()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(objects)
        writer.write(unsettled)
        writer.write(repaired)
        writer.write(lost)
        writer.write(isBusy)
        writer.write(bytesRead)
    }
}
