package import FrontendKit

/// What client and server agreed upon, fixed when transmission begins.
package struct NegotiatedSession: Hashable, Sendable {
    /// Reads are answered in chunks, errors have texts.
    package var structuredReplies = false
    /// The client may ask for the block status of `base:allocation`.
    package var allocationContext = false

    package init(structuredReplies: Bool = false, allocationContext: Bool = false) {
        (self.structuredReplies, self.allocationContext) = (structuredReplies, allocationContext)
    }
}

/// What the checks of a request need to know of an export.
package struct ExportLimits: Hashable, Sendable {
    /// Bytes.
    package var size: UInt64
    package var isReadOnly: Bool
    /// The most bytes that a read or a write may have.
    package var maximumRequest: UInt32

    package init(size: UInt64, isReadOnly: Bool, maximumRequest: UInt32) {
        (self.size, self.isReadOnly, self.maximumRequest) = (size, isReadOnly, maximumRequest)
    }

    package init(_ information: BlockDeviceInformation, serverMaximum: UInt32) {
        self.init(
            size: information.size, isReadOnly: information.isReadOnly,
            maximumRequest: min(information.maximumRequest, serverMaximum))
    }
}
