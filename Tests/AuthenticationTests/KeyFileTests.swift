import Glibc
import ObjectModel
import Testing

import Authentication
import ConformanceKit

@Suite("The key's file")
struct KeyFileTests {
    private func withFolder(_ body: (String) throws -> Void) throws {
        let folder = TemporaryDirectory()
        try body(folder.path)
    }

    private func write(_ text: String, to path: String, mode: mode_t = 0o600) {
        let file = creat(path, mode)
        fchmod(file, mode)
        _ = Glibc.write(file, text, text.utf8.count)
        close(file)
    }

    @Test("a new file has a key of its own, is its owner's alone, and is not written over")
    func making() throws {
        try withFolder { folder in
            let path = folder + "/key"
            try KeyFile.make(path)
            _ = try KeyFile.read(path)
            var status = stat()
            #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
            #expect(throws: SheepError.self) { try KeyFile.make(path) }
        }
    }

    @Test("a file that others may read is refused with what to do", arguments: [0o640, 0o604, 0o660, 0o644, 0o610, 0o777])
    func modes(_ mode: Int) throws {
        try withFolder { folder in
            let path = folder + "/key"
            write(String(repeating: "ab", count: 32) + "\n", to: path, mode: mode_t(mode))
            do throws(SheepError) {
                _ = try KeyFile.read(path)
                Issue.record("mode \(mode) was accepted")
            } catch {
                #expect(error.message.contains(path) && error.message.contains("chmod 0600"))
            }
        }
    }

    @Test("anything but 64 digits is no key", arguments: [
        "", "\n", String(repeating: "a", count: 63), String(repeating: "a", count: 65), String(repeating: "g", count: 64),
        String(repeating: "a", count: 64) + "\nmore", " " + String(repeating: "a", count: 63), String(repeating: "a", count: 5000),
    ])
    func nonsense(_ text: String) throws {
        try withFolder { folder in
            write(text, to: folder + "/key")
            #expect(throws: SheepError.self) { try KeyFile.read(folder + "/key") }
        }
    }

    @Test("what is no file is refused")
    func noFile() {
        #expect(throws: SheepError.self) { try KeyFile.read("/nowhere/key") }
        #expect(throws: SheepError.self) { try KeyFile.read("/tmp") }
        #expect(throws: SheepError.self) { try KeyFile.read("/dev/null") }
        #expect(throws: SheepError.self) { try KeyFile.make("/nowhere/key") }
    }
}
