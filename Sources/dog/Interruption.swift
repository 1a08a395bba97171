import Dispatch
import Glibc

/// Ctrl-C and SIGTERM during a command that has something to undo.
enum Interruption {
    /// Runs the body; a signal cancels it, so that it undoes what it did and ends with an error. A second signal ends
    /// the program at once.
    static func cancelling(_ body: @escaping @Sendable () async throws -> Void) async throws {
        let task = Task(operation: body)
        let sources = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                task.cancel()
                signal(number, SIG_DFL)
            }
            source.resume()
            return source
        }
        defer { for source in sources { source.cancel() } }
        do {
            try await task.value
        } catch is CancellationError {
            throw CommandFailure("Interrupted")
        }
    }
}
