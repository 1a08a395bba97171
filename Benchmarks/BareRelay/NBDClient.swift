/// As much of an NBD client as a load generator needs: fixed newstyle, NBD_OPT_EXPORT_NAME, simple replies.
///
/// The protocol is that of https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md; integers are big endian.
enum NBDClient {
    static let requestSize = 28
    static let replySize = 16

    private static let greetingSize = 18
    private static let optionMagic: UInt64 = 0x4948_4156_454F_5054
    private static let requestMagic: UInt32 = 0x2560_9513
    private static let simpleReplyMagic: UInt32 = 0x6744_6698
    private static let optionExportName: UInt32 = 1
    private static let flagFixedNewstyle: UInt32 = 1
    private static let flagNoZeroes: UInt32 = 2
    private static let commandFlagFUA: UInt16 = 1

    static func open(export: String, on socket: BlockingSocket) throws(RelayError) {
        let greeting = try socket.receiveExactly(greetingSize)
        guard greeting[8..<16].elementsEqual(bigEndian(optionMagic)) else { throw .refused("no newstyle NBD server") }
        guard greeting[17] & UInt8(flagNoZeroes) != 0 else { throw .refused("the server wants 124 zeroes") }
        var hello = bigEndian(flagFixedNewstyle | flagNoZeroes) + bigEndian(optionMagic)
        hello += bigEndian(optionExportName) + bigEndian(UInt32(export.utf8.count)) + Array(export.utf8)
        try send(hello, on: socket)
        _ = try socket.receiveExactly(10)  // size and transmission flags
    }

    static func writeRequest(
        _ operation: LoadOperation, cookie: UInt64, offset: UInt64, length: UInt32, to bytes: UnsafeMutableRawBufferPointer
    ) {
        let flags = operation == .durableWrite ? commandFlagFUA : 0
        let command: UInt16 = operation == .read ? 0 : 1
        bytes.storeBytes(of: requestMagic.bigEndian, toByteOffset: 0, as: UInt32.self)
        bytes.storeBytes(of: flags.bigEndian, toByteOffset: 4, as: UInt16.self)
        bytes.storeBytes(of: command.bigEndian, toByteOffset: 6, as: UInt16.self)
        bytes.storeBytes(of: cookie.bigEndian, toByteOffset: 8, as: UInt64.self)
        bytes.storeBytes(of: offset.bigEndian, toByteOffset: 16, as: UInt64.self)
        bytes.storeBytes(of: length.bigEndian, toByteOffset: 24, as: UInt32.self)
    }

    static func answeredCookie(_ bytes: UnsafeRawBufferPointer) throws(RelayError) -> UInt64 {
        guard UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self)) == simpleReplyMagic else {
            throw .refused("no simple reply where one was due")
        }
        let error = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
        guard error == 0 else { throw .refused("NBD error \(error)") }
        return UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    }

    private static func send(_ bytes: [UInt8], on socket: BlockingSocket) throws(RelayError) {
        let result = bytes.withUnsafeBytes { pointer -> Result<Void, RelayError> in
            Result { () throws(RelayError) in try socket.sendAll(pointer) }
        }
        try result.get()
    }

    private static func bigEndian<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
        withUnsafeBytes(of: value.bigEndian) { Array($0) }
    }
}
