package import ObjectModel

/// The best log, from where the new leader asked.
package struct LogReply: Hashable, WireCodable {
    package var view: View
    package var lastNormal: View
    package var part: LogPart

    package init(view: View, lastNormal: View, part: LogPart) {
        self.view = view
        self.lastNormal = lastNormal
        self.part = part
    }

    package init(from reader: inout WireReader) throws(WireError) {
        view = try reader.readValue()
        lastNormal = try reader.readValue()
        part = try reader.readValue()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(view)
        writer.write(lastNormal)
        writer.write(part)
    }
}
