/// Something that will happen at a moment of virtual time.
struct Event {
    let time: UInt64
    /// Orders events of one moment: first scheduled, first run.
    let number: UInt64
    /// The process that it happens in; nil: outside of all (the network, a client, a fault).
    let process: SheepProcess?
    let action: () -> Void

    static func precedes(_ a: Event, _ b: Event) -> Bool { (a.time, a.number) < (b.time, b.number) }
}

/// A binary heap: the earliest event first, those of one moment in the order they were put in.
struct EventQueue {
    private var heap: [Event] = []

    var isEmpty: Bool { heap.isEmpty }
    var nextTime: UInt64? { heap.first?.time }

    mutating func insert(_ event: Event) {
        heap.append(event)
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard Event.precedes(heap[child], heap[parent]) else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    mutating func popFirst() -> Event? {
        guard !heap.isEmpty else { return nil }
        heap.swapAt(0, heap.count - 1)
        let event = heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
                if Event.precedes(heap[child], heap[least]) { least = child }
            }
            guard least != parent else { return event }
            heap.swapAt(least, parent)
            parent = least
        }
    }
}
