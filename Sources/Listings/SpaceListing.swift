package import SheepProtocol

extension SpaceReport {
    package var size: UInt64 { nodes.reduce(0) { $0 &+ $1.size } }
    package var used: UInt64 { nodes.reduce(0) { $0 &+ $1.used } }
    package var available: UInt64 { nodes.reduce(0) { $0 &+ $1.available } }

    /// `dog node info`.
    package func listing(raw: Bool) -> [String] {
        (raw ? [] : ["Id\tSize\tUsed\tAvail\tUse%"]) + nodes.map { $0.line(raw: raw) } + totalLines(raw: raw)
    }

    private func totalLines(raw: Bool) -> [String] {
        let cells = [size, used, available].map { ByteText.string($0, raw: raw) }
        let percent = percentTenths(used, of: size, ofNothing: 0) / 10
        let total = ByteText.string(virtualSize, raw: raw)
        if raw { return ["Total " + cells.joined(separator: " ") + " \(percent)% " + total] }
        return [
            "Total\t" + cells.joined(separator: "\t") + "\t" + percent.padded(3) + "%", "",
            "Total virtual image size\t" + total,
        ]
    }
}

extension NodeSpace {
    fileprivate func line(raw: Bool) -> String {
        let cells = [size, used, available].map { ByteText.string($0, raw: raw) }
        let percent = percentTenths(used, of: size, ofNothing: 0) / 10
        return raw
            ? "\(number) " + cells.joined(separator: " ") + " \(percent)%"
            : number.padded(2) + "\t" + cells.joined(separator: "\t") + "\t" + percent.padded(3) + "%"
    }
}
