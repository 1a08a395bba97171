package import ObjectModel

/// A block device or a client of it, as the conformance scenarios use one: every call returns when it is answered.
///
/// The same scenarios run on a device itself and through the wire of each front-end. A target on a simulated world may turn
/// its wheels inside of a call.
package protocol ConformanceTarget: AnyObject {
    /// Bytes, as of now.
    var size: UInt64 { get }
    /// The most bytes that one read or write may have.
    var maximumRequest: Int { get }

    func read(at offset: UInt64, length: Int) throws(SheepError) -> [UInt8]
    func write(_ data: [UInt8], at offset: UInt64, durable: Bool) throws(SheepError)
    func flush() throws(SheepError)
    func trim(at offset: UInt64, length: UInt64, durable: Bool) throws(SheepError)
    /// `mayDeallocate` false is NBD's NO_HOLE. `onlyIfFast` may be refused with ``SheepError/Code/notSupported``.
    func zero(at offset: UInt64, length: UInt64, mayDeallocate: Bool, onlyIfFast: Bool, durable: Bool) throws(SheepError)
    func status(at offset: UInt64, length: UInt64, onlyOne: Bool) throws(SheepError) -> [BlockExtent]

    /// Submits all before it waits for any; in a target that cannot, one after the other.
    func writeTogether(_ writes: [(offset: UInt64, data: [UInt8])]) throws(SheepError)

    /// Lets go of the device and opens it again; what was acknowledged is still there.
    func reopen() throws(SheepError)
}

extension ConformanceTarget {
    package func writeTogether(_ writes: [(offset: UInt64, data: [UInt8])]) throws(SheepError) {
        for write in writes { try self.write(write.data, at: write.offset, durable: false) }
    }
}

/// What a scenario found wrong.
package struct ConformanceFailure: Error, CustomStringConvertible, Sendable {
    package let description: String
    package init(_ description: String) { self.description = description }
}
