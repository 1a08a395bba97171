package import ObjectModel

/// The path of a unix socket that we listen on: taken over from a dead server, never from a living one, and removed in the
/// end unless somebody else put another there.
package struct UnixSocketPath {
    /// `sun_path` has 108 bytes, one for NUL.
    package static let longest = 107

    package let path: String
    private var identity: SystemCall.FileIdentity?

    /// Makes the path free for bind(2); throws when it is in use or is not a socket.
    ///
    /// - Parameter frontend: Whom the texts of errors name.
    package init(preparing path: String, for frontend: String) throws(SheepError) {
        guard !path.isEmpty, path.utf8.count <= Self.longest else {
            throw SheepError(.invalidArgument, "the path of a unix socket has 1 to \(Self.longest) bytes: \(path)")
        }
        switch SystemCall.kind(ofPath: path) {
        case .nothing:
            break
        case .something:
            throw SheepError(.invalidArgument, "\(path) exists and is not a socket; choose another path for \(frontend)")
        case .socket:
            guard !SystemCall.isAnswering(unixSocket: path) else {
                throw SheepError(.busy, "another server listens on \(path); stop it or choose another path for \(frontend)")
            }
            SystemCall.remove(path)
        }
        self.path = path
    }

    /// The socket is bound: remember which file it is.
    package mutating func bound() {
        if case .socket(let identity) = SystemCall.kind(ofPath: path) { self.identity = identity }
    }

    package func remove() {
        guard let identity, SystemCall.kind(ofPath: path) == .socket(identity) else { return }
        SystemCall.remove(path)
    }
}
