/// Why a negotiation ends without a reply: the protocol has none for it.
package enum HandshakeFailure: Hashable, Sendable {
    case wrongMagic
    case unknownClientFlags
    /// A client that cannot read replies to options sent another option than `NBD_OPT_EXPORT_NAME`.
    case notFixedNewstyle
    case optionTooLong
    case tooManyOptions
    /// `NBD_OPT_EXPORT_NAME` with a name that cannot be opened.
    case noSuchExport
}
