/// Picks from a trace what tells the story of a failure: faults, orders, processes, the control log once, and what clients did
/// with the sector that is wrong.
package struct TraceFilter {
    private let subject: World.Subject?
    private var entriesSeen: Set<Substring> = []
    /// Requests that touch the sector, by client and number.
    private var calls: Set<String> = []
    private static let longest = 220

    package init(subject: World.Subject?) { self.subject = subject }

    /// The line as it is to be shown, or nil.
    package mutating func filter(_ line: String) -> String? {
        let parts = line.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, let colon = parts[1].firstRange(of: ": ") else { return nil }
        let (who, text) = (parts[1][..<colon.lowerBound], parts[1][colon.upperBound...])
        return shows(who, text) ? (line.count > Self.longest ? line.prefix(Self.longest) + " …" : line) : nil
    }

    private mutating func shows(_ who: Substring, _ text: Substring) -> Bool {
        if who == "FAULT" || who == "FAILURE" || who.hasPrefix("admin") || who.hasPrefix("operator") { return true }
        if who.hasPrefix("sheep") { return showsSheep(text) }
        if who.hasPrefix("reader") || who.hasPrefix("the last reader") { return false }
        return showsClient(who, text)
    }

    private mutating func showsSheep(_ text: Substring) -> Bool {
        if text.hasPrefix("entry ") { return entriesSeen.insert(text.prefix { $0 != ":" }).inserted }
        return ["starts", "dies", "loses power", "pauses", "is told", "ended", "has given", "info: recovery", "info: joined"]
            .contains { text.hasPrefix($0) }
    }

    /// `vol0 #12 writes 5 to 100..<108`, then `vol0 #12 done`.
    private mutating func showsClient(_ who: Substring, _ text: Substring) -> Bool {
        guard let subject else { return false }
        let words = text.split(separator: " ")
        guard words.count >= 3, words[0] == subject.volume else { return false }
        let call = "\(who) \(words[1])"
        if words[2].hasPrefix("done") || words[2].hasPrefix("failed") { return calls.remove(call) != nil }
        let range = words.lazy.compactMap { word -> Range<UInt64>? in
            guard let dots = word.firstRange(of: "..<"), let first = UInt64(word[..<dots.lowerBound]),
                let end = UInt64(word[dots.upperBound...]), first <= end
            else { return nil }
            return first..<end
        }.first
        guard range?.contains(subject.sector) ?? (words[2] == "flushes") else { return false }
        calls.insert(call)
        return true
    }
}
