/// What a client may do with an export (`doc/proto.md`, "Transmission flags").
package struct TransmissionFlags: OptionSet, Hashable, Sendable {
    package let rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }

    package static let hasFlags = TransmissionFlags(rawValue: 1 << 0)
    package static let readOnly = TransmissionFlags(rawValue: 1 << 1)
    package static let sendFlush = TransmissionFlags(rawValue: 1 << 2)
    package static let sendFUA = TransmissionFlags(rawValue: 1 << 3)
    package static let sendTrim = TransmissionFlags(rawValue: 1 << 5)
    package static let sendWriteZeroes = TransmissionFlags(rawValue: 1 << 6)
    package static let sendDontFragment = TransmissionFlags(rawValue: 1 << 7)
    /// A flush on one connection covers the writes acknowledged on all.
    package static let canMultiConn = TransmissionFlags(rawValue: 1 << 8)
    package static let sendCache = TransmissionFlags(rawValue: 1 << 10)
    package static let sendFastZero = TransmissionFlags(rawValue: 1 << 11)

    /// The flags of an export; DF only once structured replies are negotiated, as the specification demands.
    package init(isReadOnly: Bool, structuredReplies: Bool) {
        self = [.hasFlags, .sendFlush, .canMultiConn, .sendCache]
        if isReadOnly {
            insert(.readOnly)
        } else {
            formUnion([.sendFUA, .sendTrim, .sendWriteZeroes, .sendFastZero])
        }
        if structuredReplies { insert(.sendDontFragment) }
    }
}
