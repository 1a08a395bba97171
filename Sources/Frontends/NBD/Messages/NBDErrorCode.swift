package import ObjectModel

/// The error numbers of the protocol, the same on every system (`doc/proto.md`, "Error values").
package enum NBDErrorCode: UInt32, Error, Hashable, Sendable, CaseIterable {
    /// EPERM
    case notPermitted = 1
    /// EIO
    case inputOutput = 5
    /// ENOMEM
    case noMemory = 12
    /// EINVAL
    case invalid = 22
    /// ENOSPC
    case noSpace = 28
    /// EOVERFLOW
    case overflow = 75
    /// ENOTSUP
    case notSupported = 95
    /// ESHUTDOWN
    case shuttingDown = 108

    package init(_ code: SheepError.Code) {
        switch code {
        case .readOnly, .volumeLocked, .accessDenied: self = .notPermitted
        case .invalidArgument: self = .invalid
        case .noSpace: self = .noSpace
        case .notSupported: self = .notSupported
        case .shuttingDown: self = .shuttingDown
        case .unknown, .noSuchObject, .inputOutput, .volumeExists, .noSuchVolume, .noSuchSnapshot, .snapshotExists,
            .notLocked, .notFormatted, .waitingForNodes, .tooManyVolumes, .noSuchAttribute, .attributeExists,
            .alreadyFormatted, .unavailable, .busy, .versionMismatch, .noSuchNode, .stale, .notOwner, .noLease, .damaged:
            self = .inputOutput
        }
    }
}

extension OptionReplyKind {
    /// The answer to an option that needed an export which could not be opened.
    package init(_ code: SheepError.Code) {
        switch NBDErrorCode(code) {
        case .notPermitted: self = .policy
        case .shuttingDown: self = .shuttingDown
        case .invalid: self = .invalid
        case .inputOutput, .noMemory, .noSpace, .overflow, .notSupported: self = .unknownExport
        }
    }
}
