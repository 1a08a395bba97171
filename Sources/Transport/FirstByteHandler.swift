import NIOCore

/// Waits for the first byte of a connection, lets the owner add the handler of the protocol that it tells, and gives its
/// place up.
final class FirstByteHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    /// Who says nothing for so long is closed.
    private static let silenceMax = TimeAmount.seconds(60)

    /// Called once; nil: the connection ended, or its time did.
    private var decide: ((UInt8?) throws -> Void)?
    private var timeLimit: Scheduled<Void>?

    init(decide: @escaping (UInt8?) throws -> Void) { self.decide = decide }

    func handlerAdded(context: ChannelHandlerContext) {
        timeLimit = context.eventLoop.assumeIsolated().scheduleTask(in: Self.silenceMax) { [weak self] in try self?.end(nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard let byte = unwrapInboundIn(data).readableBytesView.first else { return }
        do {
            try end(byte)
        } catch {
            return context.close(promise: nil)
        }
        context.fireChannelRead(data)
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        try? end(nil)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func end(_ byte: UInt8?) throws {
        timeLimit?.cancel()
        let decide = self.decide
        self.decide = nil
        try decide?(byte)
    }
}
