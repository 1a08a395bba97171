import FrontendKit
import Gateway
import Logging
import NBDFrontend
import NIOCore

/// The front-ends that the options ask for: a new one is a line here.
func makeFrontends(
    _ options: SheepOptions, directory: VolumeDirectory<RealEnvironment>, eventLoop: any EventLoop, logger: Logger
) -> [any Frontend] {
    var frontends: [any Frontend] = []
    if let nbd = options.nbd {
        frontends.append(NBDServer(eventLoop: eventLoop, provider: directory, configuration: nbd, logger: logger))
    }
    return frontends
}
