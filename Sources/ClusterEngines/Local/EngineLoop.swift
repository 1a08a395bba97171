/// The port to the thread that an engine lives on: the sheep's event loop, or the simulator.
///
/// Everything given to it runs on that one thread, later and never from within the call; what is given by one thread
/// with ``post(_:)`` runs in the order given.
package protocol EngineLoop: AnyObject, Sendable {
    /// Nanoseconds of CLOCK_BOOTTIME (in simulation: of the node's own clock).
    func now() -> UInt64
    /// Runs `work` on the loop soon; may be called from any thread.
    func post(_ work: @escaping @Sendable () -> Void)
    /// Runs `work` on the loop, not before `delay` nanoseconds have passed; called on the loop only.
    func schedule(afterNanoseconds delay: UInt64, _ work: @escaping () -> Void)
}
