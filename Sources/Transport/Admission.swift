package import Authentication

/// Who may use a sheep's port.
package struct Admission: Sendable {
    /// Everybody who speaks our protocol has to prove it; nil: nobody has to, which is for a loopback address only.
    package var key: ClusterKey?
    /// Sheepdog's own clients cannot prove a key: besides those of this machine they are let in from here alone.
    package var sheepdogClients: [AddressRange]

    package init(key: ClusterKey? = nil, sheepdogClients: [AddressRange] = []) {
        (self.key, self.sheepdogClients) = (key, sheepdogClients)
    }
}
