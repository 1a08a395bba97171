import ArgumentParser
import Listings
import ObjectModel
import SheepProtocol

struct RedundancyOptions: ParsableArguments {
    @Option(name: [.customShort("c"), .customLong("copies")], help: "The number of copies, 1 to 31.", transform: Self.copies)
    var copies: UInt8?

    private static func copies(_ text: String) throws -> UInt8 {
        guard let number = UInt8(text), Redundancy.allowedCopies.contains(number) else {
            throw ValidationError("Invalid number of copies '\(text)': must be an integer between 1 and 31")
        }
        return number
    }
}

struct ObjectSizeOptions: ParsableArguments {
    @Option(
        name: [.customShort("z"), .customLong("block-size-shift")],
        help: "The size of objects as a power of two, 20 (1 MiB) to 27 (128 MiB).", transform: Self.shift)
    var shift: UInt8?

    private static func shift(_ text: String) throws -> UInt8 {
        guard let number = UInt8(text), ObjectShift.allowed.contains(number) else {
            throw ValidationError("Invalid block size shift '\(text)': must be an integer between 20 and 27")
        }
        return number
    }
}

/// `-s`: a number is a snapshot's id, anything else its tag.
struct SnapshotOptions: ParsableArguments {
    @Option(name: [.customShort("s"), .customLong("snapshot")], help: "The snapshot's id or tag.", transform: Self.selector)
    var selector: VolumeReference.Selector?

    static func selector(_ text: String) throws -> VolumeReference.Selector {
        if let id = UInt32(text) {
            guard id > 0 else { throw ValidationError("Invalid snapshot id '0'") }
            return .id(id)
        }
        guard !text.isEmpty, text.utf8.count <= NameLimit.bytes else {
            throw ValidationError("Invalid snapshot tag '\(text)': 1 to \(NameLimit.bytes) bytes")
        }
        return .tag(text)
    }
}

/// How Sheepdog's dog paces the removal of objects. Here each sheep removes its own in the background: scripts may still say it.
struct ReclaimingOptions: ParsableArguments {
    @Option(name: [.customShort("B"), .customLong("reclaim-batch-size")], help: "Accepted; sheep remove objects in the background.")
    var batch: UInt32?
    @Option(name: [.customShort("I"), .customLong("reclaim-interval")], help: "Accepted; sheep remove objects in the background.")
    var interval: UInt32?
}

/// A volume's name as an operand.
struct VolumeName: ExpressibleByArgument {
    var text: String

    /// What no volume can be called is refused without asking: nothing, more than 255 bytes, `@` (it leads to the
    /// snapshot in an export name) or a control character.
    init?(argument: String) {
        guard !argument.isEmpty, argument.utf8.count <= NameLimit.bytes,
            argument.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F && $0 != "@" })
        else { return nil }
        text = argument
    }

    var defaultValueDescription: String { text }
}

/// A number of bytes with an optional suffix.
struct Size: ExpressibleByArgument {
    var bytes: UInt64

    init?(argument: String) {
        guard let bytes = ByteText.bytes(argument) else { return nil }
        self.bytes = bytes
    }
}
