import FrontendKit
import Logging
import NIOCore
import ObjectModel

/// Runs the actions of ``HandshakeStateMachine``.
extension NBDConnection {
    func negotiate(_ received: inout ByteBuffer) -> Progress {
        let action = handshake.next(&received)
        if case .wait = action { return handshake.isResolving ? .mustWait : .needsBytes }
        run(action, opened: nil)
        return .goesOn
    }

    /// - Parameter opened: The export that the action is about; closed unless it is kept for transmission.
    private func run(_ action: HandshakeStateMachine.Action, opened: Provider.Device?) {
        if case .beginTransmission(let reply, let session) = action, let opened {
            write(reply)
            return beginTransmission(opened, session)
        }
        opened?.close()
        switch action {
        case .wait: break
        case .send(let reply): write(reply)
        case .list: list()
        case .open(let name): open(name)
        case .beginTransmission: preconditionFailure("transmission without an export")
        case .finish(let reply):
            write(reply)
            finish()
        case .close(let failure):
            server.logger.debug("NBD handshake failed", metadata: ["reason": "\(failure)"])
            close(counting: \.protocolErrors)
        }
    }

    private func list() {
        server.provider.list { [self] result in
            guard context != nil else { return }
            run(handshake.listed(result), opened: nil)
            repliedLater()
        }
    }

    private func open(_ name: String) {
        server.provider.open(name) { [self] result in
            switch result {
            case .failure(let error):
                guard context != nil else { return }
                run(handshake.opened(.failure(error)), opened: nil)
            case .success(let device):
                guard context != nil else { return device.close() }
                run(handshake.opened(.success(device.information)), opened: device)
            }
            repliedLater()
        }
    }

    private func beginTransmission(_ device: Provider.Device, _ session: NegotiatedSession) {
        handshakeEnded()
        self.device = device
        transmission = TransmissionStateMachine(
            export: ExportLimits(device.information, serverMaximum: bounds.maximumRequest), session: session,
            limits: TransmissionStateMachine.Limits(requests: bounds.requestsUnderWay, bytes: bounds.bytesUnderWay))
    }
}
