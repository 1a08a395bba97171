package import ObjectModel

/// How many bytes one of ``ObjectStore/digests(of:in:completion:)`` covers.
package let digestSize = 64 << 10

extension ObjectStore {
    /// A CRC64 of every 64 KiB of a part of an object, in order. 0 where nothing was ever written, and where the bytes cannot be
    /// vouched for: of such a part nothing can be told. Errors: the part is not of whole 64 KiB, or not within the object.
    ///
    /// Two copies whose blocks have equal checksums may differ all the same, once in 2^32 blocks; where these agree as well
    /// (another polynomial, over other lengths) they are equal. Reads what was written there.
    package func digests(of name: ObjectName, in bytes: Range<Int>, completion: @escaping (Result<[UInt64], SheepError>) -> Void) {
        withFile(name) { [self] result in
            switch result {
            case .success(let file):
                guard bytes.lowerBound % digestSize == 0, bytes.upperBound % digestSize == 0, bytes.upperBound <= file.table.blocks * blockSize
                else { return completion(.failure(SheepError(.invalidArgument, "no digests of bytes \(bytes) of object \(name)"))) }
                file.pins += 1
                inFlight += 1
                digest(file, bytes, []) { [self] result in
                    unpin(file)
                    inFlight -= 1
                    completion(result)
                    closeIfIdle()
                }
            case .failure(let error): completion(.failure(error))
            }
        }
    }

    /// What is in memory is read here, by way of little memory that stays in the processor; what is not, in the background.
    private func digest(
        _ file: OpenFile<D>, _ range: Range<Int>, _ known: [UInt64], _ completion: @escaping (Result<[UInt64], SheepError>) -> Void
    ) {
        var known = known
        for offset in stride(from: range.lowerBound, to: range.upperBound, by: digestSize) {
            if file.table.neverWritten(blocks(of: offset..<offset + digestSize)) {
                known.append(0)
                continue
            }
            let piece = UnsafeMutableRawBufferPointer(rebasing: scratch.buffer[..<digestSize])
            do {
                try disk.tryRead(file.handle, at: UInt64(offset), into: piece)
            } catch .wouldBlock {
                return digestInBackground(file, offset..<range.upperBound, known, completion)
            } catch {
                return completion(.failure(refusal(error, reading: file.name)))
            }
            known.append(digest(file, at: offset, piece))
        }
        completion(.success(known))
    }

    private func digestInBackground(
        _ file: OpenFile<D>, _ range: Range<Int>, _ known: [UInt64], _ completion: @escaping (Result<[UInt64], SheepError>) -> Void
    ) {
        let bytes = AlignedBytes(count: min(range.count, 4 * digestSize))
        let start = range.lowerBound
        disk.readInBackground(file.handle, at: UInt64(start), into: bytes.buffer) { [self] error in
            if let error { return completion(.failure(refusal(error, reading: file.name))) }
            var known = known
            for offset in stride(from: 0, to: bytes.buffer.count, by: digestSize) {
                let piece = UnsafeMutableRawBufferPointer(rebasing: bytes.buffer[offset..<offset + digestSize])
                known.append(digest(file, at: start + offset, piece))
            }
            digest(file, start + bytes.buffer.count..<range.upperBound, known, completion)
        }
    }

    /// 0 too where nothing was ever written.
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
