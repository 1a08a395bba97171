// Invariants
// 1. One thread; every action is an event, and events run in the order (time, number): a seed is one run, always.
// 2. Nothing of a process runs after it ended; what a paused process was to do waits until it goes on.
// 3. Whatever is random is drawn from the seed, in the order of events.
package import ObjectStore

/// Virtual time, the order of events, randomness, and what went wrong.
package final class World {
    /// Nanoseconds since the world began.
    package private(set) var now: UInt64 = 1_000_000_000
    package var random: SeededGenerator
    package private(set) var failures: [String] = []
    /// When the first failure was seen, and where.
    package private(set) var failedAt: UInt64 = 0
    package private(set) var subject: Subject?

    /// What a failure is about.
    package struct Subject: Sendable {
        package let volume: String
        package let sector: UInt64
        package init(volume: String, sector: UInt64) { (self.volume, self.sector) = (volume, sector) }
    }
    /// Gets every line of what happens.
    package var trace: ((String) -> Void)?
    private var queue = EventQueue()
    private var scheduled: UInt64 = 0
    private var connections = 0
    private var isOver = false
    private var afterwards: (() -> Void)?
    package private(set) var events: UInt64 = 0

    package init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    /// A number that no other connection has.
    func nextConnection() -> Int {
        connections += 1
        return connections
    }

    /// Runs `action` after a delay in nanoseconds, unless its process has ended by then.
    func schedule(after delay: UInt64, in process: SheepProcess? = nil, _ action: @escaping () -> Void) {
        scheduled += 1
        queue.insert(Event(time: now + delay, number: scheduled, process: process, action: action))
    }

    /// Runs events until `condition` holds, none is left or `end` is reached; false: the condition does not hold.
    func run(until end: UInt64, or condition: () -> Bool = { false }) -> Bool {
        while !condition() {
            guard failures.count < 20, let next = queue.nextTime, next <= end else {
                now = max(now, end)
                return condition()
            }
            step()
        }
        return true
    }

    /// What happens from now on says nothing of the run.
    func end() {
        isOver = true
        trace = nil
    }

    /// Nothing more happens.
    func forgetEvents() { queue = EventQueue() }

    private func step() {
        guard let event = queue.popFirst() else { return }
        now = max(now, event.time)
        if let process = event.process {
            guard process.isAlive else { return }
            if process.pausedUntil > now {
                return schedule(after: process.pausedUntil - now, in: process, event.action)
            }
        }
        events += 1
        event.action()
        if let afterwards {
            self.afterwards = nil
            afterwards()
        }
    }

    /// Runs `action` when the event that is under way has ended, before any other.
    func afterThisEvent(_ action: @escaping () -> Void) { afterwards = action }

    func draw(_ range: ClosedRange<UInt64>) -> UInt64 { .random(in: range, using: &random) }
    func chance(_ probability: Double) -> Bool { random.chance(probability) }
    /// 0..<bound.
    func below(_ bound: Int) -> Int { random.below(bound) }

    func pick<Element>(_ elements: [Element]) -> Element? {
        elements.isEmpty ? nil : elements[below(elements.count)]
    }

    // MARK: What is said

    func fail(_ text: String, about subject: Subject? = nil) {
        if isOver { return }
        if failures.isEmpty { failedAt = now }
        self.subject = self.subject ?? subject
        failures.append("\(Self.seconds(now)) \(text)")
        log("FAILURE", text)
    }

    func log(_ who: @autoclosure () -> String, _ text: @autoclosure () -> String) {
        trace?("\(Self.seconds(now)) \(who()): \(text())")
    }

    static func seconds(_ time: UInt64) -> String {
        let fraction = String(time / 1000 % 1_000_000)
        return "\(time / 1_000_000_000)." + String(repeating: "0", count: 6 - fraction.count) + fraction
    }
}
