package import ObjectModel

/// The sender has promised a higher view than that of the message it answers.
package struct Refusal: Hashable, WireCodable {
    package var promised: View

    package init(promised: View) {
        self.promised = promised
    }

    package init(from reader: inout WireReader) throws(WireError) {
        promised = try reader.readValue()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(promised)
    }
}
