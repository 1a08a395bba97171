package import ObjectModel

/// Asks a node to accept nothing below the view any more, and to tell what log it has. Answered by ``Promise`` or ``Refusal``.
package struct PromiseRequest: Hashable, WireCodable {
    package var view: View

    package init(view: View) {
        self.view = view
    }

    package init(from reader: inout WireReader) throws(WireError) {
        view = try reader.readValue()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(view)
    }
}
