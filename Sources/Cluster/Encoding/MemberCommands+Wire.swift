package import ObjectModel

extension ControlCommand.Format: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(
            cluster: try reader.readValue(), copies: try reader.read(), objectShift: try reader.read(),
            flags: try reader.read(), force: try reader.readBool())
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(cluster)
        writer.write(copies)
        writer.write(objectShift)
        writer.write(flags)
        writer.write(force)
    }
}

extension ControlCommand.NodesDown: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(victims: try reader.readArray(), proven: try reader.readBool())
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(victims)
        writer.write(proven)
    }
}

extension ControlCommand.NodesDown.Victim: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(node: try reader.readValue(), boot: try reader.readValue())
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(node)
        writer.write(boot)
    }
}

extension ControlCommand.NodeUp: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(
            node: try reader.readValue(), boot: try reader.readValue(), address: try reader.readValue(),
            zone: try reader.readBool() ? try reader.read() : nil,
            virtualNodes: try reader.readBool() ? try reader.read() : nil,
            disks: try reader.readArray(), lostPower: try reader.readBool(), reached: try reader.readOptional(),
            dataAddress: try reader.readOptional())
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(node)
        writer.write(boot)
        writer.write(address)
        writer.write(zone != nil)
        if let zone { writer.write(zone) }
        writer.write(virtualNodes != nil)
        if let virtualNodes { writer.write(virtualNodes) }
        writer.write(disks)
        writer.write(lostPower)
        writer.write(optional: reached)
        writer.write(optional: dataAddress)
    }
}
