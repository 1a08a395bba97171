import ArgumentParser
import Glibc

/// The other side of an import or export.
enum ImageLocation: ExpressibleByArgument {
    case standardStream
    case file(String)
    case nbd(uri: String)

    private static let schemes = ["nbd", "nbds", "nbd+unix", "nbds+unix", "nbd+vsock", "nbds+vsock"]

    init?(argument: String) {
        guard !argument.isEmpty else { return nil }
        if argument == "-" {
            self = .standardStream
        } else if let scheme = argument.firstRange(of: "://").map({ argument[..<$0.lowerBound] }), Self.schemes.contains(String(scheme)) {
            self = .nbd(uri: argument)
        } else {
            self = .file(argument)
        }
    }

    var defaultValueDescription: String {
        switch self {
        case .standardStream: "-"
        case .file(let path): path
        case .nbd(let uri): uri
        }
    }
}

/// An opened place to read from.
enum OpenedSource {
    case file(FileImage)
    case nbd(NbdImage)
    case stream(Int32)

    static func open(_ location: ImageLocation) async throws -> OpenedSource {
        switch location {
        case .standardStream:
            return try descriptor(dup(STDIN_FILENO), "standard input")
        case .file(let path):
            return try descriptor(Glibc.open(path, O_RDONLY | O_CLOEXEC), path)
        case .nbd(let uri):
            return .nbd(try await NbdImage.connect(uri, writable: false))
        }
    }

    private static func descriptor(_ descriptor: Int32, _ path: String) throws -> OpenedSource {
        guard descriptor >= 0 else { throw CommandFailure("Failed to open \(path): \(systemText(errno))") }
        if let image = try FileImage.source(descriptor: descriptor, path: path) { return .file(image) }
        return .stream(descriptor)
    }
}

/// An opened place to write `size` bytes to.
enum OpenedTarget {
    case file(FileImage)
    case nbd(NbdImage)
    case stream(Int32)

    static func open(_ location: ImageLocation, size: UInt64) async throws -> OpenedTarget {
        switch location {
        case .standardStream:
            return .stream(STDOUT_FILENO)
        case .file(let path):
            let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
            guard descriptor >= 0 else { throw CommandFailure("Failed to open \(path): \(systemText(errno))") }
            if let image = try FileImage.target(descriptor: descriptor, path: path, size: size) { return .file(image) }
            return .stream(descriptor)
        case .nbd(let uri):
            let image = try await NbdImage.connect(uri, writable: true)
            guard image.size >= size else {
                throw CommandFailure("\(uri) is smaller (\(image.size) bytes) than the VDI (\(size) bytes)")
            }
            return .nbd(image)
        }
    }
}
