package import ObjectModel

/// The result of a reply.
package enum ResultCode: UInt32, Error, Hashable, Sendable, CaseIterable {
    case success = 0x00
    case unknown = 0x01
    case noObject = 0x02
    case inputOutput = 0x03
    case volumeExists = 0x04
    case invalidParameters = 0x05
    case systemError = 0x06
    case volumeLocked = 0x07
    case noVolume = 0x08
    case noBaseVolume = 0x09
    case noTag = 0x0E
    case notLocked = 0x10
    case shuttingDown = 0x11
    case tooManyVolumes = 0x13
    case versionMismatch = 0x14
    case noSpace = 0x15
    case waitingForFormat = 0x16
    case waitingForJoin = 0x17
    case halted = 0x19
    case readOnly = 0x1A
    /// Only to requests with the flag ``RequestFlags/tgt``: load the inode again.
    case inodeInvalidated = 0x1D
    case bufferTooSmall = 0x88

    package init(_ code: SheepError.Code) {
        switch code {
        case .noSuchObject: self = .noObject
        case .inputOutput, .damaged, .stale, .notOwner, .noLease: self = .inputOutput
        case .volumeExists, .snapshotExists, .attributeExists: self = .volumeExists
        case .invalidArgument, .notSupported, .alreadyFormatted, .noSuchNode, .accessDenied: self = .invalidParameters
        case .volumeLocked: self = .volumeLocked
        case .noSuchVolume: self = .noVolume
        case .noSuchSnapshot: self = .noTag
        case .notLocked: self = .notLocked
        case .shuttingDown: self = .shuttingDown
        case .noSpace: self = .noSpace
        case .notFormatted: self = .waitingForFormat
        case .waitingForNodes: self = .waitingForJoin
        case .readOnly: self = .readOnly
        case .tooManyVolumes: self = .tooManyVolumes
        case .versionMismatch: self = .versionMismatch
        // Not enough copies answer.
        case .unavailable: self = .halted
        case .busy, .noSuchAttribute: self = .systemError
        case .unknown: self = .unknown
        }
    }
}
