import FrontendKit
import Gateway
import Logging
import NBDFrontend
import NIOCore
import ObjectModel
import Transport
import iSCSIBackingStoreFrontend

/// The front-ends that the options ask for: a new one is a line here.
func makeFrontends(
    _ options: SheepOptions, node: SheepNode<RealEnvironment>, directory: VolumeDirectory<RealEnvironment>,
    listener: Listener<RealEnvironment>, eventLoop: any EventLoop, logger: Logger
) -> [any Frontend] {
    var frontends: [any Frontend] = []
    let sheepdog = BackingStoreServer(
        eventLoop: eventLoop, backend: GatewayVolumes(node: node, directory: directory, store: options.store),
        configuration: BackingStoreConfiguration(socket: options.sheepdogSocket), logger: logger)
    listener.sheepdogClient = { [weak sheepdog] channel in
        guard let sheepdog else { throw SheepError(.shuttingDown, "the front-end has stopped") }
        try sheepdog.accept(channel)
    }
    sheepdog.door = { [weak listener] channel in
        guard let listener else { throw SheepError(.shuttingDown, "the sheep stops") }
        try listener.accept(channel)
    }
    frontends.append(sheepdog)
    if let nbd = options.nbd {
        frontends.append(NBDServer(eventLoop: eventLoop, provider: directory, configuration: nbd, logger: logger))
    }
    return frontends
}
