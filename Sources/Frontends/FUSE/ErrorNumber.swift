import Glibc
package import ObjectModel

extension SheepError {
    /// What a system call on a file of the tree fails with.
    package var errorNumber: Int32 {
        switch code {
        case .readOnly: EROFS
        case .accessDenied: EACCES
        case .invalidArgument: EINVAL
        case .noSpace: ENOSPC
        case .notSupported: EOPNOTSUPP
        case .noSuchVolume, .noSuchSnapshot, .noSuchAttribute: ENOENT
        case .volumeLocked, .busy: EBUSY
        case .volumeExists, .snapshotExists, .attributeExists: EEXIST
        case .shuttingDown: ESHUTDOWN
        case .notFormatted, .waitingForNodes, .unavailable: EIO
        case .unknown, .noSuchObject, .inputOutput, .notLocked, .tooManyVolumes, .alreadyFormatted, .versionMismatch,
            .noSuchNode, .stale, .notOwner, .noLease, .damaged:
            EIO
        }
    }
}
