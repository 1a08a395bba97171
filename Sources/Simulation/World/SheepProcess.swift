package import Gateway
import LocalEngine
package import ObjectModel

/// One run of a sheep: what ends with the process.
///
/// It is the sheep's clock and loop as well, so whatever the sheep schedules dies with it.
/// `@unchecked Sendable`: the simulator has one thread.
package final class SheepProcess: NodeClock, EngineLoop, @unchecked Sendable {
    let world: World
    package let node: NodeID
    package let boot: BootID
    private(set) var isAlive = true
    /// It died in the event that is under way: what it still does has no effect.
    var isDying = false
    /// Stopped by a signal or a slow machine until then.
    var pausedUntil: UInt64 = 0
    /// Front-ends take no new clients.
    var isStopping = false
    /// Devices that clients have open.
    var attached = 0
    /// The machine's clock, which outlives its processes.
    let machine: MachineClock
    private var witnesses: [() -> Void] = []

    init(world: World, node: NodeID, boot: BootID, machine: MachineClock) {
        (self.world, self.node, self.boot, self.machine) = (world, node, boot, machine)
    }

    /// Calls back, soon after it ended.
    func whenEnded(_ action: @escaping () -> Void) { witnesses.append(action) }

    func end() {
        guard isAlive else { return }
        isAlive = false
        for witness in witnesses { world.schedule(after: world.draw(50_000...5_000_000), witness) }
        witnesses = []
    }

    // MARK: The clock

    package func now() -> UInt64 { machine.time(world.now) }
    package func wallClock() -> UInt64 { machine.wallClock(world.now) }

    @discardableResult
    package func schedule(after nanoseconds: UInt64, _ action: @escaping () -> Void) -> Timer {
        let timer = Timer()
        world.schedule(after: machine.duration(nanoseconds), in: self) {
            if !timer.isCancelled { action() }
        }
        return timer
    }

    // MARK: The engine's loop

    package func post(_ work: @escaping @Sendable () -> Void) { world.schedule(after: 0, in: self, work) }
    package func schedule(afterNanoseconds delay: UInt64, _ work: @escaping () -> Void) {
        world.schedule(after: machine.duration(delay), in: self, work)
    }
}
