import ObjectModel
import SheepProtocol

extension FakeCluster.State {
    mutating func open(_ request: DeviceOpen) throws -> DeviceOpened {
        if let refusal { throw refusal }
        let parts = request.name.split(separator: "@", maxSplits: 1).map(String.init)
        let selector: VolumeReference.Selector =
            parts.count == 1 ? .working : UInt32(parts[1]).map { .id($0) } ?? .tag(parts[1])
        let record = volumes[try index(of: VolumeReference(name: parts[0], selector: selector))].record
        let handle = DeviceHandle(rawValue: UInt64(devices.count + 1))
        devices[handle] = record.birth
        return DeviceOpened(
            handle: handle, gateway: NodeID(high: 0, low: 1), name: request.name, description: "fake", size: record.size, isReadOnly: request.readOnly,
            preferredBlockSize: 4096, maximumRequest: 32 << 20, objectShift: record.objectShift,
            origin: DeviceOrigin(birth: record.birth, family: Family(rawValue: 1), isSnapshot: record.isSnapshot))
    }

    private func place(_ handle: DeviceHandle, _ offset: UInt64, _ length: UInt64) throws -> Int {
        guard let birth = devices[handle], let place = volumes.firstIndex(where: { $0.record.birth == birth }) else {
            throw SheepError(.noSuchVolume, "no device")
        }
        guard offset + length <= volumes[place].record.size else {
            throw SheepError(.invalidArgument, "\(offset)+\(length) is beyond the end")
        }
        return place
    }

    func read(_ request: DeviceRead) throws -> [UInt8] {
        let place = try place(request.handle, request.offset, UInt64(request.length))
        return volumes[place].read(Int(request.offset), Int(request.length))
    }

    mutating func write(_ request: DeviceWrite, _ data: [UInt8]) throws {
        let place = try place(request.handle, request.offset, UInt64(data.count))
        guard request.offset + UInt64(data.count) <= fullFrom else { throw SheepError(.noSpace, "all disks are full") }
        volumes[place].write(Int(request.offset), data)
    }

    mutating func zero(_ request: DeviceZero) throws {
        let place = try place(request.handle, request.offset, request.length)
        guard request.offset + request.length <= fullFrom else { throw SheepError(.noSpace, "all disks are full") }
        volumes[place].write(Int(request.offset), [UInt8](repeating: 0, count: Int(request.length)))
    }

    func status(_ request: DeviceStatus) throws -> DeviceExtents {
        let place = try place(request.handle, request.offset, request.length)
        var extents: [DeviceExtent] = []
        var offset = request.offset
        let end = request.offset + request.length
        while offset < end {
            let number = Int(offset) / FakeCluster.unit
            let isAllocated = volumes[place].units[number] != nil
            let length = min(UInt64((number + 1) * FakeCluster.unit), end) - offset
            if let last = extents.last, last.isAllocated == isAllocated {
                extents[extents.count - 1].length += length
            } else {
                extents.append(DeviceExtent(length: length, isAllocated: isAllocated, isZero: !isAllocated))
            }
            offset += length
        }
        return DeviceExtents(extents: Array(extents.prefix(Int(request.limit))))
    }
}
