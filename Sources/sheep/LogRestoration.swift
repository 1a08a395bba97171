import Cluster
import LocalEngine
import Logging
import ObjectModel

/// Makes the machine's control log anew from a store's copy of it, when it was lost or damaged.
struct LogRestoration {
    let store: String
    let directory: LocalEngineDirectory
    let logger: Logger

    /// No other sheep restores until the folder is unlocked. Does nothing where the log is whole and not behind the copy. Refused while a sheep of this machine runs, and where more of
    /// the log can be read than the copy has.
    func perform() throws(SheepError) {
        let isAlone: Bool
        let reach: (last: LogIndex, isWhole: Bool)?
        let copy: LogCopy.Contents?
        do throws(EngineFailure) {
            isAlone = try directory.folder.directory.tryLock(shared: false)
            reach = try directory.folder.reach()
            copy = try LogCopy.read(in: store)
        } catch { throw SheepError(.damaged, error.text) }
        guard isAlone else {
            throw SheepError(.busy, "another sheep makes the control log in \(directory.path) anew: start this one without --restore-log")
        }
        guard let copy else {
            throw SheepError(.invalidArgument, "the store \(store) has no copy of a control log: nothing can be made from it")
        }
        if let reach, reach.last >= copy.last {
            if reach.isWhole { return logger.info("the control log is whole, up to entry \(reach.last): nothing is restored") }
            guard reach.last == copy.last else {
                throw SheepError(
                    .stale,
                    """
                    the control log in \(directory.path) can be read up to entry \(reach.last), this store's copy of it ends at entry \
                    \(copy.last): restore it by the sheep of this machine that ran last
                    """)
            }
        }
        var state = try state(of: copy)
        state.restoreLog(skipping: .random(in: LogRestorationMark.gaps))
        try directory.rebuildLog(index: state.appliedIndex, snapshot: state.wire)
        logger.warning("the control log in \(directory.path) was made anew from the copy in \(store), up to entry \(copy.last)")
    }

    private func state(of copy: LogCopy.Contents) throws(SheepError) -> ControlState {
        do {
            var state = copy.snapshot.isEmpty ? ControlState() : try ControlState(wire: copy.snapshot)
            for entry in copy.entries { _ = try state.apply(try ControlEntry(wire: entry.payload), at: entry.index) }
            return state
        } catch {
            throw SheepError(.damaged, "the copy of the control log in \(store) cannot be applied (\(error)): compare versions of sheep")
        }
    }
}
