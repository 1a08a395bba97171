package import ObjectModel

/// A protocol on the network. Every front-end is started after the gateway and stopped before it.
package protocol Frontend: AnyObject {
    /// "NBD", "NFSv3" …
    static var name: String { get }
    /// Binds its listeners; throws an error that names the address and what to do.
    func start() throws(SheepError)
    /// Takes no new connections, lets requests under way finish for at most five seconds, closes, then calls back.
    func stop(completion: @escaping () -> Void)
}
