import NIOCore
import ObjectModel
import SheepProtocol

/// A trim of an object that waits for its time.
final class DelayedTrim {
    let term: Term
    init(term: Term) { self.term = term }
}

extension VolumeSession {
    /// See ``VolumeDevice/trimUnlessChanged(at:length:afterNanoseconds:)``.
    func trimUnlessChanged(at offset: UInt64, length: UInt64, after delay: UInt64) {
        let index = UInt32(offset / UInt64(objectSize))
        // Any request makes this sheep the owner if nobody is.
        let opening = VolumeRequest.Work.status(length: 1) { [weak self] _ in
            guard let self, case .owned(let term) = mode else { return }
            let trim = DelayedTrim(term: term)
            delayedTrims[index] = trim
            node.clock.schedule(after: delay) { [weak self] in
                guard let self, delayedTrims[index] === trim else { return }
                delayedTrims[index] = nil
                guard case .owned(term) = mode else { return }
                submit(
                    VolumeRequest(
                        offset: offset,
                        work: .change(.trim, length: length, data: .init(), durable: false, completion: { _ in }),
                        receivedAt: node.clock.now()))
            }
        }
        submit(VolumeRequest(offset: offset, work: opening, receivedAt: node.clock.now()))
    }
}
