package import ObjectModel

extension ControlCommand.CreateVolume: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(
            name: try reader.readString(maximum: .max), size: try reader.read(), copies: try reader.read(), objectShift: try reader.read())
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(name)
        writer.write(size)
        writer.write(copies)
        writer.write(objectShift)
    }
}

extension ControlCommand.SnapshotVolume: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(
            volume: try reader.readValue(), tag: try reader.readString(maximum: .max), term: try reader.readOptional())
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(volume)
        writer.write(tag)
        writer.write(optional: term)
    }
}

extension ControlCommand.CloneVolume: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(source: try reader.readValue(), name: try reader.readString(maximum: .max), copies: try reader.read())
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(source)
        writer.write(name)
        writer.write(copies)
    }
}

extension ControlCommand.RollbackVolume: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(volume: try reader.readValue(), snapshot: try reader.readValue(), term: try reader.readOptional())
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(volume)
        writer.write(snapshot)
        writer.write(optional: term)
    }
}

extension ControlCommand.ResizeVolume: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(volume: try reader.readValue(), size: try reader.read(), term: try reader.readOptional())
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(volume)
        writer.write(size)
        writer.write(optional: term)
    }
}

extension ControlCommand.DeleteVolume: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(volume: try reader.readValue(), term: try reader.readOptional())
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(volume)
        writer.write(optional: term)
    }
}

extension ControlCommand.RenameVolume: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(volume: try reader.readValue(), name: try reader.readString(maximum: .max))
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(volume)
        writer.write(name)
    }
}

extension ControlCommand.SetAttribute: WireCodable {
    package init(from reader: inout WireReader) throws(WireError) {
        self.init(
            volume: try reader.readValue(), key: try reader.readString(maximum: .max),
            value: try reader.readBool() ? try reader.readBytes() : nil, exclusive: try reader.readBool())
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(volume)
        writer.write(key)
        writer.write(value != nil)
        if let value { writer.write(bytes: value) }
        writer.write(exclusive)
    }
}
