import CLinux
import Glibc
package import ObjectModel

/// The file that holds a cluster's key: readable by its owner alone.
package enum KeyFile {
    /// - Throws: With a text that names the file and says what to do.
    package static func read(_ path: String) throws(SheepError) -> ClusterKey {
        let file = clinux_open(path, O_RDONLY | O_CLOEXEC, 0)
        guard file >= 0 else { throw failure("cannot open the key file \(path)") }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw failure("cannot look at the key file \(path)") }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw SheepError(.invalidArgument, "the key file \(path) is no regular file")
        }
        guard status.st_mode & 0o077 == 0 else {
            throw SheepError(
                .invalidArgument,
                "others than its owner may use the key file \(path) (mode 0\(String(status.st_mode & 0o777, radix: 8))): run chmod 0600 \(path)")
        }
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = Glibc.read(file, &bytes, bytes.count)
        guard count >= 0 else { throw failure("cannot read the key file \(path)") }
        guard let key = ClusterKey(text: Array(bytes.prefix(count))) else {
            throw SheepError(
                .invalidArgument,
                "\(path) holds no key (\(2 * ClusterKey.size) hexadecimal digits): make one with 'dog cluster key FILE'")
        }
        return key
    }

    /// Makes the file with a new key; one that is there already stays as it is.
    package static func make(_ path: String) throws(SheepError) {
        // On Linux this generator is the kernel's.
        var generator = SystemRandomNumberGenerator()
        let bytes = (0..<ClusterKey.size).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        let file = clinux_open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw failure("cannot make the key file \(path)") }
        defer { close(file) }
        let text = ClusterKey.text(of: bytes)
        guard fchmod(file, 0o600) == 0, write(file, text, text.count) == text.count, fsync(file) == 0 else {
            let error = failure("cannot write the key file \(path)")
            unlink(path)
            throw error
        }
    }

    private static func failure(_ what: String) -> SheepError {
        SheepError(.invalidArgument, "\(what): \(String(cString: strerror(errno)))")
    }
}
