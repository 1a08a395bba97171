import Synchronization

/// A value handed from one thread to another.
final class Answer<Value: Sendable>: Sendable {
    private let slot = Mutex<Value?>(nil)
    func give(_ value: Value) { slot.withLock { $0 = value } }
    var value: Value? { slot.withLock { $0 } }
}
