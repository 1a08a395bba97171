package import ObjectModel

/// How many bytes one of ``ObjectStore/digests(of:completion:)`` covers.
package let digestSize = 64 << 10

extension ObjectStore {
    /// A CRC64 of every 64 KiB of an object, in order. 0 where nothing was ever written, and where the bytes cannot be vouched
    /// for: of such a part nothing can be told.
    ///
    /// Two copies whose blocks have equal checksums may differ all the same, once in 2^32 blocks; where these agree as well
    /// (another polynomial, over other lengths) they are equal. Reads what was written of the object, in the background.
    package func digests(of name: ObjectName, completion: @escaping (Result<[UInt64], SheepError>) -> Void) {
        withFile(name) { [self] result in
            switch result {
            case .success(let file):
                file.pins += 1
                inFlight += 1
                digest(file, from: 0, AlignedBytes(count: 4 * digestSize), []) { [self] result in
                    unpin(file)
                    inFlight -= 1
                    completion(result)
                    closeIfIdle()
                }
            case .failure(let error): completion(.failure(error))
            }
        }
    }

    private func digest(
        _ file: OpenFile<D>, from offset: Int, _ bytes: AlignedBytes, _ known: [UInt64],
        _ completion: @escaping (Result<[UInt64], SheepError>) -> Void
    ) {
        var (offset, known) = (offset, known)
        let size = file.table.blocks * blockSize
        while offset < size, file.table.neverWritten(blocks(of: offset..<min(size, offset + bytes.buffer.count))) {
            let part = min(size - offset, bytes.buffer.count)
            known += [UInt64](repeating: 0, count: part / digestSize)
            offset += part
        }
        guard offset < size else { return completion(.success(known)) }
        let part = UnsafeMutableRawBufferPointer(rebasing: bytes.buffer[..<min(size - offset, bytes.buffer.count)])
        disk.readInBackground(file.handle, at: UInt64(offset), into: part) { [self] error in
            if let error { return completion(.failure(refusal(error, reading: file.name))) }
            for start in stride(from: 0, to: part.count, by: digestSize) {
                let piece = UnsafeMutableRawBufferPointer(rebasing: part[start..<start + digestSize])
                known.append(digest(file, at: offset + start, piece))
            }
            digest(file, from: offset + part.count, bytes, known, completion)
        }
    }

    private func digest(_ file: OpenFile<D>, at offset: Int, _ piece: UnsafeMutableRawBufferPointer) -> UInt64 {
        if file.table.neverWritten(blocks(of: offset..<offset + piece.count)) { return 0 }
        if file.table.firstMismatch(first: offset / blockSize, piece) != nil {
            // A write may have passed by; now the blocks are in memory and nothing passes.
            do { try disk.read(file.handle, at: UInt64(offset), into: piece) } catch { return 0 }
            guard file.table.firstMismatch(first: offset / blockSize, piece) == nil else {
                counters.checksumFailures += 1
                return 0
            }
        }
        return CRC64.of(UnsafeRawBufferPointer(piece))
    }

    private func blocks(of range: Range<Int>) -> Range<Int> { range.lowerBound / blockSize..<range.upperBound / blockSize }
}
