import NIOCore
import ObjectModel
import SheepProtocol

/// A request that is sent until it is answered, through whatever sheep there is.
final class ClusterRequest {
    let operation: Operation
    /// Of the volume's handle on the present connection, and where the payload is if it does not follow.
    let body: (DeviceHandle, PayloadPlace?) -> [UInt8]
    let payload: ByteBuffer?
    /// Nil: of the cluster.
    let volume: ClusterVolume?
    /// Counts up in the order of submission.
    let serial: UInt64
    private let completion: (Result<SheepReply, SheepError>) -> Void

    init(
        _ operation: Operation, serial: UInt64, volume: ClusterVolume?, payload: ByteBuffer?,
        body: @escaping (DeviceHandle, PayloadPlace?) -> [UInt8], completion: @escaping (Result<SheepReply, SheepError>) -> Void
    ) {
        (self.operation, self.serial, self.volume, self.payload) = (operation, serial, volume, payload)
        (self.body, self.completion) = (body, completion)
    }

    /// Sending it twice is only safe when the first copy can no longer be done.
    var isChange: Bool { operation == .deviceWrite || operation == .deviceZero }

    func complete(_ result: Result<SheepReply, SheepError>) { completion(result) }
}
