package import ObjectModel

/// Asks a sheep which objects a volume shows in a range of indices, in the groups that it is in sync for; the reply is a ``Shown``.
package struct VolumeMapping: Hashable, WireCodable {
    package var receiverBoot: BootID
    package var logIndex: LogIndex
    package var volume: Birth
    package var first: UInt32
    package var last: UInt32

    package init(receiverBoot: BootID, logIndex: LogIndex, volume: Birth, indices: ClosedRange<UInt32>) {
        (self.receiverBoot, self.logIndex, self.volume) = (receiverBoot, logIndex, volume)
        (first, last) = (indices.lowerBound, indices.upperBound)
    }

    package init(from reader: inout WireReader) throws(WireError) {
        receiverBoot = try reader.readValue()
        logIndex = try reader.readValue()
        volume = try reader.readValue()
        first = try reader.read()
        last = try reader.read()
        guard first <= last else { throw .invalid("range of indices") }
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(receiverBoot)
        writer.write(logIndex)
        writer.write(volume)
        writer.write(first)
        writer.write(last)
    }

    package struct Shown: Hashable, WireCodable {
        /// The entry of the control log that last changed who is in sync, as the sheep knew it.
        package var membership: LogIndex
        /// In order of index.
        package var runs: [ObjectRun]
        /// The first index after the range at which the sheep has anything of the volume's family; nil: it has no more.
        package var next: UInt32?

        package init(membership: LogIndex, runs: [ObjectRun], next: UInt32?) {
            (self.membership, self.runs, self.next) = (membership, runs, next)
        }

        package init(from reader: inout WireReader) throws(WireError) {
            membership = try reader.readValue()
            runs = try reader.readArray()
            next = try reader.readBool() ? try reader.read() : nil
        }

        package func encode(to writer: inout WireWriter) {
            writer.write(membership)
            writer.write(runs)
            writer.write(next != nil)
            if let next { writer.write(next) }
        }
    }
}
