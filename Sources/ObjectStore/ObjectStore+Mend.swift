package import ObjectModel

/// Damaged blocks, written anew.
extension ObjectStore {
    /// Writes whole blocks of a peer's copy where they are, to the bit, what this copy's own checksums say: so nothing can
    /// go wrong by it, whatever was written here since they were read there. Other blocks are left as they are.
    ///
    /// - Returns: how many blocks were written. `damaged` when the object's table or file is not there to compare with.
    package func mend(
        _ name: ObjectName, at offset: Int, from buffer: UnsafeRawBufferPointer,
        completion: @escaping (Result<Int, SheepError>) -> Void
    ) {
        precondition(offset >= 0 && (offset | buffer.count) % blockSize == 0)
        let bytes = AlignedBytes(copying: buffer)
        var mended = 0
        change(name, completion: { completion($0.map { .failure($0) } ?? .success(mended)) }) { [self] region, done in
            guard index.find(name).map({ !$0.isHole }) ?? false else { return done(nil) }
            withFile(name) { [self] result in
                switch result {
                case .success(let file):
                    file.region = region
                    done(withExtendedLifetime(bytes) { mend(file, first: offset / blockSize, bytes.bytes, &mended) })
                case .failure(let error): done(error)
                }
            }
        }
    }

    private func mend(
        _ file: OpenFile<D>, first: Int, _ bytes: UnsafeRawBufferPointer, _ mended: inout Int
    ) -> SheepError? {
        if case .failed(let error) = phase { return error }
        for block in 0..<min(bytes.count / blockSize, file.table.blocks - first) {
            let part = UnsafeRawBufferPointer(rebasing: bytes[block * blockSize..<(block + 1) * blockSize])
            guard file.table[first + block] == ChecksumTable.value(of: part) else { continue }
            do {
                try disk.write(file.handle, at: UInt64((first + block) * blockSize), from: part)
            } catch {
                return refusal(error)
            }
            mended += 1
            counters.mendedBlocks += 1
            markWritten(file)
        }
        return nil
    }
}
