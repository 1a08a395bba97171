import Listings

/// A JSON value (RFC 8259) to print; object members keep their order.
enum JSON {
    case null
    case bool(Bool)
    case integer(UInt64)
    case string(String)
    case array([JSON])
    case object([(String, JSON)])

    static func number(_ value: some UnsignedInteger) -> JSON { .integer(UInt64(value)) }
    static func strings(_ values: [String]) -> JSON { .array(values.map { .string($0) }) }

    /// Two blanks a level.
    func text(indent: String = "") -> String {
        let inner = indent + "  "
        switch self {
        case .null: return "null"
        case .bool(let flag): return flag ? "true" : "false"
        case .integer(let value): return String(value)
        case .string(let text): return Self.quoted(text)
        case .array(let values):
            if values.isEmpty { return "[]" }
            let lines = values.map { inner + $0.text(indent: inner) }
            return "[\n" + lines.joined(separator: ",\n") + "\n" + indent + "]"
        case .object(let members):
            if members.isEmpty { return "{}" }
            let lines = members.map { inner + Self.quoted($0.0) + ": " + $0.1.text(indent: inner) }
            return "{\n" + lines.joined(separator: ",\n") + "\n" + indent + "}"
        }
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case "\r": result += "\\r"
            case _ where scalar.value < 0x20: result += "\\u" + scalar.value.hexadecimal(4, zeros: true)
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
