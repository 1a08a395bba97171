import Glibc
package import NIOCore
import ObjectModel
package import SheepProtocol

/// Proves the key on a connection that was dialled, then gives its place up. Behind it nothing is received before.
package final class DialingHandler: ChannelInboundHandler, RemovableChannelHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer

    private static let timeLimit = TimeAmount.seconds(5)

    private var handshake: DialingHandshake
    private var frames = HandshakeFrames()
    private var timer: Scheduled<Void>?
    private var hasBegun = false
    /// Called once, on the event loop: nil, or why the other side is not to be used. Then the connection ends.
    private var completion: ((String?) -> Void)?

    package init(key: ClusterKey, dialer: KeyDialer, expected: Hello?, completion: @escaping (String?) -> Void) {
        handshake = DialingHandshake(key: key, dialer: dialer, expected: expected, nonce: .random())
        self.completion = completion
    }

    package func handlerAdded(context: ChannelHandlerContext) {
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: Self.timeLimit) { [weak self, weak channel = context.channel] in
            self?.end("it did not prove its key in \(Self.timeLimit.nanoseconds / 1_000_000_000) s")
            channel?.close(promise: nil)
        }
        if context.channel.isActive { begin(context) }
    }

    package func handlerRemoved(context: ChannelHandlerContext) { timer?.cancel() }

    package func channelActive(context: ChannelHandlerContext) {
        begin(context)
        context.fireChannelActive()
    }

    /// The channel may be active already when this is added, and be told so afterwards.
    private func begin(_ context: ChannelHandlerContext) {
        guard !hasBegun else { return }
        hasBegun = true
        run(handshake.opening, context)
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard completion != nil else { return }
        var bytes = unwrapInboundIn(data)
        frames.append(&bytes)
        do throws(WireError) {
            while completion != nil {
                switch try frames.next() {
                case .incomplete: return
                case .oversized: return run(.fail("it does not speak our protocol"), context)
                case .frame(let header, let body):
                    run(handshake.received(header.operation, result: header.result, body: body), context)
                }
            }
        } catch {
            run(.fail("it does not speak our protocol: \(error.text)"), context)
        }
    }

    package func channelInactive(context: ChannelHandlerContext) {
        end("it closed the connection before it had proven its key")
        context.fireChannelInactive()
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end((error as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(error)")
        context.close(promise: nil)
    }

    private func run(_ action: DialingHandshake.Action, _ context: ChannelHandlerContext) {
        switch action {
        case .send(let operation, let body): context.write(operation, id: 0, body: body)
        case .fail(let reason):
            end(reason)
            context.close(promise: nil)
        case .finish:
            end(nil)
            if let rest = frames.takeRest() { context.fireChannelRead(wrapInboundOut(rest)) }
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
        }
    }

    private func end(_ reason: String?) {
        timer?.cancel()
        let completion = self.completion
        self.completion = nil
        completion?(reason)
    }
}
