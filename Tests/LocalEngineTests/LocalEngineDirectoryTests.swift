import Glibc
import LocalEngine
import ObjectModel
import Testing

@Suite struct LocalEngineDirectoryTests {
    private func refusal(_ option: String?, _ store: String) -> String? {
        do throws(SheepError) {
            _ = try LocalEngineDirectory.resolve(option: option, store: store)
            return nil
        } catch { return error.message }
    }

    @Test("without DIR sheep meet in the parent of the store, which need not exist, in a folder of mode 0700")
    func defaultParent() throws {
        let folder = TemporaryFolder()
        for store in ["/store", "/store/", "//store///"] {
            #expect(try LocalEngineDirectory.resolve(option: nil, store: folder.path + store).path == folder.path + "/sheepdog.local")
        }
        #expect(OpenFile.status(at: folder.path + "/sheepdog.local")?.mode == S_IFDIR | 0o700)
    }

    @Test("shared temporary directories are refused with the way out, unless DIR is given")
    func sharedTemporaryDirectory() throws {
        for store in ["/tmp/store", "/var/tmp/store", "/dev/shm/store"] {
            #expect(refusal(nil, store)?.contains("-c local:DIR") == true)
        }
        let folder = TemporaryFolder()
        chmod(folder.path, 0o1777)
        #expect(refusal(nil, folder.path + "/store")?.contains(folder.path) == true)
        #expect(refusal(folder.path, folder.path + "/store") == nil)
    }

    @Test("a parent that is missing or not writable is refused")
    func unusableParent() {
        let folder = TemporaryFolder()
        #expect(refusal(nil, folder.path + "/none/store")?.contains("-c local:DIR") == true)
        guard geteuid() != 0 else { return }
        chmod(folder.path, 0o500)
        #expect(refusal(nil, folder.path + "/store")?.contains("not writable") == true)
        chmod(folder.path, 0o700)
    }

    @Test("DIR is made when missing")
    func explicitDirectory() throws {
        let folder = TemporaryFolder()
        #expect(try LocalEngineDirectory.resolve(option: folder.path + "/new", store: "/tmp/s").path == folder.path + "/new/sheepdog.local")
        #expect(refusal("", "/tmp/s") != nil)
    }

    @Test("a link, a file and a folder open to others in the place of sheepdog.local are refused")
    func tricks() {
        let folder = TemporaryFolder()
        let place = folder.path + "/sheepdog.local"
        mkdir(folder.path + "/elsewhere", 0o700)
        symlink(folder.path + "/elsewhere", place)
        #expect(refusal(folder.path, "/s")?.contains("link") == true)
        unlink(place)
        appendRaw([1], to: place)
        #expect(refusal(folder.path, "/s")?.contains("file") == true)
        unlink(place)
        mkdir(place, 0o700)
        chmod(place, 0o770)
        #expect(refusal(folder.path, "/s")?.contains("chmod 700") == true)
    }

    @Test("a folder of another user is refused", .enabled(if: geteuid() == 0))
    func otherOwner() {
        let folder = TemporaryFolder()
        mkdir(folder.path + "/sheepdog.local", 0o700)
        chown(folder.path + "/sheepdog.local", 12345, 12345)
        #expect(refusal(folder.path, "/s")?.contains("12345") == true)
    }
}
