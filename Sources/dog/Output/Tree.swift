import ObjectModel

/// A forest of labels, drawn to the right: an only child goes on in its parent's line, siblings fork it.
///
/// ```
/// alice---[2026-11-21 13:09]-+-[2026-11-21 13:10]---(you are here)
///                            `-bob---(you are here)
/// ```
struct Tree {
    var label: String
    var children: [Tree] = []

    func lines() -> [String] {
        guard !children.isEmpty else { return [label] }
        var lines: [String] = []
        for (place, child) in children.enumerated() {
            let isLast = place == children.count - 1
            for (number, line) in child.lines().enumerated() {
                let isFirst = number == 0
                let stem = place == 0 && isFirst ? label : String(repeating: " ", count: label.utf8.count)
                lines.append(stem + joint(isFirstChild: place == 0, isLast: isLast, isFirstLine: isFirst) + line)
            }
        }
        return lines
    }

    private func joint(isFirstChild: Bool, isLast: Bool, isFirstLine: Bool) -> String {
        switch (isFirstLine, isFirstChild, isLast) {
        case (true, true, true): "---"
        case (true, true, false): "-+-"
        case (true, false, false): " |-"
        case (true, false, true): " `-"
        case (false, _, false): " | "
        case (false, _, true): "   "
        }
    }
}
