import Glibc
import Logging
import NIOCore
import ObjectModel

/// Files that are texts: reports and settings.
extension FUSEServer {
    func openText(_ node: StaticNode, flags: Int32, _ request: FUSERequest) {
        let isWriting = flags & O_ACCMODE != O_RDONLY
        switch node.kind {
        case .directory: request.fail(EISDIR)
        case .setting where node == .mount:
            withMounted { [self] names in opened(names.map { $0 + "\n" }.joined(), request) }
        case .setting: opened(setting(node), request)
        case .report(let report):
            guard !isWriting else { return request.fail(EACCES) }
            backend.report(report) { [self] result in
                switch result {
                case .failure(let error): request.fail(error)
                case .success(let text): opened(text, request)
                }
            }
        }
    }

    private func opened(_ text: String, _ request: FUSERequest) {
        let handle = nextHandle()
        texts[handle] = ByteBuffer(string: text)
        request.opened(handle: handle, isDirect: true, keepsCache: false)
    }

    func readText(_ handle: UInt64, at offset: UInt64, length: Int, _ request: FUSERequest) {
        guard let text = texts[handle] else { return request.fail(EBADF) }
        let start = min(Int(clamping: offset), text.readableBytes)
        request.bytes(text.getSlice(at: text.readerIndex + start, length: min(length, text.readableBytes - start))!)
    }

    private func setting(_ node: StaticNode) -> String {
        switch node {
        case .pageCache: usesPageCache ? "1\n" : "0\n"
        case .sheepInformation: backend.sheepAddress + "\n"
        default: ""
        }
    }

    /// Each write is one command.
    func set(_ node: StaticNode, _ data: ByteBuffer, _ request: FUSERequest) {
        guard node.kind == .setting else { return request.fail(EBADF) }
        guard let line = SettingText.line(data.readableBytesView) else { return request.fail(EINVAL) }
        let answer = { (error: SheepError?) in
            if let error { request.fail(error) } else { request.written(data.readableBytes) }
        }
        switch node {
        case .mount: mount(line, completion: answer)
        case .unmount: answer(unmount(line))
        case .pageCache:
            guard let flag = SettingText.flag(line) else { return request.fail(EINVAL) }
            usesPageCache = flag
            answer(nil)
        case .sheepInformation:
            backend.useSheep(line) { [self] error in
                if let error { logger.warning("sheep_info: \(error.message)") }
                answer(error)
            }
        default: request.fail(EBADF)
        }
    }

    private func mount(_ name: String, completion: @escaping (SheepError?) -> Void) {
        backend.find(name) { [self] result in
            switch result {
            case .failure(let error): completion(error)
            case .success:
                mounted.insert(name)
                completion(nil)
            }
        }
    }

    /// The volumes that are shown, in the order of their names. Those that are deleted, or have another name by now, are forgotten here, but
    /// for those that somebody has open.
    func withMounted(_ completion: @escaping ([String]) -> Void) {
        let names = mounted.sorted()
        var remaining = names.count
        if remaining == 0 { return completion([]) }
        for name in names {
            backend.find(name) { [self] result in
                if case .failure(let error) = result, error.code == .noSuchVolume || error.code == .noSuchSnapshot, files[name]?.handles ?? 0 == 0 {
                    mounted.remove(name)
                }
                remaining -= 1
                if remaining == 0 { completion(mounted.intersection(names).sorted()) }
            }
        }
    }

    private func unmount(_ name: String) -> SheepError? {
        if configuration.autoMount {
            return SheepError(.notSupported, "every volume is shown: sheepfs was started with --auto-mount")
        }
        guard mounted.contains(name) else { return SheepError(.noSuchVolume, "volume \(name) is not mounted") }
        if let file = files[name], file.handles > 0 { return SheepError(.busy, "volume \(name) is in use") }
        mounted.remove(name)
        return nil
    }
}
