package import ObjectModel

/// Why a request to a sheep did not succeed.
package enum ClientError: Error, Hashable, Sendable, CustomStringConvertible {
    /// No connection; nothing was sent.
    case cannotConnect(SheepEndpoint, reason: String)
    /// The connection ended before the reply: the request may have been done or not.
    case connectionLost(SheepEndpoint, reason: String)
    /// No reply within the time limit: the request may have been done or not.
    case timedOut(SheepEndpoint, seconds: Int)
    /// The sheep answered with an error.
    case refused(SheepError)
    /// What came is no reply to the request.
    case malformed(SheepEndpoint, String)

    package var description: String {
        switch self {
        case .cannotConnect(let endpoint, let reason): "failed to connect to \(endpoint): \(reason)"
        case .connectionLost(let endpoint, let reason): "the connection to \(endpoint) was lost: \(reason)"
        case .timedOut(let endpoint, let seconds): "no answer from \(endpoint) within \(seconds) seconds"
        case .refused(let error): error.message
        case .malformed(let endpoint, let what): "\(endpoint) does not speak our protocol: \(what)"
        }
    }
}
