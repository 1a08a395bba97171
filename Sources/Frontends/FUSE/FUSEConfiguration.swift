/// What can be set about the FUSE front-end.
package struct FUSEConfiguration: Sendable {
    /// A directory.
    package var mountPoint: String
    /// Others than the user who mounts may enter, as far as permissions let them.
    package var allowOther = false
    /// Every volume and snapshot is in `volume/` by itself; else what is written to `vdi/mount`.
    package var autoMount = false
    /// The kernel keeps what is read, and what is written until it is synced or closed; false: every read and write goes to the
    /// cluster. `config/page_cache` changes it for files opened later, but written pages are kept only if it was so at the start.
    package var pageCache = false
    /// libfuse prints every request on standard error.
    package var debug = false
    /// Seconds for requests under way, and pages to be written, when the file system is stopped.
    package var drainSeconds = 5.0

    package init(mountPoint: String) { self.mountPoint = mountPoint }
}
