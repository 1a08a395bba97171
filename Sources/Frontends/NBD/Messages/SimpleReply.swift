package import NIOCore

/// The reply without structure; the data of a successful read follow it (`doc/proto.md`, "Simple reply message").
///
/// ```
/// off size
///   0    4 0x67446698
///   4    4 error, 0 for success
///   8    8 cookie
/// ```
package struct SimpleReply: Hashable, Sendable {
    package static let size = 16
    package static let magic: UInt32 = 0x6744_6698

    package var error: NBDErrorCode?
    package var cookie: UInt64

    package init(cookie: UInt64, error: NBDErrorCode? = nil) { (self.cookie, self.error) = (cookie, error) }

    package init(from buffer: inout ByteBuffer) throws(NBDMessageError) {
        guard try buffer.takeInteger(UInt32.self) == Self.magic else { throw .wrongMagic }
        let code: UInt32 = try buffer.takeInteger()
        error = code == 0 ? nil : NBDErrorCode(rawValue: code) ?? .invalid
        cookie = try buffer.takeInteger()
    }

    package func encode(into buffer: inout ByteBuffer) {
        buffer.writeMultipleIntegers(Self.magic, error?.rawValue ?? 0, cookie)
    }
}
