package import NIOCore
package import ObjectModel
package import SheepProtocol

/// Has the key proven on a connection that was accepted, then gives its place up. Until then nobody behind it hears of it.
package final class ListeningHandler: ChannelInboundHandler, RemovableChannelHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer

    /// From the first byte to the proof.
    private static let timeLimit = TimeAmount.seconds(5)
    /// A refused side has so long to read why, before what it sent meanwhile makes the connection break.
    private static let farewell = TimeAmount.seconds(1)

    private var handshake: ListeningHandshake
    private var frames = HandshakeFrames()
    private var timer: Scheduled<Void>?
    /// Called once: the dialer, to add its handlers behind this one; or why there is none.
    private var completion: ((Result<KeyDialer, SheepError>) throws -> Void)?

    package init(key: ClusterKey, own: Hello, completion: @escaping (Result<KeyDialer, SheepError>) throws -> Void) {
        handshake = ListeningHandshake(key: key, own: own, nonce: .random())
        self.completion = completion
    }

    package func handlerAdded(context: ChannelHandlerContext) { closeLater(context, after: Self.timeLimit) }

    private func closeLater(_ context: ChannelHandlerContext, after delay: TimeAmount) {
        timer?.cancel()
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: delay) { [weak channel = context.channel] in
            channel?.close(promise: nil)
        }
    }

    package func handlerRemoved(context: ChannelHandlerContext) { timer?.cancel() }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard completion != nil else { return }
        var bytes = unwrapInboundIn(data)
        frames.append(&bytes)
        do throws(WireError) {
            while completion != nil {
                switch try frames.next() {
                case .incomplete: return
                case .oversized(let header): run(handshake.received(header.operation, body: []), header, context)
                case .frame(let header, let body): run(handshake.received(header.operation, body: body), header, context)
                }
            }
        } catch {
            end(.failure(SheepError(.invalidArgument, error.text)))
            context.close(promise: nil)
        }
    }

    package func channelInactive(context: ChannelHandlerContext) {
        end(.failure(SheepError(.accessDenied, handshake.whyEnded)))
        context.fireChannelInactive()
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func run(_ action: ListeningHandshake.Action, _ header: FrameHeader, _ context: ChannelHandlerContext) {
        switch action {
        case .reply(let body): context.write(header.operation, id: header.id, body: body)
        case .refuse(let error):
            context.write(header.operation, id: header.id, result: error.code.rawValue, body: error.wire)
            end(.failure(error))
            // A close with bytes unread would overtake the reply.
            context.close(mode: .output, promise: nil)
            closeLater(context, after: Self.farewell)
        case .admit(let dialer):
            guard end(.success(dialer)) else { return context.close(promise: nil) }
            context.write(header.operation, id: header.id, body: [])
            if let rest = frames.takeRest() { context.fireChannelRead(wrapInboundOut(rest)) }
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
        }
    }

    @discardableResult
    private func end(_ result: Result<KeyDialer, SheepError>) -> Bool {
        let completion = self.completion
        self.completion = nil
        do { try completion?(result) } catch { return false }
        return true
    }
}
