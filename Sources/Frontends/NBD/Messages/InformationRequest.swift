package import NIOCore

/// The data of `NBD_OPT_INFO` and `NBD_OPT_GO` (`doc/proto.md`, "Option types").
///
/// ```
/// off size
///   0    4 length of the name (n)
///   4    n export name; empty: the default export
/// 4+n    2 number of information requests (r)
/// 6+n 2×r information types
/// ```
package struct InformationRequest: Hashable, Sendable {
    package var exportName: String
    package var wanted: [InformationKind]

    package init(exportName: String, wanted: [InformationKind]) { (self.exportName, self.wanted) = (exportName, wanted) }

    package init(from buffer: inout ByteBuffer) throws(NBDMessageError) {
        exportName = try buffer.takePrefixedString()
        let count = Int(try buffer.takeInteger(UInt16.self))
        guard buffer.readableBytes >= 2 * count else { throw .truncated }
        wanted = []
        for _ in 0..<count { wanted.append(InformationKind(rawValue: try buffer.takeInteger())) }
        try buffer.expectEnd()
    }

    package func encode(into buffer: inout ByteBuffer) {
        buffer.writePrefixed(exportName)
        buffer.writeInteger(UInt16(wanted.count))
        for kind in wanted { buffer.writeInteger(kind.rawValue) }
    }
}

/// `doc/proto.md`, "`NBD_REP_INFO`"; unknown kinds are ignored, as it demands.
package struct InformationKind: RawRepresentable, Hashable, Sendable {
    package let rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }

    package static let export = InformationKind(rawValue: 0)
    package static let name = InformationKind(rawValue: 1)
    package static let description = InformationKind(rawValue: 2)
    package static let blockSize = InformationKind(rawValue: 3)
}
