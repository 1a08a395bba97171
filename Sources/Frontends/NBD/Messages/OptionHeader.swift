package import NIOCore

/// What precedes the data of each option that a client sends (`doc/proto.md`, "Fixed newstyle negotiation").
///
/// ```
/// off size
///   0    8 "IHAVEOPT"
///   8    4 option
///  12    4 length of the data that follow
/// ```
package struct OptionHeader: Hashable, Sendable {
    package static let size = 16

    package var option: UInt32
    package var length: UInt32

    package init(option: UInt32, length: UInt32) { (self.option, self.length) = (option, length) }

    package init(from buffer: inout ByteBuffer) throws(NBDMessageError) {
        guard try buffer.takeInteger(UInt64.self) == Greeting.optionMagic else { throw .wrongMagic }
        option = try buffer.takeInteger()
        length = try buffer.takeInteger()
    }

    package func encode(into buffer: inout ByteBuffer) {
        buffer.writeInteger(Greeting.optionMagic)
        buffer.writeInteger(option)
        buffer.writeInteger(length)
    }
}

/// The options of the specification (`doc/proto.md`, "Option types").
package enum OptionCode: UInt32, Hashable, Sendable, CaseIterable {
    case exportName = 1
    case abort = 2
    case list = 3
    case startTLS = 5
    case info = 6
    case go = 7
    case structuredReply = 8
    case listMetaContext = 9
    case setMetaContext = 10
    case extendedHeaders = 11
}
